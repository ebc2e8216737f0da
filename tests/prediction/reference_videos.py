"""Videos and images of drawn scenes."""

import cv2
import numpy as np

from gun_jax.data.synthetic import SyntheticScenes


def scenes(count, size=(64, 128), seed=2):
    source = SyntheticScenes(count, size, seed=seed)
    return np.stack([source[i]["image"] for i in range(count)])


def write_image(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1])
    return path


def write_video(path, images, rate=12.5, code="mp4v"):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), rate, images.shape[2:0:-1])
    for image in images:
        writer.write(np.ascontiguousarray(image[..., ::-1]))
    writer.release()
    return path


def read_video(path):
    """All frames, uint8 (N, H, W, 3) RGB, and frames a second."""
    video = cv2.VideoCapture(str(path))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1][..., ::-1])
    return np.array(frames), video.get(cv2.CAP_PROP_FPS)
