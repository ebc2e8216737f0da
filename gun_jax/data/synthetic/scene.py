"""One scene: the plan of a street, then everything on it painted from far to near."""

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np

from gun_jax.data.classes import IGNORE
from gun_jax.data.synthetic import surroundings
from gun_jax.data.synthetic.canvas import Camera, Canvas
from gun_jax.data.synthetic.scene_rng import SceneRng
from gun_jax.data.synthetic.street import Road, Side, paint_ground
from gun_jax.data.synthetic.traffic import populate
from gun_jax.data.synthetic.weather import Weather, develop, paint_sky

# street: (half width range, lanes a direction, share of parked rows, side styles)
_STREETS = {
    "canyon": ((4.5, 8.0), (1, 2), 0.7, ("facades", "facades", "facades", "park", "gardens")),
    "residential": ((3.6, 5.5), (1,), 0.6, ("gardens", "gardens", "gardens", "park", "facades")),
    "parkway": ((4.0, 7.0), (1, 2), 0.4, ("park", "park", "gardens", "barrier", "facades")),
    "arterial": ((7.0, 10.0), (2, 3), 0.15, ("barrier", "barrier", "park", "facades", "gardens")),
}


@dataclasses.dataclass
class Scene:
    """The state that the layout functions share while they plan a scene.

    Attributes:
      things: (depth, paint) of everything that stands on the ground; painted by falling depth.
      shadows: (outline in pixels (N, 2), whether it is the dark contact below a thing) on the ground.
      taken: (left, right, near, far) of ground that vehicles stand on, laterals and depths in metres.
    """

    rng: SceneRng
    canvas: Canvas
    weather: Weather
    road: Road
    sides: tuple[Side, Side]
    things: list[tuple[float, Callable[[], None]]] = dataclasses.field(default_factory=list)
    shadows: list[tuple[np.ndarray, bool]] = dataclasses.field(default_factory=list)
    taken: list[tuple[float, float, float, float]] = dataclasses.field(default_factory=list)

    def add(self, depth: float, paint: Callable[[], None]) -> None:
        """Plans something to be painted; where two overlap the one of smaller depth is in front."""
        self.things.append((depth, paint))

    def claim(self, left: float, right: float, near: float, far: float) -> bool:
        """Takes a rectangle of ground, with all between it and the camera's lane; False where it is taken.

        Nothing may stand between a long vehicle's side and the camera: painting by depth could not order the two.
        """
        own = self.canvas.camera.lateral
        left, right = min(left, max(own, left - 4)), max(right, min(own, right + 4))
        for other_left, other_right, other_near, other_far in self.taken:
            if left < other_right and other_left < right and near < other_far and other_near < far:
                return False
        self.taken.append((left, right, near, far))
        return True

    def shadow(self, lateral: float, z: float, half_width: float, half_length: float, height: float) -> None:
        """Plans the shadow of a box on the ground: the dark below it, and what the sun throws."""
        camera = self.canvas.camera
        near, far = max(z - half_length, 1.0), z + half_length
        reach = -self.weather.sun_side * height * 0.8
        for contact, throw in ((True, 0.0), (False, reach)):
            if not contact and self.weather.sun < 0.3:
                continue
            left, right = lateral - half_width + min(throw, 0), lateral + half_width + max(throw, 0)
            corners = []
            for depth, ends in ((near, (left, right)), (far, (right, left))):
                metre = camera.focal / depth
                row = round(camera.horizon + camera.height * metre)
                corners += [(round(camera.center + camera.world_x(end, depth) * metre), row) for end in ends]
            self.shadows.append((np.array(corners, np.int32), contact))


def paint_scene(size: tuple[int, int], rng: SceneRng) -> tuple[np.ndarray, np.ndarray]:
    """A street scene: image uint8 (H, W, 3) RGB and label uint8 (H, W), train ids and `IGNORE`."""
    weather = Weather.draw(rng)
    road, sides = _plan(rng)
    camera = _aim(size, road, rng)
    canvas = Canvas(size, camera, weather.haze, weather.light)
    scene = Scene(rng, canvas, weather, road, sides)
    for side in sides:
        _line_street(scene, side)
    populate(scene)
    paint_sky(canvas, weather, rng)
    paint_ground(canvas, road, sides, weather, scene.shadows, rng)
    surroundings.paint_skyline(canvas, rng)
    for _, paint in sorted(scene.things, key=lambda thing: -thing[0]):
        paint()
    scene.things.clear()  # they hold the scene: do not leave the circle to the garbage collector
    if rng.chance(0.25):
        _hood(canvas, rng)
    return develop(canvas, weather, rng)


def _plan(rng):
    half_range, lanes, parked, styles = _STREETS[rng.pick(tuple(_STREETS))]
    half_width = rng.between(*half_range)
    sides = []
    for sign in (-1, 1):
        style = rng.pick(styles)
        verge = rng.between(1.2, 3.0) if rng.chance(0.55) else 0.0
        sides.append(Side(sign, verge, rng.between(1.8, 4.0), style))
    track = None
    if rng.chance(0.62):
        track = rng.pick((0.0, -half_width / 2, -half_width / 2, half_width / 2)) if half_width > 4.5 else 0.0
    crossing = None
    if rng.chance(0.5):
        near = rng.between(12, 26)
        crossing = (near, near + rng.between(6, 11))
    return Road(half_width, rng.pick(lanes), rng.chance(parked), track, crossing), tuple(sides)


