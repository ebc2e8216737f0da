"""Models of vehicles: cars, trucks, buses, trams, motorcycles and bicycles, about life size."""

import functools

from gun_jax.data.synthetic.canvas import BICYCLE, BUS, CAR, MOTORCYCLE, TRAIN, TRUCK
from gun_jax.data.synthetic.models import FLAT, FRONT, REAR, Model, ModelBuilder, ring

GLASS = (48, 60, 72)
DARK = (30, 30, 33)
TYRE = (24, 24, 26)
RIM = (135, 137, 142)
RED_LAMP = (215, 35, 30)
WHITE_LAMP = (245, 243, 225)

# Roof line and bonnet of each: (rear end of the roof, its front end, foot of the windscreen, foot of the rear window,
# bonnet height, roof height).
_CAR_SHAPES = {
    "saloon": (-1.15, 0.25, 1.05, -1.7, 0.88, 1.45),
    "hatchback": (-1.75, 0.3, 1.1, -2.1, 0.9, 1.5),
    "estate": (-2.0, 0.3, 1.1, -2.25, 0.92, 1.55),
    "van": (-2.2, 0.9, 1.7, -2.28, 1.05, 2.0),
}
CAR_SHAPES = tuple(_CAR_SHAPES)


@functools.cache
def car(shape: str) -> Model:
    """A car 4.6 m long and 1.8 m wide; paints to choose: `body`, `roof`."""
    roof_rear, roof_front, screen_foot, window_foot, belt, top = _CAR_SHAPES[shape]
    builder = ModelBuilder()
    for name, color in (
        ("body", (150, 30, 30)), ("roof", (140, 28, 28)), ("glass", GLASS), ("dark", DARK), ("tyre", TYRE),
        ("rim", RIM), ("red", RED_LAMP), ("white", WHITE_LAMP), ("chrome", (170, 172, 175)),
    ):  # fmt: skip
        builder.paint(name, CAR, color)
    for z in (-1.4, 1.4):
        for x in (-0.72, 0.72):
            builder.face([(x - 0.13, 0, z), (x + 0.13, 0, z), (x + 0.13, 0.6, z), (x - 0.13, 0.6, z)], "tyre", FLAT)
    builder.prism(
        [(-2.2, 0.28), (-2.3, 0.6), (-2.25, belt + 0.04), (screen_foot, belt + 0.02), (2.15, belt - 0.12), (2.3, 0.55),
         (2.22, 0.28)], 0.9, "body",
    )  # fmt: skip
    builder.wheels((-1.4, 1.4), 0.34, 0.905, "tyre", "rim")
    builder.sides([(-2.2, 0.28), (-2.2, 0.36), (2.2, 0.36), (2.2, 0.28)], 0.9, "dark", detail=True)
    builder.wheels((-1.4, 1.4), 0.34, 0.91, "tyre", "rim")
    builder.prism(
        [(window_foot, belt), (roof_rear, top), (roof_front, top), (screen_foot, belt)], 0.76, "roof", ends="glass"
    )
    lean = 0.82
    builder.sides(
        [(window_foot + 0.3, belt + 0.05), (roof_rear + 0.12, belt + lean * (top - belt)),
         (roof_front - 0.05, belt + lean * (top - belt)), (screen_foot - 0.2, belt + 0.05)], 0.765, "glass",
    )  # fmt: skip
    for z in (-0.55, 0.35):
        builder.sides([(z, belt), (z, top - 0.05), (z + 0.09, top - 0.05), (z + 0.09, belt)], 0.77, "roof", detail=True)
    for side in (-1, 1):
        outer, inner = sorted((side * 0.86, side * 0.58))
        builder.end((outer, 0.62, inner, belt - 0.08), -2.31, "red", REAR)
        builder.end((outer, 0.55, inner, 0.74), 2.31, "white", FRONT)
    builder.end((-0.26, 0.5, 0.26, 0.62), -2.32, "white", REAR, detail=True)
    builder.end((-0.85, 0.28, 0.85, 0.42), -2.31, "dark", REAR)
    builder.end((-0.5, 0.36, 0.5, 0.66), 2.31, "dark", FRONT)
    builder.end((-0.3, 0.42, 0.3, 0.52), 2.32, "white", FRONT, detail=True)
    return builder.build()


