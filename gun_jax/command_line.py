"""What the programs share: how they start, and how they end when what they were given cannot be used."""

import itertools
import pathlib
import re
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import cv2
from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from gun_jax import configuration, runtime
from gun_jax.errors import InputError

BAD_INPUT = 2  # exit status

_CACHE = flags.DEFINE_string(
    "compilation_cache",
    None,
    "Folder that keeps compilations for the next start, by default gun_jax/ in your cache folder; empty for none. "
    "JAX_COMPILATION_CACHE_DIR in the environment goes before.",
)


def define_config() -> flags.FlagHolder:
    """Defines `--config=FILE[:variant]` and `--config.NAME=VALUE`."""
    return config_flags.DEFINE_config_file(
        "config", None, "FILE[:variant], a file under configs/; --config.NAME=VALUE changes one of its settings."
    )


def run(main: Callable[[], None]) -> None:
    """Parses the flags and calls `main`; bad input ends the program with one line and status 2."""

    def guarded(arguments: list[str]) -> None:
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)  # else Orbax tells its life in hundreds of lines
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a damaged picture is told in one line, ours
        cv2.setNumThreads(1)  # several pictures at a time are read by threads, or processes, of our own
        try:
            if arguments[1:]:
                raise InputError(f"{arguments[1]!r} is not expected; flags start with --, as --workdir=DIR")
            runtime.keep_memory()
            runtime.keep_compilations(_CACHE.value)
            main()
        except InputError as error:
            _stop(error)

    app.run(guarded, flags_parser=_parse)


def _parse(arguments: list[str]) -> list[str]:
    file = None
    try:
        for argument, following in itertools.pairwise([*arguments, ""]):
            if re.match(r"--?config(=|$)", argument):
                file = (argument.partition("=")[2] or following).partition(":")[0]
                _check_config_file(file)
            elif match := re.match(r"--?config\.([^=]+)", argument):
                _check_setting(f"--config.{match[1]}", match[1])
        return flags.FLAGS(arguments)
    except InputError as error:
        _stop(error)
    except flags.Error as error:
        # Of an error inside a config file the flag's message is a traceback: its last line says what is wrong.
        _stop(re.sub(r"Error whilst parsing config file:.*\n(?=\S+: )", "", str(error).strip(), flags=re.DOTALL))
    except Exception as error:  # whatever the code in a config file raises
        if file is None:
            raise
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        where = f"config file {file}, line {lines[-1]}" if lines else f"config file {file}"
        _stop(f"{where}: {_what_is_wrong(error)}")


def _check_config_file(file: str) -> None:
    if file and not pathlib.Path(file).is_file():
        files = sorted(str(path) for path in pathlib.Path("configs").glob("*.py"))
        raise InputError(f"config file {file} does not exist; expected {', '.join(files) or 'a Python file'}")


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
    line = " ".join(str(error).split())
    print(f"{pathlib.Path(sys.argv[0]).name}: {line}", file=sys.stderr)
    sys.exit(BAD_INPUT)
