"""Published DRN files, as their names and shapes are known: into a DRN, and into the encoder that a run starts from."""

import functools
import re

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_models import images, layers, quick_jit
from reference_programs import ROOT, run_program
from reference_runs import no_scorer
from reference_torch import call, ordered, tensor, write, write_legacy

import gun_jax
from gun_jax import DRN, GUN, load_drn_weights
from gun_jax.errors import InputError
from gun_jax.evaluation.scoring import make_scorer
from gun_jax.models.encoder import Encoder, resize
from gun_jax.runs.workdir import saved_config
from gun_jax.training import loop
from gun_jax.training.loop import train
from gun_jax.training.start import starting_point
from gun_jax.training.step import StepResult
from gun_jax.weights.drn import start_from_drn

VARIANTS = ("d22", "d38", "d54", "c26")


def published(variant, classes=10):
    """Names and shapes of a published file by the layer table, in PyTorch's order of axes."""
    names = {}

    def convolution(name, norm, out, into, kernel):
        names[f"{name}.weight"] = (out, into, kernel, kernel)
        names.update({f"{norm}.{entry}": (out,) for entry in ("weight", "bias", "running_mean", "running_var")})

    channels = 3
    for level, number, kind, planes, stride, _ in layers(variant):
        name, into = f"layer{level}.{number}", channels
        if kind[0].isdigit():
            pair = ("conv1", "bn1") if variant == "c26" else (f"layer{level}.0", f"layer{level}.1")
            convolution(*pair, planes, channels, int(kind[0]))
            channels = planes
            continue
        channels = 4 * planes if kind == "bottleneck" else planes
        rows = [(planes, into, 3), (planes, planes, 3)]
        if kind == "bottleneck":
            rows = [(planes, into, 1), (planes, planes, 3), (channels, planes, 1)]
        for row, shape in enumerate(rows, 1):
            convolution(f"{name}.conv{row}", f"{name}.bn{row}", *shape)
        if kind != "no_skip" and (stride > 1 or into != channels):
            convolution(f"{name}.downsample.0", f"{name}.downsample.1", channels, into, 1)
    return names | {"fc.weight": (classes, 512, 1, 1), "fc.bias": (classes,)}


def write_light(path, shapes):
    """A file of tensors of these shapes that all lie in one storage of zeros: small, though a DRN is large."""
    size = max(int(np.prod(shape)) for shape in shapes.values())
    entries = {}
    for name, shape in shapes.items():
        strides = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
        entries[name] = tensor("Float", "0", size, shape, strides)
    write_legacy(path, ordered(entries), {"0": (size, bytes(4 * size))})
    return path


def random_arrays(shapes):
    rng = np.random.default_rng(5)

    def draw(name, shape):
        if len(shape) == 4:
            return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
        spread = (0.5, 1.5) if name.endswith(("weight", "running_var")) else (-0.3, 0.3)
        return rng.uniform(*spread, shape).astype(np.float32)

    return {name: draw(name, shape) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def d22(tmp_path_factory):
    """(path, arrays by published names) of a D-22 of random numbers with 10 classes."""
    arrays = random_arrays(published("d22"))
    arrays["layer0.1.num_batches_tracked"] = np.array(3)
    return write(tmp_path_factory.mktemp("weights") / "d22.pth", arrays), arrays


@pytest.fixture(scope="module")
def weights(d22):
    return load_drn_weights(d22[0])


def refused(path, variant, *words):
    with pytest.raises(InputError) as caught:
        load_drn_weights(path, variant)
    message = str(caught.value)
    assert message.startswith(f"weights {path}") and message.isprintable()
    for word in words:
        assert word in message, message
    return message


# Into a DRN


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("classes", [10, None])
def test_a_published_file_has_all_that_the_network_asks_for(tmp_path, variant, classes):
    shapes = published(variant)
    if classes is None:
        del shapes["fc.weight"], shapes["fc.bias"]
    found = load_drn_weights(write_light(tmp_path / "x.pth", shapes), variant)
    wanted = jax.eval_shape(DRN(variant, classes).init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), found) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), wanted
    )


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("layer0.0.weight", "params/levels_0/layers_0/conv/kernel"),
        ("layer2.1.weight", "params/levels_2/layers_0/norm/scale"),
        ("layer2.1.bias", "params/levels_2/layers_0/norm/bias"),
        ("layer3.1.conv2.weight", "params/levels_3/layers_1/conv2/conv/kernel"),
        ("layer5.0.bn1.running_mean", "batch_stats/levels_5/layers_0/conv1/norm/mean"),
        ("layer6.1.bn2.running_var", "batch_stats/levels_6/layers_1/conv2/norm/var"),
        ("layer4.0.downsample.0.weight", "params/levels_4/layers_0/downsample/conv/kernel"),
        ("layer4.0.downsample.1.running_var", "batch_stats/levels_4/layers_0/downsample/norm/var"),
        ("layer8.1.running_mean", "batch_stats/levels_8/layers_0/norm/mean"),
        ("fc.weight", "params/fc/kernel"),
        ("fc.bias", "params/fc/bias"),
    ],
)
def test_a_published_name_lies_at_its_place(d22, weights, name, path):
    theirs, ours = d22[1][name], flax.traverse_util.flatten_dict(weights, sep="/")[path]
    if theirs.ndim == 4:
        theirs = np.stack([[kernel.T for kernel in row] for row in np.moveaxis(theirs, (2, 3), (0, 1))])
    np.testing.assert_array_equal(ours, theirs)


