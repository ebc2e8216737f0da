"""Objects along the street: houses, walls, fences, hedges, trees, and the skyline behind."""

import functools

import cv2
import numpy as np

from gun_jax.data.synthetic.canvas import BUILDING, FENCE, VEGETATION, WALL, Canvas, to_pixels
from gun_jax.data.synthetic.models import REAR, TOP
from gun_jax.data.synthetic.scene_rng import SceneRng

_PLASTER = (
    (222, 204, 170), (205, 178, 138), (168, 92, 74), (190, 186, 180), (150, 142, 136), (214, 190, 176), (176, 132, 104),
    (200, 206, 208), (140, 78, 62), (226, 214, 150),
)  # fmt: skip
_ROOFS = ((128, 62, 46), (88, 60, 52), (92, 92, 98), (150, 84, 60))
_PANES = ((52, 62, 76), (70, 84, 100), (44, 48, 56), (92, 108, 124))
_LEAVES = ((58, 92, 38), (74, 106, 44), (50, 82, 44), (88, 108, 48), (64, 88, 34))
_TRUNKS = ((84, 64, 48), (98, 82, 66), (66, 54, 46))
_STONE = ((150, 142, 128), (128, 122, 118), (166, 150, 128), (146, 110, 94))
_RAILING = ((46, 52, 50), (38, 66, 52), (150, 152, 150), (110, 84, 60), (196, 192, 184))


def paint_skyline(canvas: Canvas, rng: SceneRng) -> None:
    """The far end of the world: roofs and trees along the horizon, so that the street has an end."""
    camera, depth = canvas.camera, 150.0
    for label, top, color in (
        (BUILDING, (6.0, 24.0), rng.color(_PLASTER)),
        (VEGETATION, (4.0, 11.0), rng.color(_LEAVES)),
    ):
        if rng.chance(0.25):
            continue
        count = 40 if label == BUILDING else 90
        columns = np.linspace(-0.1, 1.1, count) * canvas.width
        heights = top[0] + (top[1] - top[0]) * rng.units(count)
        if label == BUILDING:
            columns, heights = np.repeat(columns, 2)[1:], np.repeat(heights, 2)[:-1]
        rows = camera.horizon - (heights - camera.height) * camera.focal / depth
        foot = camera.horizon + max(2.0, camera.height * camera.focal / depth)
        outline = np.concatenate([np.stack([columns, rows], 1), [(columns[-1], foot), (columns[0], foot)]])
        canvas.polygon(outline, canvas.tint(color, depth, label))


def _upright(canvas: Canvas, x, z, bottom, top) -> np.ndarray:
    """Quads standing on a line: x and z (..., 2) of its ends, heights that broadcast; pixels (..., 4, 2)."""
    camera = canvas.camera
    scale = camera.focal / z
    left, right = scale[..., 0], scale[..., 1]
    columns = camera.center + x * scale
    bottom, top = camera.height - bottom, camera.height - top
    quads = np.empty((*np.broadcast(left, bottom, top).shape, 4, 2))
    quads[..., 0::3, 0] = columns[..., :1]
    quads[..., 1:3, 0] = columns[..., 1:]
    quads[..., 0, 1] = bottom * left
    quads[..., 1, 1] = bottom * right
    quads[..., 2, 1] = top * right
    quads[..., 3, 1] = top * left
    quads[..., 1] += camera.horizon
    return quads


def _lit(color, factor):
    return [channel * factor for channel in color]


