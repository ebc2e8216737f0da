"""Writes results: overlays, colours, label images, and videos of them."""

import pathlib
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from gun_jax.data.classes import CITYSCAPES, ClassMap
from gun_jax.errors import InputError, check_choice
from gun_jax.prediction.frames import Frame
from gun_jax.system.files import UNFINISHED, atomic_write
from gun_jax.visualisation.palettes import draw_legend, draw_outlines, overlay_palette

KINDS = ("overlay", "colors", "train_ids", "label_ids")
_DRAWN = {"overlay": ".jpg", "colors": ".png"}  # for people to look at; a video's are a video
_VIDEO_ENDING, _CODEC = ".mp4", "mp4v"
_JPEG_QUALITY = 92
_MAX_REPEATED = 250  # times that a camera's frame is repeated to fill a gap


class Painter:
    """Draws labels in colours, alone or over their image.

    Args:
      classes: names and colours.
      opacity: weight of the colours over the image, 0 to 1.
      outlines: draw a line of one pixel between classes in overlays.
      legend: draw the names of the classes that occur into overlays.

    Raises:
      InputError: the opacity is out of range.
    """

    def __init__(self, classes: ClassMap, opacity: float, outlines: bool = False, legend: bool = False):
        if not 0 <= opacity <= 1:
            raise InputError(f"--opacity is {opacity}; expected 0 (only the image) to 1 (only the colours)")
        self._palette = classes.palette()[:, None]  # (256, 1, 3)
        self._overlay = overlay_palette(classes)
        self._names, self._opacity, self._outlines, self._legend = classes.names, opacity, outlines, legend

    def colors(self, labels: np.ndarray) -> np.ndarray:
        """Labels, uint8 (H, W), in colours, uint8 (H, W, 3) RGB."""
        return cv2.applyColorMap(labels, self._palette)

    def overlay(self, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The colours of labels over their image, uint8 (H, W, 3) RGB."""
        colors = cv2.applyColorMap(labels, self._overlay[:, None])
        mixed = cv2.addWeighted(image, 1 - self._opacity, colors, self._opacity, 0.0)
        if self._outlines:
            mixed = draw_outlines(mixed, labels)
        return draw_legend(mixed, labels, self._names, self._overlay) if self._legend else mixed


class Results:
    """Writes results to a folder, e.g. `NAME_overlay.jpg` and `NAME_train_ids.png`. A context.

    Overlays and colours of a video become a video, e.g. `NAME_overlay.mp4`; its label images fill a folder:
    `NAME_train_ids/000000.png` and so on. A video gets its name when it is complete.

    Args:
      folder: where the results go.
      kinds: some of `KINDS`.
      classes: names and colours of the labels.
      painter: draws the overlays and colours.

    Raises:
      InputError: unknown kind, or "label_ids" with classes other than Cityscapes'.
    """

    def __init__(self, folder: pathlib.Path, kinds: Sequence[str], classes: ClassMap, painter: Painter):
        for kind in kinds:
            check_choice("predict.py", "--write", kind, KINDS)
        if "label_ids" in kinds and classes.names != CITYSCAPES.names:
            raise InputError(
                f"--write=label_ids writes Cityscapes' label ids, but the network has other classes: "
                f"{', '.join(classes.names)}; use train_ids, the indices in this list"
            )
        self._folder, self._kinds, self._painter = folder, tuple(kinds), painter
        self._label_ids = np.resize(CITYSCAPES.file_values(), 256)
        self._videos: dict[pathlib.Path, _Video] = {}

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.finish(keep=kind is None or kind is KeyboardInterrupt)

    def finish(self, keep: bool = True) -> None:
        """Completes the open videos, or deletes them."""
        while self._videos:
            _, video = self._videos.popitem()
            try:
                video.close(keep)
            except InputError:
                self.finish(keep=False)
                raise

    def write(self, frame: Frame, labels: np.ndarray, overlay: np.ndarray | None = None) -> None:
        """Writes all kinds of a frame. Frames of a video must come in order, from one thread at a time.

        Args:
          frame: the labelled frame.
          labels: uint8 (H, W).
          overlay: uint8 (H, W, 3) RGB, if it is drawn already.

        Raises:
          InputError: a file cannot be written.
        """
        if frame.source.video and frame.number == 0:
            self.finish()  # the previous video
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
    """A video file being written; a camera's plays at the pace of its frames."""

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
            raise InputError(f"cannot write {path}; choose another --output, or free disk space")

    def add(self, frame: Frame, image: np.ndarray) -> None:
        """Appends a frame; a camera's is repeated or dropped to keep its time."""
        count = 1
        if frame.seconds is not None:
            count = min(_MAX_REPEATED, max(0, round(frame.seconds * frame.rate) + 1 - self._count))
        for _ in range(count):
            self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self._count += count

    def close(self, keep: bool) -> None:
        """Completes the file, or deletes it.

        Raises:
          InputError: frames are missing (OpenCV itself does not report failed writes), or renaming failed.
        """
        self._writer.release()
        if not keep:
            self._unfinished.unlink(missing_ok=True)
            return
        video = cv2.VideoCapture(str(self._unfinished))
        written = max(0, int(video.get(cv2.CAP_PROP_FRAME_COUNT)))
        video.release()
        if written != self._count:
            self._unfinished.unlink(missing_ok=True)
            raise InputError(
                f"cannot write {self._path}: {written} of {self._count} frames were written; free disk space"
            )
        try:
            self._unfinished.replace(self._path)
        except OSError as error:
            raise InputError(f"cannot write {self._path}: {error.strerror}; free disk space") from error


def _write_image(path: pathlib.Path, image: np.ndarray) -> None:
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix == ".jpg" else []
    atomic_write(path, cv2.imencode(path.suffix, image, quality)[1].tobytes())