def test_names_of_a_network_that_ran_on_several_devices_are_taken(d22, weights, tmp_path):
    path = write(tmp_path / "x.pth", {f"module.{name}": array for name, array in d22[1].items()}, "zip")
    assert jax.tree.all(jax.tree.map(np.array_equal, load_drn_weights(path), weights))


def test_halves_become_float32(d22, weights, tmp_path):
    path = write(tmp_path / "x.pth", {name: array.astype(np.float16) for name, array in d22[1].items()})
    found = load_drn_weights(path)
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype(np.float32)}
    assert jax.tree.all(jax.tree.map(lambda ours, theirs: np.allclose(ours, theirs, atol=4e-3), found, weights))


# What is not of the variant


@pytest.mark.parametrize(("of", "variant"), [("d38", "d22"), ("d54", "d38"), ("c26", "d22"), ("d22", "c26")])
def test_a_file_of_another_variant_is_refused_by_which_it_is(tmp_path, of, variant):
    path = write_light(tmp_path / "x.pth", published(of))
    message = refused(
        path, variant, f"variant {variant!r}", f"it is a DRN of variant {of!r}; set config.model.variant={of}"
    )
    assert len(message) < 200 + len(str(path))


def test_missing_left_over_and_misshapen_names_are_each_reported(tmp_path):
    shapes = published("d22")
    del shapes["layer3.0.bn1.bias"]
    shapes["layer3.0.bn1.offset"] = (64,)
    shapes["layer0.0.weight"] = (16, 3, 3, 3)
    shapes["fc.weight"] = (10, 512)
    refused(
        write_light(tmp_path / "x.pth", shapes),
        "d22",
        "missing: params/levels_3/layers_0/conv1/norm/bias;",
        "left over: layer3.0.bn1.offset;",
        "layer0.0.weight (3, 3, 3, 16) instead of (7, 7, 3, 16)",
        "fc.weight (10, 512) instead of (1, 1, 512, 10)",
    )


def test_of_many_names_three_are_shown_and_the_others_counted(tmp_path):
    names = [f"features.{i}.weight" for i in range(40)]
    message = refused(write_light(tmp_path / "x.pth", dict.fromkeys(names, (3,))), "d22", "left over: ", "and 37 more")
    assert all(name in message for name in names[:3]) and names[3] not in message


@pytest.mark.parametrize("shape", [(), (0, 512, 1, 1), (512,)])
def test_a_classifier_of_no_possible_shape_is_refused(tmp_path, shape):
    path = write_light(tmp_path / "x.pth", published("d22") | {"fc.weight": shape})
    refused(path, "d22", "misshapen: fc.weight (")


