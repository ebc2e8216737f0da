"""Solid models of faces, lines and discs, and how one is painted at a place on the street.

A model is built once per process; a scene places it with its own sizes, colours and heading. Model coordinates: x to
the right, y up, z forward along its heading, metres, the origin on the ground at its middle.
"""

import dataclasses
import math

import cv2
import numpy as np

from gun_jax.data.synthetic.canvas import NEAREST, Canvas, to_pixels

LEFT, RIGHT, REAR, FRONT, TOP, FLAT = range(6)
_NORMALS = ((-1, 0, 0), (1, 0, 0), (0, 0, -1), (0, 0, 1), (0, 1, 0))
_FACE, _LINE, _DISC = range(3)


@dataclasses.dataclass(frozen=True)
class Model:
    """A finished model; see `ModelBuilder.build`."""

    axes: tuple  # x, y and z of the points, float64 (N,) each
    radius: float  # of the points around the upright axis, metres
    parts: tuple  # (kind, first point, last point + 1, width in metres), in painting order
    bold: np.ndarray  # bool (P,): not a detail
    corners: tuple  # three int (P,): the points whose turning sense on the screen says whether a face looks at us
    paints: np.ndarray  # int (P,): row of `colors`
    facings: np.ndarray  # int (P,): LEFT to FLAT
    names: dict  # paint name to row of `colors`
    colors: np.ndarray  # float64 (S, 3): colours where a placement gives none
    part_labels: np.ndarray  # int (P,)


class ModelBuilder:
    """Collects parts in painting order: later parts cover earlier ones."""

    def __init__(self):
        self._points, self._parts, self._corners, self._paints, self._facings = [], [], [], [], []
        self._names, self._colors, self._labels = {}, [], []

    def paint(self, name: str, label: int, color=(128, 128, 128)) -> str:
        """Declares a paint and the label of whatever is painted with it; returns the name."""
        self._names[name] = len(self._colors)
        self._colors.append(color)
        self._labels.append(label)
        return name

    def face(self, points, paint: str, facing: int, detail: bool = False) -> None:
        """A flat polygon seen from the side it faces only; its first three points are not on one line."""
        points = np.asarray(points, float)
        if facing != FLAT and np.dot(np.cross(points[1] - points[0], points[2] - points[0]), _NORMALS[facing]) < 0:
            points = points[::-1]
        self._add(_FACE, points, paint, facing, 0.0, detail)

    def line(self, points, paint: str, width: float, detail: bool = False) -> None:
        """A polyline with round ends, `width` metres thick and at least one pixel."""
        self._add(_LINE, np.asarray(points, float), paint, FLAT, width, detail)

    def disc(self, point, radius: float, paint: str, detail: bool = False) -> None:
        """A ball: a circle from wherever it is seen."""
        self._add(_DISC, np.asarray([point], float), paint, FLAT, radius, detail)

    def prism(self, profile, half_width: float, paint: str, ends: str | None = None) -> None:
        """A convex (z, y) outline, given clockwise seen from the right from the lower rear, pulled out sideways."""
        profile = np.asarray(profile, float)
        for start, stop in zip(profile, np.roll(profile, -1, 0), strict=True):
            along, up = stop - start
            facing = (REAR if up > 0 else FRONT) if abs(up) > 0.6 * abs(along) else TOP
            if facing == TOP and along < 0:
                continue  # the underside
            quad = [(-half_width, *start[::-1]), (half_width, *start[::-1]), (half_width, *stop[::-1])]
            quad.append((-half_width, *stop[::-1]))
            self.face(quad, ends if ends and facing != TOP else paint, facing)
        self.sides(profile, half_width, paint)

    def sides(self, outline, half_width: float, paint: str, detail: bool = False) -> None:
        """A (z, y) outline on the left and on the right side."""
        for facing, x in ((LEFT, -half_width), (RIGHT, half_width)):
            self.face([(x, y, z) for z, y in outline], paint, facing, detail)

    def end(self, rectangle, z: float, paint: str, facing: int, detail: bool = False) -> None:
        """A (left, bottom, right, top) rectangle on the rear or front end at z."""
        left, bottom, right, top = rectangle
        self.face([(left, bottom, z), (right, bottom, z), (right, top, z), (left, top, z)], paint, facing, detail)

    def wheels(self, depths, radius: float, half_width: float, paint: str, rim: str) -> None:
        """Wheels on both sides at these z."""
        for z in depths:
            self.sides(ring(z, radius, radius), half_width, paint)
            self.sides(ring(z, radius, 0.55 * radius), half_width, rim, detail=True)

    def build(self) -> Model:
        """The finished model."""
        points = np.concatenate(self._points)
        paints = np.asarray([self._names[name] for name in self._paints])
        return Model(
            axes=tuple(np.ascontiguousarray(axis) for axis in points.T),
            radius=float(np.hypot(points[:, 0], points[:, 2]).max()) + 0.2,
            parts=tuple(part[:4] for part in self._parts),
            bold=~np.asarray([part[4] for part in self._parts]),
            corners=tuple(np.ascontiguousarray(corner) for corner in np.asarray(self._corners).T),
            paints=paints,
            facings=np.asarray(self._facings),
            names=self._names,
            colors=np.asarray(self._colors, float),
            part_labels=np.asarray(self._labels)[paints],
        )

    def _add(self, kind, points, paint, facing, width, detail):
        first = sum(len(part) for part in self._points)
        self._points.append(points)
        self._parts.append((kind, first, first + len(points), width, detail))
        self._corners.append([first, first + 1, first + 2] if kind == _FACE and facing != FLAT else [first] * 3)
        self._paints.append(paint)
        self._facings.append(facing)