@functools.cache
def truck(oncoming: bool) -> Model:
    """A box truck 8.4 m long and 3.5 m high; paints to choose: `box`, `stripe`, `cab`.

    `oncoming`: its cab is the near end, so the box is painted first.
    """
    builder = ModelBuilder()
    for name, color in (
        ("box", (225, 225, 220)), ("stripe", (60, 110, 170)), ("cab", (40, 90, 160)), ("glass", GLASS), ("dark", DARK),
        ("tyre", TYRE), ("rim", RIM), ("red", RED_LAMP), ("white", WHITE_LAMP), ("seam", (120, 120, 120)),
    ):  # fmt: skip
        builder.paint(name, TRUCK, color)
    for z in (-2.6, 3.2):
        for x in (-0.9, 0.9):
            builder.face([(x - 0.25, 0, z), (x + 0.25, 0, z), (x + 0.25, 0.9, z), (x - 0.25, 0.9, z)], "tyre", FLAT)
    builder.prism([(-4.1, 0.55), (-4.1, 0.95), (4.0, 0.95), (4.0, 0.55)], 1.05, "dark")
    for part in (_truck_box, _truck_cab) if oncoming else (_truck_cab, _truck_box):
        part(builder)
    return builder.build()


def _truck_cab(builder: ModelBuilder) -> None:
    builder.prism([(2.35, 0.55), (2.35, 2.55), (3.7, 2.55), (4.2, 1.5), (4.25, 0.55)], 1.15, "cab")
    builder.sides([(2.95, 1.55), (2.95, 2.35), (3.6, 2.35), (3.95, 1.55)], 1.16, "glass")
    builder.face([(-1.0, 1.55, 4.2), (1.0, 1.55, 4.2), (0.95, 2.4, 3.8), (-0.95, 2.4, 3.8)], "glass", FRONT)
    builder.end((-1.0, 0.75, 1.0, 1.25), 4.27, "dark", FRONT)
    for side in (-1, 1):
        outer, inner = sorted((side * 1.1, side * 0.8))
        builder.end((outer, 0.6, inner, 0.8), 4.28, "white", FRONT)
    builder.wheels((3.2,), 0.5, 1.16, "tyre", "rim")


def _truck_box(builder: ModelBuilder) -> None:
    builder.wheels((-2.6, -1.5), 0.5, 1.16, "tyre", "rim")
    box = [(-4.2, 0.95), (-4.2, 3.5), (2.2, 3.5), (2.2, 0.95)]
    builder.prism(box, 1.25, "box")
    builder.sides([(-4.0, 1.5), (-4.0, 2.0), (2.0, 2.9), (2.0, 2.4)], 1.255, "stripe")
    builder.end((-0.04, 1.0, 0.04, 3.4), -4.21, "seam", REAR)
    for x in (-0.7, -0.45, 0.45, 0.7):
        builder.end((x - 0.025, 1.0, x + 0.025, 3.4), -4.21, "seam", REAR, detail=True)
    builder.end((-1.25, 0.95, 1.25, 1.1), -4.22, "seam", REAR)
    builder.end((-1.2, 0.5, 1.2, 0.7), -4.22, "dark", REAR)
    for side in (-1, 1):
        outer, inner = sorted((side * 1.18, side * 0.85))
        builder.end((outer, 0.72, inner, 0.92), -4.23, "red", REAR)


@functools.cache
def bus() -> Model:
    """A city bus 11 m long and 3.1 m high; paints to choose: `body`, `skirt`."""
    builder = ModelBuilder()
    for name, color in (
        ("body", (205, 60, 45)), ("skirt", (150, 40, 35)), ("glass", (38, 48, 58)), ("post", (90, 92, 96)),
        ("tyre", TYRE), ("rim", RIM), ("red", RED_LAMP), ("white", WHITE_LAMP), ("display", (255, 170, 30)),
        ("dark", DARK),
    ):  # fmt: skip
        builder.paint(name, BUS, color)
    for z in (-3.0, 3.2):
        for x in (-0.95, 0.95):
            builder.face([(x - 0.2, 0, z), (x + 0.2, 0, z), (x + 0.2, 0.6, z), (x - 0.2, 0.6, z)], "tyre", FLAT)
    builder.prism([(-5.5, 0.3), (-5.5, 2.95), (-5.3, 3.1), (5.3, 3.1), (5.5, 2.8), (5.55, 0.3)], 1.27, "body")
    builder.sides([(-5.5, 0.3), (-5.5, 0.85), (5.5, 0.85), (5.5, 0.3)], 1.275, "skirt")
    builder.sides([(-5.3, 1.3), (-5.3, 2.5), (5.45, 2.5), (5.45, 1.3)], 1.28, "glass")
    for step in range(6):
        z = -3.7 + 1.5 * step
        builder.sides([(z, 1.3), (z, 2.5), (z + 0.12, 2.5), (z + 0.12, 1.3)], 1.285, "post")
    builder.face([(1.28, 0.4, 3.9), (1.28, 2.45, 3.9), (1.28, 2.45, 5.1), (1.28, 0.4, 5.1)], "glass", 1)
    builder.face([(1.28, 0.4, -0.6), (1.28, 2.45, -0.6), (1.28, 2.45, 0.7), (1.28, 0.4, 0.7)], "glass", 1)
    builder.wheels((-3.0, 3.2), 0.5, 1.29, "tyre", "rim")
    builder.end((-1.05, 1.5, 1.05, 2.5), -5.52, "glass", REAR)
    builder.end((-1.2, 0.3, 1.2, 0.6), -5.52, "dark", REAR)
    builder.end((-0.6, 2.58, 0.6, 2.85), -5.52, "display", REAR)
    builder.end((-0.7, 0.7, 0.7, 1.2), -5.52, "skirt", REAR, detail=True)
    builder.end((-1.15, 1.0, 1.15, 2.45), 5.57, "glass", FRONT)
    builder.end((-0.9, 2.5, 0.9, 2.85), 5.57, "display", FRONT)
    for side in (-1, 1):
        outer, inner = sorted((side * 1.22, side * 0.95))
        builder.end((outer, 0.7, inner, 1.3), -5.53, "red", REAR)
        builder.end((outer, 0.45, inner, 0.75), 5.58, "white", FRONT)
    return builder.build()


