"""Light and air: time of day, sky, visibility, and the camera's processing of the finished image."""

import dataclasses

import cv2
import numpy as np

from gun_jax.data.synthetic.canvas import BUILDING, FENCE, SKY, TERRAIN, VEGETATION, WALL, Canvas
from gun_jax.data.synthetic.scene_rng import SceneRng, texture_crop

# kind: (sky above, sky at the horizon, cloud colour, haze density range, direct sun, tint of the image)
_KINDS = {
    "clear": ((92, 146, 215), (190, 214, 236), (246, 247, 250), (0.0005, 0.004), 1.0, (1.03, 1.0, 0.95)),
    "cloudy": ((150, 172, 200), (208, 216, 224), (232, 233, 236), (0.002, 0.008), 0.5, (1.0, 1.0, 1.0)),
    "overcast": ((178, 183, 189), (212, 214, 214), (160, 164, 170), (0.004, 0.012), 0.0, (0.97, 0.99, 1.03)),
    "fog": ((196, 199, 202), (208, 210, 211), (200, 203, 206), (0.014, 0.026), 0.0, (1.0, 1.0, 1.01)),
    "dusk": ((88, 96, 142), (236, 178, 134), (206, 150, 142), (0.002, 0.008), 0.6, (0.98, 0.88, 0.87)),
}
_SHARE = ("clear",) * 4 + ("cloudy",) * 3 + ("overcast",) * 2 + ("fog",) + ("dusk",) * 2


@dataclasses.dataclass(frozen=True)
class Weather:
    """The light of one scene.

    Attributes:
      zenith, skyline, cloud: RGB of the sky above, at the horizon and of its clouds, 0 to 255.
      haze: what far things fade to, RGB, and its density per metre.
      sun: 0 (no shadows) to 1.
      sun_side: where the sun stands, -1 (left) to 1 (right); shadows fall the other way.
      light: brightness of faces by facing, float64 (6,); see `Canvas`.
      gain: of the image by channel, float64 (3,); gamma: its exponent.
    """

    zenith: np.ndarray
    skyline: np.ndarray
    cloud: np.ndarray
    haze: tuple[np.ndarray, float]
    sun: float
    sun_side: float
    light: np.ndarray
    gain: np.ndarray
    gamma: float

    @classmethod
    def draw(cls, rng: SceneRng) -> "Weather":
        """Draws a random one."""
        zenith, skyline, cloud, density, sun, tint = _KINDS[rng.pick(_SHARE)]
        shift = np.array([rng.between(-12, 12) for _ in range(3)])
        skyline = np.array(skyline) + shift
        sun = sun * rng.between(0.7, 1.0)
        side = rng.pick((-1, 1)) * rng.between(0.35, 1.0)
        behind = rng.between(-0.5, 0.7)  # the sun behind the camera lights what faces it
        light = np.array([0.86 - 0.2 * sun * side, 0.86 + 0.2 * sun * side, 0.86 + 0.2 * sun * behind,
                          0.86 - 0.2 * sun * behind, 1.0 + 0.1 * sun, 0.98])  # fmt: skip
        return cls(
            zenith=np.array(zenith) + shift,
            skyline=skyline,
            cloud=np.array(cloud) + shift / 2,
            haze=(skyline * 0.97, rng.between(*density)),
            sun=sun,
            sun_side=side,
            light=light,
            gain=np.array(tint) * rng.between(0.92, 1.18) * np.array([rng.between(0.97, 1.03) for _ in range(3)]),
            gamma=rng.between(0.8, 1.1),
        )


def paint_sky(canvas: Canvas, weather: Weather, rng: SceneRng) -> None:
    """Fills everything above the horizon (and the row below): a gradient, clouds over it."""
    rows = min(max(int(canvas.camera.horizon) + 2, 1), canvas.height)
    blend = (np.linspace(0, 1, rows) ** 1.4)[:, None]
    gradient = weather.zenith * (1 - blend) + weather.skyline * blend
    sky = np.empty((rows, 1, 4), np.uint8)
    sky[:, 0, :3] = np.clip(gradient, 0, 255)
    sky[..., 3] = SKY
    region = canvas.pixels[:rows]
    region[:] = sky
    clouds = texture_crop("clouds", rows, canvas.width, rng, _detail(canvas))
    cover = rng.between(100, 175)  # noise above this is cloud
    table = np.clip((np.arange(256) - cover) * rng.between(3.0, 6.0), 0, 210).astype(np.uint8)
    opacity = cv2.cvtColor(cv2.LUT(clouds, table), cv2.COLOR_GRAY2RGBA)
    opacity[..., 3] = 0
    color = np.full((1, 1, 4), SKY, np.uint8)
    color[..., :3] = np.clip(weather.cloud, 0, 255)
    cloud_image = np.broadcast_to(color, region.shape)
    region[:] = cv2.add(
        cv2.multiply(region, cv2.bitwise_not(opacity), scale=1 / 255),
        cv2.multiply(np.ascontiguousarray(cloud_image), opacity, scale=1 / 255),
    )


# Surface texture of each class at close range; all others are "plain". The ground has its grain in perspective already.
_SURFACES = (("leaves", VEGETATION), ("grass", TERRAIN), ("plaster", BUILDING), ("plaster", WALL), ("plaster", FENCE))


def develop(canvas: Canvas, weather: Weather, rng: SceneRng) -> tuple[np.ndarray, np.ndarray]:
    """The image the camera takes of the finished canvas, and its label.

    Surface texture by class, the light's gain, tint and gamma, a slight blur and sensor noise.

    Returns:
      image uint8 (H, W, 3) RGB, label uint8 (H, W).
    """
    height, width, detail = canvas.height, canvas.width, _detail(canvas)
    image = cv2.cvtColor(canvas.pixels, cv2.COLOR_RGBA2RGB)
    label = cv2.extractChannel(canvas.pixels, 3)
    grain = texture_crop("plain", height, width, rng, detail).copy()
    for name in ("leaves", "grass", "plaster"):
        crop = texture_crop(name, height, width, rng, detail)
        for surface, class_id in _SURFACES:
            if surface == name:
                cv2.copyTo(crop, cv2.inRange(label, class_id, class_id), grain)
    image = cv2.multiply(image, cv2.cvtColor(grain, cv2.COLOR_GRAY2RGB), scale=1 / 128)
    levels = 255 * (np.arange(256) / 255) ** weather.gamma
    table = np.clip(levels[:, None] * weather.gain, 0, 255).astype(np.uint8)[None]
    image = cv2.LUT(image, table)
    image = cv2.GaussianBlur(image, (3, 3), rng.between(0.35, 0.55))
    noise = texture_crop("sensor", height, width, rng)
    strength = rng.between(0.2, 0.6)
    image = cv2.addWeighted(image, 1.0, np.ascontiguousarray(noise), strength, -128 * strength)
    return image, label


def _detail(canvas: Canvas) -> int:
    return max(1, round(canvas.height / 256))
