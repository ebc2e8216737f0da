"""The ground: road, kerbs, sidewalks and grass in strips along the bend, markings, shadows on it, its grain."""

import dataclasses

import cv2
import numpy as np

from gun_jax.data.synthetic.canvas import FARTHEST, ROAD, SIDEWALK, TERRAIN, Canvas
from gun_jax.data.synthetic.scene_rng import SceneRng, texture
from gun_jax.data.synthetic.weather import Weather

NEAR = 1.0

_ASPHALT = ((104, 104, 107), (118, 116, 115), (90, 91, 96), (128, 126, 122))
_PAVING = ((165, 158, 150), (150, 148, 146), (176, 164, 150), (158, 142, 134))
_GRASS = ((128, 158, 74), (142, 160, 84), (116, 152, 68), (160, 160, 96))
_LINE = (225, 225, 220)


@dataclasses.dataclass(frozen=True)
class Side:
    """One side of the street, outwards from the road's edge; all in metres from there.

    Attributes:
      sign: -1 left, 1 right.
      verge: width of the grass between kerb and sidewalk, 0 for none.
      sidewalk: its width.
      style: "facades", "gardens", "park" or "barrier"; see `surroundings`.
    """

    sign: int
    verge: float
    sidewalk: float
    style: str

    @property
    def depth(self) -> float:
        """From the road's edge to the property line."""
        return self.verge + self.sidewalk


@dataclasses.dataclass(frozen=True)
class Road:
    """Measures of the road, metres.

    Attributes:
      half_width: from the centre line to the kerb.
      lanes: a direction.
      parking: whether cars stand along both edges.
      track: lateral of the middle of the tram's rails; None: no tram.
      crossing: (near, far) depths of the street that crosses; None: none.
    """

    half_width: float
    lanes: int
    parking: bool
    track: float | None
    crossing: tuple[float, float] | None


def paint_ground(canvas: Canvas, road: Road, sides, weather: Weather, shadows, rng: SceneRng) -> None:
    """Everything below the horizon.

    Args:
      sides: both `Side`s.
      shadows: outlines of cast shadows in pixels, int32 (N, 2) each, and whether each is the dark below a thing.
    """
    paving, grass = rng.color(_PAVING), rng.color(_GRASS)
    asphalt = rng.color(_ASPHALT, 8)
    bottom = canvas.pixels[max(int(canvas.camera.horizon) + 1, 0) :]
    for side in sides:
        outside = (grass, TERRAIN) if side.style != "facades" else (paving, SIDEWALK)
        edge = road.half_width * side.sign
        _strip(canvas, 0, 400.0 * side.sign, *outside)
        middle = edge + side.sign * (0.25 + side.verge)
        _strip(canvas, edge, edge + side.sign * side.depth, paving, SIDEWALK)
        if side.verge:
            _strip(canvas, edge + 0.25 * side.sign, middle, grass, TERRAIN)
        _joints(canvas, middle, edge + side.sign * side.depth, paving)
    _strip(canvas, -road.half_width, road.half_width, asphalt, ROAD)
    _patches(canvas, road, asphalt, rng)
    if road.crossing:
        near, far = road.crossing
        canvas.polygon(_rectangle(canvas, -200, 200, near, far), (*_bytes(asphalt), ROAD))
    for side in sides:
        _kerb(canvas, road, side, paving)
    _markings(canvas, road, asphalt, rng)
    _shade(canvas, bottom, weather, shadows, rng)


def _bytes(color):
    return tuple(int(min(max(channel, 0), 255)) for channel in color)


def _strip(canvas, left, right, color, label, near=NEAR, far=FARTHEST, samples=16):
    canvas.polygon(canvas.ground_strip(left, right, near, far, samples), (*_bytes(color), label))


def _rectangle(canvas, left, right, near, far):
    # Across the street: the bend is that of its middle, so that the far ends do not swing.
    camera = canvas.camera
    shift = camera.world_x(0, (near + far) / 2)
    return camera.project(np.array([left, right, right, left]) + shift, 0.0, np.array([near, near, far, far]))


def _kerb(canvas, road, side, paving):
    light = [channel * 1.18 for channel in paving]
    edge = road.half_width * side.sign
    pieces = [(NEAR, FARTHEST)]
    if road.crossing:
        pieces = [(NEAR, road.crossing[0]), (road.crossing[1], FARTHEST)]
    for near, far in pieces:
        _strip(canvas, edge, edge + 0.22 * side.sign, light, SIDEWALK, near, far, 10)
        _strip(canvas, edge - 0.12 * side.sign, edge, [channel * 0.55 for channel in paving], ROAD, near, far, 10)


def _joints(canvas, inner, outer, paving):
    # Slabs: lines across every 1.5 m, as far as they are wider apart than a pixel.
    depths = np.arange(2.0, 22.0, 1.5)
    ends = np.stack([np.full_like(depths, inner), np.full_like(depths, outer)], 1)
    points = canvas.camera.project(canvas.camera.world_x(ends, depths[:, None]), 0.0, depths[:, None])
    canvas.lines(points, (*_bytes([channel * 0.88 for channel in paving]), SIDEWALK))