@functools.cache
def tram(cars: int, oncoming: bool) -> Model:
    """A tram of 1 to 3 cars of 8 m, 3.4 m high, pantograph to 4.6 m; paints to choose: `lower`, `upper`, `roof`.

    `oncoming`: its front is the near end, so its last car is painted first.
    """
    builder = ModelBuilder()
    for name, color in (
        ("lower", (170, 35, 40)), ("upper", (240, 232, 205)), ("roof", (120, 122, 124)), ("glass", (34, 42, 50)),
        ("post", (215, 208, 185)), ("dark", DARK), ("lamp", WHITE_LAMP), ("display", (255, 180, 40)),
        ("metal", (58, 58, 62)), ("red", RED_LAMP),
    ):  # fmt: skip
        builder.paint(name, TRAIN, color)
    length, half = 8.0, 1.2
    starts = [(step - cars / 2) * length for step in range(cars)]
    builder.prism(
        [(starts[0] + 0.5, 0.1), (starts[0] + 0.5, 0.5), (-starts[0] - 0.5, 0.5), (-starts[0] - 0.5, 0.1)], 1.0, "dark"
    )
    for start in starts if oncoming else reversed(starts):  # the far car first
        rear, front = start + 0.25, start + length - 0.25
        first, last = start == starts[0], start == starts[-1]
        profile = [(rear, 0.35), (rear - 0.1 * first, 1.3), (rear + 0.45 * first, 3.3), (front - 0.45 * last, 3.3),
                   (front + 0.1 * last, 1.3), (front, 0.35)]  # fmt: skip
        builder.prism(profile, half, "upper")
        builder.sides([(rear, 0.35), (rear, 1.35), (front, 1.35), (front, 0.35)], half + 0.01, "lower")
        builder.sides(
            [(rear + 0.4, 3.1), (rear + 0.4, 3.5), (front - 0.4, 3.5), (front - 0.4, 3.1)], half - 0.1, "roof"
        )
        builder.sides(
            [(rear + 0.3, 1.6), (rear + 0.45, 2.75), (front - 0.45, 2.75), (front - 0.3, 1.6)], half + 0.01, "glass"
        )
        for step in range(1, 5):
            z = rear + step * (front - rear) / 5
            builder.sides([(z - 0.1, 1.6), (z - 0.1, 2.75), (z + 0.1, 2.75), (z + 0.1, 1.6)], half + 0.02, "post")
        for z in (rear + 1.6, front - 1.6):
            builder.sides(
                [(z - 0.5, 0.4), (z - 0.5, 2.7), (z + 0.5, 2.7), (z + 0.5, 0.4)], half + 0.02, "lower", detail=True
            )
            builder.sides([(z - 0.35, 0.7), (z - 0.35, 2.6), (z + 0.35, 2.6), (z + 0.35, 0.7)], half + 0.03, "glass")
        # The bellows to the next car.
        if not first and not oncoming:
            builder.end((-1.05, 0.4, 1.05, 3.2), rear - 0.3, "dark", REAR)
        if not last and oncoming:
            builder.end((-1.05, 0.4, 1.05, 3.2), front + 0.3, "dark", FRONT)
    for facing, end, inward in ((REAR, starts[0] + 0.15, 1), (FRONT, -starts[0] - 0.15, -1)):
        nose = end - 0.02 * inward
        builder.face([(-1.2, 0.35, nose + 0.1 * inward), (1.2, 0.35, nose + 0.1 * inward), (1.2, 1.35, nose),
                      (-1.2, 1.35, nose)], "lower", facing)  # fmt: skip
        builder.face([(-1.05, 1.5, nose), (1.05, 1.5, nose), (0.95, 2.75, nose + 0.35 * inward),
                      (-0.95, 2.75, nose + 0.35 * inward)], "glass", facing)  # fmt: skip
        builder.face(
            [
                (-0.6, 2.85, nose + 0.35 * inward),
                (0.6, 2.85, nose + 0.35 * inward),
                (0.6, 3.15, nose + 0.45 * inward),
                (-0.6, 3.15, nose + 0.45 * inward),
            ],
            "display",
            facing,
        )
        for side in (-0.85, 0.85):
            builder.disc((side, 0.9, nose - 0.05 * inward), 0.13, "lamp" if facing == FRONT else "red", detail=True)
    builder.line([(0, 3.5, -0.9), (0, 4.0, 0.5), (0, 4.6, -0.5)], "metal", 0.08)
    builder.line([(-0.8, 4.6, -0.5), (0.8, 4.6, -0.5)], "metal", 0.08)
    return builder.build()


