"""Models of people: walking, standing and riding. Joints joined by thick lines, so they work from every side."""

import functools
import math

from gun_jax.data.synthetic.canvas import PERSON, RIDER
from gun_jax.data.synthetic.models import FLAT, Model, ModelBuilder

STRIDES = 4


def _paints(builder: ModelBuilder, label: int) -> None:
    for name, color in (
        ("skin", (205, 160, 130)), ("hair", (60, 42, 30)), ("shirt", (150, 60, 50)), ("sleeve", (135, 54, 45)),
        ("trousers", (45, 50, 75)), ("shoes", (32, 30, 30)), ("bag", (90, 60, 40)),
    ):  # fmt: skip
        builder.paint(name, label, color)


@functools.cache
def pedestrian(stride: int, skirt: bool, bag: bool) -> Model:
    """A person 1.75 m high; `stride` 0 (stands) to `STRIDES - 1`; paints: skin, hair, shirt, sleeve, trousers, bag."""
    builder = ModelBuilder()
    _paints(builder, PERSON)
    swing = 0.12 * stride
    for side, along in ((-1, swing), (1, -swing)):
        ankle = (side * 0.09, 0.07, along * 1.5)
        builder.line(
            [(side * 0.08, 0.85, 0), (side * 0.09, 0.47, along * 0.9 + 0.02 * stride), ankle], "trousers", 0.17
        )
        builder.line([ankle, (side * 0.09, 0.05, along * 1.5 + 0.14)], "shoes", 0.1)
    if bag:
        builder.line([(0, 1.3, -0.2), (0, 1.05, -0.22)], "bag", 0.34)
    far, near = ((-0.25, -swing), (0.25, swing))
    builder.line(
        [(far[0], 1.36, 0), (far[0] * 1.1, 1.1, far[1] * 0.6), (far[0] * 1.05, 0.86, far[1] * 1.4)], "sleeve", 0.11
    )
    if skirt:
        builder.face([(-0.3, 0.5, 0), (0.3, 0.5, 0), (0.17, 1.0, 0), (-0.17, 1.0, 0)], "shirt", FLAT)
        builder.face([(0, 0.5, -0.3), (0, 0.5, 0.3), (0, 1.0, 0.15), (0, 1.0, -0.15)], "shirt", FLAT)
    builder.line([(0, 0.95, 0), (0, 1.28, 0)], "shirt", 0.4)
    builder.line([(-0.13, 1.36, 0), (0.13, 1.36, 0)], "shirt", 0.2)
    builder.line(
        [(near[0], 1.36, 0), (near[0] * 1.1, 1.1, near[1] * 0.6), (near[0] * 1.05, 0.86, near[1] * 1.4)], "sleeve", 0.11
    )
    builder.disc((near[0] * 1.05, 0.82, near[1] * 1.5), 0.055, "skin", detail=True)
    _head(builder, (0, 1.62, 0.02), "hair")
    return builder.build()


@functools.cache
def rider(motorcycle: bool, push: int) -> Model:
    """Who sits on the model `bicycle` or `motorcycle` of `vehicles`, `push` 0 or 1: which foot is down."""
    builder = ModelBuilder()
    _paints(builder, RIDER)
    hip, shoulder = ((0, 0.95, -0.35), (0, 1.45, 0.0)) if motorcycle else ((0, 1.0, -0.25), (0, 1.5, 0.08))
    hand = (0.34, 1.1, 0.4) if motorcycle else (0.26, 1.05, 0.28)
    for side in (-1, 1):
        down = (side > 0) == bool(push)
        foot = (side * 0.18, 0.38, -0.05) if motorcycle else (side * 0.1, 0.18 if down else 0.5, 0.0)
        knee = (side * 0.22, 0.82, 0.22) if motorcycle else (side * 0.12, 0.62 if down else 0.88, 0.18)
        builder.line([(side * 0.1, *hip[1:]), knee, foot], "trousers", 0.17)
        builder.line([foot, (foot[0], foot[1] - 0.03, foot[2] + 0.16)], "shoes", 0.1)
        elbow = (side * 0.36, 1.22, 0.12)
        builder.line([(side * 0.2, *shoulder[1:]), elbow, (side * hand[0], *hand[1:])], "sleeve", 0.11)
    middle = tuple((low + high) / 2 for low, high in zip(hip, shoulder, strict=True))
    builder.line([hip, middle, shoulder], "shirt", 0.36)
    builder.line([(-0.14, *shoulder[1:]), (0.14, *shoulder[1:])], "shirt", 0.22)
    _head(builder, (0, shoulder[1] + 0.27, shoulder[2] + 0.08), "hair", helmet=True)
    return builder.build()


def _head(builder: ModelBuilder, center, hair: str, helmet: bool = False) -> None:
    x, y, z = center
    builder.line([(x, y - 0.18, z), (x, y, z)], "skin", 0.1)
    builder.disc(center, 0.125, "skin")
    # Hair, or a helmet, is what covers the upper half from all sides.
    cap = [
        (x + 0.14 * math.cos(turn), y + 0.02 + 0.14 * math.sin(turn), z)
        for turn in (0, 0.6, 1.1, 1.57, 2.04, 2.54, 3.14)
    ]
    builder.face(cap, hair, FLAT)
    side = [
        (x, y + 0.02 + 0.14 * math.sin(turn), z + 0.14 * math.cos(turn))
        for turn in (0, 0.6, 1.1, 1.57, 2.04, 2.54, 3.14)
    ]
    builder.face(side, hair, FLAT)
    if helmet:
        builder.disc((x, y + 0.05, z), 0.14, hair)