@pytest.mark.parametrize("value", [np.nan, np.inf, "integers"])
def test_numbers_that_are_not_finite_floats_are_refused(d22, tmp_path, value):
    name = "layer4.1.bn2.running_var"
    changed = np.ones(128, np.int64)
    if value != "integers":
        changed = d22[1][name].copy()
        changed[77] = value
    refused(write(tmp_path / "x.pth", d22[1] | {name: changed}), "d22", f"not finite floats: {name}")


def test_an_unknown_variant_is_refused(d22):
    with pytest.raises(InputError, match=r"^load_drn_weights: variant 'd105'; expected one of d22, d38, d54, c26$"):
        load_drn_weights(d22[0], "d105")


# Into the encoder


def zeros_of(model):
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


@pytest.mark.parametrize(
    ("encoder", "branches"),
    [
        ("baseline", {"drn1": 9}),
        ("enc4", {"drn4": 9}),
        ("enc24", {"drn2": 5, "drn4": 9}),
        ("enc124", {"drn1": 5, "drn2": 5, "drn4": 9}),
        ("enc24shared", {"drn": 9}),
        ("enc124shared", {"drn": 9}),
    ],
)
def test_every_branch_starts_from_the_levels_that_it_has(weights, encoder, branches):
    started = start_from_drn(zeros_of(GUN(5, encoder=encoder)), weights)
    for collection in ("params", "batch_stats"):
        assert sorted(started[collection]["encode"]) == sorted(branches)
        for branch, levels in branches.items():
            expected = {f"levels_{level}": weights[collection][f"levels_{level}"] for level in range(levels)}
            found = started[collection]["encode"][branch]
            assert jax.tree.structure(found) == jax.tree.structure(expected)
            assert jax.tree.all(jax.tree.map(np.array_equal, found, expected))


def test_all_but_the_encoder_stays_as_it_was(weights):
    before = zeros_of(GUN(5))
    after = start_from_drn(before, weights)
    assert jax.tree.structure(after) == jax.tree.structure(before)
    for collection in ("params", "batch_stats"):
        rest = {name: entry for name, entry in after[collection].items() if name != "encode"}
        assert rest and not any(np.any(leaf) for leaf in jax.tree.leaves(rest))


def test_separate_statistics_of_the_branches_all_start_from_those_of_the_file(weights):
    started = start_from_drn(zeros_of(GUN(5, branch_norm="separate")), weights)["batch_stats"]["encode"]["drn"]
    norm, expected = (tree["levels_3"]["layers_0"]["conv1"]["norm"] for tree in (started, weights["batch_stats"]))
    assert sorted(norm) == ["mean_branch2", "mean_branch4", "var_branch2", "var_branch4"]
    for name, numbers in norm.items():
        np.testing.assert_array_equal(numbers, expected[name.partition("_")[0]])


def test_branches_of_separate_weights_do_not_share_memory(weights):
    on_device = jax.tree.map(jnp.array, weights)
    branches = start_from_drn(zeros_of(GUN(5, encoder="enc24")), on_device)["params"]["encode"]
    one, other = (branches[name]["levels_1"]["layers_0"]["conv"]["kernel"] for name in ("drn2", "drn4"))
    assert one.unsafe_buffer_pointer() != other.unsafe_buffer_pointer()


@pytest.mark.parametrize("encoder", ["enc24shared", pytest.param("enc24", marks=pytest.mark.slow)])
def test_the_features_of_the_branches_are_the_drn_s_of_their_images(weights, encoder):
    model, x = Encoder(encoder), images(1, 48, 64)
    started = start_from_drn({c: {"encode": tree} for c, tree in zeros_of(model).items()}, weights)
    started = {c: tree["encode"] for c, tree in started.items()}
    drn = quick_jit(functools.partial(DRN("d22", 10).apply, method="features"))
    (medium, low), early = quick_jit(model.apply)(started, x)
    seen = [resize(jnp.asarray(x), size) for size in ((24, 32), (12, 16))]
    first, second = (drn(weights, image) for image in seen)
    for ours, expected in ((medium, first[4]), (low, second[8]), (early[2], first[2]), (early[4], first[3])):
        np.testing.assert_allclose(ours, expected, atol=1e-4 * np.abs(expected).max())


