"""What the programs share: how they start, and how they end when what they were given cannot be used."""

import itertools
import os
import pathlib
import re
import signal
import sys
import traceback
import types
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

import cv2
from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags
from PIL import Image

from gun_jax import configuration
from gun_jax.errors import InputError, InputWarning
from gun_jax.system import distributed, runtime

BAD_INPUT = 2  # exit status
_SHOW_WARNING = warnings.showwarning
_OTHER_ARGUMENTS: list[str] = []
_PACKAGE = pathlib.Path(__file__).parent

_CACHE = flags.DEFINE_string(
    "compilation_cache",
    None,
    "Folder that keeps compilations for the next start, by default gun_jax/ in your cache folder; empty for none. "
    "JAX_COMPILATION_CACHE_DIR in the environment goes before.",
)


def define_processes() -> None:
    """Defines `--processes`, for programs that can share their work."""
    flags.DEFINE_string(
        "processes",
        "",
        "Work as one of several processes: RANK/COUNT@HOST:PORT, as 0/4@localhost:1234, where process 0 is; or auto, "
        "in SLURM, Open MPI, a cloud's TPUs. docs/clusters.md.",
    )


def define_config() -> flags.FlagHolder:
    """Defines `--config=FILE[:variant]` and `--config.NAME=VALUE`."""
    return config_flags.DEFINE_config_file(
        "config", None, "FILE[:variant], a file under configs/; --config.NAME=VALUE changes one of its settings."
    )


def define_network() -> Callable[[], dict[str, Any]]:
    """Defines `--workdir`, `--step`, `--engine` and `--size`, for programs that label images.

    Returns:
      What gives their values, as the arguments of `gun_jax.prediction.loading.load_segmenter`; a size of another form
      is an InputError.
    """
    workdir = flags.DEFINE_string(
        "workdir", None, "Folder of a run; by default the network that comes with the package."
    )
    step = flags.DEFINE_integer("step", None, "Its checkpoint; by default the newest.")
    engine = flags.DEFINE_enum(
        "engine", "jax", ["jax", "openvino"], "What computes; openvino is of the `export` extra."
    )
    size = flags.DEFINE_string(
        "size",
        None,
        "HEIGHTxWIDTH of the images that the network learned from, if the run does not say; larger ones are shrunk "
        "to about as many pixels.",
    )
    return lambda: {
        "workdir": pathlib.Path(workdir.value) if workdir.value else None,
        "step": step.value,
        "engine": engine.value,
        "size": parse_size("--size", size.value) if size.value else None,
    }


def run(main: Callable[[], None], arguments_are: str = "") -> None:
    """Parses the flags and calls `main`; bad input ends the program with one line and status 2.

    Args:
      main: of the module that defines the flags, and whose docstring `--help` shows.
      arguments_are: what else the command line may have, as "images"; `other_arguments()` gives them.
    """
    _show_help_of(sys.modules[main.__module__])

    def guarded(arguments: list[str]) -> None:
        if not flags.FLAGS["verbosity"].present:
            # Orbax logs its life in hundreds of lines, and an error of which it then tells us once in each thread.
            logging.set_verbosity(logging.FATAL)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a damaged image is told in one line, ours
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # and a damaged video
        warnings.showwarning = _show_warning
        warnings.filterwarnings("error", category=Image.DecompressionBombWarning)  # which gun_jax.data.images tells
        cv2.setNumThreads(1)  # several images at a time are read by threads, or processes, of our own
        try:
            _OTHER_ARGUMENTS[:] = arguments[1:]
            if _OTHER_ARGUMENTS and not arguments_are:
                raise InputError(f"{arguments[1]!r} is not expected; flags start with --, as --workdir=DIR")
            if "processes" in flags.FLAGS:
                distributed.start(flags.FLAGS["processes"].value or "", _give_up)
            runtime.keep_memory()
            runtime.keep_compilations(_CACHE.value)
            main()
        except InputError as error:
            _tell(error)
            distributed.leave(BAD_INPUT)
        except Exception as error:
            distributed.end_if_others_are_gone(program(), error)
            raise
        except KeyboardInterrupt:
            print(f"{program()}: stopped by Ctrl-C", file=sys.stderr, flush=True)
            distributed.leave(128 + signal.SIGINT)

    app.run(guarded, flags_parser=_parse)


def other_arguments() -> list[str]:
    """What the command line has besides flags and their values."""
    return list(_OTHER_ARGUMENTS)


def _show_help_of(module: types.ModuleType) -> None:
    """Makes `--help` show the docstring and the flags of a module, as if it were the one that was started."""
    text = module.__doc__ or ""
    if program().startswith("gun-"):
        text = re.sub(r"(python |(?<!/)\b)(train|evaluate|export|predict|runs|serve)\.py", r"gun-\2", text)
    sys.modules["__main__"].__doc__ = text
    for name in (__name__, module.__name__):
        for flag in flags.FLAGS.get_key_flags_for_module(name):
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)


