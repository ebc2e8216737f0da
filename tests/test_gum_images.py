"""docs/gum.md: its script draws the images, and its code runs."""

import pathlib
import re
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gun_jax

DOCS = pathlib.Path(gun_jax.__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def figures():
    return runpy.run_path(str(DOCS / "gum_images.py"))


@pytest.mark.parametrize(("name", "options"), [("edge_figure", {}), ("scene_figure", {"steps": 3})])
def test_an_image_that_needs_no_network_is_drawn(figures, name, options):
    image = figures[name](**options)
    assert image.dtype == np.uint8 and image.shape[2] == 3 and len(np.unique(image.reshape(-1, 3), axis=0)) > 20


def test_the_image_of_a_trained_network_is_drawn(figures, random_run):
    image = figures["boundary_figure"](random_run.workdir)
    assert image.dtype == np.uint8 and image.shape[1] > 800


def test_learned_offsets_beat_bilinear_upsampling_and_rest_far_from_boundaries(figures):
    truth = np.zeros((64, 64), int)
    truth[:, 27:] = 1  # an edge within a low-resolution pixel
    logits = 8.0 * jax.nn.one_hot(truth, 2).reshape(8, 8, 8, 8, 2).mean((1, 3))[None]
    offsets = figures["learned_offsets"](logits, truth, steps=100)
    bilinear = gun_jax.guided_upsample(logits, jnp.zeros_like(offsets)).argmax(-1)[0]
    guided = gun_jax.guided_upsample(logits, offsets).argmax(-1)[0]
    assert (bilinear != truth).any() and (guided == truth).all()
    assert offsets[0, :, 26, 0].max() < -0.1 and offsets[0, :, 27, 0].min() > 0.1  # away from the edge
    assert abs(offsets[0, :, :8]).max() < 0.01


def blocks():
    return re.findall(r"```python\n(.*?)```", (DOCS / "gum.md").read_text(), flags=re.DOTALL)


def test_the_code_of_the_edge_finds_the_edge():
    names = {}
    *setup, last = blocks()[0].strip().splitlines()
    exec("\n".join(setup), names)
    line = np.ravel(eval(last, names))
    assert (line[:18] > 0).all() and (line[18:] < 0).all()


def test_the_code_of_one_s_own_network_runs():
    names = {}
    exec(blocks()[1], names)
    images = jnp.ones((2, 32, 48, 3))
    model = names["Segmenter"]()
    variables = model.init(jax.random.key(0), images)
    logits, updates = model.apply(variables, images, train=True, mutable=["batch_stats"])
    assert logits.shape == (2, 32, 48, 19) and updates["batch_stats"]
