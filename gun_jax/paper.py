"""The experiments of the paper: the columns of Tables 1 to 4, what each of them sets, and what the paper measured."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from gun_jax.errors import InputError, one_of


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
      title: as the paper prints it.
      settings: by name ("model.encoder"), what makes the experiment this one.
      miou: percent, on Cityscapes val.
      fps: frames a second on a Titan Xp, of the network whose medium branch sees 512x1024; None where none is given.
      chosen: printed in bold: part of the final network.
    """

    title: str
    settings: Mapping[str, Any]
    miou: float
    fps: float | None = None
    chosen: bool = False


# The paper adds one thing at a time. Tables 1 and 2 compare under bilinear upsampling and without random scale, which
# Table 3 brings in (its baseline is the 65.8 % of postproc_sum, and Table 4's the 67.5 % of random scale).
_TABLE_1 = {"model.fusion": "base_sum", "model.guidance": "none", "data.random_scale": ()}
_TABLE_2 = {"model.guidance": "none", "data.random_scale": ()}
_TABLE_3 = {"model.guidance": "none", "data.random_scale": ()}
_JITTER = 0.4  # strength of the colour jitter, of which the paper says nothing: a usual one for ImageNet

TABLES: Mapping[int, Mapping[str, Column]] = {
    1: {
        name: Column(name, _TABLE_1 | {"model.encoder": name}, miou, fps, name == "enc24shared")
        for name, miou, fps in (
            ("baseline", 65.5, 6.7),
            ("enc4", 57.5, 50.6),
            ("enc24", 61.5, 38.7),
            ("enc24shared", 63.0, 38.7),
            ("enc124shared", 64.2, 24.9),
        )
    },
    2: {
        name: Column(name.replace("_", " "), _TABLE_2 | {"model.fusion": name}, miou, fps, name == "postproc_sum")
        for name, miou, fps in (
            ("base_sum", 63.0, 38.7),
            ("base_concat", 63.5, 37.8),
            ("postproc_sum", 65.8, 37.3),
            ("postproc_concat", 64.2, 36.4),
        )
    },
    3: {
        "baseline": Column("baseline", _TABLE_3, 65.8),
        "color_jitter": Column("color jitter", _TABLE_3 | {"data.color_jitter": _JITTER}, 62.6),
        "lighting_jitter": Column("lighting jitter", _TABLE_3 | {"data.lighting_jitter": 0.1}, 64.2),
        "random_scale": Column("random scale", _TABLE_3 | {"data.random_scale": (0.5, 2.0)}, 67.5, chosen=True),
    },
    4: {
        name: Column(title, {"model.guidance": guidance}, miou, fps, name == "fusion")
        for name, title, guidance, miou, fps in (
            ("baseline", "baseline", "none", 67.5, 37.3),
            ("large_rf", "large-rf", "large_rf", 69.36, 26.3),
            ("high_res", "high-res", "high_res", 69.29, 34.8),
            ("fusion", "fusion", "fusion", 69.64, 33.3),
        )
    },
}


def set_column(config: ConfigDict, experiment: str) -> None:
    """Sets in a configuration of the paper's final network and recipe what a column of a table changes.

    Args:
      config: see `gun_jax.configuration.default_config`, which is the paper's recipe.
      experiment: table and column, as "table4=high_res".

    Raises:
      InputError: there is no such table or column: says which there are.
    """
    for name, value in find_column(experiment).settings.items():
        section, _, key = name.partition(".")
        config[section][key] = value


def find_column(experiment: str) -> Column:
    """The column that "table4=high_res" names.

    Raises:
      InputError: there is no such table or column: says which there are.
    """
    table, _, name = experiment.partition("=")
    tables = {f"table{number}": columns for number, columns in TABLES.items()}
    if table not in tables:
        raise InputError(f"experiment {experiment!r}; expected {', '.join(tables)} and its column, as table4=high_res")
    if name not in tables[table]:
        raise InputError(f"{table} has no column {name!r}; expected {one_of(name, tables[table])}")
    return tables[table][name]
