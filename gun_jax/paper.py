"""The experiments of the paper: the columns of Tables 1 to 4, their settings and the paper's results."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from gun_jax.errors import InputError, one_of


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
      title: its heading in the paper.
      settings: the values that define the experiment, by the names of settings, e.g. "model.encoder".
      miou: mIoU on Cityscapes val, in percent.
      fps: frames per second on a Titan Xp, with 512x1024 images in the medium branch; None where the paper has none.
      chosen: whether the paper prints it in bold: it is part of the final network.
    """

    title: str
    settings: Mapping[str, Any]
    miou: float
    fps: float | None = None
    chosen: bool = False


# Each table adds one thing. Tables 1 and 2 use bilinear upsampling and no random scale. Table 3 starts from the 65.8 %
# of postproc_sum and adds random scale; Table 4 starts from its 67.5 %.
_TABLE_1 = {"model.fusion": "base_sum", "model.guidance": "none", "data.random_scale": ()}
_TABLE_2 = {"model.guidance": "none", "data.random_scale": ()}
_TABLE_3 = {"model.guidance": "none", "data.random_scale": ()}
_JITTER = 0.4  # the paper gives no strength of the colour jitter; this one is usual for ImageNet

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
    """Applies the settings of a column to a configuration of the paper's final network and recipe.

    Args:
      config: a configuration, e.g. `gun_jax.configuration.default_config()`, the paper's recipe.
      experiment: table and column, e.g. "table4=high_res".

    Raises:
      InputError: there is no such table or column; the message lists those that exist.
    """
    for name, value in find_column(experiment).settings.items():
        section, _, key = name.partition(".")
        config[section][key] = value


def find_column(experiment: str) -> Column:
    """The column that "table4=high_res" names.

    Raises:
      InputError: there is no such table or column; the message lists those that exist.
    """
    table, _, name = experiment.partition("=")
    tables = {f"table{number}": columns for number, columns in TABLES.items()}
    if table not in tables:
        raise InputError(f"experiment {experiment!r}; expected {', '.join(tables)} and a column, e.g. table4=high_res")
    if name not in tables[table]:
        raise InputError(f"{table} has no column {name!r}; expected {one_of(name, tables[table])}")
    return tables[table][name]
