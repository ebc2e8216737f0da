"""The camera and the canvas: metres of the street to pixels, painted in image and label by one call.

World coordinates: x to the right, y up from the ground, z forward, in metres, the camera at (0, its height, 0). A
`lateral` is the distance to the right of the road's centre line, which bends.
"""

import dataclasses
import functools
import math

import cv2
import numpy as np

from gun_jax.data.classes import CITYSCAPES

(
    ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN, VEGETATION, TERRAIN, SKY, PERSON, RIDER,
    CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE,
) = range(len(CITYSCAPES))  # fmt: skip

NEAREST = 0.6  # metres; closer points would project to infinity
FARTHEST = 170.0  # metres; beyond it the background covers the ground
COORDINATE_LIMIT = 20_000  # pixels; cv2 counts in 16.16 fixed point


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pin-hole camera that looks along the road, and the bend of that road.

    Attributes:
      focal: focal length, pixels.
      center, horizon: the principal column and the horizon's row, pixels.
      height: above the ground, metres.
      lateral: of the camera on the road, metres.
      slope, bend: the centre line is at x = -lateral + slope z + bend z^2.
    """

    focal: float
    center: float
    horizon: float
    height: float
    lateral: float
    slope: float
    bend: float

    def world_x(self, lateral, z):
        """x of a lateral at depth z, metres."""
        return lateral - self.lateral + (self.slope + self.bend * z) * z

    def heading(self, z: float) -> float:
        """Angle of the road against the z axis at depth z, radians, positive to the right."""
        return float(np.arctan(self.slope + 2 * self.bend * z))

    def project(self, x, y, z) -> np.ndarray:
        """World to pixels: float64 (..., 2), (column, row); x, y and z broadcast."""
        scale = self.focal / np.maximum(z, NEAREST)
        columns = self.center + np.asarray(x) * scale
        rows = self.horizon + (self.height - np.asarray(y)) * scale
        points = np.empty((*np.broadcast(columns, rows).shape, 2))
        points[..., 0] = columns
        points[..., 1] = rows
        return points

    def depth_of_row(self, row):
        """Depth of the ground at a pixel row below the horizon, metres."""
        return self.focal * self.height / np.maximum(row - self.horizon, 1e-3)


class Canvas:
    """Image and label in one array, so that both get the same edge.

    Attributes:
      pixels: uint8 (H, W, 4): red, green, blue, train id.
      camera: the `Camera`.
      haze: (color float64 (3,), density per metre): what far things fade to.
      light: brightness of faces that look to the left, right, rear (at the camera), front, up, and of flat marks:
        float64 (6,).
    """

    def __init__(self, size: tuple[int, int], camera: Camera, haze: tuple[np.ndarray, float], light: np.ndarray):
        self.height, self.width = size
        self.pixels = np.zeros((*size, 4), np.uint8)
        self.camera = camera
        self.haze = haze
        self.light = light
        self._far = haze[0].tolist()
        # Depths of ground strips that were asked for: columns, scales and rows.
        self._rungs: dict[tuple[float, float, int], tuple[np.ndarray, ...]] = {}

    def tint(self, color, depth: float, label: int) -> tuple[float, float, float, int]:
        """The cv2 colour (it clips) for something of this RGB colour (0 to 255) and label at this depth."""
        clear = math.exp(-self.haze[1] * depth)
        far_red, far_green, far_blue = self._far
        rest = 1 - clear
        red, green, blue = color
        return (red * clear + far_red * rest, green * clear + far_green * rest, blue * clear + far_blue * rest, label)

    def polygon(self, points: np.ndarray, color: tuple[float, float, float, int]) -> None:
        """Fills one polygon of pixels (N, 2) or several (M, N, 2) that do not overlap."""
        points = to_pixels(points)
        cv2.fillPoly(self.pixels, [points] if points.ndim == 2 else list(points), color)

    def lines(self, points: np.ndarray, color: tuple[float, float, float, int], thickness: float = 1) -> None:
        """Draws one polyline of pixels (N, 2) or several (M, N, 2), at least a hair thick (a pixel, below 640 rows)."""
        points = to_pixels(points)
        thickness = max(1, self.height // 320, int(thickness + 0.5))
        cv2.polylines(self.pixels, [points] if points.ndim == 2 else list(points), False, color, thickness)

    def disc(self, center, radius: float, color: tuple[float, float, float, int]) -> None:
        """Fills a circle, at least one pixel."""
        column, row = (int(np.clip(value, -COORDINATE_LIMIT, COORDINATE_LIMIT)) for value in center)
        cv2.circle(self.pixels, (column, row), int(radius + 0.5), color, -1)

    def upright(self, x, z, bottom: float, top: float, color: tuple[float, float, float, int]) -> np.ndarray:
        """Fills a quad that stands on the line between two ground points (x, z: pairs); returns its pixels (4, 2)."""
        camera, corners = self.camera, []
        for at_x, at_z, heights in ((x[0], z[0], (bottom, top)), (x[1], z[1], (top, bottom))):
            scale = camera.focal / max(at_z, NEAREST)
            column = min(max(camera.center + at_x * scale, -COORDINATE_LIMIT), COORDINATE_LIMIT)
            corners += [(round(column), round(camera.horizon + (camera.height - height) * scale)) for height in heights]
        points = np.array(corners, np.int32)
        cv2.fillConvexPoly(self.pixels, points, color)
        return points

    def veil(self, points: np.ndarray, color: tuple[float, float, float, int], opacity: float) -> None:
        """Paints a transparent polygon (N, 2); all of it gets the colour's label."""
        points = to_pixels(points)
        left, top = np.maximum(points.min(0), 0)
        right, bottom = np.minimum(points.max(0) + 1, (self.width, self.height))
        if left >= right or top >= bottom:
            return
        region = self.pixels[top:bottom, left:right]
        behind = region.copy()
        cv2.fillPoly(self.pixels, [points], color)
        label = region[..., 3].copy()
        region[:] = cv2.addWeighted(region, opacity, behind, 1 - opacity, 0)
        region[..., 3] = label

    def ground_strip(self, left, right, near: float, far: float, samples: int = 16) -> np.ndarray:
        """Outline of the ground between two laterals and two depths along the bend: float64 (2 samples, 2) pixels."""
        known = self._rungs.get((near, far, samples))
        if known is None:
            depths = _depths(samples) if (near, far) == (1.0, FARTHEST) else np.geomspace(near, far, samples)
            scale = self.camera.focal / depths
            middle = self.camera.center + self.camera.world_x(0.0, depths) * scale
            known = (middle, scale, self.camera.horizon + self.camera.height * scale)
            self._rungs[near, far, samples] = known
        middle, scale, rows = known
        outline = np.empty((2 * samples, 2))
        outline[:samples, 0] = middle + left * scale
        outline[samples:, 0] = (middle + right * scale)[::-1]
        outline[:samples, 1] = rows
        outline[samples:, 1] = rows[::-1]
        return outline


@functools.cache
def _depths(samples):
    return np.geomspace(1.0, FARTHEST, samples)


def to_pixels(points: np.ndarray) -> np.ndarray:
    """Rounds to pixels that cv2 can count: int32, same shape."""
    # Not np.clip, which is slower on arrays of a few points.
    points = np.minimum(np.maximum(points, -COORDINATE_LIMIT), COORDINATE_LIMIT)
    return np.rint(points, out=points).astype(np.int32, order="C")
