"""A network whose labels are known, a server in a thread, and requests to it."""

import contextlib
import email
import http.client
import io
import threading
import time
import types

import cv2
import numpy as np
from PIL import Image

from gun_jax.data.classes import ClassMap
from gun_jax.serving.application import build_application
from gun_jax.serving.labelling import Labeller
from gun_jax.serving.web_server import address, listen, web_server

CLASSES = ClassMap(("road", "car", "sky", "tree"), ((128, 64, 128), (0, 0, 142), (70, 130, 180), (107, 142, 35)))


class RedTells:
    """Stands in for a `Segmenter`: the class is a pixel's red // 64, and every offset is 2 pixels to the right."""

    classes = CLASSES
    max_pixels = 120 * 160

    def __call__(self, images):
        return images[..., 0] // 64

    def predict_with_offsets(self, image):
        return image[..., 0] // 64, np.full((*image.shape[:2], 2), (2, 0), np.float32)


class Gate(RedTells):
    """Waits until `open` is set; counts its calls, `count`, and how many run at once, `most`."""

    def __init__(self):
        self.open, self.inside, self.most, self.count = threading.Event(), 0, 0, 0

    def __call__(self, images):
        self.count += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.open.wait(20)
        time.sleep(0.01)
        self.inside -= 1
        return super().__call__(images)


@contextlib.contextmanager
def serving(labeller=None, max_bytes=10**6, **settings):
    """Runs a server in a thread and yields its address."""
    labeller = labeller or Labeller(RedTells(), 10**6)
    listening = listen("127.0.0.1", 0)
    server = web_server(build_application(labeller, "tested", "jax", max_bytes, **settings))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield address(listening)
    finally:
        server.should_exit = True
        thread.join()


def ask(url, method, path, body=None, **headers):
    """The response to a request: status, headers and content. Names of headers have _ instead of -."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    with contextlib.closing(connection):
        return types.SimpleNamespace(status=answer.status, headers=answer.headers, content=answer.read())


def parts_of_form(answer):
    """The files of a form by name."""
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + answer.content).get_payload()
    return {part.get_param("name", header="Content-Disposition"): part.get_payload(decode=True) for part in parts}


def as_file(image, kind="png", **how):
    """An image, uint8 (H, W, 3) RGB, as the bytes of a file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **how)
    return file.getvalue()


def from_file(content):
    """The numbers in a PNG file: (H, W), or (H, W, 3) RGB."""
    return np.asarray(Image.open(io.BytesIO(content)))


def quarters(height=96, width=128):
    """An image whose quarters have the reds 32, 96 (right), 160 (below) and 224: classes 0, 1, 2 and 3."""
    image = np.full((height, width, 3), (32, 200, 100), np.uint8)
    image[: height // 2, width // 2 :, 0] = 96
    image[height // 2 :, : width // 2, 0] = 160
    image[height // 2 :, width // 2 :, 0] = 224
    return image


def write_video(path, frames=50, size=(96, 128), codec="VP80"):
    """A video, 25 frames a second, of `quarters`, mirrored in every other second."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, size[::-1])
    assert writer.isOpened()
    for i in range(frames):
        image = quarters(*size)
        writer.write(np.ascontiguousarray((image if i // 25 % 2 == 0 else image[:, ::-1])[..., ::-1]))
    writer.release()


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
