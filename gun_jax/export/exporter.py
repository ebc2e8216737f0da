"""Exports a trained run: a file for the network, and a JSON file that describes it."""

import contextlib
import functools
import importlib
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import cv2
import jax.numpy as jnp
import numpy as np
import rich.console

from gun_jax.configuration import describe_network
from gun_jax.data.folders import FolderSource
from gun_jax.data.sources import Source, load_source
from gun_jax.errors import InputError, check_choice, check_count
from gun_jax.export.spec import FORMATS, ExportSpec, versions
from gun_jax.models.counting import parameters
from gun_jax.runs.loading import Trained, load_checkpoint
from gun_jax.runs.workdir import EXPORT, SAVED_NAME, save_config
from gun_jax.version import __version__
from gun_jax.weights.npz import NAME as WEIGHTS
from gun_jax.weights.npz import write_weights

_MIN_SIDE = 64  # pixels, where the export fixes the size
_IMAGES = 300  # for calibration
_OPENVINO = ("onnx", "gun_jax.export.quiet_openvino")
_MODULES = {"stablehlo": (), "onnx": ("onnx",), "openvino": _OPENVINO, "openvino-int8": (*_OPENVINO, "nncf")}


def export(
    workdir: pathlib.Path,
    format: str,
    size: tuple[int, int] | None = None,
    calibration: pathlib.Path | None = None,
    images: int | None = None,
    step: int | str | None = None,
) -> pathlib.Path:
    """Writes `WORKDIR/export/FORMAT.*`: a trained network and its JSON file.

    Args:
      workdir: folder of the run.
      format: one of `FORMATS`.
      size: (height, width) of images and labels, fixed in all formats but StableHLO; by default that of the first
        image of `calibration`, or else of the run's data.
      calibration: folder of images for "openvino-int8", similar to those of the later use; by default the run's
        training images. Images of another size are resized.
      images: largest number of calibration images, spread evenly over the folder; by default 300.
      step: number of the checkpoint; by default the newest.

    Returns:
      The path of the JSON file.

    Raises:
      InputError: no such run, format or folder; no size is given and no image found; a package of the `export` extra
        is missing; or the files cannot be written. An earlier export stays intact.
    """
    check_choice("export", "format", format, FORMATS)
    if format != "openvino-int8":
        for flag, value in (("calibration", calibration), ("images", images)):
            if value is not None:
                raise InputError(f"--{flag} only applies to --format=openvino-int8, not {format}; leave it out")
    if images is None:
        images = _IMAGES
    check_count("export", "images", images)
    if size and format == "stablehlo":
        raise InputError("--size does not apply to --format=stablehlo, which takes images of any size; leave it out")
    if size and min(size) < _MIN_SIDE:
        raise InputError(f"--size is {size[0]}x{size[1]}; expected {_MIN_SIDE} pixels or more on each side")
    _check_packages(format)
    trained = load_checkpoint(workdir, step)
    console = rich.console.Console(highlight=False, markup=False)
    spec, file = (workdir / EXPORT / f"{format}{ending}" for ending in (".json", FORMATS[format]))
    origin = {
        "workdir": workdir.name,
        "step": trained.step,
        "model": trained.config.model.to_dict(),
        "versions": versions("jax", "flax") | {"gun_jax": __version__},
    }
    if format == "stablehlo":
        from gun_jax.export.stablehlo import MIN_SIDE, PLATFORMS, stablehlo_network

        size, min_size = None, (MIN_SIDE, MIN_SIDE)
        network = stablehlo_network(trained.model, trained.variables)
        origin["platforms"] = list(PLATFORMS)
    elif format == "openvino-int8":
        source = _images(trained, calibration, trained.config.data.train_split)
        size = min_size = size or _image_size(source)
        chosen = np.unique(np.linspace(0, len(source) - 1, min(images, len(source))).round().astype(int)).tolist()
        console.print(f"calibrating on {len(chosen)} images of {source}", soft_wrap=True)
        network = _by_onnx(trained, format, size, (chosen, functools.partial(_image, source, size)))
        origin["calibration"] = {"images": str(source), "count": len(chosen)}
    else:
        size = min_size = size or _image_size(_images(trained, None, trained.config.data.eval_split))
        network = _by_onnx(trained, format, size)
    _replace(spec, file, network)
    ExportSpec(format, file.name, size, min_size, trained.classes, origin).write(spec)
    megabytes = sum(part.stat().st_size for part in {file, file.with_suffix(".bin")} if part.exists()) / 1e6
    console.print(f"wrote {file} ({megabytes:.0f} MB) and {spec.name} from step {trained.step}", soft_wrap=True)
    return spec


