"""Parses command lines as our programs do, without running them: a program for tests of the documents.

On stdin a JSON list of command lines, each a list of words, the first of which is a file of the repository or a console
command; on stdout one of what the programs say against them, "" for nothing. Each line is parsed in a process of its
own, since flags are defined once a process; that is forked from this one, so that JAX is imported once.
"""

import contextlib
import importlib
import io
import json
import os
import runpy
import sys
import tomllib

from absl import flags

from gun_jax.errors import InputError
from gun_jax.programs import command_line, config_flags

# Stand for what the user puts there.
PLACEHOLDERS = {"--config.NAME=VALUE": "--config.seed=1"}


def start(program: str) -> str | None:
    """Starts a program up to where it would parse its flags: what it calls the arguments that are none, "" for none."""
    started: list[str] = []
    command_line.run = lambda main, arguments_are="": started.append(arguments_are)
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        with open("pyproject.toml", "rb") as file:
            module, _, function = tomllib.load(file)["project"]["scripts"][program].partition(":")
        getattr(importlib.import_module(module), function)()
    return started[0] if started else None


def complaint(line: list[str]) -> str:
    """What a program says against its command line."""
    line = [PLACEHOLDERS.get(word, word) for word in line]
    sys.argv[:] = line
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            arguments_are = start(line[0])
            if arguments_are is None:
                return "the program does not start by command_line.run"
            others = command_line.parse(list(line))[1:]
            if "config" in flags.FLAGS and flags.FLAGS["config"].value:
                config_flags.load_config()
    except SystemExit:
        return said.getvalue()
    except InputError as error:
        return str(error)
    return f"{others} are no flags" if others and not arguments_are else ""


def in_a_process(line: list[str]) -> str:
    reading, writing = os.pipe()
    if not os.fork():
        answer = "it could not be parsed"
        try:
            answer = complaint(line)
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        finally:
            os.write(writing, answer.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.wait()
    return answer


if __name__ == "__main__":
    print(json.dumps([in_a_process(line) for line in json.load(sys.stdin)]))
