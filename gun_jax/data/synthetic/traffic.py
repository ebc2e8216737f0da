"""Traffic: vehicles, people, and poles, lights and signs."""

import math

from gun_jax.data.synthetic import furniture, people, surroundings, vehicles
from gun_jax.data.synthetic.models import place

_CAR_COLORS = (
    (225, 226, 228), (38, 40, 44), (150, 154, 160), (150, 26, 30), (34, 60, 120), (70, 76, 82), (110, 34, 34),
    (60, 86, 70), (188, 176, 150), (40, 100, 150),
)  # fmt: skip
_BUS_COLORS = ((200, 48, 40), (228, 150, 30), (40, 130, 84), (36, 96, 168), (235, 196, 50))
_TRAM_COLORS = ((172, 32, 38), (30, 88, 60), (32, 64, 136), (206, 120, 24))
_CREAM = ((240, 232, 205), (236, 236, 232))
_BOXES = ((232, 232, 228), (214, 218, 222), (200, 190, 165), (222, 224, 205))
_CABS = ((40, 80, 160), (190, 44, 36), (230, 232, 232), (44, 120, 84), (220, 130, 30))
_CLOTHES = (
    (150, 48, 44), (44, 60, 104), (200, 186, 150), (60, 66, 62), (205, 205, 208), (70, 110, 130), (196, 130, 50),
    (96, 52, 96), (36, 36, 40), (84, 110, 64), (190, 90, 120),
)  # fmt: skip
_TROUSERS = ((44, 50, 78), (34, 34, 38), (92, 82, 68), (70, 72, 78), (128, 116, 96))
_SKIN = ((226, 184, 156), (198, 150, 118), (142, 100, 74), (98, 68, 50))
_HAIR = ((40, 30, 24), (92, 62, 38), (164, 128, 80), (120, 118, 116), (24, 22, 24))
_FRAMES = ((180, 40, 40), (30, 100, 150), (40, 40, 44), (60, 140, 90), (210, 210, 205), (220, 160, 40))


def populate(scene) -> None:
    """Plans everything that stands or moves on the street of a `scene.Scene`."""
    rng = scene.rng
    big = [kind for kind, share in (("train", 1.0), ("bus", 0.62), ("truck", 0.62)) if rng.chance(share)]
    if scene.road.track is None:
        big.remove("train")
    big.sort(key=lambda _: rng.unit())
    for kind in big:
        _long_vehicle(scene, kind)
    for _ in range(rng.whole(1, 3)):
        _two_wheeler(scene, "motorcycle", rng.chance(0.6))
    for _ in range(rng.whole(1, 3)):
        _two_wheeler(scene, "bicycle", rng.chance(0.6))
    _cars(scene)
    _people(scene)
    for side in scene.sides:
        _furnish(scene, side)


def _stand(scene, model, lateral, z, heading=0.0, scale=1.0, key=None, **colors):
    canvas = scene.canvas
    x = canvas.camera.world_x(lateral, z)
    scene.add(z if key is None else key, lambda: place(canvas, model, x, z, heading, scale, **colors))


def _lateral_of_lane(scene, direction):
    road = scene.road
    lane = road.half_width / road.lanes
    inset = 1.0 if road.parking and road.lanes == 1 else 0.0
    return direction * (lane * (scene.rng.whole(1, road.lanes) - 0.5) - inset)


def _drive(
    scene, model, length, width, height, near_range, scale=1.0, lateral=None, crosses=0.0, oncoming=None, **colors
):
    """Finds room for a vehicle on the carriageway or on the street that crosses; True where there was.

    `oncoming` is the model whose parts are in painting order when its front is the near end; default: `model`.
    """
    rng, road, camera = scene.rng, scene.road, scene.canvas.camera
    for _ in range(6):
        if road.crossing and rng.chance(crosses):
            z = rng.between(road.crossing[0] + width, road.crossing[1] - width)
            offset = rng.between(-0.5, 0.5) * max(4.0, z * 0.9)
            if scene.claim(offset - length / 2, offset + length / 2, z - width / 2, z + width / 2):
                heading = rng.pick((-1, 1)) * math.pi / 2
                _stand(scene, model, offset, z, heading, scale, z - width / 2, **colors)
                scene.shadow(offset, z, length / 2, width / 2, height)
                return True
            continue
        direction = rng.pick((-1, 1))
        spot = lateral if lateral is not None else _lateral_of_lane(scene, direction)
        if lateral is not None:
            direction = 1 if spot > 0.1 else -1 if spot < -0.1 else direction
        nearest = rng.between(*near_range)
        if abs(spot - camera.lateral) < 1.8:
            nearest += 5.0  # distance to the vehicle ahead
        z = nearest + length / 2
        if road.crossing and lateral is None and nearest < road.crossing[1] and nearest + length > road.crossing[0]:
            continue
        if scene.claim(spot - width / 2, spot + width / 2, nearest - 0.5, nearest + length + 0.5):
            heading = camera.heading(z) + (math.pi if direction < 0 else 0.0)
            if direction < 0 and oncoming:
                model = oncoming
            _stand(scene, model, spot, z, heading, scale, nearest, **colors)
            scene.shadow(spot, z, width / 2, length / 2, height)
            return True
    return False