def house(
    canvas: Canvas, rng: SceneRng, lateral: float, sign: int, near: float, far: float, floors: int, pitched: bool
):
    """A house whose front stands along the street at `lateral`, from depth near to far; label building.

    Returns:
      its height, metres.
    """
    camera = canvas.camera
    height = floors * rng.between(2.9, 3.5) + 0.6
    front_light = canvas.light[0 if sign > 0 else 1]
    color, pane = rng.color(_PLASTER), rng.pick(_PANES)
    deep = lateral + sign * rng.between(8, 12)
    near = max(near, 1.5)
    x = camera.world_x(lateral, np.array([near, far]))
    middle = (near + far) / 2
    roof = rng.color(_ROOFS)
    end_x = x[0] + np.array([0.0, deep - lateral])
    ridge = height
    if pitched:
        ridge = height + rng.between(2.0, 3.2)
        peak = (end_x[0] + end_x[1]) / 2
        slope = camera.project([x[0] - 0.3 * sign, x[1] - 0.3 * sign, peak + x[1] - x[0], peak],
                               [height - 0.2, height - 0.2, ridge, ridge], [near, far, far, near])  # fmt: skip
        canvas.polygon(slope, canvas.tint(_lit(roof, canvas.light[TOP] * 0.9), middle, BUILDING))
        gable = camera.project([end_x[0], end_x[1], end_x[1], peak, end_x[0]], [0, 0, height, ridge, height], near)
    else:
        gable = camera.project(end_x[[0, 1, 1, 0]], [0, 0, height, height], near)
    canvas.polygon(gable, canvas.tint(_lit(color, canvas.light[REAR]), near, BUILDING))
    canvas.upright(x, [near, far], 0, height, canvas.tint(_lit(color, front_light), middle, BUILDING))
    if not pitched:
        trim = canvas.tint(_lit(color, front_light * 0.75), middle, BUILDING)
        canvas.upright(x, [near, far], height - 0.45, height, trim)
    shop = floors > 2 and rng.chance(0.5)
    if shop:
        sill = canvas.tint(_lit(rng.color(_PLASTER), front_light * 0.5), middle, BUILDING)
        canvas.upright(x, [near, far], 0, 3.0, sill)
    _windows(canvas, rng, x, (near, far), height, floors, shop, _lit(color, front_light), pane)
    if deep != lateral and near > 6:
        _end_windows(canvas, rng, end_x, near, height, floors, pane)
    return ridge


def _windows(canvas, rng, x, depths, height, floors, shop, color, pane):
    near, far = depths
    storey = (height - 0.6) / floors
    columns = max(1, int((far - near) / rng.between(2.2, 3.2)))
    wide, tall = rng.between(0.38, 0.62), rng.between(0.45, 0.62)
    share = (np.arange(columns)[:, None] + 0.5 + np.array([-wide / 2, wide / 2])) / columns  # (C, 2)
    z = near + (far - near) * share
    window_x = x[0] + (x[1] - x[0]) * share
    if canvas.camera.focal * abs(x[0]) * (1 / near - 1 / far) / columns < 1.5:
        z, window_x = np.array([[near, far]]), x[None]  # too far for single windows: a band
    sills = np.arange(1 if shop else 0, floors)[:, None] * storey + 0.3 * storey + 0.2  # (F, 1)
    quads = _upright(canvas, window_x[None], z[None], sills, sills + tall * storey).reshape(-1, 4, 2)
    canvas.polygon(quads, canvas.tint(pane, near, BUILDING))
    frame = rng.pick((1.25, 0.7, 1.0))
    if frame != 1.0:
        canvas.lines(quads[:, [0, 3, 2, 1, 0]], canvas.tint(_lit(color, frame), near, BUILDING))
    if shop:
        canvas.polygon(
            _upright(canvas, window_x, z, np.full(len(z), 0.5), 2.4), canvas.tint((86, 92, 96), near, BUILDING)
        )
        if rng.chance(0.6):
            awning = rng.color(((170, 50, 45), (40, 90, 70), (50, 70, 130), (200, 170, 90)))
            canvas.upright(x, depths, 2.55, 3.15, canvas.tint(awning, near, BUILDING))
    else:
        door = rng.whole(0, len(z) - 1)
        entry = canvas.tint(rng.color(((92, 60, 40), (60, 74, 66), (120, 40, 36))), near, BUILDING)
        canvas.upright(window_x[door], z[door], 0, 2.2, entry)


def _end_windows(canvas, rng, end_x, z, height, floors, pane):
    storey = (height - 0.6) / floors
    share = np.array([[0.15, 0.3], [0.42, 0.57], [0.7, 0.85]])
    x = end_x[0] + (end_x[1] - end_x[0]) * share  # (3, 2)
    sills = np.arange(floors)[:, None] * storey + 0.3 * storey + 0.2
    quads = _upright(canvas, x[None], np.full((1, 3, 2), z), sills, sills + 0.5 * storey)
    canvas.polygon(quads.reshape(-1, 4, 2), canvas.tint(pane, z, BUILDING))


