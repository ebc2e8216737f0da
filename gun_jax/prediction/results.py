"""What is written of labels: overlays, colours, label images, and videos of them."""

import pathlib
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from gun_jax.data.classes import CITYSCAPES, ClassMap
from gun_jax.errors import InputError, check_choice
from gun_jax.prediction.frames import Frame
from gun_jax.system.files import UNFINISHED, atomic_write

KINDS = ("overlay", "colors", "train_ids", "label_ids")
_DRAWN = {"overlay": ".jpg", "colors": ".png"}  # to be looked at; of a video they make a video
_VIDEO_ENDING, _CODEC = ".mp4", "mp4v"
_JPEG_QUALITY = 92
_MAX_REPEATED = 250  # frames of a camera's video, to fill a gap


class Painter:
    """Draws labels and overlays of them.

    Args:
      classes: names and colours.
      opacity: of the colours over the image, 0 to 1.

    Raises:
      InputError: an opacity beyond these.
    """

    def __init__(self, classes: ClassMap, opacity: float):
        if not 0 <= opacity <= 1:
            raise InputError(f"--opacity is {opacity}; expected 0 (the image alone) to 1 (the colours alone)")
        self._palette = classes.palette()[:, None]  # (256, 1, 3)
        self._opacity = opacity

    def colors(self, labels: np.ndarray) -> np.ndarray:
        """Colours, uint8 (H, W, 3) RGB, of labels, uint8 (H, W)."""
        return cv2.applyColorMap(labels, self._palette)

    def overlay(self, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Colours over the image, uint8 (H, W, 3) RGB."""
        return cv2.addWeighted(image, 1 - self._opacity, self.colors(labels), self._opacity, 0.0)


class Results:
    """Writes results below a folder, as `NAME_overlay.jpg` or `NAME_train_ids.png`; use it as a context.

    Of a video, what is to be looked at becomes a video, `NAME_overlay.mp4`, and label images a folder,
    `NAME_train_ids/000000.png` and so on. Videos appear under their names when they are whole.

    Args:
      folder: of the results.
      kinds: some of `KINDS`.
      classes: of the labels.
      painter: draws.

    Raises:
      InputError: another kind, or Cityscapes' label ids of other classes.
    """

    def __init__(self, folder: pathlib.Path, kinds: Sequence[str], classes: ClassMap, painter: Painter):
        for kind in kinds:
            check_choice("predict.py", "--write", kind, KINDS)
        if "label_ids" in kinds and classes.names != CITYSCAPES.names:
            raise InputError(
                f"--write=label_ids are Cityscapes' numbers, but the network has other classes: "
                f"{', '.join(classes.names)}; take train_ids, their places in this list"
            )
        self._folder, self._kinds, self._painter = folder, tuple(kinds), painter
        self._label_ids = np.resize(CITYSCAPES.file_values(), 256)
        self._videos: dict[pathlib.Path, _Video] = {}

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.finish(whole=kind is None or kind is KeyboardInterrupt)

    def finish(self, whole: bool = True) -> None:
        """Ends the videos, which then have their names; those that are not `whole` go."""
        while self._videos:
            _, video = self._videos.popitem()
            try:
                video.close(whole)
            except InputError:
                self.finish(whole=False)
                raise

    def write(self, frame: Frame, labels: np.ndarray, overlay: np.ndarray | None = None) -> None:
        """Writes all kinds of a frame; the frames of a video are to come in their order, from one thread at a time.

        Args:
          frame: what is labelled.
          labels: uint8 (H, W).
          overlay: if it was drawn already.

        Raises:
          InputError: a file cannot be written.
        """
        if frame.source.video and frame.number == 0:
            self.finish()  # those of the video before
        draw: dict[str, Callable[[], np.ndarray]] = {
            "overlay": lambda: self._painter.overlay(frame.image, labels) if overlay is None else overlay,
            "colors": lambda: self._painter.colors(labels),
            "train_ids": lambda: labels,
            "label_ids": lambda: self._label_ids[labels],
        }
        for kind in self._kinds:
            path = self._folder / f"{frame.source.name}_{kind}"
            if not frame.source.video:
                _write_image(path.with_name(path.name + _DRAWN.get(kind, ".png")), draw[kind]())
            elif kind in _DRAWN:
                path = path.with_name(path.name + _VIDEO_ENDING)
                if path not in self._videos:
                    self._videos[path] = _Video(path, frame)
                self._videos[path].add(frame, draw[kind]())
            else:
                _write_image(path / f"{frame.number:06}.png", draw[kind]())


class _Video:
    """A video file while it is written; of a camera, in the time in which its frames came."""

    def __init__(self, path: pathlib.Path, first: Frame):
        self._path, self._count = path, 0
        self._unfinished = path.with_name(f".{path.stem}{UNFINISHED}{_VIDEO_ENDING}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}; choose another --output") from error
        height, width = first.image.shape[:2]
        code = cv2.VideoWriter.fourcc(*_CODEC)
        self._writer = cv2.VideoWriter(str(self._unfinished), code, first.rate, (width, height))
        if not self._writer.isOpened():
            raise InputError(f"cannot write {path}; choose another --output, or make room")

    def add(self, frame: Frame, picture: np.ndarray) -> None:
        """Appends a frame; of a camera as often as its time asks for."""
        due = 1
        if frame.seconds is not None:
            due = min(_MAX_REPEATED, max(0, round(frame.seconds * frame.rate) + 1 - self._count))
        for _ in range(due):
            self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        self._count += due

    def close(self, whole: bool) -> None:
        """Ends the file, which goes if it is not `whole`.

        Raises:
          InputError: not all frames are there, of which OpenCV does not tell, or the file cannot have its name.
        """
        self._writer.release()
        if not whole:
            self._unfinished.unlink(missing_ok=True)
            return
        video = cv2.VideoCapture(str(self._unfinished))
        there = max(0, int(video.get(cv2.CAP_PROP_FRAME_COUNT)))
        video.release()
        if there != self._count:
            self._unfinished.unlink(missing_ok=True)
            raise InputError(f"cannot write {self._path}: {there} of {self._count} frames are there; make room")
        try:
            self._unfinished.replace(self._path)
        except OSError as error:
            raise InputError(f"cannot write {self._path}: {error.strerror}; make room") from error


def _write_image(path: pathlib.Path, picture: np.ndarray) -> None:
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix == ".jpg" else []
    atomic_write(path, cv2.imencode(path.suffix, picture, quality)[1].tobytes())
