"""Reports of a training: progress on the screen, rows in `metrics.jsonl`, curves for TensorBoard."""

import contextlib
import datetime
import pathlib
import time
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psutil
import rich.console
import rich.progress
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar

from gun_jax.errors import InputError
from gun_jax.metrics.confusion import ConfusionMatrix
from gun_jax.runs.rows import append_row, drop_rows_after
from gun_jax.runs.workdir import CURVES, METRICS

_NO_COUNTS: Mapping[str, int] = types.MappingProxyType({})


class Reporter:
    """Reports a training run; use it as a context.

    A terminal shows a progress bar; a log file gets a line a report.

    Args:
      workdir: of the run.
      total: number of steps of the whole run.
      start: the step at which the run starts or resumes; rows of later steps, whose state was lost, are dropped.
      images: number of images a step.

    Raises:
      InputError: the workdir cannot be written.
    """

    def __init__(self, workdir: pathlib.Path, total: int, start: int, images: int):
        self._total, self._images = total, images
        self._path = workdir / METRICS
        drop_rows_after(self._path, start)
        self._curves = _Curves(workdir / CURVES, start)
        self._console = rich.console.Console(highlight=False, soft_wrap=True)
        self._progress = rich.progress.Progress(
            "{task.description}",
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            "{task.fields[status]}",
            rich.progress.TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            disable=not self._console.is_terminal,
            speed_estimate_period=3600.0,  # seconds; reports of large steps come minutes apart
        )
        self._bar = self._progress.add_task("training", total=total, completed=start, status="compiling ...")
        self._last = (start, time.monotonic())
        self._waited = 0.0  # seconds since the last report

    def __enter__(self) -> "Reporter":
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._progress.stop()
        self._curves.close()

    def say(self, line: str) -> None:
        """Shows a line.

        Raises:
          InputError: the screen is a file, and there is no space for it.
        """
        try:
            self._console.print(line, markup=False)
        except OSError as error:
            raise InputError(
                f"cannot write to the screen: {error.strerror}; free some space, and rerun the command to resume"
            ) from error

    warn = say  # about records of this process

    def first_step(self, step: int) -> None:
        """Reports the time to the first step. That time, most of it compiling, does not count in images/s."""
        now = time.monotonic()
        since_start = time.time() - psutil.Process().create_time()
        self.say(f"first step after {now - self._last[1]:.1f} s, {since_start:.1f} s after the start of the program")
        self._last, self._waited = (step, now), 0.0

    def waited(self, seconds: float) -> None:
        """Adds seconds for which the loop waited for a batch, whether or not a device was busy meanwhile."""
        self._waited += seconds

    def training(
        self, step: int, epoch: float, loss: float | None, rate: float, counts: Mapping[str, int] = _NO_COUNTS
    ) -> None:
        """Reports the mean loss since the last report (None: no step was applied), the learning rate, and counts."""
        now = time.monotonic()
        done, since = self._last
        # Right after the first step there is no step to time.
        speed = (step - done) * self._images / (now - since) if step > done else None
        waiting = self._waited / (now - since) if step > done else None
        self._last, self._waited = (step, now), 0.0
        shown = "none" if loss is None else f"{loss:.3f}"
        status = f"epoch {epoch:.1f}  loss {shown}  rate {rate:.2g}" + (f"  {speed:.1f} images/s" if speed else "")
        status += "".join(f"  {count} {name.replace('_', ' ')}" for name, count in counts.items() if count)
        self._progress.update(self._bar, completed=step, status=status)
        if not self._console.is_terminal:
            seconds = round((self._total - step) * self._images / speed) if speed else 0
            left = f"  {datetime.timedelta(seconds=seconds)} left" if speed else ""
            self.say(f"step {step}/{self._total}  {status}{left}")
        rows = {"loss": loss, "learning_rate": rate, "images_per_second": speed, "waiting": waiting}
        self._write(step, epoch, rows | dict(counts))

    def evaluation(self, step: int, epoch: float, split: str, matrix: ConfusionMatrix, names: Sequence[str]) -> None:
        """Reports the scores of an evaluation. Its time does not count in images/s."""
        scores = matrix.scores(names)
        miou, accuracy = matrix.miou(), matrix.accuracy()
        self.say(f"step {step}/{self._total}  epoch {epoch:.1f}  {split}: mIoU {miou:.2%}, accuracy {accuracy:.2%}")
        classes = {f"{split}/iou/{name}": value for name, value in scores["iou"].items()}
        self._write(step, epoch, {f"{split}/miou": scores["miou"], f"{split}/accuracy": scores["accuracy"]} | classes)
        self._last, self._waited = (step, time.monotonic()), 0.0

    def _write(self, step: int, epoch: float, values: dict) -> None:
        append_row(self._path, {"step": step, "epoch": round(epoch, 4)} | values)
        self._curves.add(step, values)


class _Curves:
    """Curves for TensorBoard, written in this thread: a writer in another thread would hide errors."""

    def __init__(self, folder: pathlib.Path, start: int):
        self._folder = folder
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = EventsWriter(str(folder / "events"))
            if start:  # hides later steps, which were lost
                self._writer.write_event(Event(step=start + 1, session_log=SessionLog(status=SessionLog.START)))

    def add(self, step: int, values: dict[str, float | None]) -> None:
        with self._writing():
            for name, value in values.items():
                if value is not None:
                    summary = scalar(name, value)
                    self._writer.write_event(Event(step=step, wall_time=time.time(), summary=summary))
            self._writer.flush()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # `add` has reported it
            self._writer.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"cannot write curves in {self._folder}: {error.strerror}; free some space, and rerun the command to "
                "resume"
            ) from error


class SilentReporter:
    """Reporter of the other processes of a run: it reports nothing but warnings."""

    def __enter__(self) -> "SilentReporter":
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    say = first_step = waited = training = evaluation = lambda self, *args: None

    def warn(self, line: str) -> None:
        """Shows a line about records of this process."""
        print(line, flush=True)