def _parse(arguments: list[str]) -> list[str]:
    file = None
    try:
        for place, (argument, following) in enumerate(itertools.pairwise([*arguments, ""])):
            if re.match(r"--?config(=|$)", argument):
                inline = "=" in argument
                file, colon, variant = (argument.partition("=")[2] if inline else following).partition(":")
                file = _find_config(file)
                arguments[place + (not inline)] = ("--config=" if inline else "") + file + colon + variant
            elif match := re.match(r"--?config\.([^=]+)", argument):
                _check_setting(f"--config.{match[1]}", match[1])
        return flags.FLAGS(arguments)
    except InputError as error:
        _stop(error)
    except flags.Error as error:
        # Of an error inside a config file the flag's message is a traceback: its last line says what is wrong.
        line = re.sub(r"Error whilst parsing config file:.*\n(?=\S+: )", "", str(error).strip(), flags=re.DOTALL)
        _stop(line.replace(f"{InputError.__module__}.{InputError.__name__}: ", ""))
    except Exception as error:  # whatever the code in a config file raises
        if file is None:
            raise
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        where = f"config file {file}, line {lines[-1]}" if lines else f"config file {file}"
        _stop(f"{where}: {_what_is_wrong(error)}")


def _find_config(file: str) -> str:
    """The path of a config file: as it is given, or else of the ones that come with the package."""
    installed, beside = _PACKAGE / "configs", _PACKAGE.parent / "configs"  # beside: in the repository
    packaged = sorted((installed if installed.is_dir() else beside).glob("*.py"))
    if not file or pathlib.Path(file).is_file():
        return file
    for path in packaged:
        if file == f"configs/{path.name}":
            return str(path)
    files = ", ".join(f"configs/{path.name}" for path in packaged)
    raise InputError(f"config file {file} does not exist; expected one of yours, or {files}")


def _check_setting(shown: str, name: str) -> None:
    """Refuses a name that is no setting; says which the nearest is that is one."""
    if name not in configuration.setting_names(configuration.default_config()):
        nearest = configuration.nearest_setting(name)
        remedy = f"did you mean {shown.removesuffix(name)}{nearest}?" if nearest else f"see {configuration.__file__}"
        raise InputError(f"{shown} is not a setting; {remedy}")


def _what_is_wrong(error: Exception) -> str:
    """An error inside a config file; of a setting that there is none of, with the nearest that there is."""
    unknown = re.match(r"[\W]*Key \"(\w+)\" does not exist", str(error))
    try:
        if unknown:
            _check_setting(unknown[1], unknown[1])
    except InputError as better:
        return str(better)
    return f"{type(error).__name__}: {error}"


def checked_config(config: ConfigDict | None) -> ConfigDict:
    """The value of `--config`: there, and with possible values.

    Raises:
      InputError: it is not.
    """
    if config is None:
        raise InputError("no configuration; name one, as --config=configs/synthetic.py")
    try:
        names = configuration.setting_names(config)
    except (OSError, AttributeError) as error:  # a config file that could not read something; one of another type
        raise InputError(f"the config file gives no configuration: {error}") from error
    if names != configuration.setting_names(configuration.default_config()):
        raise InputError("the config file gives other settings than gun_jax.configuration.default_config()")
    configuration.validate(config)
    return config


def default_workdir() -> pathlib.Path:
    """`runs/` and the name of the config file, with its variant: "runs/paper-table4=high_res"."""
    file, _, variant = config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")
    return pathlib.Path("runs", pathlib.Path(file).stem + (f"-{variant}" if variant else ""))


def parse_size(flag: str, value: str) -> tuple[int, int]:
    """(height, width) of "512x1024".

    Raises:
      InputError: it is of another form.
    """
    size = re.fullmatch(r"(\d+)x(\d+)", value)
    if not size:
        raise InputError(f"{flag} is {value!r}; expected HEIGHTxWIDTH, as 512x1024")
    return int(size[1]), int(size[2])


def _stop(error: Exception | str) -> NoReturn:
    _tell(error)
    sys.exit(BAD_INPUT)


def _give_up(line: str) -> None:
    """Ends the program from a thread beside the main one."""
    _tell(line)
    os._exit(BAD_INPUT)


def _tell(error: Exception | str) -> None:
    line = " ".join(str(error).split())
    print(f"{program()}: {line}", file=sys.stderr, flush=True)


def program() -> str:
    """As which the program was started: "train.py", or "gun-train"."""
    return pathlib.Path(sys.argv[0]).name


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """A warning of ours is a line, as an error is."""
    if issubclass(category, InputWarning):
        print(f"{program()}: {message}", file=sys.stderr)
    else:
        _SHOW_WARNING(message, category, *where, **more)