def ring(z: float, y: float, radius: float, count: int = 12) -> list[tuple[float, float]]:
    """A circle's outline in (z, y)."""
    turns = [2 * math.pi * step / count for step in range(count)]
    return [(z + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]


def place(canvas: Canvas, model: Model, x: float, z: float, heading: float = 0.0, scale=1.0, y: float = 0.0, **colors):
    """Paints a model.

    Args:
      x, z: where its origin stands, metres; nothing is painted where a part could come closer than `NEAREST`.
      heading: radians, 0 = drives away from the camera, positive turns to the right.
      scale: one factor, or three for (width, height, length).
      y: height of the origin above the ground.
      colors: RGB by paint name, 0 to 255, for the paints that differ from the model's own.
    """
    camera = canvas.camera
    across, up, along = scale if isinstance(scale, tuple) else (scale, scale, scale)
    radius = model.radius * max(across, along)
    metre = camera.focal / z  # pixels a metre
    column, reach = camera.center + x * metre, 1.5 * radius * metre
    if z - radius < NEAREST or column + reach < 0 or column - reach > canvas.width:
        return
    sine, cosine = math.sin(heading), math.cos(heading)
    local_x, local_y, local_z = model.axes
    scales = camera.focal / (local_x * (-sine * across) + local_z * (cosine * along) + z)
    columns = (local_x * (cosine * across) + local_z * (sine * along) + x) * scales + camera.center
    rows = (camera.height - y - local_y * up) * scales + camera.horizon
    first, second, third = model.corners
    left, top = columns[first], rows[first]
    # Faces are wound so that the outside turns this way on a screen whose rows count downwards.
    turn = (columns[second] - left) * (rows[third] - top) - (rows[second] - top) * (columns[third] - left)
    pixels = to_pixels(np.stack([columns, rows], 1))
    width = up * metre
    coarse = metre < 12  # details would only be speckle
    target = canvas.pixels
    shown = np.flatnonzero((turn >= 0) & model.bold if coarse else turn >= 0)
    fills = _fills(canvas, model, shown, z, heading, colors)
    parts = model.parts
    for part, fill in zip(shown.tolist(), fills, strict=True):
        kind, start, stop, size = parts[part]
        if kind == _FACE:
            cv2.fillPoly(target, [pixels[start:stop]], fill)
        elif kind == _LINE:
            cv2.polylines(target, [pixels[start:stop]], False, fill, max(1, int(size * width + 0.5)))
        else:
            cv2.circle(target, pixels[start].tolist(), int(size * width + 0.5), fill, -1)


def _fills(canvas, model, shown, z, heading, colors):
    palette = model.colors
    if colors:
        palette = palette.copy()
        for name, color in colors.items():
            palette[model.names[name]] = color
    light = canvas.light
    if abs(heading) > 0.8:  # turned: its sides catch the light of other directions
        order = [FRONT, REAR, LEFT, RIGHT] if math.sin(heading) > 0 else [REAR, FRONT, RIGHT, LEFT]
        if math.cos(heading) < -0.7:
            order = [RIGHT, LEFT, FRONT, REAR]
        light = light[[*order, TOP, FLAT]]
    haze_color, density = canvas.haze
    clear = math.exp(-density * z)
    fills = np.empty((len(shown), 4))
    fills[:, :3] = palette[model.paints[shown]] * (light[model.facings[shown], None] * clear) + haze_color * (1 - clear)
    fills[:, 3] = model.part_labels[shown]
    return fills.tolist()
