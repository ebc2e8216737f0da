"""Encoders: Table 1's branches against the layer table in NumPy on images resized by jax, and sizes by hand."""

import functools
import re

import jax
import numpy as np
import pytest
from reference_models import (
    convolved,
    drn_levels,
    drn_parameters,
    filled,
    images,
    quick_jit,
    resized,
    shapes_of,
    size_of,
)

from gun_jax.models.encoder import ENCODERS, Encoder, branch_size

# For an image of 128x256, finest first: the signals and what the guidance sees, as (height, width, channels).
TABLE_1 = {
    "baseline": ([(16, 32, 512)], (64, 128, 32)),
    "enc4": ([(4, 8, 512)], (16, 32, 32)),
    "enc24": ([(8, 16, 128), (4, 8, 512)], (32, 64, 32)),
    "enc24shared": ([(8, 16, 128), (4, 8, 512)], (32, 64, 32)),
    "enc124": ([(16, 32, 128), (8, 16, 128), (4, 8, 512)], (64, 128, 32)),
    "enc124shared": ([(16, 32, 128), (8, 16, 128), (4, 8, 512)], (64, 128, 32)),
}
FACTORS = {"baseline": [1], "enc4": [4], "enc24": [2, 4], "enc124": [1, 2, 4]}
WIDTH = 1 / 16


def factors(name):
    return FACTORS[name.removesuffix("shared")]


@functools.cache
def small(name, branch_norm="shared", input_subsampling=1):
    """A narrow encoder, compiled, its variables, images of odd size, and what it returns."""
    encoder = Encoder(name, branch_norm=branch_norm, input_subsampling=input_subsampling, width=WIDTH)
    x = images(2, 37, 50)
    variables = filled(encoder, x)
    run = quick_jit(functools.partial(encoder.apply, mutable=["batch_stats"]), static_argnames="train")
    return run, variables, x, run(variables, x)[0]


def reference_encoder(variables, x, name, input_subsampling=1, branch_norm="shared"):
    """Signals and high-resolution features: levels 0 to 4 of the finer branches, 0 to 8 of the coarsest."""
    signals = []
    for factor in factors(name):
        seen = resized(x, tuple(int(np.ceil(side * input_subsampling / factor)) for side in x.shape[1:3]))
        levels = 9 if factor == factors(name)[-1] else 5
        prefix = "drn/" if "shared" in name else f"drn{factor}/"
        statistics = f"_branch{factor}" if branch_norm == "separate" else ""
        outputs = drn_levels(seen, variables, "d22", prefix, statistics, levels)
        signals.append(outputs[-1])
        if factor == factors(name)[0]:
            high = outputs[2]
    return signals, high


def close(ours, expected, part=1e-4):
    """Equal up to a part of the largest value."""
    expected = np.asarray(expected, np.float64)
    np.testing.assert_allclose(np.asarray(ours, np.float64), expected, atol=part * np.abs(expected).max(), rtol=0)


def norm_at_level_0(stats):
    return stats["drn"]["levels_0"]["layers_0"]["norm"]


@functools.cache
def a_training_pass(branch_norm):
    """Running statistics after a pass in training, and the mean of what level 0 of each branch convolved."""
    run, variables, x, _ = small("enc24shared", branch_norm)
    kernel = variables["params"]["drn"]["levels_0"]["layers_0"]["conv"]["kernel"]
    medium, low = (convolved(resized(x, size), kernel).mean((0, 1, 2)) for size in ((19, 25), (10, 13)))
    return variables["batch_stats"], run(variables, x, train=True)[1]["batch_stats"], medium, low


# Branches


def test_the_encoders_are_those_of_table_1():
    assert set(ENCODERS) == set(TABLE_1)


@pytest.mark.parametrize("name", TABLE_1)
def test_signals_and_high_resolution_features_have_table_1_s_sizes(name):
    (signals, early), _ = jax.eval_shape(
        functools.partial(Encoder(name).init_with_output, jax.random.key(0)), np.zeros((3, 128, 256, 3), np.float32)
    )
    expected_signals, expected_high = TABLE_1[name]
    assert [signal.shape for signal in signals] == [(3, *shape) for shape in expected_signals]
    assert early[2].shape == (3, *expected_high)


@pytest.mark.parametrize("name", ["baseline", "enc24", "enc24shared", "enc124shared"])
def test_each_branch_is_a_drn_on_the_resized_image(name):
    _, variables, x, (signals, early) = small(name)
    expected_signals, expected_high = reference_encoder(variables, x, name)
    close(early[2], expected_high)
    for ours, expected in zip(signals, expected_signals, strict=True):
        close(ours, expected)


def test_odd_sizes_round_up_at_each_halving():
    _, _, _, (signals, early) = small("enc24shared")  # 37x50: the branches see 19x25 and 10x13
    assert [signal.shape[1:3] for signal in signals] == [(3, 4), (2, 2)]
    assert early[2].shape[1:3] == (10, 13)


# Parameters


@pytest.mark.parametrize("name", ["baseline", "enc4", "enc24shared", "enc124shared"])
def test_one_branch_or_shared_ones_have_the_parameters_of_one_drn(name):
    tree = shapes_of(Encoder(name), (1, 64, 64, 3))
    assert size_of(tree["params"]) == drn_parameters() == 15_880_752
    assert len(tree["params"]) == 1


