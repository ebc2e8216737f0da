"""Models of street furniture: lamps, poles, traffic lights and signs."""

import functools
import math

from gun_jax.data.synthetic.canvas import POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN
from gun_jax.data.synthetic.models import FLAT, Model, ModelBuilder

SIGNS = ("limit", "no entry", "warning", "yield", "board", "parking", "stop")
_RED, _WHITE, _BLUE, _YELLOW, _BLACK = (205, 32, 38), (242, 240, 235), (28, 80, 175), (240, 195, 40), (30, 30, 30)


@functools.cache
def lamp(arm: float) -> Model:
    """A street lamp 7 m high; `arm`: how far it reaches to the right (negative: left), metres; paint: `steel`."""
    builder = ModelBuilder()
    builder.paint("steel", POLE, (105, 110, 112))
    builder.paint("light", POLE, (225, 222, 205))
    builder.line([(0, 0, 0), (0, 1.0, 0)], "steel", 0.2)
    builder.line([(0, 0, 0), (0, 6.6, 0), (0.25 * arm, 7.0, 0), (arm, 7.1, 0)], "steel", 0.13)
    builder.line([(0.7 * arm, 7.1, 0), (1.1 * arm, 7.1, 0)], "light", 0.22)
    return builder.build()


@functools.cache
def post() -> Model:
    """A plain post 1 m high, to be scaled: a bollard, the pole of a sign, a mast; paint: `steel`."""
    builder = ModelBuilder()
    builder.paint("steel", POLE, (110, 112, 115))
    builder.line([(0, 0, 0), (0, 1, 0)], "steel", 0.12)
    return builder.build()


@functools.cache
def traffic_light(arm: float, lit: int) -> Model:
    """Traffic lights on a pole of 3.4 m and, where `arm` is not 0, over the road; `lit` 0 red, 1 amber, 2 green."""
    builder = ModelBuilder()
    builder.paint("steel", POLE, (92, 95, 98))
    builder.paint("box", TRAFFIC_LIGHT, (26, 28, 27))
    builder.paint("rim", TRAFFIC_LIGHT, (205, 190, 60))
    colors = (((255, 45, 35), (70, 22, 20)), ((255, 185, 30), (78, 58, 20)), ((50, 240, 150), (20, 64, 42)))
    for name, (bright, off), lamp_index in zip(("red", "amber", "green"), colors, range(3), strict=True):
        builder.paint(name, TRAFFIC_LIGHT, bright if lit == lamp_index else off)
    heads = [(0.0, 2.4)]
    builder.line([(0, 0, 0), (0, 2.6 if not arm else 5.6, 0)], "steel", 0.14)
    if arm:
        builder.line([(0, 5.5, 0), (arm, 5.7, 0)], "steel", 0.13)
        heads.append((arm, 5.0))
    for x, y in heads:
        for width, paint in ((0.3, "rim"), (0.23, "box")):
            builder.face(
                [
                    (x - width, y - width + 0.2, -0.1),
                    (x + width, y - width + 0.2, -0.1),
                    (x + width, y + 1.1 + width, -0.1),
                    (x - width, y + 1.1 + width, -0.1),
                ],
                paint,
                FLAT,
            )
        for row, name in enumerate(("green", "amber", "red")):
            builder.disc((x, y + 0.25 + 0.42 * row, -0.12), 0.17, name)
    return builder.build()


@functools.cache
def sign(kind: str) -> Model:
    """A traffic sign of `SIGNS` on a pole, its middle at 2.4 m."""
    builder = ModelBuilder()
    builder.paint("steel", POLE, (128, 130, 132))
    for name, color in (("red", _RED), ("white", _WHITE), ("blue", _BLUE), ("yellow", _YELLOW), ("black", _BLACK)):
        builder.paint(name, TRAFFIC_SIGN, color)
    builder.line([(0, 0, 0), (0, 2.7, 0)], "steel", 0.08)
    y = 2.5
    if kind == "limit":
        builder.disc((0, y, -0.02), 0.42, "red")
        builder.disc((0, y, -0.03), 0.29, "white")
        for x in (-0.1, 0.1):
            builder.line([(x, y - 0.11, -0.04), (x, y + 0.11, -0.04)], "black", 0.07, detail=True)
    elif kind == "no entry":
        builder.disc((0, y, -0.02), 0.42, "red")
        builder.line([(-0.22, y, -0.03), (0.22, y, -0.03)], "white", 0.14)
    elif kind in ("warning", "yield"):
        up = 1 if kind == "warning" else -1
        for size, paint in ((0.52, "red"), (0.3, "white")):
            builder.face([(x * size, y + up * height * size, -0.02)
                          for x, height in ((-1, -0.7), (1, -0.7), (0, 1.0))], paint, FLAT)  # fmt: skip
        if kind == "warning":
            builder.line([(0, y - 0.1, -0.03), (0, y + 0.1, -0.03)], "black", 0.07, detail=True)
    elif kind == "stop":
        turns = [math.pi * (step + 0.5) / 4 for step in range(8)]
        for size, paint in ((0.46, "white"), (0.41, "red")):
            builder.face([(size * math.cos(turn), y + size * math.sin(turn), -0.02) for turn in turns], paint, FLAT)
        builder.line([(-0.24, y, -0.03), (0.24, y, -0.03)], "white", 0.13)
    elif kind == "parking":
        _board(builder, (-0.36, y - 0.36, 0.36, y + 0.36), "blue")
        builder.line([(-0.1, y - 0.2, -0.03), (-0.1, y + 0.2, -0.03), (0.12, y + 0.2, -0.03), (0.12, y, -0.03),
                      (-0.1, y, -0.03)], "white", 0.08)  # fmt: skip
    else:
        _board(builder, (-1.0, y - 0.4, 1.0, y + 0.5), "yellow")
        _board(builder, (-0.92, y - 0.32, 0.92, y + 0.42), "blue")
        for row in (-0.1, 0.2):
            builder.line([(-0.7, y + row, -0.03), (0.5, y + row, -0.03)], "white", 0.1)
    return builder.build()


def _board(builder: ModelBuilder, rectangle, paint: str) -> None:
    left, bottom, right, top = rectangle
    builder.face([(left, bottom, -0.02), (right, bottom, -0.02), (right, top, -0.02), (left, top, -0.02)], paint, FLAT)
