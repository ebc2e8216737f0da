"""Writes a configuration as a Python file like those in configs/."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from gun_jax import configuration
from gun_jax.own_data.choices import Choice

_FILE = '''"""{docstring}"""

from gun_jax.configuration import ConfigDict, default_config


def get_config() -> ConfigDict:
    config = default_config()
{assignments}
    return config
'''


def config_text(title: str, commands: Iterable[str], about: Iterable[str], choices: Sequence[Choice]) -> str:
    """The text of the file. Names of folders are escaped, so that none can become code.

    Args:
      title: first line of the docstring.
      commands: command lines that use the file.
      about: lines about data and machine.
      choices: the settings; those equal to the default are left out.
    """
    lines = [title, "", *(f"    {command}" for command in commands), "", *about, ""]
    # Since Python 3.13 a docstring cannot hold surrogates, which stand for bytes that are not UTF-8, even escaped.
    lines = [re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", line) for line in lines]
    docstring = "\n".join(map(_inside_quotes, lines))
    return _FILE.format(docstring=docstring, assignments=_assignments(choices))


def _assignments(choices: Sequence[Choice]) -> str:
    """A line for each choice that is not the default, with an empty line between sections."""
    defaults = configuration.default_config()
    lines: list[str] = []
    section = ""
    for choice in choices:
        if choice.value == configuration.setting(defaults, choice.name):
            continue
        here = choice.name.rpartition(".")[0]
        if here != section:
            lines.append("")
            section = here
        why = f"  # {choice.reason}" if choice.reason else ""
        lines.append(f"    config.{choice.name} = {_literal(choice.value)}{why}")
    return "\n".join(lines)


def _literal(value: Any) -> str:
    return f'"{_inside_quotes(value)}"' if isinstance(value, str) else repr(value)


def _inside_quotes(text: str) -> str:
    """Escapes a text for a literal in one or three double quotes."""
    text = text.replace("\\", r"\\").replace('"', r"\"")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