def _patches(canvas, road, asphalt, rng):
    for _ in range(rng.whole(0, 4)):
        left = rng.between(-road.half_width, road.half_width - 1.5)
        near = rng.between(4, 25)
        shade = rng.between(0.8, 1.1)
        color = [channel * shade for channel in asphalt]
        width = rng.between(0.5, 2.0)
        right = min(left + width, road.half_width)
        _strip(canvas, left, right, color, ROAD, near, near + rng.between(0.8, 8), 4)


def _markings(canvas, road, asphalt, rng):
    paint = rng.color((_LINE, (205, 205, 198)), 8)
    fill = (*_bytes(paint), ROAD)
    camera = canvas.camera
    gap = road.crossing or (-1.0, -1.0)
    dashes = np.arange(2.0 + rng.between(0, 5), 80.0, rng.pick((6.0, 9.0, 12.0)))
    dashes = dashes[(dashes + 3 < gap[0]) | (dashes > gap[1])]
    middle = road.track is None or abs(road.track) > 1
    laterals = [0.0] if middle and (road.lanes > 1 or rng.chance(0.7)) else []
    laterals += [side * road.half_width / road.lanes * lane for lane in range(1, road.lanes) for side in (-1, 1)]
    for lateral in laterals:
        depths = np.stack([dashes, dashes, dashes + 3, dashes + 3], 1)  # (M, 4)
        offsets = lateral + np.array([-0.08, 0.08, 0.08, -0.08])
        canvas.polygon(camera.project(camera.world_x(offsets, depths), 0.0, depths), fill)
    if rng.chance(0.4):
        for side in (-1, 1):
            lateral = side * (road.half_width - (2.2 if road.parking else 0.5))
            _strip(canvas, lateral - 0.07, lateral + 0.07, paint, ROAD, NEAR, gap[0] if road.crossing else 120.0)
    if road.track is not None:
        for offset in (-0.72, 0.72):
            rail = road.track + offset
            _strip(canvas, rail - 0.14, rail + 0.14, [channel * 0.7 for channel in asphalt], ROAD)
            _strip(canvas, rail - 0.06, rail + 0.06, (176, 178, 184), ROAD)
    if road.crossing:
        stripes = np.arange(-road.half_width + 0.4, road.half_width - 0.5, 1.0)
        near = road.crossing[0] - 3.4
        corners = stripes[:, None] + np.array([0.0, 0.5, 0.5, 0.0])
        depths = np.array([near, near, near + 2.8, near + 2.8])
        canvas.polygon(camera.project(camera.world_x(corners, depths), 0.0, depths), fill)
        _strip(canvas, 0.1, road.half_width - 0.2, paint, ROAD, near - 1.6, near - 1.2, 3)


def _shade(canvas, bottom, weather, shadows, rng):
    """Grain, shadows and haze on the ground; leaves the label as it is."""
    first = canvas.height - len(bottom)
    camera, rows = canvas.camera, np.arange(len(bottom)) + first
    shadow = np.full(bottom.shape[:2], 255, np.uint8)
    dark = int(255 * (1 - 0.5 * weather.sun))
    for outline, contact in shadows:
        cv2.fillConvexPoly(shadow, (outline - (0, first)).astype(np.int32), min(dark, 150) if contact else dark)
    shadow = cv2.blur(shadow, (3, 3))
    scale, height = 14.0, camera.height  # texture pixels a metre
    matrix = np.array([[scale * height, 0.0, -camera.center * scale * height], [0, 0, scale * camera.focal * height],
                       [0, 1, first - camera.horizon + 1e-3]])  # fmt: skip
    shift = np.array([[1, 0, rng.between(0, 1000)], [0, 1, rng.between(0, 600)], [0, 0, 1.0]])
    grain = cv2.warpPerspective(
        texture("asphalt"), shift @ matrix, (canvas.width, len(bottom)), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_WRAP,
    )  # fmt: skip
    factor = cv2.multiply(grain, shadow, scale=1 / 255)
    keep = np.full_like(factor, 128)
    lit = cv2.multiply(bottom, cv2.merge([factor, factor, factor, keep]), scale=1 / 128)
    haze_color, density = canvas.haze
    clear = np.exp(-density * np.minimum(camera.depth_of_row(rows), 300.0))
    weights = np.empty((len(rows), 1, 4), np.uint8)
    weights[:, 0, :3] = (clear * 255)[:, None]
    weights[..., 3] = 255
    veil = np.zeros((len(rows), 1, 4), np.uint8)
    veil[:, 0, :3] = (1 - clear)[:, None] * np.clip(haze_color, 0, 255)
    shape = (canvas.width, len(rows))
    bottom[:] = cv2.add(
        cv2.multiply(lit, cv2.resize(weights, shape, interpolation=cv2.INTER_NEAREST), scale=1 / 255),
        cv2.resize(veil, shape, interpolation=cv2.INTER_NEAREST),
    )
