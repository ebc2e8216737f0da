"""Writes docs/settings.md, the tables of all settings, from `gun_jax.configuration.SETTINGS`: `make docs`."""

import pathlib

from gun_jax.configuration import SETTINGS

PAGE = pathlib.Path(__file__).with_suffix(".md")
_TITLES = {"": "The run", "data": "Data", "model": "Network", "loss": "Loss", "optimizer": "Optimiser"}
_ABOUT = """# Settings

A config file assigns settings (`config.data.flip = False`); `--config.data.flip=False` on the command line overrides
the file. Each run keeps its settings in `WORKDIR/config.json`. `make docs` writes this page from
`gun_jax/configuration.py`.
"""


def page() -> str:
    """The text of docs/settings.md."""
    parts = [_ABOUT]
    for section, title in _TITLES.items():
        rows = [
            f"| `{name}` | `{one.default!r}` | {one.values or type(one.default).__name__} | {one.meaning} |"
            for name, one in SETTINGS.items()
            if name.rpartition(".")[0] == section
        ]
        parts.append(
            "\n".join([f"## {title}\n", "| setting | default | values | meaning |", "|---|---|---|---|", *rows, ""])
        )
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
