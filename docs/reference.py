"""Writes the API reference, from the docstrings, into build/docs/: `make docs`. What pdoc warns of is an error.

python docs/reference.py [FOLDER]
"""

import importlib
import pathlib
import pkgutil
import re
import sys
import warnings
from typing import Any

import flax.linen as nn

import gun_jax

ROOT = pathlib.Path(__file__).parents[1]
# The programs, and the inner parts of what other modules offer; some of these need an extra.
INTERNAL = re.compile(
    r"gun_jax\.(benchmark|programs|command_line|data\.synthetic\.|models\.(calls|winograd)"
    r"|export\.(onnx|openvino|quiet)_)"
)
# Where Python finds classes that are offered elsewhere; tags that colour it may stand between the parts.
FOUND_AND_OFFERED = {
    "jax.jaxlib._jax.Array": "jax.Array",
    "flax.linen.module.Module": "flax.linen.Module",
    "ml_collections.config_dict.config_dict.ConfigDict": "ml_collections.ConfigDict",
}


def public_modules() -> list[str]:
    """The modules that have pages: what users may import."""
    modules = (module.name for module in pkgutil.walk_packages(gun_jax.__path__, "gun_jax."))
    return ["gun_jax", *(name for name in modules if not INTERNAL.match(name))]


def _hide_what_flax_adds(module: Any) -> None:
    """Leaves the arguments and the field that Flax gives to every network out of a page."""
    for network in module.classes:
        if issubclass(network.obj, nn.Module):
            signature = network.members["__init__"].signature_without_self
            own = [parameter for name, parameter in signature.parameters.items() if name not in ("parent", "name")]
            network.members["__init__"].signature_without_self = signature.replace(parameters=own)
            network.own_members.remove(network.members["parent"])


def pages() -> tuple[dict[str, str], list[str]]:
    """The files of the reference by their names, and what pdoc warns of."""
    import pdoc
    from pygments.formatters import HtmlFormatter

    found = {name: importlib.import_module(name) for name in public_modules()}
    colors = {style: HtmlFormatter(style=style).get_style_defs(".pdoc-code") for style in ("default", "github-dark")}
    pdoc.render.configure(docformat="google", show_source=False, template_directory=ROOT / "docs" / "reference")
    pdoc.render.env.globals["code_colors"] = colors.__getitem__
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        modules = {name: pdoc.doc.Module(module) for name, module in found.items()}
        for module in modules.values():
            _hide_what_flax_adds(module)
        files = {f"{name.replace('.', '/')}.html": pdoc.render.html_module(modules[name], modules) for name in modules}
        files |= {"index.html": pdoc.render.html_index(modules), "search.js": pdoc.render.search_index(modules)}
    for found_at, offered_as in FOUND_AND_OFFERED.items():
        place = re.compile(r"(?:<[^>]*>|\.)+".join(map(re.escape, found_at.split("."))))
        files = {name: place.sub(offered_as, content) for name, content in files.items()}
    return files, [str(warning.message) for warning in told]


def main() -> None:
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "docs"
    files, wrong = pages()
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        sys.exit(f"docs/reference.py: {len(wrong)} warnings; nothing is written")
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    print(f"Open {folder / 'index.html'}.")


if __name__ == "__main__":
    main()
