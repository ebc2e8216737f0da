"""Workdirs as trainings leave them, without a training: configuration, metrics, evaluations."""

import json

from gun_jax.configuration import default_config
from gun_jax.data.classes import ClassMap
from gun_jax.runs.workdir import save_config

CLASSES = ClassMap(("road", "sky"), ((1, 2, 3), (4, 5, 6)))


def write_run(workdir, miou=0.5, trained=4, parameters=1234567, losses=(2.0, 1.5), split="val", **settings):
    """`trained` epochs of four steps; a report every two steps, an evaluation every epoch."""
    config = default_config()
    config.epochs = 4.0
    config.update_from_flattened_dict(settings)
    save_config(workdir, config, CLASSES, parameters)
    rows = []
    for step in range(2, 4 * trained + 1, 2):
        speed = None if step == 2 else float(step**2)
        rows.append({"step": step, "epoch": step / 4, "loss": losses[step // 2 % 2], "learning_rate": 0.1,
                     "images_per_second": speed, "waiting": 0.0})  # fmt: skip
        if step % 4 == 0:
            part = step / (4 * trained)
            scores = {"miou": miou * part, "accuracy": 0.9, "iou/road": miou, "iou/sky": None}
            rows.append(
                {"step": step, "epoch": step / 4} | {f"{split}/{name}": value for name, value in scores.items()}
            )
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return workdir


def write_evaluation(workdir, name="val", step=16, miou=0.25):
    (workdir / "evaluation").mkdir(exist_ok=True)
    report = {"split": "val", "step": step, "images": 3, "miou": miou, "accuracy": 0.75, "iou": {"road": miou / 2}}
    (workdir / "evaluation" / f"{name}.json").write_text(json.dumps(report))
