"""Segments images, videos or a camera's stream.

    python predict.py street.jpg
    python predict.py shots/ "more/*.png" drive.mp4 --output=labelled --write=overlay,train_ids
    python predict.py --camera=0 --show
    python predict.py --workdir=runs/gun street.jpg --write=label_ids

Installed, the command is gun-predict. Without --workdir it uses a pretrained model (CamVid's 11 classes of street
scenes), by default --model=fast. Unreadable files are reported and skipped; the exit status is then 2.
"""

import pathlib

from absl import flags

from gun_jax.errors import InputError
from gun_jax.programs import command_line

_NETWORK = command_line.define_network()
_CAMERA = flags.DEFINE_integer("camera", None, "Number of a camera, e.g. 0.")
_OUTPUT = flags.DEFINE_string("output", "predictions", "Folder for the results.")
_WRITE = flags.DEFINE_list(
    "write", ["overlay"], "Results to write: overlay, colors, train_ids, label_ids (of Cityscapes); empty: none."
)
_OPACITY = flags.DEFINE_float("opacity", 0.5, "Opacity of the colours over the image, 0 to 1.")
_OUTLINES = flags.DEFINE_bool("outlines", True, "Draw a line of one pixel between classes in overlays.")
_LEGEND = flags.DEFINE_bool("legend", False, "Draw the names and colours of the classes that occur into overlays.")
_SHOW = flags.DEFINE_bool("show", False, "Show the results in a window; q closes it.")
_BATCH = flags.DEFINE_integer("batch", 1, "Largest number of images in a batch; images of one size share a batch.")
_THREADS = flags.DEFINE_integer("threads", 4, "Number of reader threads, and of writer threads.")
_FRAMES = flags.DEFINE_integer("frames", None, "Largest number of frames of each video and camera.")


def main(*images: str) -> None:
    for flag in (_BATCH, _THREADS, _FRAMES):
        if flag.value is not None and flag.value < 1:
            raise InputError(f"--{flag.name} is {flag.value}; expected 1 or more")
    if _CAMERA.value is not None and _CAMERA.value < 0:
        raise InputError(f"--camera is {_CAMERA.value}; expected 0 or more")
    network = _NETWORK()
    from gun_jax.prediction.run import run_prediction  # late: bad flags end the program at once

    run_prediction(
        images,
        camera=_CAMERA.value,
        **network,
        output=pathlib.Path(_OUTPUT.value),
        kinds=[kind for kind in _WRITE.value if kind],
        opacity=_OPACITY.value,
        outlines=_OUTLINES.value,
        legend=_LEGEND.value,
        show=_SHOW.value,
        batch=_BATCH.value,
        threads=_THREADS.value,
        max_frames=_FRAMES.value,
    )


def run() -> None:
    """The program."""
    command_line.run(main, "images")