@functools.cache
def motorcycle() -> Model:
    """A motorcycle 2.1 m long and 1.2 m high; paint to choose: `tank`."""
    builder = ModelBuilder()
    for name, color in (
        ("tank", (190, 30, 30)), ("tyre", (20, 20, 22)), ("rim", (110, 112, 116)), ("engine", (72, 72, 76)),
        ("seat", (28, 26, 26)), ("chrome", (185, 187, 190)), ("lamp", WHITE_LAMP), ("red", RED_LAMP),
    ):  # fmt: skip
        builder.paint(name, MOTORCYCLE, color)
    for z in (0.75, -0.75):
        builder.line([(0, 0.1, z), (0, 0.55, z)], "tyre", 0.2)
        builder.face([(0, y, depth) for depth, y in ring(z, 0.34, 0.34)], "tyre", FLAT)
        builder.face([(0, y, depth) for depth, y in ring(z, 0.34, 0.17)], "rim", FLAT, detail=True)
    builder.line([(0, 0.34, 0.75), (0, 0.95, 0.5)], "chrome", 0.09)
    builder.face([(0, 0.25, -0.4), (0, 0.25, 0.4), (0, 0.65, 0.42), (0, 0.65, -0.4)], "engine", FLAT)
    builder.line([(0.14, 0.3, 0.2), (0.14, 0.32, -0.85)], "chrome", 0.1)
    builder.line([(0, 0.78, -0.1), (0, 0.82, -0.85)], "seat", 0.16)
    builder.line([(0, 0.72, -0.6), (0, 0.8, -0.95)], "tank", 0.16)
    builder.line([(0, 0.82, 0.0), (0, 0.86, 0.4)], "tank", 0.34)
    builder.disc((0, 0.75, -1.0), 0.09, "red")
    builder.line([(-0.36, 1.1, 0.4), (0.36, 1.1, 0.4)], "chrome", 0.06)
    builder.disc((0, 0.95, 0.6), 0.13, "lamp")
    return builder.build()


@functools.cache
def bicycle() -> Model:
    """A bicycle 1.75 m long; paint to choose: `frame`. The view through its wheels is labelled bicycle."""
    builder = ModelBuilder()
    for name, color in (
        ("frame", (30, 110, 150)), ("tyre", (22, 22, 24)), ("spokes", (128, 126, 122)), ("saddle", (30, 26, 24)),
        ("metal", (175, 175, 178)), ("red", RED_LAMP),
    ):  # fmt: skip
        builder.paint(name, BICYCLE, color)
    for z in (0.53, -0.53):
        wheel = [(0, y, depth) for depth, y in ring(z, 0.34, 0.34, 14)]
        builder.face(wheel, "spokes", FLAT)
        builder.line([*wheel, wheel[0]], "tyre", 0.06)
        builder.disc((0, 0.34, z), 0.05, "tyre", detail=True)
    crank, seat, head = (0, 0.3, -0.05), (0, 0.78, -0.22), (0, 0.82, 0.36)
    builder.line([(0, 0.34, -0.53), crank, head, seat, (0, 0.34, -0.53)], "frame", 0.055)
    builder.line([crank, seat, (0, 0.92, -0.27)], "frame", 0.055)
    builder.line([(0, 0.34, 0.53), head, (0, 1.0, 0.3)], "frame", 0.055)
    builder.line([(-0.28, 1.02, 0.3), (0.28, 1.02, 0.3)], "metal", 0.05)
    builder.line([(0, 0.95, -0.38), (0, 0.95, -0.16)], "saddle", 0.09)
    builder.disc((0, 0.6, -0.62), 0.05, "red", detail=True)
    return builder.build()
