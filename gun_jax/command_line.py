"""What the programs share: how they start, and how they end when what they were given cannot be used."""

import pathlib
import re
import sys
from collections.abc import Callable

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from gun_jax import configuration
from gun_jax.errors import InputError

BAD_INPUT = 2  # exit status


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
        try:
            if arguments[1:]:
                raise InputError(f"{arguments[1]!r} is not expected; flags start with --, as --workdir=DIR")
            main()
        except InputError as error:
            _stop(error)

    app.run(guarded, flags_parser=_parse)


def _parse(arguments: list[str]) -> list[str]:
    try:
        for argument in arguments[1:]:
            _check_config_file(argument)
            _check_setting(argument)
        return flags.FLAGS(arguments)
    except InputError as error:
        _stop(error)
    except flags.Error as error:
        # Of an error inside a config file the flag's message is a traceback: its last line says what is wrong.
        _stop(re.sub(r"Error whilst parsing config file:.*\n(?=\S+: )", "", str(error).strip(), flags=re.DOTALL))


def _check_config_file(argument: str) -> None:
    match = re.match(r"--?config=([^:]*)", argument)
    if match and not pathlib.Path(match[1]).is_file():
        files = sorted(str(path) for path in pathlib.Path("configs").glob("*.py"))
        raise InputError(f"config file {match[1]} does not exist; expected {', '.join(files) or 'a Python file'}")


def _check_setting(argument: str) -> None:
    """Refuses a `--config.NAME` that is no setting, by its name and the nearest that is."""
    match = re.match(r"--?config\.([^=]+)", argument)
    if match and match[1] not in configuration.setting_names(configuration.default_config()):
        nearest = configuration.nearest_setting(match[1])
        remedy = f"did you mean --config.{nearest}?" if nearest else "see gun_jax/configuration.py for all settings"
        raise InputError(f"--config.{match[1]} is not a setting; {remedy}")


def checked_config(config: ConfigDict | None) -> ConfigDict:
    """The value of `--config`: there, and with possible values.

    Raises:
      InputError: it is not.
    """
    if config is None:
        raise InputError("no configuration; name one, as --config=configs/synthetic.py")
    configuration.validate(config)
    return config


def default_workdir() -> pathlib.Path:
    """`runs/` and the name of the config file, with its variant: "runs/paper-table4=high_res"."""
    file, _, variant = config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")
    return pathlib.Path("runs", pathlib.Path(file).stem + (f"-{variant}" if variant else ""))


def _stop(error: Exception | str) -> None:
    line = " ".join(str(error).split())
    print(f"{pathlib.Path(sys.argv[0]).name}: {line}", file=sys.stderr)
    sys.exit(BAD_INPUT)
