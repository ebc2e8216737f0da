"""Evaluates a trained network: IoU of each class, mIoU, pixel accuracy; panels and a report that show the errors.

    python evaluate.py [--workdir=runs/camvid] [--split=val] [--panels=8]
    python evaluate.py --workdir=runs/camvid --report
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
_BOUNDARY = flags.DEFINE_bool("boundary_iou", False, "Compute boundary IoU (Cheng et al., 2021).")
_PER_IMAGE = flags.DEFINE_bool("per_image", False, "Write the mIoU and the accuracy of each image: SPLIT-images.json.")
_PARTIAL = flags.DEFINE_bool("partial", False, "Accept a split with missing images.")
_SUBMISSION = flags.DEFINE_string("submission", None, "Folder for a submission to the Cityscapes server.")
_EXPORTED = flags.DEFINE_string(
    "exported", None, "JSON file of an exported network to evaluate; the default workdir is its run."
)

command_line.define_processes()


def main() -> None:
    from gun_jax.evaluation import evaluate as evaluation  # late: bad flags end the program at once

    alone = (_PANELS, _TRIMAP, _REPORT, _BOUNDARY, _PER_IMAGE, _SUBMISSION, _EXPORTED)
    if any(flag.value for flag in alone) or _SUBMISSION.value is not None:
        distributed.expect_one("--panels, --trimap, --report, --boundary_iou, --per_image, --submission and --exported")
    if _REPORT_IMAGES.present and not _REPORT.value:
        raise InputError("--report_images needs --report; add --report")
    if distributed.is_distributed():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # JAX's runtime catches it, for trainings
    exported = pathlib.Path(_EXPORTED.value) if _EXPORTED.value else None
    if _WORKDIR.value:
        workdir = pathlib.Path(_WORKDIR.value)
    else:
        workdir = exported.absolute().parent.parent if exported else evaluation.newest_run()
    place: dict[str, Any] = {"split": _SPLIT.value, "data_dir": _DATA_DIR.value, "partial": _PARTIAL.value}
    against = [pathlib.Path(other) for other in _AGAINST.value]
    if _SUBMISSION.value is not None:
        if _PANELS.value or _TRIMAP.value or against or _REPORT.value or exported:
            raise InputError(
                "--submission only writes files for the server; leave out --panels, --trimap, --against, --report and "
                "--exported"
            )
        evaluation.submit(workdir, pathlib.Path(_SUBMISSION.value), step=_STEP(), **place)
    elif exported:
        if _PANELS.value or _TRIMAP.value or against or _REPORT.value or _STEP() is not None:
            raise InputError("--exported only scores; leave out --panels, --trimap, --against, --report and --step")
        from gun_jax.export.exported import load_exported

        network = load_exported(exported)
        classes, step = network.spec.classes, network.spec.origin["step"]
        evaluation.evaluate_exported(workdir, exported, network.label_at, classes, step, **place)
    else:
        evaluation.evaluate(
            workdir,
            panels=_PANELS.value,
            trimap=_TRIMAP.value,
            against=against,
            report=_REPORT.value,
            report_images=_REPORT_IMAGES.value,
            views=_views(),
            batch_size=_BATCH.value,
            boundary_iou=_BOUNDARY.value,
            each_image=_PER_IMAGE.value,
            step=_STEP(),
            **place,
        )


def _views() -> Any:
    from gun_jax.evaluation.scoring import Views

    try:
        return Views(tuple(map(float, _SCALES.value)), _FLIP.value)
    except ValueError as error:
        raise InputError(f"--scales is {','.join(_SCALES.value)}; expected numbers, e.g. 0.75,1,1.25") from error


def run() -> None:
    """The program."""
    command_line.run(main)
