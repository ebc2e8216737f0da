"""Finds inputs: images, folders, patterns, videos, a camera."""

import dataclasses
import glob
import pathlib
from collections.abc import Iterable, Iterator, Sequence

from gun_jax.data.folders import IMAGE_ENDINGS
from gun_jax.errors import InputError

VIDEO_ENDINGS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".mjpeg")


@dataclasses.dataclass(frozen=True)
class Input:
    """An image, a video or a camera.

    Attributes:
      path: file of the image or video, or number of the camera.
      name: path of the results, relative to the output folder and without an ending.
      video: whether it is a video or a camera.
    """

    path: pathlib.Path | int
    name: str
    video: bool

    def __str__(self) -> str:
        return f"camera {self.path}" if isinstance(self.path, int) else str(self.path)


def find_inputs(arguments: Sequence[str], camera: int | None, output: pathlib.Path) -> tuple[list[Input], list[str]]:
    """Finds the inputs that a command line names.

    A folder stands for all images and videos in it and its subfolders, except those in the output folder. Pipes and
    files with one of `VIDEO_ENDINGS` are videos.

    Args:
      arguments: files, folders, or patterns, e.g. `shots/*.jpg` and `**/*.png`.
      camera: the number of a camera, which comes last.
      output: folder of the results.

    Returns:
      The inputs, with distinct names, and a message for each argument without an input.

    Raises:
      InputError: there is no argument and no camera, or a folder is the output folder.
    """
    if not arguments and camera is None:
        raise InputError("nothing to label; name images, folders or videos, e.g. street.jpg, or a camera: --camera=0")
    found: list[tuple[pathlib.Path, pathlib.PurePath]] = []
    missing = []
    for argument in arguments:
        files = list(_files(argument, output))
        found += files
        if not files:
            missing.append(f"{argument}: no such file; no image or video found")
    unique = dict.fromkeys(found)
    cameras = [] if camera is None else [camera]
    names = _names([relative for _, relative in unique] + [pathlib.PurePath(f"camera{number}") for number in cameras])
    inputs = [Input(path, name, _is_video(path)) for (path, _), name in zip(unique, names, strict=False)]
    return inputs + [Input(number, names[-1], True) for number in cameras], missing


def _files(argument: str, output: pathlib.Path) -> Iterator[tuple[pathlib.Path, pathlib.PurePath]]:
    """The files that an argument stands for, with their paths relative to the named folder."""
    path = pathlib.Path(argument).expanduser()
    if path.is_dir():
        if path.resolve() == output.resolve():
            raise InputError(f"--output is {output}, the folder of the images; choose another folder")
        for file in sorted(path.rglob("*")):
            relative = file.relative_to(path)
            hidden = any(part.startswith(".") for part in relative.parts)
            known = file.suffix.lower() in IMAGE_ENDINGS + VIDEO_ENDINGS
            if known and not hidden and file.is_file() and output.resolve() not in file.resolve().parents:
                yield file, relative
    elif path.exists():
        yield path, pathlib.PurePath(path.name)
    else:
        for match in sorted(glob.glob(str(path), recursive=True)):
            file = pathlib.Path(match)
            if file.is_file() and output.resolve() not in file.resolve().parents:
                yield file, pathlib.PurePath(file.name)


def _names(paths: Iterable[pathlib.PurePath]) -> list[str]:
    """Distinct names: each path without its ending; where that is taken, with it, and then with a number."""
    taken: set[str] = set()
    names = []
    for path in paths:
        name, number = path.with_suffix("").as_posix(), 1
        while name in taken:
            name, number = path.as_posix() + (f"-{number}" if number > 1 else ""), number + 1
        taken.add(name)
        names.append(name)
    return names


def _is_video(path: pathlib.Path) -> bool:
    return path.suffix.lower() in VIDEO_ENDINGS or path.is_fifo()
