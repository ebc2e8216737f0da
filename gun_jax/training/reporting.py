"""What a run tells: progress on the screen, rows in `metrics.jsonl`, curves for TensorBoard."""

import datetime
import json
import pathlib
import time
from collections.abc import Sequence

import psutil
import rich.console
import rich.progress
from tensorboardX import SummaryWriter

from gun_jax.files import write_whole
from gun_jax.metrics.confusion import ConfusionMatrix

METRICS_NAME = "metrics.jsonl"


class Reporter:
    """Reports a training run; use it as a context.

    A terminal shows a bar; where there is none (a log file), every report is a line.

    Args:
      workdir: of the run.
      total: number of steps of the whole run.
      start: the step at which it goes on; rows of later steps, which were lost with their state, are dropped.
      images: number of images a step.
    """

    def __init__(self, workdir: pathlib.Path, total: int, start: int, images: int):
        self._total, self._images = total, images
        self._path = workdir / METRICS_NAME
        _drop_rows_after(self._path, start)
        self._curves = SummaryWriter(str(workdir / "curves"), purge_step=start + 1 if start else None)
        self._console = rich.console.Console(highlight=False, soft_wrap=True)
        self._progress = rich.progress.Progress(
            "{task.description}",
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            "{task.fields[news]}",
            rich.progress.TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            disable=not self._console.is_terminal,
            speed_estimate_period=3600.0,  # seconds; reports of large steps come minutes apart
        )
        self._bar = self._progress.add_task("training", total=total, completed=start, news="compiling ...")
        self._last = (start, time.monotonic())
        self._waited = 0.0  # seconds, since then

    def __enter__(self) -> "Reporter":
        self._progress.start()
        return self

    def __exit__(self, *_) -> None:
        self._progress.stop()
        self._curves.close()

    def say(self, line: str) -> None:
        """Shows a line."""
        self._console.print(line, markup=False)

    def first_step(self, step: int) -> None:
        """Tells that the first step is done; the time that it took, compiling, does not count in images/s."""
        now = time.monotonic()
        since_start = time.time() - psutil.Process().create_time()
        self.say(f"first step after {now - self._last[1]:.1f} s, {since_start:.1f} s after the start of the program")
        self._last, self._waited = (step, now), 0.0

    def waited(self, seconds: float) -> None:
        """Counts time in which the loop waited for the next batch, whether or not a device was busy meanwhile."""
        self._waited += seconds

    def training(self, step: int, epoch: float, loss: float, rate: float) -> None:
        """Reports the mean loss since the last report, and the learning rate."""
        now = time.monotonic()
        done, since = self._last
        # A report right after the first step has no step to take the time of.
        speed = (step - done) * self._images / (now - since) if step > done else None
        waiting = self._waited / (now - since) if step > done else None
        self._last, self._waited = (step, now), 0.0
        news = f"epoch {epoch:.1f}  loss {loss:.3f}  rate {rate:.2g}" + (f"  {speed:.1f} images/s" if speed else "")
        self._progress.update(self._bar, completed=step, news=news)
        if not self._console.is_terminal:
            seconds = round((self._total - step) * self._images / speed) if speed else 0
            left = f"  {datetime.timedelta(seconds=seconds)} left" if speed else ""
            self.say(f"step {step}/{self._total}  {news}{left}")
        self._write(step, epoch, {"loss": loss, "learning_rate": rate, "images_per_second": speed, "waiting": waiting})

    def evaluation(self, step: int, epoch: float, split: str, matrix: ConfusionMatrix, names: Sequence[str]) -> None:
        """Reports the scores of an evaluation; the time that it took does not count in images/s."""
        scores = matrix.scores(names)
        miou, accuracy = matrix.miou(), matrix.accuracy()
        self.say(f"step {step}/{self._total}  epoch {epoch:.1f}  {split}: mIoU {miou:.2%}, accuracy {accuracy:.2%}")
        classes = {f"{split}/iou/{name}": value for name, value in scores["iou"].items()}
        self._write(step, epoch, {f"{split}/miou": scores["miou"], f"{split}/accuracy": scores["accuracy"]} | classes)
        self._last, self._waited = (step, time.monotonic()), 0.0

    def _write(self, step: int, epoch: float, values: dict) -> None:
        row = {"step": step, "epoch": round(epoch, 4)} | values
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in values.items():
            if value is not None:
                self._curves.add_scalar(name, value, step)


class SilentReporter:
    """What the other processes of a run report with: nothing."""

    def __enter__(self) -> "SilentReporter":
        return self

    def __exit__(self, *_) -> None:
        pass

    say = first_step = waited = training = evaluation = lambda self, *args: None


def read_rows(path: pathlib.Path) -> list[dict]:
    """The rows of a `metrics.jsonl`; a last line that was cut off does not count."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def _drop_rows_after(path: pathlib.Path, step: int) -> None:
    if not path.exists():
        return
    kept = [row for row in read_rows(path) if row["step"] <= step]
    write_whole(path, "".join(json.dumps(row) + "\n" for row in kept))