def _long_vehicle(scene, kind):
    rng = scene.rng
    if kind == "train":
        cars = rng.whole(1, 3)
        color = rng.color(_TRAM_COLORS)
        upper = rng.color(_CREAM, 6)
        colors = {"lower": color, "upper": upper, "post": [0.9 * channel for channel in upper]}
        _drive(
            scene,
            vehicles.tram(cars, False),
            8.0 * cars,
            2.5,
            3.4,
            (8, 34),
            lateral=scene.road.track,
            oncoming=vehicles.tram(cars, True),
            **colors,
        )
    elif kind == "bus":
        body = rng.color(_BUS_COLORS)
        skirt = [0.7 * channel for channel in body]
        _drive(scene, vehicles.bus(), 11.0, 2.6, 3.1, (8, 34), crosses=0.4, body=body, skirt=skirt)
    else:
        size = (rng.between(0.92, 1.0), rng.between(0.9, 1.08), rng.between(0.85, 1.1))
        box = rng.color(_BOXES, 8)
        _drive(scene, vehicles.truck(False), 8.5 * size[2], 2.5, 3.4, (7, 32), size, crosses=0.4,
               oncoming=vehicles.truck(True),
               box=box, stripe=rng.color(_CABS), cab=rng.color(_CABS))  # fmt: skip


def _car_look(rng):
    shape = rng.pick(vehicles.CAR_SHAPES)
    body = rng.color(_CAR_COLORS)
    size = (rng.between(0.94, 1.05), rng.between(0.95, 1.1), rng.between(0.85, 1.05))
    return vehicles.car(shape), size, {"body": body, "roof": [0.95 * channel for channel in body]}


def _cars(scene):
    rng, road = scene.rng, scene.road
    for _ in range(rng.whole(1, 4)):
        model, size, colors = _car_look(rng)
        _drive(scene, model, 4.6 * size[2], 1.8, 1.5, (6, 55), size, crosses=0.25, **colors)
    if not road.parking:
        return
    for sign in (-1, 1):
        lateral = sign * (road.half_width - 1.05)
        z = rng.between(7, 14)
        while z < 60:
            model, size, colors = _car_look(rng)
            free = not road.crossing or z + 2.5 < road.crossing[0] - 4 or z - 2.5 > road.crossing[1]
            if free and rng.chance(0.7) and scene.claim(lateral - 0.9, lateral + 0.9, z - 2.2, z + 2.2):
                heading = scene.canvas.camera.heading(z) + (math.pi if sign < 0 else 0.0)
                _stand(scene, model, lateral, z, heading, size, z - 2.2, **colors)
                scene.shadow(lateral, z, 0.9, 2.2, 1.5)
            z += rng.between(5.2, 7.0)


def _dress(rng):
    shirt = rng.color(_CLOTHES)
    return {
        "skin": rng.color(_SKIN, 8), "hair": rng.color(_HAIR, 6), "shirt": shirt,
        "sleeve": [0.88 * channel for channel in shirt], "trousers": rng.color(_TROUSERS),
    }  # fmt: skip


def _two_wheeler(scene, kind, ridden):
    rng, road, camera = scene.rng, scene.road, scene.canvas.camera
    model = vehicles.motorcycle() if kind == "motorcycle" else vehicles.bicycle()
    paint = {"tank": rng.color(_FRAMES)} if kind == "motorcycle" else {"frame": rng.color(_FRAMES)}
    size = rng.between(0.95, 1.15)
    for _ in range(5):
        z = rng.between(6, 24)
        if ridden:
            # Cyclists keep to the edge, or cross with the street that crosses.
            if road.crossing and rng.chance(0.45):
                z = rng.between(road.crossing[0] - 3, road.crossing[0] + 2)
                lateral, heading = rng.between(-0.8, 0.8) * road.half_width, rng.pick((-1, 1)) * math.pi / 2
            else:
                direction = rng.pick((-1, 1))
                lateral = direction * (road.half_width - rng.between(0.8, 3.2))
                heading = camera.heading(z) + rng.between(-0.35, 0.35) + (math.pi if direction < 0 else 0.0)
        else:
            sign = rng.pick((-1, 1))
            lateral = sign * (road.half_width + rng.between(0.6, 2.0))
            heading = rng.pick((-1, 1)) * rng.between(0.7, 2.4)
            if road.crossing and road.crossing[0] - 1 < z < road.crossing[1] + 1:
                continue
        if ridden and not scene.claim(lateral - 0.5, lateral + 0.5, z - 1.0, z + 1.0):
            continue
        _stand(scene, model, lateral, z, heading, size, **paint)
        scene.shadow(lateral, z, 0.3 + 0.5 * abs(math.sin(heading)), 0.3 + 0.5 * abs(math.cos(heading)), 1.0)
        if ridden:
            rider = people.rider(kind == "motorcycle", rng.whole(0, 1))
            look = _dress(rng)
            if kind == "motorcycle" or rng.chance(0.4):
                look["hair"] = rng.color(_FRAMES)
            _stand(scene, rider, lateral, z, heading, size, z - 0.01, **look)
        return


