"""The flags of a configuration: `--config=FILE[:variant]`, and `--config.NAME=VALUE` for every setting."""

import functools
import pathlib
import re
import runpy
import traceback
from collections.abc import Callable

from absl import flags
from ml_collections.config_flags.tuple_parser import TupleParser

from gun_jax import configuration
from gun_jax.configuration import SETTINGS, ConfigDict
from gun_jax.errors import InputError

_DEFINE: dict[type, Callable] = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
    tuple: functools.partial(flags.DEFINE, TupleParser()),
}


def define_config() -> None:
    """Defines `--config=FILE[:variant]` and, for every setting, `--config.NAME=VALUE`."""
    flags.DEFINE_string("config", None, "FILE[:variant]: configuration file, e.g. configs/camvid.py.")
    for name, one in SETTINGS.items():
        values = f" [{one.values}]" if one.values else ""
        help = f"{one.meaning[0].upper()}{one.meaning[1:]}{values}; default {one.default!r}."
        _DEFINE[type(one.default)](f"config.{name}", None, help)


def load_config() -> ConfigDict:
    """The configuration of the `--config...` flags.

    Raises:
      InputError: there is none, its file cannot be used, or a value is impossible.
    """
    file, colon, variant = (flags.FLAGS["config"].value or "").partition(":")
    if not file:
        raise InputError("no configuration; name one, e.g. --config=configs/synthetic.py")
    path = _find_config(file)
    try:
        config = runpy.run_path(path)["get_config"](*([variant] if colon else []))
    except Exception as error:  # whatever the code in a config file raises
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        where = f"config file {path}, line {lines[-1]}" if lines else f"config file {path}"
        raise InputError(f"{where}: {_what_is_wrong(error)}") from error
    if not isinstance(config, ConfigDict) or set(configuration.setting_names(config)) != set(SETTINGS):
        raise InputError(f"config file {path}: get_config() does not return a changed default_config()")
    config.update_from_flattened_dict(
        {name: flag.value for name in SETTINGS if (flag := flags.FLAGS[f"config.{name}"]).present}
    )
    configuration.validate(config)
    return config


def _find_config(file: str) -> str:
    """The path of a config file: the user's, or else the one of the package with this name."""
    if pathlib.Path(file).is_file():
        return file
    package = pathlib.Path(__file__).parents[1]
    installed, beside = package / "configs", package.parent / "configs"  # beside: in the repository
    packaged = {f"configs/{path.name}": str(path) for path in sorted([*installed.glob("*.py"), *beside.glob("*.py")])}
    if file not in packaged:
        raise InputError(f"config file {file} does not exist; expected one of yours, or {', '.join(packaged)}")
    return packaged[file]


def _what_is_wrong(error: Exception) -> str:
    unknown = re.match(r"[\W]*Key \"(\w+)\" does not exist", str(error))  # ml_collections lists all other keys
    if unknown:
        return not_a_setting("", unknown[1])
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"


def not_a_setting(prefix: str, name: str) -> str:
    """The line for an unknown setting; it names the nearest one."""
    nearest = configuration.nearest_setting(name)
    remedy = f"did you mean {prefix}{nearest}?" if nearest else "train.py --help lists all settings"
    return f"{prefix}{name} is not a setting; {remedy}"


def default_workdir() -> pathlib.Path:
    """`runs/` and the name of the config file, with its variant: "runs/paper-table4=high_res"."""
    file, _, variant = (flags.FLAGS["config"].value or "").partition(":")
    return pathlib.Path("runs", pathlib.Path(file).stem + (f"-{variant}" if variant else ""))
