#!/usr/bin/env python3
"""Draws the images of docs/gum.md into docs/images/.

    python docs/gum_images.py [--workdir=runs/demo] [--output=docs/images]

Without --workdir it leaves out gum_boundary.png, which needs a trained network.
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import flags
from matplotlib.figure import Figure

import gun_jax
from gun_jax.data.sources import load_source
from gun_jax.metrics.confusion import ConfusionMatrix
from gun_jax.ops.losses import cross_entropy
from gun_jax.programs import command_line
from gun_jax.runs.loading import load_checkpoint, single_image_predictor
from gun_jax.visualisation import best_crop, colorize, offset_colors, render, write_png

_WORKDIR = flags.DEFINE_string("workdir", None, "Workdir of a trained network, for gum_boundary.png.")
_OUTPUT = flags.DEFINE_string("output", "docs/images", "Folder of the images.")

_SIZE, _FACTOR = 128, 8
_COLORS = np.array([(70, 130, 180), (107, 142, 35), (220, 60, 60)], np.uint8)  # background, shape, pole


def main() -> None:
    output = pathlib.Path(_OUTPUT.value)
    write_png(output / "gum_edge.png", edge_figure())
    write_png(output / "gum_scene.png", scene_figure())
    if _WORKDIR.value:
        write_png(output / "gum_boundary.png", boundary_figure(pathlib.Path(_WORKDIR.value)))


def edge_figure() -> np.ndarray:
    """Logits across an edge inside a low-resolution pixel, upsampled in three ways."""
    logits = jnp.array([4.0, 4.0, 1.0, -4.0, -4.0, -4.0]).reshape(1, 1, 6, 1)  # class 1 against class 2
    edge, width = 18, 48  # the true edge, in pixels of the output
    x = np.arange(width)
    # Left of the edge, read one pixel to the left; right of it, to the right.
    offsets = np.zeros((1, 1, width, 2), np.float32)
    offsets[0, 0, 14:edge, 0], offsets[0, 0, edge:28, 0] = -1.0, 1.5
    lines = {
        "nearest": gun_jax.guided_upsample(logits, 0 * offsets, method="nearest"),
        "bilinear": gun_jax.guided_upsample(logits, 0 * offsets),
        "guided": gun_jax.guided_upsample(logits, offsets),
    }
    figure = _figure(7, 3.6)
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    for (name, line), style in zip(lines.items(), (":", "--", "-"), strict=True):
        above.plot(x, np.ravel(line), style, label=name, linewidth=1.6, drawstyle="steps-mid")
    above.plot(np.arange(6) * 8 + 3.5, np.ravel(logits), "ko", markersize=5, label="low-resolution logits")
    above.axvline(edge - 0.5, color="tab:red", linewidth=1)
    above.axhline(0, color="gray", linewidth=0.5)
    above.text(edge, 4.2, "true edge", color="tab:red", fontsize=9)
    above.set_ylabel("logit of class 1\nless that of class 2")
    above.legend(frameon=False, fontsize=8, loc="lower left")
    below.plot(x, offsets[0, 0, :, 0], color="tab:green", drawstyle="steps-mid")
    below.set_ylabel("offset p\n(low-res. pixels)", fontsize=8)
    below.set_xlabel("output pixel")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    return render(figure)


def scene_figure(steps: int = 300) -> np.ndarray:
    """A map of three classes at an eighth of its size, upsampled in three ways; the offsets are optimised."""
    truth = _toy_scene()
    logits = 8.0 * jax.nn.one_hot(truth, 3).reshape(16, 8, 16, 8, 3).mean((1, 3))[None]
    offsets = learned_offsets(logits, truth, steps)
    nothing = jnp.zeros_like(offsets)
    guesses = {
        "nearest": gun_jax.guided_upsample(logits, nothing, method="nearest"),
        "bilinear": gun_jax.guided_upsample(logits, nothing),
        "guided (equation 4)": gun_jax.guided_upsample(logits, offsets),
    }
    figure = _figure(10, 2.5)
    axes = figure.subplots(1, 5)
    axes[0].imshow(_COLORS[truth])
    axes[0].set_title("truth, and the pixels\nof the low-resolution map", fontsize=9)
    axes[0].set_xticks(np.arange(0, _SIZE, _FACTOR) - 0.5, [])
    axes[0].set_yticks(np.arange(0, _SIZE, _FACTOR) - 0.5, [])
    axes[0].grid(linewidth=0.3, color="white")
    axes[0].tick_params(length=0)
    for one, (name, guess) in zip(axes[1:], guesses.items(), strict=False):
        labels = np.asarray(guess[0].argmax(-1))
        miou = ConfusionMatrix(3).update(truth, labels).miou()
        one.imshow(_COLORS[labels])
        one.set_title(f"{name}\nmIoU {100 * miou:.1f} %", fontsize=9)
    axes[4].imshow(offset_colors(np.asarray(offsets[0]))[0])
    _arrows(axes[4], np.asarray(offsets[0]), 6)
    axes[4].set_title("offsets\n", fontsize=9)
    for one in axes[1:]:
        one.set_axis_off()
    return render(figure)


def learned_offsets(logits: jax.Array, truth: np.ndarray, steps: int) -> jax.Array:
    """Offsets (1, H, W, 2) by gradient descent on the cross-entropy, from zero."""

    def loss(offsets: jax.Array) -> jax.Array:
        return cross_entropy(gun_jax.guided_upsample(logits, offsets), jnp.asarray(truth)[None])

    optimizer = optax.adam(0.03)

    @jax.jit
    def step(carry, _):
        offsets, state = carry
        updates, state = optimizer.update(jax.grad(loss)(offsets), state)
        return (optax.apply_updates(offsets, updates), state), None

    start = jnp.zeros((1, *truth.shape, 2))
    (offsets, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), None, steps)
    return offsets


def boundary_figure(workdir: pathlib.Path) -> np.ndarray:
    """The crop of a trained network's split in which guided upsampling fixes most errors of bilinear upsampling."""
    trained = load_checkpoint(workdir)
    source = load_source(trained.config.data, trained.config.data.eval_split)
    predict = single_image_predictor(trained, "predict_with_offsets")
    best, offsets_there = None, None
    for index in range(len(source)):
        record = source[index]
        found = predict(record["image"], record["label"].shape)
        labels, bilinear, offsets = (found[key] for key in ("labels", "bilinear_labels", "offsets"))
        crop = best_crop(record["image"], record["label"], bilinear, labels, part=0.3)
        if best is None or crop.gain > best.gain:
            side = len(crop.image)
            best, offsets_there = crop, offsets[crop.top : crop.top + side, crop.left : crop.left + side]
    drawn = {
        "image": best.image,
        "ground truth": colorize(best.truth, source.classes),
        "bilinear, same logits": colorize(best.baseline, source.classes),
        "guided": colorize(best.labels, source.classes),
        "offsets": offset_colors(offsets_there)[0],
    }
    figure = _figure(10, 2.4)
    for axes, (title, image) in zip(figure.subplots(1, len(drawn)), drawn.items(), strict=True):
        axes.imshow(image)
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    _arrows(axes, offsets_there, 4)
    return render(figure)


def _toy_scene() -> np.ndarray:
    """A hill and a pole three pixels wide before a sky: int (128, 128)."""
    y, x = np.mgrid[:_SIZE, :_SIZE]
    truth = np.where((x - 52) ** 2 + (y - 118) ** 2 < 72**2, 1, 0)
    truth[y + 0.45 * x > 122] = 1
    truth[(abs(x - 101) < 2) & (y > 14)] = 2
    truth[(x - 101) ** 2 + (y - 18) ** 2 < 90] = 2
    return truth


def _arrows(axes, offsets: np.ndarray, every: int) -> None:
    """Arrows from every `every`-th pixel to the position that it reads."""
    rows, columns = np.mgrid[every // 2 : offsets.shape[0] : every, every // 2 : offsets.shape[1] : every]
    p, q = np.moveaxis(offsets[rows, columns], -1, 0)
    axes.quiver(columns, rows, p, q, angles="xy", scale_units="xy", scale=1 / _FACTOR, width=0.006)
    axes.set_xlim(-0.5, offsets.shape[1] - 0.5)
    axes.set_ylim(offsets.shape[0] - 0.5, -0.5)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), dpi=110, layout="constrained")


if __name__ == "__main__":
    command_line.run(main)
