"""A narrow network with random variables, what it gives for small images, and the same by layer tables in NumPy."""

import functools

import numpy as np
from reference_models import conv_norm, drn_levels, filled, images, quick_jit, relu, resized

from gun_jax import GUN

CLASSES = 5
OUTPUT = (33, 47)  # of maps of 3x5: no pixel lies half-way between two of the map
SEED = 9


def narrow(guidance="fusion", method="bilinear", **options):
    return GUN(CLASSES, guidance=guidance, method=method, width=1 / 16, **options)


@functools.cache
def trained(guidance="fusion"):
    """Variables with random numbers everywhere, the last layer of the guidance included, and images of odd size."""
    x = images(2, 45, 67)
    return filled(narrow(guidance), x, seed=SEED), x


@functools.cache
def compiled(guidance, method):
    """A function of variables and images: logits, labels, labels with offsets, and the statistics after evaluation."""
    model = narrow(guidance, method)

    def run(variables, x):
        logits, after = model.apply(variables, x, output_size=OUTPUT, mutable=["batch_stats"])
        labels = model.apply(variables, x, output_size=OUTPUT, method="predict")
        with_offsets = model.apply(variables, x, output_size=OUTPUT, method="predict_with_offsets")
        return logits, labels, with_offsets, after["batch_stats"]

    return quick_jit(run)


@functools.cache
def outputs(guidance, method):
    return compiled(guidance, method)(*trained(guidance))


@functools.cache
def low_logits():
    """The logits before upsampling, of the network whose guidance is "fusion", by layer tables in NumPy; its table."""
    variables, x = trained("fusion")
    medium = drn_levels(resized(x, (23, 34)), variables, "d22", "encode/drn/", levels=5)
    low = drn_levels(resized(x, (12, 17)), variables, "d22", "encode/drn/")[-1]
    fine = conv_norm(medium[4], variables, "fusion1/expand")
    fused = relu(conv_norm(relu(fine + resized(low, fine.shape[1:3])), variables, "fusion1/postprocess"))
    params = variables["params"]
    logits = fused @ params["classifier"]["kernel"][0, 0] + params["classifier"]["bias"]
    deep = resized(conv_norm(fused, variables, "gum/guide/expand_low"), medium[2].shape[1:3])
    guide = relu(conv_norm(medium[2], variables, "gum/guide/expand_high") + deep)
    last = params["gum"]["guide"]["offsets"]
    return logits, resized(guide @ last["kernel"][0, 0] + last["bias"], OUTPUT)


def close(ours, expected, part=1e-4):
    """Equal up to a part of the largest value."""
    expected = np.asarray(expected, np.float64)
    np.testing.assert_allclose(np.asarray(ours, np.float64), expected, atol=part * np.abs(expected).max(), rtol=0)
