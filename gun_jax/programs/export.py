"""Writes a trained network in a form in which networks are deployed.

    python export.py --workdir=runs/camvid --format=stablehlo|onnx|openvino|openvino-int8 [--size=360x480]
    python export.py --workdir=runs/camvid --format=openvino-int8 --calibration=FOLDER
    python export.py --workdir=runs/camvid --format=weights

The network takes uint8 RGB images and gives class numbers. It goes to WORKDIR/export/, with a JSON file that says what
it takes and gives; `evaluate.py --exported=THAT_FILE` scores it. `weights` is a small folder, WORKDIR/export/weights,
that stands for the workdir: --workdir of all programs, and `gun_jax.load_run`, take it.
"""

import pathlib

from absl import flags

from gun_jax.errors import InputError
from gun_jax.export.spec import FORMATS
from gun_jax.programs import command_line

_WEIGHTS = "weights"
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; by default the newest one under runs/.")
_FORMAT = flags.DEFINE_enum("format", None, [*FORMATS, _WEIGHTS], "Of the file.")
_SIZE = flags.DEFINE_string("size", None, "HEIGHTxWIDTH of the images; by default that of the data's first image.")
_CALIBRATION = flags.DEFINE_string(
    "calibration", None, "Folder of images to calibrate 8 bits on; by default the run's training images."
)
_IMAGES = flags.DEFINE_integer("images", None, "How many images to calibrate 8 bits on, at most; by default 300.")
flags.DEFINE_alias("pictures", "images")  # its name in 0.1
_STEP = flags.DEFINE_integer("step", None, "Checkpoint to export; by default the newest.")


def main() -> None:
    if _FORMAT.value is None:
        raise InputError(f"no format; name one of {', '.join([*FORMATS, _WEIGHTS])}, as --format=onnx")
    size = command_line.parse_size("--size", _SIZE.value) if _SIZE.value else None
    from gun_jax.evaluation.evaluate import newest_run  # after the flags: bad ones are told at once
    from gun_jax.export.exporter import export, export_weights

    workdir = pathlib.Path(_WORKDIR.value) if _WORKDIR.value else newest_run()
    if _FORMAT.value == _WEIGHTS:
        if size or _CALIBRATION.value or _IMAGES.value is not None:
            raise InputError("--format=weights is the network as it was trained; leave out --size, --calibration, ...")
        export_weights(workdir, _STEP.value)
        return
    export(
        workdir,
        _FORMAT.value,
        size,
        pathlib.Path(_CALIBRATION.value) if _CALIBRATION.value else None,
        _IMAGES.value,
        _STEP.value,
    )


def run() -> None:
    """The program."""
    command_line.run(main)
