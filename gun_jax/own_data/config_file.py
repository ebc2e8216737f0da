"""A configuration as a Python file in the style of those under configs/."""

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
    """The text of the file. Whatever the names of folders in it hold, it is text there, not code.

    Args:
      title: what it is.
      commands: the lines that use it.
      about: lines about data and machine.
      choices: the settings; those that are as by default are left out.
    """
    lines = [title, "", *(f"    {command}" for command in commands), "", *about, ""]
    # What stands for bytes that are no UTF-8 cannot be in a docstring, even escaped, since Python 3.13.
    lines = [re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", line) for line in lines]
    docstring = "\n".join(map(_inside_quotes, lines))
    return _FILE.format(docstring=docstring, assignments=_assignments(choices))


def _assignments(choices: Sequence[Choice]) -> str:
    """A line for each choice that is not the default, with a line between two sections."""
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
    """A text as it has to stand inside one or three double quotes to be read as itself."""
    text = text.replace("\\", r"\\").replace('"', r"\"")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
