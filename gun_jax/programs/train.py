"""Trains a network.

    python train.py --config=configs/camvid.py --workdir=runs/camvid [--config.NAME=VALUE]
    python train.py --new-config FOLDER

Installed, the command is gun-train. Rerun it to resume a run that stopped. `--config.NAME=VALUE` overrides a value of
the config file; docs/settings.md lists all settings. `--check-data` trains nothing: it reads all images and labels, and
lists those that cannot be used. `--new-config` writes a config file for a folder of images and labels.
"""

import pathlib
import sys

from absl import flags

from gun_jax.errors import InputError
from gun_jax.programs import command_line, config_flags
from gun_jax.system import distributed

config_flags.define_config()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; by default runs/ and the name of the config file.")
command_line.define_processes()
_CHECK = flags.DEFINE_bool("check-data", False, "Check all images and labels instead of training.")
_NEW = flags.DEFINE_string("new-config", None, "Folder of images and labels to write a config file for.")
_OUTPUT = flags.DEFINE_string("output", None, "Config file that --new-config writes; by default gun.py in the folder.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Allow --new-config to replace an existing file.")


def main() -> None:
    if _NEW.value is not None:
        _write_config(_NEW.value)
        return
    if _OUTPUT.value is not None or _OVERWRITE.value:
        raise InputError("--output and --overwrite need --new-config; a training writes into --workdir")
    config = config_flags.load_config()
    if _CHECK.value:
        from gun_jax.data.checking import check_data

        distributed.expect_one("--check-data")
        check_data(config)
        return
    # These load slowly; a wrong flag is reported at once.
    from gun_jax.evaluation.scoring import make_scorer
    from gun_jax.training.drawing import draw_curves, last_report
    from gun_jax.training.interruption import InterruptedTrainingError
    from gun_jax.training.loop import train

    workdir = pathlib.Path(_WORKDIR.value or config_flags.default_workdir())
    before = last_report(workdir)
    try:
        train(config, workdir, make_scorer, clear_caches=True)
    except InterruptedTrainingError as stop:
        print(f"{command_line.program()}: {stop}", file=sys.stderr, flush=True)
        draw_curves(workdir)
        sys.exit(128 + stop.signal)  # the status of a program that a signal ended
    except InputError:
        if last_report(workdir) != before:  # e.g. after too many steps without a finite loss
            draw_curves(workdir, warn=False)
        raise
    draw_curves(workdir)


def _write_config(folder: str) -> None:
    from gun_jax.own_data.new_config import new_config

    distributed.expect_one("--new-config")
    output = pathlib.Path(_OUTPUT.value) if _OUTPUT.value else None
    program = "python {}.py" if command_line.program().endswith(".py") else "gun-{}"
    new_config(pathlib.Path(folder), output, _OVERWRITE.value, program)


def run() -> None:
    """The program."""
    command_line.run(main)
