"""DRNs against the same networks in PyTorch, through files that PyTorch wrote. Needs the `parity` extra."""

import copy
import functools

import jax
import numpy as np
import pytest
from reference_models import images

from gun_jax import DRN, load_drn_weights
from gun_jax.errors import InputError
from gun_jax.weights.torch_file import read_torch_file

torch = pytest.importorskip("torch", reason="needs the `parity` extra")
from drn_in_torch import TorchDRN, random_drn  # noqa: E402

VARIANTS = ("d22", "d38", "d54", "c26")
CLASSES = 10


def save(path, content, archive=True, **options):
    torch.save(content, path, _use_new_zipfile_serialization=archive, **options)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """`pair(variant)`: a peer with random weights, and what ours loads from its file; made once."""

    @functools.cache
    def make(variant):
        path = tmp_path_factory.mktemp("weights") / f"{variant}.pth"
        drn = random_drn(variant, CLASSES)
        save(path, drn.state_dict(), archive=variant not in ("d22", "c26"))
        return drn, load_drn_weights(path, variant)

    return make


def difference(ours, theirs):
    """The largest difference as a part of the largest value; theirs is in PyTorch's order of axes."""
    theirs = theirs.detach().numpy()
    theirs = theirs.transpose(0, 2, 3, 1) if theirs.ndim == 4 else theirs
    assert ours.shape == theirs.shape
    return np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max()


@pytest.fixture(scope="module")
def outputs(pair):
    """`outputs(variant, train)`: (levels, scores, running statistics) of ours and of theirs for the same images."""

    @functools.cache
    def run(variant, train):
        module, variables = pair(variant)
        drn, x = DRN(variant, CLASSES), images(2, 33, 47)

        @jax.jit
        def ours(variables, x):
            levels, new = drn.apply(variables, x, train, method="features", mutable=["batch_stats"])
            return levels, drn.apply(variables, x, train, mutable=["batch_stats"])[0], new["batch_stats"]

        module = copy.deepcopy(module).train(train)
        levels, scores = module(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
        return ours(variables, x), (levels, scores, module.state_dict())

    return run


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_level_is_that_of_the_peer(outputs, variant, train):
    (ours, _, _), (theirs, _, _) = outputs(variant, train)
    assert len(ours) == len(theirs) == 9
    for level in range(9):
        assert difference(ours[level], theirs[level]) < 1e-4, f"level {level}"


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_class_scores_are_those_of_the_peer(outputs, variant, train):
    (_, ours, _), (_, theirs, _) = outputs(variant, train)
    assert difference(ours, theirs) < 1e-4


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_training_step_leaves_the_running_statistics_of_the_peer(outputs, variant, tmp_path):
    (_, _, ours), (_, _, state) = outputs(variant, True)
    save(tmp_path / "after.pth", state)
    theirs = load_drn_weights(tmp_path / "after.pth", variant)["batch_stats"]
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert difference(one, torch.from_numpy(other)) < 1e-4


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_peer_has_as_many_parameters_as_published(variant):
    published = {"d22": 16_393_752, "d38": 26_501_912, "d54": 35_809_176, "c26": 21_126_584}[variant]
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in TorchDRN(variant).parameters()) == published


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_pytorch_saves_comes_back_in_every_format(tmp_path, archive, protocol):
    numbers, names = torch.arange(24), ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8")
    saved = {name: numbers.reshape(4, 6).to(getattr(torch, name)) for name in (*names, "uint8", "bool")}
    saved |= {"transposed": numbers.reshape(2, 3, 4).permute(2, 0, 1), "part": numbers[5:19:3], "same": numbers}
    saved |= {"number": torch.tensor(7), "none": torch.zeros(0, 3), "parameter": torch.nn.Parameter(torch.ones(2, 3))}
    save(tmp_path / "x.pth", saved, archive, pickle_protocol=protocol)
    found = read_torch_file(tmp_path / "x.pth")
    assert list(found) == list(saved)
    for name, tensor in saved.items():
        assert str(found[name].dtype) == str(tensor.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(found[name].astype(np.float64), tensor.detach().double().numpy())


def test_a_state_dictionary_with_its_metadata_and_inside_a_checkpoint_comes_back(tmp_path):
    state = random_drn("d22", CLASSES).state_dict()
    save(tmp_path / "plain.pth", state)
    parallel = {f"module.{name}": tensor for name, tensor in state.items()}
    save(tmp_path / "checkpoint.pth", {"epoch": 3, "best": 70.5, "arch": None, "state_dict": parallel})
    plain, inside = (load_drn_weights(tmp_path / name) for name in ("plain.pth", "checkpoint.pth"))
    assert jax.tree.all(jax.tree.map(np.array_equal, plain, inside))


def test_a_whole_module_is_refused_by_the_name_of_its_class(tmp_path):
    save(tmp_path / "x.pth", torch.nn.Conv2d(1, 1, 1))
    with pytest.raises(InputError, match=r"asks for torch\.nn\.modules\.conv\.Conv2d, which was not run"):
        read_torch_file(tmp_path / "x.pth")
