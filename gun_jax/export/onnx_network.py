"""The network as an ONNX graph, in which GridSample does guided upsampling."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnx

from gun_jax.export.onnx_graph import Graph, convert
from gun_jax.models import GUN
from gun_jax.models.folding import fold_batch_norm
from gun_jax.ops.normalisation import normalise
from gun_jax.ops.sampling import regular_grid


def onnx_network(
    model: GUN, variables: dict[str, Any], image_size: tuple[int, int], output_size: tuple[int, int]
) -> onnx.ModelProto:
    """An ONNX model from "images", uint8 (B, H, W, 3) RGB, to "labels", int32 (B, H', W'), for any B.

    Args:
      model: the network; the labels equal those of `predict` up to rounding.
      variables: "params" and "batch_stats".
      image_size: (H, W).
      output_size: (H', W').
    """
    graph = Graph()
    images = graph.add("Transpose", ["images"], perm=[0, 3, 1, 2])
    folded = fold_batch_norm(variables)

    def upsampled(images: jax.Array) -> list[jax.Array]:
        inputs: Any = model.apply(folded, normalise(images), False, output_size, method="logits_and_offsets")
        low, offsets, _ = inputs
        return [low] if offsets is None else [low, offsets]

    example = jax.ShapeDtypeStruct((1, *image_size, 3), jnp.uint8)
    (low, (_, height, width, _)), *offsets = convert(graph, upsampled, images, example)
    if offsets:
        labels = _guided_labels(graph, model, low, (height, width), offsets[0][0], output_size)
    else:
        sizes = graph.constant(np.asarray(output_size, np.int64))
        up = graph.add("Resize", [low, "", "", sizes], mode="linear", axes=[2, 3])
        labels = graph.add("ArgMax", [up], axis=1, keepdims=0)
    graph.name_output(graph.add("Cast", [labels], to=onnx.TensorProto.INT32), "labels")
    return graph.finish(
        {"images": (np.uint8, ("batch", *image_size, 3))}, {"labels": (np.int32, ("batch", *output_size))}
    )


def _guided_labels(
    graph: Graph, model: GUN, low: str, low_size: tuple[int, int], offsets: str, output_size: tuple[int, int]
) -> str:
    """`gun_jax.ops.sampling.guided_argmax`; its pixel coordinates become GridSample's, which run from -1 to 1."""
    height, width = low_size
    table = graph.add("Transpose", [offsets], "gum", perm=[0, 2, 3, 1])  # (B, H', W', 2)
    scaled = graph.add("Mul", [table, graph.constant(np.asarray([2 / width, 2 / height], np.float32))], "gum")
    x = (2 * regular_grid(width, output_size[1], model.align_corners) + 1) / width - 1
    y = (2 * regular_grid(height, output_size[0], model.align_corners) + 1) / height - 1
    columns = np.stack([x, np.zeros_like(x)], -1)[None, None]  # (1, 1, W', 2)
    rows = np.stack([np.zeros_like(y), y], -1)[None, :, None]  # (1, H', 1, 2)
    grid = graph.add("Add", [scaled, graph.constant(columns)], "gum")
    grid = graph.add("Add", [grid, graph.constant(rows)], "gum")
    if model.method == "nearest":  # decided on the small map
        low = graph.add("ArgMax", [low], "gum", axis=1, keepdims=1)
        low = graph.add("Cast", [low], "gum", to=onnx.TensorProto.FLOAT)
    # `align_corners` is in the grid already.
    sample = {"mode": model.method, "padding_mode": model.padding, "align_corners": 0}
    sampled = graph.add("GridSample", [low, grid], "gum", **sample)
    if model.method == "nearest":
        return graph.add("Squeeze", [sampled, graph.constant(np.asarray([1], np.int64))], "gum")
    return graph.add("ArgMax", [sampled], "gum", axis=1, keepdims=0)
