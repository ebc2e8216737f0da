"""Parameter, multiply-add and receptive-field counts of a network, without running it."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax

from gun_jax.errors import InputError, check_choice
from gun_jax.models.drn import DILATIONS, LEVELS, STRIDES, VARIANTS
from gun_jax.models.encoder import ENCODERS, HIGH_RESOLUTION_LEVEL
from gun_jax.models.fusion import FUSIONS
from gun_jax.models.gun import GUN
from gun_jax.ops.dispatch import plain_ops

_OUTPUT_STRIDE = 8  # of a branch


def parameters(params: Any) -> int:
    """The number of parameters in a tree, whose arrays may be abstract."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def multiply_adds(function: Callable, *arguments: Any) -> int:
    """Multiply-adds of all convolutions in a function of arrays, which may be abstract; the function is not run.

    As is usual, one output number of a convolution counts kernel height x kernel width x input channels, at the borders
    too; batch norm, activations, resizing and sampling are not counted.
    """
    with plain_ops():
        jaxpr = jax.make_jaxpr(function)(*arguments).jaxpr
    return sum(map(_of_convolution, _convolutions(jaxpr)))


def _convolutions(jaxpr: Any) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            yield equation
        for value in equation.params.values():
            inners = value if isinstance(value, tuple | list) else (value,)
            for inner in inners:
                inner = getattr(inner, "jaxpr", inner)  # closed or open
                if hasattr(inner, "eqns"):
                    yield from _convolutions(inner)


def _of_convolution(equation: Any) -> int:
    kernel = equation.invars[1].aval.shape
    out_channels = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
    return math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) // out_channels


def receptive_field(variant: str = "d22", last_level: int = LEVELS - 1) -> int:
    """Side of the square of input pixels that one output pixel of a DRN can see, in pixels.

    Args:
      variant: of the DRN.
      last_level: the level of the output, 0 to 8.

    Raises:
      InputError: there is no such DRN or level.
    """
    check_choice("receptive_field", "variant", variant, VARIANTS)
    if not 0 <= last_level < LEVELS:
        raise InputError(f"receptive_field: level {last_level}; expected 0 to {LEVELS - 1}")
    field, step = 1, 1  # in pixels; the step is the distance of two neighbours of the output
    for level in range(last_level + 1):
        for kernel, stride in _kernels(variant, level):
            field += (kernel - 1) * DILATIONS[level] * step
            step *= stride
    return field


def _kernels(variant: str, level: int) -> Iterator[tuple[int, int]]:
    """(kernel, stride) of the convolutions of a level, one after the other; skips see less."""
    kind = VARIANTS[variant]
    residual = 3 <= level <= 6
    for number in range(kind.blocks[level]):
        stride = STRIDES[level] if number == 0 else 1
        if level == 0:
            yield 7, stride
        elif kind.plain and not residual:
            yield 3, stride
        elif kind.bottleneck and residual:
            yield from ((1, 1), (3, stride), (1, 1))
        else:
            yield from ((3, stride), (3, 1))


def receptive_fields(model: GUN) -> tuple[int, int | None]:
    """Sides of the squares of the image that a logit and an offset can see, in pixels of the image.

    The logits are those before upsampling, the offsets those before they are resized. A pixel that a branch of factor s
    sees counts as s pixels of the image; the reach of resizing is not counted. None: the network has no offsets.

    Raises:
      InputError: the network is not one of the paper's: its encoder is not of Table 1, or its logits are finer.
    """
    check_choice("receptive_fields", "encoder", model.encoder, ENCODERS)
    if model.logits_stride not in (0, _OUTPUT_STRIDE):
        raise InputError(f"receptive_fields: logits_stride {model.logits_stride}; expected 0 or {_OUTPUT_STRIDE}")
    branches = ENCODERS[model.encoder].factors
    coarsest, finest = branches[-1], branches[0]
    logits = coarsest * receptive_field(model.variant)
    if FUSIONS[model.fusion].postprocess:
        for factor in branches[-2::-1]:  # each step of fusion ends in a 3x3 convolution, at the finer branch's stride
            logits += 2 * factor * _OUTPUT_STRIDE
    early = finest * receptive_field(model.variant, HIGH_RESOLUTION_LEVEL)
    if model.guidance is None:
        return logits, None
    if model.guidance == "high_res":
        return logits, early
    if model.guidance == "fusion":
        return logits, max(logits, early)
    # Three 3x3 convolutions on maps of twice, four and eight times the size.
    return logits, logits + sum(2 * finest * _OUTPUT_STRIDE // enlarged for enlarged in (2, 4, 8))
