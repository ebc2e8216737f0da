"""Labels your images, videos or camera.

    python predict.py street.jpg
    python predict.py shots/ "more/*.png" drive.mp4 --output=labelled --write=overlay,train_ids
    python predict.py --camera=0 --show
    python predict.py --workdir=runs/gun street.jpg --write=label_ids

Without --workdir the network that comes with the package does it, which knows CamVid's 11 classes of street scenes.
What cannot be read is named and left out; the exit status is 2 then.
"""

import pathlib

from absl import flags

from gun_jax.errors import InputError
from gun_jax.programs import command_line

_NETWORK = command_line.define_network()
_CAMERA = flags.DEFINE_integer("camera", None, "Number of a camera, as 0.")
_OUTPUT = flags.DEFINE_string("output", "predictions", "Folder for results.")
_WRITE = flags.DEFINE_list(
    "write", ["overlay"], "What: overlay, colors, train_ids, label_ids (Cityscapes'); empty for nothing."
)
_OPACITY = flags.DEFINE_float("opacity", 0.5, "Of the colours over the image, 0 to 1.")
_SHOW = flags.DEFINE_bool("show", False, "Also shows it in a window; q ends.")
_BATCH = flags.DEFINE_integer("batch", 1, "Images of one size at a time, at most; for GPUs.")
_THREADS = flags.DEFINE_integer("threads", 4, "That read, and that write.")
_FRAMES = flags.DEFINE_integer("frames", None, "Of each video and camera, at most.")


def main() -> None:
    for flag in (_BATCH, _THREADS, _FRAMES):
        if flag.value is not None and flag.value < 1:
            raise InputError(f"--{flag.name} is {flag.value}; expected 1 or more")
    if _CAMERA.value is not None and _CAMERA.value < 0:
        raise InputError(f"--camera is {_CAMERA.value}; expected 0 or more")
    network = _NETWORK()
    from gun_jax.prediction.run import run_prediction  # after the flags: bad ones are told at once

    run_prediction(
        command_line.other_arguments(),
        camera=_CAMERA.value,
        **network,
        output=pathlib.Path(_OUTPUT.value),
        kinds=[kind for kind in _WRITE.value if kind],
        opacity=_OPACITY.value,
        show=_SHOW.value,
        batch=_BATCH.value,
        threads=_THREADS.value,
        max_frames=_FRAMES.value,
    )


def run() -> None:
    """The program."""
    command_line.run(main, "images")