def wall(canvas: Canvas, rng: SceneRng, lateral: float, near: float, far: float, height: float, color) -> None:
    """A wall along the street with courses of stone and a coping; label wall."""
    camera = canvas.camera
    depths = np.array([max(near, 1.2), far])
    x = camera.world_x(lateral, depths)
    middle = float(depths.mean())
    light = canvas.light[0 if lateral > camera.lateral else 1]
    canvas.upright(x, depths, 0, height, canvas.tint(_lit(color, light), middle, WALL))
    mortar = canvas.tint(_lit(color, light * 0.72), middle, WALL)
    courses = np.linspace(0.0, height, max(3, int(height / 0.42)))[1:-1]
    canvas.lines(camera.project(x[None], courses[:, None], depths[None]), mortar)
    if far < 45:
        z = np.arange(depths[0], far, 0.9)
        rows = np.arange(len(z)) % 2
        steps = np.concatenate([[0.0], courses, [height]])
        for parity in (0, 1):
            bottoms, tops = steps[parity:-1:2], steps[parity + 1 :: 2]
            spots = z[rows == parity]
            if len(spots) and len(bottoms):
                spot_x = np.interp(spots, depths, x)
                grid = np.stack(np.broadcast_arrays(bottoms[:, None], tops[:, None]), -1)  # (courses, 1, 2)
                points = camera.project(spot_x[None, :, None], grid, spots[None, :, None]).reshape(-1, 2, 2)
                canvas.lines(points, mortar)
    canvas.upright(x, depths, height - 0.12, height + 0.1, canvas.tint(_lit(color, 1.15 * light), middle, WALL))


def fence(
    canvas: Canvas, rng: SceneRng, lateral: float, near: float, far: float, height: float, kind: str, color
) -> None:
    """A transparent fence along the street: "bars", "pickets" or "mesh"; all of it has label fence."""
    camera = canvas.camera
    depths = np.array([max(near, 1.2), far])
    x = camera.world_x(lateral, depths)
    fill = canvas.tint(color, float(depths.mean()), FENCE)
    outline = camera.project(x[[0, 1, 1, 0]], [0, 0, height, height], depths[[0, 1, 1, 0]])
    canvas.veil(outline, fill, {"bars": 0.25, "pickets": 0.35, "mesh": 0.3}[kind])
    step = {"bars": 0.3, "pickets": 0.4, "mesh": 0.5}[kind]
    # Bars closer than two pixels would be a plain area: every second, fourth... is enough there.
    while camera.focal * abs(x[1]) * step / far**2 < 1.2 and step < 4:
        step *= 2
    z = np.arange(depths[0], far, step)
    ends = np.stack([z, z + (0.5 * height if kind == "mesh" else 0.0)], 1)
    ends = np.minimum(ends, far)
    bars = camera.project(np.interp(ends, depths, x), np.array([0.05, height]), ends)
    canvas.lines(bars, fill, 0.1 * camera.focal / far if kind == "pickets" else 1)
    if kind == "mesh":
        canvas.lines(camera.project(np.interp(ends, depths, x), np.array([height, 0.05]), ends), fill)
        posts = np.arange(depths[0], far, 3.0)
        canvas.lines(
            camera.project(np.interp(posts, depths, x)[:, None], np.array([0.0, height]), posts[:, None]), fill, 2
        )
    rails = camera.project(x[None], np.array([[0.25], [height - 0.15]]), depths[None])
    canvas.lines(rails, fill, max(1.0, 0.06 * camera.focal / depths.mean()))


