"""Trains a network.

    python train.py --config=configs/camvid.py --workdir=runs/camvid [--config.NAME=VALUE]

The same line again goes on where the run stopped. `--check-data` reads all pictures and labels instead, and says which
cannot be used. `gun_jax/configuration.py` lists all settings.
"""

import pathlib
import sys

from absl import flags

from gun_jax import command_line, processes

_CONFIG = command_line.define_config()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; by default runs/ and the name of the config file.")
command_line.define_processes()
_CHECK = flags.DEFINE_bool("check-data", False, "Read all pictures and labels, and train nothing.")


def main() -> None:
    config = command_line.checked_config(_CONFIG.value)
    if _CHECK.value:
        from gun_jax.data.checking import check_data

        processes.expect_one("--check-data")
        check_data(config)
        return
    from gun_jax.training.interruption import InterruptedTrainingError
    from gun_jax.training.loop import train  # after the flags: bad ones are told at once

    try:
        train(config, pathlib.Path(_WORKDIR.value or command_line.default_workdir()), forget=True)
    except InterruptedTrainingError as stop:
        print(f"{command_line.program()}: {stop}", file=sys.stderr)
        sys.exit(128 + stop.signal)  # as shells say that a signal ended a program


def run() -> None:
    """The program."""
    command_line.run(main)
