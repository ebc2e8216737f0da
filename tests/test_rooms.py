"""Rooms of the package: imports run one way, at any depth, and never in a circle."""

import ast
import graphlib
import pathlib

import pytest

import gun_jax

ROOT = pathlib.Path(gun_jax.__file__).parent
# From the bottom to the top: a room imports only rooms before it.
ROOMS = [
    *("version", "errors", "system", "ops", "kernels", "models", "data", "metrics", "configuration", "paper"),
    *("weights", "runs", "visualisation", "training", "evaluation", "export", "prediction", "serving", "own_data"),
    "programs",
]
# From the left to the right: a module of `models` imports only modules before it.
MODELS = ["drn", "efficientnet", "encoder", "decoder", "fusion", "guidance", "gum", "gun", "folding", "counting"]
MODULES = {
    ".".join(("gun_jax", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}


def imports(module, text, modules=frozenset(MODULES)):
    """The modules of gun_jax that a module imports, anywhere: in functions, and under TYPE_CHECKING.

    `from gun_jax import name` is an import of the root package unless `name` is a module.
    """
    found = set()
    package = module if MODULES.get(module, ROOT).name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{name}.{alias.name}" if f"{name}.{alias.name}" in modules else name for alias in node.names}
    return {name for name in found if name.partition(".")[0] == "gun_jax"}


IMPORTS = {module: imports(module, path.read_text()) for module, path in MODULES.items()}


def room(module):
    return module.split(".")[1] if "." in module else ""


def wrong(module, imported):
    """Why a module may not import another; None if it may."""
    ours, theirs = room(module), room(imported)
    if module == "gun_jax":
        return None
    if not theirs:
        return "the root package"
    if ROOMS.index(theirs) > ROOMS.index(ours):
        return "upwards"
    if theirs == "kernels" and ours != "kernels" and module != "gun_jax.models":
        return "kernels, which only gun_jax and gun_jax.models register"
    if ours == theirs == "models" and module != "gun_jax.models":
        names = [name.split(".")[2] if name.count(".") > 1 else "" for name in (module, imported)]
        if not names[1] or MODELS.index(names[1]) > MODELS.index(names[0]):
            return "to the right within models"
    return None


@pytest.mark.parametrize(
    ("module", "text", "expected"),
    [
        ("gun_jax.ops.a", "import gun_jax.models.drn", {"gun_jax.models.drn"}),
        ("gun_jax.ops.a", "from gun_jax.models.drn import DRN", {"gun_jax.models.drn"}),
        ("gun_jax.ops.a", "from gun_jax.models import drn, DRN", {"gun_jax.models.drn", "gun_jax.models"}),
        ("gun_jax.ops.a", "from gun_jax import GUN, configuration", {"gun_jax", "gun_jax.configuration"}),
        ("gun_jax.ops.a", "from ..models.drn import DRN", {"gun_jax.models.drn"}),
        ("gun_jax.models", "from .drn import DRN", {"gun_jax.models.drn"}),
        ("gun_jax.ops.a", "def f():\n    if x:\n        import gun_jax.data as d", {"gun_jax.data"}),
        ("gun_jax.ops.a", "if TYPE_CHECKING:\n    from gun_jax.models import GUN", {"gun_jax.models"}),
        ("gun_jax.ops.a", "import jax, gun_jax_onednn\nfrom jax import numpy", set()),
    ],
)
def test_imports_are_found_at_any_depth(module, text, expected):
    assert imports(module, text) == expected


@pytest.mark.parametrize(
    ("module", "imported", "allowed"),
    [
        ("gun_jax.training.loop", "gun_jax.evaluation.scoring", False),
        ("gun_jax.evaluation.scoring", "gun_jax.training.loop", True),
        ("gun_jax.data.sources", "gun_jax", False),
        ("gun_jax.ops.convolution", "gun_jax.kernels.winograd", False),
        ("gun_jax.models.gun", "gun_jax.kernels.winograd", False),
        ("gun_jax.models", "gun_jax.kernels", True),
        ("gun_jax.models.fusion", "gun_jax.models.gun", False),
        ("gun_jax.models.fusion", "gun_jax.models", False),
        ("gun_jax.models.gun", "gun_jax.models.fusion", True),
    ],
)
def test_an_import_upwards_is_wrong(module, imported, allowed):
    assert (wrong(module, imported) is None) == allowed


def test_imports_run_one_way():
    pairs = {(module, imported) for module, found in IMPORTS.items() for imported in found}
    assert {module for _, module in pairs} <= set(MODULES)
    found = {pair: wrong(*pair) for pair in pairs if wrong(*pair)}
    assert not found, "\n".join(f"{a} imports {b}: {why}" for (a, b), why in found.items())


def test_no_module_imports_itself_by_way_of_others():
    graphlib.TopologicalSorter(IMPORTS).prepare()  # raises a CycleError with the circle


def test_every_module_belongs_to_a_room_and_few_are_loose():
    assert {room(module) for module in MODULES} - {""} <= set(ROOMS)
    assert {module.split(".")[2] for module in MODULES if module.startswith("gun_jax.models.")} <= set(MODELS)
    assert len(list(ROOT.glob("*.py"))) <= 6