def hedge(canvas: Canvas, rng: SceneRng, lateral: float, near: float, far: float, height: float) -> None:
    """A clipped hedge along the street, 0.8 m thick; label vegetation."""
    camera = canvas.camera
    z = np.geomspace(max(near, 1.2), far, 24)
    x = camera.world_x(lateral, z)
    color = rng.color(_LEAVES, 8)
    thick = 0.8 if lateral > camera.lateral else -0.8
    crest = height + 0.25 * (rng.units(24) - 0.5)
    middle = float(z.mean())
    end = (x[0], x[0] + thick)
    canvas.upright(end, (z[0], z[0]), 0, height, canvas.tint(_lit(color, canvas.light[REAR] * 0.9), z[0], VEGETATION))
    top = camera.project(
        np.concatenate([x, x[::-1] + thick]), np.concatenate([crest, crest[::-1]]), np.concatenate([z, z[::-1]])
    )
    canvas.polygon(top, canvas.tint(_lit(color, 1.15), middle, VEGETATION))
    face = camera.project(
        np.concatenate([x, x[::-1]]), np.concatenate([crest, np.zeros(24)]), np.concatenate([z, z[::-1]])
    )
    light = canvas.light[0 if thick > 0 else 1]
    canvas.polygon(face, canvas.tint(_lit(color, light * 0.95), middle, VEGETATION))


def tree(canvas: Canvas, rng: SceneRng, x: float, z: float, height: float, kind: str) -> None:
    """A tree: "round", "poplar" or "conifer" crown with a trunk, or a "bush" without; label vegetation."""
    camera = canvas.camera
    scale = camera.focal / z
    foot_u = camera.center + x * scale
    if not -height * scale < foot_u < canvas.width + height * scale:
        return
    color = rng.color(_LEAVES, 10)
    trunk = {"round": 0.32, "poplar": 0.12, "conifer": 0.08, "bush": 0.0}[kind]
    wide = {"round": rng.between(0.3, 0.42), "poplar": 0.13, "conifer": 0.22, "bush": 0.6}[kind] * height
    if trunk:
        bark = canvas.tint(rng.color(_TRUNKS), z, VEGETATION)
        lean = rng.between(-0.3, 0.3)
        foot = (round(foot_u), round(camera.horizon + camera.height * scale))
        fork = (round(foot_u + lean * scale), round(camera.horizon + (camera.height - 0.6 * height) * scale))
        cv2.line(canvas.pixels, foot, fork, bark, max(1, round(0.045 * height * scale)))
    middle, half = height * (1 + trunk) / 2, height * (1 - trunk) / 2
    sun = 1 if canvas.light[1] > canvas.light[0] else -1
    row = camera.horizon + (camera.height - middle) * scale
    blobs = rng.pick(_crowns(kind)) * (sun * wide * scale, -half * scale) + (camera.center + x * scale, row)
    for points, light in zip(to_pixels(blobs), (0.78, 1.0, 1.22), strict=True):
        cv2.fillPoly(canvas.pixels, [points], canvas.tint(_lit(color, light), z, VEGETATION))


@functools.cache
def _crowns(kind: str) -> list[np.ndarray]:
    """Outlines of crowns of width and height 2 with the sun on the right: float64 (3 blobs, N, 2) each, y up.

    From the dark underside to the bright sunny side; each blob inside the outline of the one before.
    """
    generator = np.random.default_rng(len(kind))
    turn = np.linspace(0, 2 * np.pi, 30, endpoint=False)
    crowns = []
    for _ in range(96):
        blobs = []
        for size, shift, lift in ((1.0, 0.0, 0.0), (0.72, 0.16, 0.14), (0.4, 0.34, 0.32)):
            noise = 1 + 0.34 * (generator.random(30) - 0.5) + 0.1 * np.sin(3 * turn + generator.uniform(0, 6))
            across, up = np.cos(turn) * noise, np.sin(turn) * noise
            if kind == "conifer":
                across = across * np.clip(0.62 - 0.6 * np.sin(turn), 0.05, 1.2)
            blobs.append(np.stack([shift + size * across, lift + size * up], 1))
        crowns.append(np.stack(blobs))
    return crowns


def pick_wall_color(rng: SceneRng):
    """A colour for the walls of one side of the street."""
    return rng.color(_STONE)


def pick_fence_color(rng: SceneRng):
    """A colour for the fences of one side of the street."""
    return rng.color(_RAILING, 8)