def _people(scene):
    rng, road = scene.rng, scene.road
    for _ in range(rng.whole(2, 9)):
        z = rng.between(5, 40) if rng.chance(0.6) else rng.between(5, 18)
        heading = rng.pick((0.0, math.pi)) + rng.between(-0.6, 0.6)
        side = rng.pick(scene.sides)
        lateral = side.sign * (road.half_width + side.verge + rng.between(0.5, side.sidewalk - 0.3))
        stride = rng.whole(0, people.STRIDES - 1)
        if road.crossing and (rng.chance(0.35) or road.crossing[0] < z < road.crossing[1]):
            z = rng.between(road.crossing[0] - 3.2, road.crossing[0] - 0.8)
            lateral = rng.between(-1, 1) * road.half_width
            heading, stride = rng.pick((-1, 1)) * math.pi / 2, max(stride, 1)
            if not scene.claim(lateral - 0.3, lateral + 0.3, z - 0.3, z + 0.3):
                continue
        model = people.pedestrian(stride, rng.chance(0.2), rng.chance(0.3))
        height = rng.between(0.92, 1.08) if rng.chance(0.88) else rng.between(0.6, 0.75)
        _stand(scene, model, lateral, z, heading, height, **_dress(rng))
        scene.shadow(lateral, z, 0.22, 0.18, 1.7 * height)


def _furnish(scene, side):
    """Lamps, lights, signs, bollards and trees along one kerb."""
    rng, road, sign = scene.rng, scene.road, side.sign
    curb = sign * (road.half_width + 0.5)
    crossing = road.crossing

    def free(z):
        return not crossing or not crossing[0] - 0.5 < z < crossing[1] + 0.5

    steel = rng.color(((96, 102, 104), (130, 132, 134), (60, 72, 66), (150, 148, 142)))
    if rng.chance(0.75):
        step = rng.between(16, 26)
        z = rng.between(6, 6 + step)
        while z < 90:
            if free(z):
                _stand(scene, furniture.lamp(-2.2 * sign), curb, z, steel=steel)
            z += step
    if rng.chance(0.75):
        z = crossing[0] - rng.between(3.8, 4.6) if crossing else rng.between(10, 30)
        arm = -sign * rng.between(2.5, 4.5) if rng.chance(0.4) else 0.0
        arm = round(arm * 2) / 2  # few distinct models: they are kept
        _stand(scene, furniture.traffic_light(arm, rng.whole(0, 2)), curb, z, scale=rng.between(1.0, 1.25))
    for _ in range(rng.whole(1, 3)):
        z = rng.between(7, 30)
        if free(z):
            spot = curb + sign * rng.between(0, 0.8)
            _stand(scene, furniture.sign(rng.pick(furniture.SIGNS)), spot, z, scale=rng.between(0.95, 1.3))
    if rng.chance(0.3):
        z = rng.between(4, 10)
        for _ in range(rng.whole(3, 7)):
            if free(z):
                _stand(scene, furniture.post(), curb, z, scale=0.95, steel=steel)
            z += 2.0
    if rng.chance({"facades": 0.35, "gardens": 0.5, "park": 0.6, "barrier": 0.4}[side.style]):
        _avenue(scene, side, free)


def _avenue(scene, side, free):
    rng, canvas = scene.rng, scene.canvas
    kind = rng.pick(("round", "round", "poplar"))
    tallest, step = rng.between(4.5, 9), rng.between(8, 14)
    lateral = side.sign * (scene.road.half_width + max(0.9, side.verge / 2 + 0.25))
    z = rng.between(8, 8 + step)
    while z < 80:
        if free(z):
            x, height = canvas.camera.world_x(lateral, z), tallest * rng.between(0.85, 1.15)
            scene.add(z, lambda x=x, z=z, height=height: surroundings.tree(canvas, rng, x, z, height, kind))
            if z < 40:
                scene.shadow(lateral, z, 1.2, 1.2, height * 0.5)
        z += step
