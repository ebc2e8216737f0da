#!/usr/bin/env python3
"""Trains a network.

    python train.py --config=configs/camvid.py --workdir=runs/camvid [--config.NAME=VALUE]

The same line again goes on where the run stopped. `gun_jax/configuration.py` lists all settings.
"""

import pathlib

from absl import flags

from gun_jax import command_line

_CONFIG = command_line.define_config()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; by default runs/ and the name of the config file.")


def main() -> None:
    config = command_line.checked_config(_CONFIG.value)
    from gun_jax.training.loop import train  # after the flags: bad ones are told at once

    train(config, pathlib.Path(_WORKDIR.value or command_line.default_workdir()), forget=True)


if __name__ == "__main__":
    command_line.run(main)