def export_weights(workdir: pathlib.Path, step: int | str | None = None) -> pathlib.Path:
    """Writes `WORKDIR/export/weights/`: a small folder that `gun_jax.load_run` and all programs accept as a workdir.

    Args:
      workdir: folder of the run.
      step: number of the checkpoint; by default the newest.

    Returns:
      The path of the folder.

    Raises:
      InputError: no such run, a weight beyond the range of 16-bit floats, or the files cannot be written.
    """
    trained = load_checkpoint(workdir, step)
    folder = workdir / EXPORT / "weights"
    config = trained.config.copy_and_resolve_references()
    config.data.dir = config.init = ""  # paths of this machine
    network = describe_network(config.model, len(trained.classes))
    with contextlib.suppress(OSError):
        (folder / WEIGHTS).unlink()  # they must not lie beside the configuration of another network
    save_config(folder, config, trained.classes, parameters(trained.variables["params"]), trained.image_size)
    write_weights(folder / WEIGHTS, trained.variables, network, trained.step)
    megabytes = (folder / WEIGHTS).stat().st_size / 1e6
    print(f"wrote {folder / WEIGHTS} ({megabytes:.1f} MB) and {SAVED_NAME} from step {trained.step}")
    return folder


def _check_packages(format: str) -> None:
    try:
        for name in _MODULES[format]:
            importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"--format={format} needs {error.name}, from the `export` extra: make install EXTRAS=test,export"
        ) from error


def _by_onnx(
    trained: Trained,
    format: str,
    size: tuple[int, int],
    calibration: tuple[list[int], Callable[[int], np.ndarray]] | None = None,
) -> Any:
    """ONNX as bytes, or an OpenVINO network made from it; `calibration` is the last two arguments of `quantise`."""
    from gun_jax.export.onnx_network import onnx_network

    network = onnx_network(trained.model.clone(dtype=jnp.float32), trained.variables, size, size)
    if format == "onnx":
        return network.SerializeToString()
    from gun_jax.export.openvino_network import openvino_network, quantise

    converted = openvino_network(network)
    return quantise(converted, *calibration) if calibration else converted


def _replace(spec: pathlib.Path, file: pathlib.Path, network: Any) -> None:
    """Writes a network, bytes or OpenVINO's, completely or not at all, and deletes the JSON file of the earlier one.

    Raises:
      InputError: the file cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".unfinished-") as folder:
            unfinished = pathlib.Path(folder, file.name)
            if isinstance(network, bytes):
                unfinished.write_bytes(network)
            else:
                from gun_jax.export.openvino_network import write_network

                write_network(network, unfinished)
            spec.unlink(missing_ok=True)  # it must not describe another network
            for part in pathlib.Path(folder).iterdir():
                part.replace(file.with_name(part.name))
    except OSError as error:
        raise InputError(
            f"cannot write {file} and {spec.name}: {error.strerror}; remove what is in the way, or choose a "
            "writable --workdir"
        ) from error


def _images(trained: Trained, folder: pathlib.Path | None, split: str) -> Source:
    """The images of a folder, or without one, of a split of the run's data."""
    if folder:
        return FolderSource(folder, None, trained.classes)
    return load_source(trained.config.data, split, labelled=False)


def _image_size(source: Source) -> tuple[int, int]:
    height, width, _ = source[0]["image"].shape
    return height, width


def _image(source: Source, size: tuple[int, int], index: int) -> np.ndarray:
    """An image at the network's size, uint8 (1, H, W, 3)."""
    image = source[index]["image"]
    if image.shape[:2] != size:
        image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    return image[None]
