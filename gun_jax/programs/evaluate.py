"""Evaluates a trained network: IoU of each class, mIoU, pixel accuracy; panels and a report that show the errors.

    python evaluate.py [--workdir=runs/camvid] [--split=val] [--panels=8]
    python evaluate.py --workdir=runs/camvid --report
    python evaluate.py --workdir=runs/camvid --step=best --flip --scales=0.75,1,1.25 --boundary_iou
    python evaluate.py --workdir=runs/fusion --trimap --against=runs/baseline,runs/high_res
    python evaluate.py --workdir=runs/gun --split=test --submission=gun-test
    python evaluate.py --exported=runs/camvid/export/openvino-int8.json

Installed, the command is gun-evaluate. It writes into WORKDIR/evaluation/. A submission is a folder and a zip file.
"""

import pathlib
import signal
from typing import Any

from absl import flags

from gun_jax.errors import InputError
from gun_jax.programs import command_line
from gun_jax.system import distributed

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; by default the newest one under runs/.")
_SPLIT = flags.DEFINE_string("split", None, "Split of the data set; by default the run's data.eval_split.")
_PANELS = flags.DEFINE_integer("panels", 0, "Number of images to draw as panels: image, label, prediction and errors.")
_STEP = command_line.define_step()
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Folder of the data, if it has moved since the training.")
_TRIMAP = flags.DEFINE_bool(
    "trimap", False, "Compute mIoU by the distance from boundaries (the paper's Figure 4), and draw crops."
)
_AGAINST = flags.DEFINE_list("against", [], "Runs to compare by --trimap, e.g. runs/baseline,runs/high_res.")
_REPORT = flags.DEFINE_bool("report", False, "Write an HTML page with all scores, and the worst and best images.")
_REPORT_IMAGES = flags.DEFINE_integer("report_images", 4, "Number of worst and of best images in the report.")
flags.DEFINE_alias("report_pictures", "report_images")  # its name in 0.1
_FLIP = flags.DEFINE_bool("flip", False, "Average the predictions for each image and its mirror image.")
_SCALES = flags.DEFINE_list("scales", ["1"], "Average the predictions at these factors on the size: 0.75,1,1.25.")
_BATCH = flags.DEFINE_integer("batch", None, "Images in a batch; by default the run's batch_size.", lower_bound=1)
_WINDOW = flags.DEFINE_string("window", None, "HEIGHTxWIDTH: cut larger images into overlapping windows of this size.")
_OVERLAP = flags.DEFINE_float("overlap", 1 / 3, "Least overlap of neighbouring windows, as a share of their sides.")
_BOUNDARY = flags.DEFINE_bool("boundary_iou", False, "Compute boundary IoU (Cheng et al., 2021).")
_BOUNDARY_SHARE = flags.DEFINE_float(
    "boundary_share", 0.02, "Width of the bands of --boundary_iou, as a share of the image's diagonal."
)
_PER_IMAGE = flags.DEFINE_bool(
    "per_image",
    False,
    "Write mIoU and accuracy of each image, SPLIT-images.json, and the confusion matrices, SPLIT-images.npz.",
)
_PARTIAL = flags.DEFINE_bool("partial", False, "Accept a split with missing images.")
_SUBMISSION = flags.DEFINE_string("submission", None, "Folder for a submission to the Cityscapes server.")
_EXPORTED = flags.DEFINE_string(
    "exported", None, "JSON file of an exported network to evaluate; the default workdir is its run."
)

command_line.define_processes()


_BESIDES = (_PANELS, _TRIMAP, _AGAINST, _REPORT, _BOUNDARY, _PER_IMAGE)
_VIEWS = (_FLIP, _SCALES, _WINDOW)


def main() -> None:
    from gun_jax.evaluation import evaluate as evaluation  # late: bad flags end the program at once

    alone = (_PANELS, _TRIMAP, _REPORT, _BOUNDARY, _PER_IMAGE, _SUBMISSION, _EXPORTED)
    if any(flag.value for flag in alone) or _SUBMISSION.value is not None:
        distributed.expect_one("--panels, --trimap, --report, --boundary_iou, --per_image, --submission and --exported")
    for flag, needed in ((_REPORT_IMAGES, _REPORT), (_OVERLAP, _WINDOW), (_BOUNDARY_SHARE, _BOUNDARY)):
        if flag.present and not needed.value:
            raise InputError(f"--{flag.name} needs --{needed.name}; add --{needed.name}")
    if distributed.is_distributed():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # JAX's runtime catches it, for trainings
    exported = pathlib.Path(_EXPORTED.value) if _EXPORTED.value else None
    if _WORKDIR.value:
        workdir = pathlib.Path(_WORKDIR.value)
    else:
        workdir = exported.absolute().parent.parent if exported else evaluation.newest_run()
    place: dict[str, Any] = {"split": _SPLIT.value, "data_dir": _DATA_DIR.value, "partial": _PARTIAL.value}
    if _SUBMISSION.value is not None:
        _refuse("--submission only writes files for the server", *_BESIDES, _EXPORTED, _BATCH)
        evaluation.submit(workdir, pathlib.Path(_SUBMISSION.value), step=_STEP(), views=_views(), **place)
    elif exported:
        _refuse("--exported only scores", *_BESIDES, *_VIEWS, flags.FLAGS["step"])
        from gun_jax.export.exported import load_exported

        network = load_exported(exported)
        classes, step = network.spec.classes, network.spec.origin["step"]
        place["batch_size"] = _BATCH.value
        evaluation.evaluate_exported(workdir, exported, network.label_at, classes, step, **place)
    else:
        evaluation.evaluate(
            workdir,
            panels=_PANELS.value,
            trimap=_TRIMAP.value,
            against=[pathlib.Path(other) for other in _AGAINST.value],
            report=_REPORT.value,
            report_images=_REPORT_IMAGES.value,
            views=_views(),
            batch_size=_BATCH.value,
            boundary_share=_BOUNDARY_SHARE.value if _BOUNDARY.value else None,
            each_image=_PER_IMAGE.value,
            step=_STEP(),
            **place,
        )


def _refuse(reason: str, *others: flags.FlagHolder | flags.Flag) -> None:
    """Raises an InputError if one of the other flags is on the command line."""
    given = [f"--{flag.name}" for flag in others if flag.present and flag.value != flag.default]
    if given:
        raise InputError(f"{reason}; leave out {' and '.join(given)}")


def _views() -> Any:
    from gun_jax.evaluation.views import Views

    try:
        scales = tuple(map(float, _SCALES.value))
    except ValueError as error:
        raise InputError(f"--scales is {','.join(_SCALES.value)}; expected numbers, e.g. 0.75,1,1.25") from error
    window = command_line.parse_size("--window", _WINDOW.value) if _WINDOW.value else None
    return Views(scales, _FLIP.value, window, _OVERLAP.value)


def run() -> None:
    """The program."""
    command_line.run(main)
