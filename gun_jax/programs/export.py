"""Exports a trained network for deployment.

    python export.py --workdir=runs/camvid --format=stablehlo|onnx|openvino|openvino-int8 [--size=360x480]
    python export.py --workdir=runs/camvid --format=openvino-int8 --calibration=FOLDER
    python export.py --workdir=runs/camvid --format=weights

Installed, the command is gun-export. The exported network maps uint8 RGB images to class numbers. It is written into
WORKDIR/export/, beside a JSON file that specifies its inputs and outputs; `evaluate.py --exported=JSON_FILE` scores it.
`weights` is a small folder, WORKDIR/export/weights, without the optimiser: all programs accept it as --workdir, and so
does `gun_jax.load_run`.
"""

import pathlib

from absl import flags

from gun_jax.errors import InputError
from gun_jax.export.spec import FORMATS
from gun_jax.programs import command_line

_WEIGHTS = "weights"
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; by default the newest one under runs/.")
_FORMAT = flags.DEFINE_enum("format", None, [*FORMATS, _WEIGHTS], "Format of the export.")
_SIZE = flags.DEFINE_string("size", None, "HEIGHTxWIDTH of the images; by default the size of the data's first image.")
_CALIBRATION = flags.DEFINE_string(
    "calibration", None, "Folder of images that calibrate int8; by default the run's training images."
)
_IMAGES = flags.DEFINE_integer("images", None, "Largest number of images that calibrate int8; by default 300.")
flags.DEFINE_alias("pictures", "images")  # its name in 0.1
_STEP = command_line.define_step()


def main() -> None:
    if _FORMAT.value is None:
        raise InputError(f"no format; name one of {', '.join([*FORMATS, _WEIGHTS])}, e.g. --format=onnx")
    size = command_line.parse_size("--size", _SIZE.value) if _SIZE.value else None
    from gun_jax.evaluation.evaluate import newest_run  # late: bad flags end the program at once
    from gun_jax.export.exporter import export, export_weights

    workdir = pathlib.Path(_WORKDIR.value) if _WORKDIR.value else newest_run()
    if _FORMAT.value == _WEIGHTS:
        if size or _CALIBRATION.value or _IMAGES.value is not None:
            raise InputError(
                "--format=weights copies the trained network; leave out --size, --calibration and --images"
            )
        export_weights(workdir, _STEP())
        return
    export(
        workdir,
        _FORMAT.value,
        size,
        pathlib.Path(_CALIBRATION.value) if _CALIBRATION.value else None,
        _IMAGES.value,
        _STEP(),
    )


def run() -> None:
    """The program."""
    command_line.run(main)
