"""The start of all programs: flags that several share, and one line for bad input."""

import os
import pathlib
import re
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

import cv2
from absl import app, flags, logging
from PIL import Image

from gun_jax.errors import InputError, InputWarning
from gun_jax.programs import config_flags
from gun_jax.system import distributed, runtime
from gun_jax.weights.pretrained import DEFAULT, MODELS

BAD_INPUT = 2  # exit status
_CACHE = flags.DEFINE_string(
    "compilation_cache",
    None,
    "Folder that keeps compilations for the next start; by default gun_jax/ in the user's cache folder; empty: none. "
    "JAX_COMPILATION_CACHE_DIR in the environment overrides it.",
)


def define_processes() -> None:
    """Defines `--processes`, for programs that can share their work."""
    flags.DEFINE_string(
        "processes",
        "",
        "Place of this process among several: RANK/COUNT@HOST:PORT with the address of process 0, e.g. "
        "0/4@localhost:1234; or auto, in SLURM, Open MPI or on cloud TPUs (docs/clusters.md).",
    )


def define_step() -> Callable[[], int | str | None]:
    """Defines `--step`, a number or "best"; returns a function that gives its value."""
    flag = flags.DEFINE_string(
        "step", None, "Step of the checkpoint, or best: that with the best mIoU while training; by default the newest."
    )

    def value() -> int | str | None:
        if flag.value is None or flag.value == "best":
            return flag.value
        if not re.fullmatch(r"\d+", flag.value):
            raise InputError(f"--step is {flag.value!r}; expected the number of a step, or best")
        return int(flag.value)

    return value


def define_network() -> Callable[[], dict[str, Any]]:
    """Defines `--workdir`, `--model`, `--step`, `--engine` and `--size`, for programs that label images.

    Returns:
      A function that gives their values, as arguments of `gun_jax.prediction.loading.load_segmenter`. It raises an
      InputError if the size has another form, or if both a run and a pretrained model are named.
    """
    workdir = flags.DEFINE_string("workdir", None, "Folder of a run; by default a pretrained model, see --model.")
    model = flags.DEFINE_enum("model", None, MODELS, f"Included pretrained model; by default {DEFAULT}.")
    step = define_step()
    engine = flags.DEFINE_enum(
        "engine", "jax", ["jax", "openvino"], "Inference engine; openvino needs the `export` extra."
    )
    size = flags.DEFINE_string(
        "size",
        None,
        "HEIGHTxWIDTH of the training images, if the run does not record it; larger images are shrunk to about as many "
        "pixels.",
    )

    def values() -> dict[str, Any]:
        if workdir.value and model.value:
            raise InputError(f"--workdir={workdir.value} and --model={model.value} name two networks; give one of them")
        return {
            "workdir": pathlib.Path(workdir.value) if workdir.value else None,
            "model": model.value or DEFAULT,
            "step": step(),
            "engine": engine.value,
            "size": parse_size("--size", size.value) if size.value else None,
        }

    return values


def parse_size(flag: str, value: str) -> tuple[int, int]:
    """(height, width) of "512x1024".

    Raises:
      InputError: it has another form.
    """
    size = re.fullmatch(r"(\d+)x(\d+)", value)
    if not size:
        raise InputError(f"{flag} is {value!r}; expected HEIGHTxWIDTH, e.g. 512x1024")
    return int(size[1]), int(size[2])


def run(main: Callable[..., None], arguments_are: str = "") -> None:
    """Parses the flags and calls `main`; bad input ends the program with one line and status 2.

    Args:
      main: the program, in the module that defines its flags and whose docstring `--help` shows.
      arguments_are: what else the command line may have, e.g. "images": the arguments of `main`.
    """

    def guarded(arguments: list[str]) -> None:
        _quiet_libraries()
        try:
            if arguments[1:] and not arguments_are:
                raise InputError(f"{arguments[1]!r} is not expected; flags start with --, e.g. --workdir=DIR")
            if "processes" in flags.FLAGS:
                distributed.start(flags.FLAGS["processes"].value or "", _give_up)
            runtime.keep_memory()
            runtime.keep_compilations(_CACHE.value)
            main(*arguments[1:])
        except InputError as error:
            _tell(error)
            distributed.leave(BAD_INPUT)
        except Exception as error:
            distributed.end_if_others_are_gone(program(), error)
            raise
        except KeyboardInterrupt:
            _tell("stopped by Ctrl-C")
            distributed.leave(128 + signal.SIGINT)

    # absl's --help is of the file that was started.
    sys.modules["__main__"].__doc__ = sys.modules[main.__module__].__doc__
    for name in (__name__, config_flags.__name__, main.__module__):
        for flag in flags.FLAGS.get_key_flags_for_module(name):
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    app.run(guarded, flags_parser=parse)


def parse(arguments: list[str]) -> list[str]:
    """Parses the flags; returns the other arguments, after the program's name. Ends the program on a bad flag."""
    try:
        return flags.FLAGS(arguments)
    except flags.UnrecognizedFlagError as error:
        prefix, _, name = error.flagname.partition(".")
        known = prefix == "config" and prefix in flags.FLAGS
        _tell(config_flags.not_a_setting("--config.", name) if known else error)
    except flags.Error as error:
        _tell(error)
    sys.exit(BAD_INPUT)


def _quiet_libraries() -> None:
    """Makes other libraries leave the screen to our lines."""
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.FATAL)  # Orbax logs hundreds of lines, and every error once per thread
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our line reports a damaged image
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # or a damaged video
    cv2.setNumThreads(1)  # our own threads and processes read several images at a time
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)  # gun_jax.data.images reports it
    others = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, InputWarning):
            print(f"{program()}: {message}", file=sys.stderr)
        else:
            others(message, category, *where, **more)

    warnings.showwarning = show


def _give_up(line: str) -> None:
    """Ends the program from a thread beside the main one."""
    _tell(line)
    os._exit(BAD_INPUT)


def _tell(error: Exception | str) -> None:
    print(f"{program()}: {' '.join(str(error).split())}", file=sys.stderr, flush=True)


def program() -> str:
    """The name under which the program was started: "train.py", or "gun-train"."""
    return pathlib.Path(sys.argv[0]).name