def _aim(size, road, rng):
    height, width = size
    lane = road.half_width / road.lanes * (rng.whole(1, road.lanes) - 0.5)
    return Camera(
        focal=rng.between(1.75, 2.4) * height,
        center=rng.between(0.4, 0.6) * width,
        horizon=rng.between(0.38, 0.52) * height,
        height=rng.between(1.2, 2.1),
        lateral=lane + rng.between(-0.4, 0.4) - (0.9 if road.parking and road.lanes == 1 else 0.0),
        slope=rng.between(-0.03, 0.03),
        bend=rng.between(-0.0014, 0.0014),
    )


def _line_street(scene, side):
    """Lots along one side: each is painted as one thing, its parts from the back to the street."""
    rng, road = scene.rng, scene.road
    edge = road.half_width + side.depth
    z = rng.between(-4.0, 3.0)
    border = _border(scene, side)
    while z < 95:
        far = z + (rng.between(8, 18) if z < 40 else rng.between(16, 30))
        if road.crossing and z < road.crossing[1] and far > road.crossing[0]:
            far = road.crossing[0] - 1.0
            if far - z > 3:
                _lot(scene, side, edge, z, far, border)
            z = road.crossing[1] + 1.0
            continue
        _lot(scene, side, edge, z, far, border)
        z = far


def _border(scene, side):
    """The boundary along the property line: (kind, height, colour, fence kind)."""
    rng = scene.rng
    if side.style == "facades":
        kind = "none" if rng.chance(0.8) else rng.pick(("fence", "wall"))
    elif side.style == "barrier":
        kind = rng.pick(("wall", "fence", "wall", "fence", "hedge"))
    else:
        kind = rng.pick(("wall", "wall", "fence", "fence", "fence", "hedge", "none"))
    if kind == "wall":
        return (
            kind,
            rng.between(2.0, 3.4) if side.style == "barrier" else rng.between(1.0, 2.2),
            surroundings.pick_wall_color(rng),
            "",
        )
    color = surroundings.pick_fence_color(rng)
    return kind, rng.between(1.2, 2.4), color, rng.pick(("bars", "pickets", "mesh"))


def _lot(scene, side, edge, near, far, border):
    rng, canvas = scene.rng, scene.canvas
    if far < 1.8:
        return
    near = max(near, 1.2)
    sign, camera = side.sign, canvas.camera
    lateral = sign * edge
    beyond = camera.center + camera.focal * camera.world_x(lateral - 2 * sign, far) / far
    if beyond * sign > (canvas.width if sign > 0 else 0):
        return  # all of it is outside the image
    parts = []

    def plant(offset, z, height, kind):
        parts.append(lambda: surroundings.tree(canvas, rng, camera.world_x(sign * (edge + offset), z), z, height, kind))

    building = rng.chance({"facades": 0.92, "gardens": 0.8, "park": 0.12, "barrier": 0.35}[side.style])
    kind, height, color, mesh = border
    if building:
        city = side.style == "facades"
        floors = rng.whole(3, 6) if city else rng.whole(1, 3)
        setback = (0.0 if kind == "none" else 3.0) if city else rng.between(4, 9)
        trim = 0.0 if city else rng.between(0.5, 2.0)
        pitched = not city or rng.chance(0.2)
        parts.append(
            lambda: surroundings.house(
                canvas,
                rng,
                sign * (edge + setback),
                sign,
                near + trim,
                max(far - trim, near + trim + 2),
                floors,
                pitched,
            )
        )
        if scene.weather.sun > 0.3 and scene.weather.sun_side * sign > 0 and far < 60:
            reach = floors * 3.2 * (1.3 - abs(scene.weather.sun_side)) * 1.2
            scene.shadow(sign * (edge + setback - reach / 2), (near + far) / 2, reach / 2, (far - near) / 2, 0.0)
    count = rng.whole(0, 2) if building or near > 45 else rng.whole(2, 4)
    if building and side.style == "facades":
        count = 0
    for z in sorted((rng.between(near + 1, max(far, near + 1.5)) for _ in range(count)), reverse=True):
        shape = rng.pick(("round", "round", "round", "poplar", "conifer", "bush"))
        plant(
            rng.between(1.0, 4.0 if building else 9.0),
            z,
            rng.between(1.2, 2.2) if shape == "bush" else rng.between(5, 11),
            shape,
        )
    if kind == "wall":
        parts.append(lambda: surroundings.wall(canvas, rng, lateral, near, far, height, color))
    elif kind == "fence":
        parts.append(lambda: surroundings.fence(canvas, rng, lateral, near, far, height, mesh, color))
    elif kind == "hedge":
        parts.append(lambda: surroundings.hedge(canvas, rng, lateral, near, far, height))
    scene.add(far, lambda: [part() for part in parts])


def _hood(canvas, rng):
    """The bonnet of the car that carries the camera: not scored."""
    height, width = canvas.height, canvas.width
    shade = rng.whole(20, 70)
    axes = (int(width * rng.between(0.45, 0.6)), int(height * rng.between(0.04, 0.09)))
    cv2.ellipse(canvas.pixels, (width // 2, height), axes, 0, 180, 360, (shade, shade, shade + 4, IGNORE), -1)
    shine = (shade + 40, shade + 42, shade + 48, IGNORE)
    cv2.ellipse(canvas.pixels, (width // 2, height + axes[1] // 5), axes, 0, 215, 300, shine, max(1, height // 160))