@pytest.mark.parametrize(("name", "finer"), [("enc24", 1), ("enc124", 2)])
def test_branches_of_their_own_add_the_parameters_of_levels_0_to_4(name, finer):
    tree = shapes_of(Encoder(name), (1, 64, 64, 3))
    assert size_of(tree["params"]) == drn_parameters() + finer * drn_parameters(levels=5)


def test_a_change_of_a_shared_kernel_shows_in_both_branches():
    run, variables, x, (before, _) = small("enc24shared")
    params = jax.tree.map(np.array, variables["params"])
    params["drn"]["levels_3"]["layers_1"]["conv1"]["conv"]["kernel"] *= -1
    (after, _), _ = run({**variables, "params": params}, x)
    assert [bool(np.any(a != b)) for a, b in zip(after, before, strict=True)] == [True, True]


def test_a_change_of_one_of_two_drns_shows_in_its_branch_alone():
    run, variables, x, (before, _) = small("enc24")
    params = jax.tree.map(np.array, variables["params"])
    params["drn4"]["levels_3"]["layers_1"]["conv1"]["conv"]["kernel"] *= -1
    (after, _), _ = run({**variables, "params": params}, x)
    assert [bool(np.any(a != b)) for a, b in zip(after, before, strict=True)] == [False, True]


# Statistics of shared branches


def test_shared_statistics_take_in_both_branches_the_finer_one_first():
    before, after, medium, low = a_training_pass("shared")
    expected = 0.9 * (0.9 * norm_at_level_0(before)["mean"] + 0.1 * medium) + 0.1 * low
    close(norm_at_level_0(after)["mean"], expected, 1e-5)


def test_separate_statistics_take_in_one_branch_each():
    before, after, medium, low = a_training_pass("separate")
    for name, mean in (("mean_branch2", medium), ("mean_branch4", low)):
        close(norm_at_level_0(after)[name], 0.9 * norm_at_level_0(before)[name] + 0.1 * mean, 1e-5)


def test_only_levels_that_both_branches_run_keep_two_sets_of_statistics():
    stats = small("enc24shared", "separate")[1]["batch_stats"]["drn"]
    sets = [
        {path[-1].key for path, _ in jax.tree_util.tree_flatten_with_path(stats[f"levels_{level}"])[0]}
        for level in range(9)
    ]
    low = {"mean_branch4", "var_branch4"}
    assert sets == 5 * [low | {"mean_branch2", "var_branch2"}] + 4 * [low]


def test_with_separate_statistics_each_branch_evaluates_with_its_own():
    _, variables, x, (signals, _) = small("enc24shared", "separate")
    expected, _ = reference_encoder(variables, x, "enc24shared", branch_norm="separate")
    for ours, theirs in zip(signals, expected, strict=True):
        close(ours, theirs)


def test_separate_statistics_add_no_parameters():
    tree = shapes_of(Encoder("enc24shared", branch_norm="separate"), (1, 64, 64, 3))
    assert size_of(tree["params"]) == drn_parameters()


# Images that are subsampled already


@pytest.mark.parametrize(
    ("size", "factor", "subsampling", "expected"),
    [
        ((1024, 2048), 2, 1, (512, 1024)),
        ((1024, 2048), 4, 1, (256, 512)),
        ((512, 1024), 2, 2, (512, 1024)),
        ((360, 480), 4, 2, (180, 240)),
        ((97, 131), 2, 1, (49, 66)),
        ((97, 131), 4, 1, (25, 33)),
        ((97, 131), 1, 1, (97, 131)),
        ((97, 131), 4, 3, (73, 99)),
        ((1, 2), 4, 1, (1, 1)),
    ],
)
def test_a_branch_sees_the_image_by_its_factor_rounded_up(size, factor, subsampling, expected):
    assert branch_size(size, factor, subsampling) == expected


def test_a_halved_image_goes_to_the_medium_branch_as_it_is():
    _, variables, x, (signals, early) = small("enc24shared", input_subsampling=2)
    expected_signals, expected_high = reference_encoder(variables, x, "enc24shared", input_subsampling=2)
    close(early[2], expected_high)
    for ours, expected in zip(signals, expected_signals, strict=True):
        close(ours, expected)
    assert early[2].shape[1:3] == (19, 25)  # level 2 of 37x50


@pytest.mark.parametrize(("name", "subsampling"), [("baseline", 2), ("enc24", 4), ("enc24shared", 4), ("enc124", 2)])
def test_a_branch_that_would_enlarge_the_image_is_refused(name, subsampling):
    message = f"subsampling {factors(name)[0]} would have to enlarge images that are subsampled by {subsampling}"
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        shapes_of(Encoder(name, input_subsampling=subsampling), (1, 64, 64, 3))
    assert "\n" not in str(error.value)


def test_an_image_subsampled_by_4_suits_the_coarse_encoder():
    signals, _ = jax.eval_shape(
        Encoder("enc4", input_subsampling=4).apply, shapes_of(Encoder("enc4"), (1, 64, 64, 3)), np.zeros((1, 64, 96, 3))
    )
    assert signals[0].shape == (1, 8, 12, 512)


# Bad input


@pytest.mark.parametrize(("attribute", "what"), [("name_in_paper", "encoder"), ("branch_norm", "branch_norm")])
def test_an_unknown_name_is_named_on_one_line(attribute, what):
    with pytest.raises(ValueError, match=f"^Encoder: {what} 'enc42'; expected one of "):
        shapes_of(Encoder(**{attribute: "enc42"}), (1, 64, 64, 3))
