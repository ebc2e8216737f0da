"""Evaluates a trained network: per-class IoU, mIoU and pixel accuracy; panels and a page that show where it is wrong.

    python evaluate.py [--workdir=runs/camvid] [--split=val] [--panels=8]
    python evaluate.py --workdir=runs/camvid --report
    python evaluate.py --workdir=runs/fusion --trimap --against=runs/baseline,runs/high_res
    python evaluate.py --workdir=runs/gun --split=test --submission=gun-test
    python evaluate.py --exported=runs/camvid/export/openvino-int8.json

Files go to WORKDIR/evaluation/, those of a submission to the folder that is named, and to a zip file beside it.
"""

import pathlib
import signal
from typing import Any

from absl import flags

from gun_jax.errors import InputError
from gun_jax.programs import command_line
from gun_jax.system import distributed

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; by default the newest one under runs/.")
_SPLIT = flags.DEFINE_string("split", None, "Part of the data set; by default the run's data.eval_split.")
_PANELS = flags.DEFINE_integer("panels", 0, "Number of images to draw.")
_STEP = flags.DEFINE_integer("step", None, "Checkpoint to evaluate; by default the newest.")
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Folder of the data, if no longer where the run found it.")
_TRIMAP = flags.DEFINE_bool(
    "trimap", False, "Scores by the distance from boundaries, and crops (the paper's Figure 4)."
)
_AGAINST = flags.DEFINE_list("against", [], "Runs to compare in the trimap, as runs/baseline,runs/high_res.")
_REPORT = flags.DEFINE_bool("report", False, "Writes one HTML page with all scores, the worst and the best images.")
_REPORT_IMAGES = flags.DEFINE_integer("report_images", 4, "Number of worst, and of best images in the report.")
flags.DEFINE_alias("report_pictures", "report_images")  # its name in 0.1
_PARTIAL = flags.DEFINE_bool("partial", False, "Takes a split of which images are missing.")
_SUBMISSION = flags.DEFINE_string("submission", None, "Folder for results as the Cityscapes server takes them.")
_EXPORTED = flags.DEFINE_string(
    "exported", None, "JSON file of a network that export.py made, to score that one; its run is the default workdir."
)

command_line.define_processes()


def main() -> None:
    from gun_jax.evaluation import evaluate as evaluation  # after the flags: bad ones are told at once

    if _PANELS.value or _TRIMAP.value or _REPORT.value or _SUBMISSION.value is not None or _EXPORTED.value:
        distributed.expect_one("--panels, --trimap, --report, --submission and --exported")
    if _REPORT_IMAGES.present and not _REPORT.value:
        raise InputError("--report_images is for the page of --report; add --report")
    if distributed.is_distributed():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # JAX's runtime keeps it for trainings
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
        evaluation.submit(workdir, pathlib.Path(_SUBMISSION.value), step=_STEP.value, **place)
    elif exported:
        if _PANELS.value or _TRIMAP.value or against or _REPORT.value or _STEP.value is not None:
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
            step=_STEP.value,
            **place,
        )


def run() -> None:
    """The program."""
    command_line.run(main)