# A run


@pytest.fixture
def start(d22, small_config):
    """The configuration of a run that starts from the D-22 of these tests."""
    small_config.init, small_config.model.width = str(d22[0]), 1.0
    return small_config


def test_a_run_starts_from_the_file_and_resumes_without_it(start, weights, d22, tmp_path, monkeypatch):
    start.init, given = str(tmp_path / "drn.pth"), []
    (tmp_path / "drn.pth").hardlink_to(d22[0])

    def first(_, optimizer, seed, start_from, averaged):
        given.append(start_from and start_from.keywords["weights"])
        params = {"kernel": jnp.zeros(2)}
        return loop.TrainState(jnp.int32(0), params, {"mean": jnp.zeros(2)}, optimizer.init(params))

    def step(state, batch):
        if len(given) == 1 and state.step == 2:
            raise InterruptedError
        return state.replace(step=state.step + 1), StepResult(jnp.float32(1), jnp.float32(1), jnp.bool_(True))

    monkeypatch.setattr(loop, "create_state", first)
    monkeypatch.setattr(loop, "make_train_step", lambda *_: step)
    with pytest.raises(InterruptedError):
        train(start, tmp_path / "run", no_scorer)
    (tmp_path / "drn.pth").unlink()
    assert train(start, tmp_path / "run", no_scorer).step == 6
    assert jax.tree.all(jax.tree.map(np.array_equal, given[0], weights)) and given[1] is None
    assert saved_config(tmp_path / "run")[0].init == str(tmp_path / "drn.pth")


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["enc24", "enc24shared"])
def test_a_step_at_a_tiny_rate_leaves_the_encoder_near_the_file(start, weights, tmp_path, encoder):
    start.model.encoder, start.optimizer.peak_rate, start.epochs = encoder, 1e-7, 1 / 3
    start.model.guidance, start.batch_size = "high_res", 2
    assert train(start, tmp_path, make_scorer).step == 1
    _, saved, config = gun_jax.load_run(tmp_path)
    assert config.init == start.init
    for branch in saved["params"]["encode"].values():
        for level, tree in branch.items():
            near = jax.tree.map(functools.partial(np.allclose, atol=1e-3), tree, weights["params"][level])
            assert jax.tree.all(near), level


def test_another_file_is_another_run(start, random_run):
    config = random_run.config.copy_and_resolve_references()
    config.init = "other.pth"
    with pytest.raises(InputError, match=r"another run: config\.init is '' there and 'other\.pth' here"):
        train(config, random_run.workdir, make_scorer)


def test_a_file_that_cannot_be_used_is_told_before_the_data_are_opened(start, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_open_data", lambda _: pytest.fail("the data were opened"))
    start.model.variant = "c26"
    with pytest.raises(InputError, match=r"it is a DRN of variant 'd22'; set config.model.variant=d22"):
        train(start, tmp_path / "run", make_scorer)
    assert not (tmp_path / "run").exists()


def test_a_narrow_network_cannot_start_from_a_file(start):
    start.model.width = 0.5
    with pytest.raises(
        InputError, match=rf"^config\.model\.width is 0\.5; expected 1 with {re.escape(start.init)}: .*$"
    ):
        starting_point(start)


@pytest.mark.parametrize("content", ["missing", "code", "damaged"])
def test_train_py_refuses_a_file_in_one_line_and_writes_nothing(tmp_path, content):
    weights, sentinel = tmp_path / "drn.pth", tmp_path / "it ran"
    if content == "code":
        write_legacy(weights, {"x": call("os", "system", f"touch '{sentinel}'")}, {})
    elif content == "damaged":
        weights.write_bytes(write_light(weights, {"x": (5,)}).read_bytes()[:-1])
    config = f"--config={ROOT / 'configs' / 'gun.py'}"
    result = run_program("train.py", config, f"--config.init={weights}", cwd=tmp_path)
    expected = {"missing": "No such file", "code": "asks for os.system", "damaged": "damaged"}[content]
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith(f"train.py: weights {weights}") and expected in result.stderr
    assert not sentinel.exists() and {path.name for path in tmp_path.iterdir()} <= {"drn.pth"}
