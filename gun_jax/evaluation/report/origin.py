"""What a network is and where it was evaluated: its settings, and the versions of what ran it."""

import dataclasses
import importlib.metadata
import platform
from typing import Any

from ml_collections import ConfigDict

from gun_jax.configuration import default_config, setting, setting_names
from gun_jax.version import __version__

_PACKAGES = ("jax", "jaxlib", "flax", "numpy")


@dataclasses.dataclass(frozen=True)
class Setting:
    """A setting of a run."""

    name: str
    value: Any
    default: Any

    @property
    def changed(self) -> bool:
        """Whether it is not the default."""
        return self.value != self.default

    @property
    def text(self) -> str:
        """The value as people read it."""
        return _text(self.value)

    @property
    def default_text(self) -> str:
        """The default as people read it."""
        return _text(self.default)


def settings(config: ConfigDict) -> dict[str, list[Setting]]:
    """All settings by their section: "" for those of none, "data", "model", "optimizer"."""
    defaults = default_config()
    sections: dict[str, list[Setting]] = {}
    for name in setting_names(config):
        section, _, key = name.rpartition(".")
        one = Setting(key, setting(config, name), setting(defaults, name))
        sections.setdefault(section, []).append(one)
    return sections


def versions() -> dict[str, str]:
    """Versions by name: gun_jax, what it stands on, Python and the platform."""
    packages = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"gun_jax": __version__, **packages, "Python": platform.python_version(), "platform": _platform()}


def _text(value: Any) -> str:
    """As it is given on a command line; "none" for what is empty."""
    return str(value) if value not in ("", ()) else "none"


def _platform() -> str:
    return f"{platform.system()} {platform.release()}, {platform.machine()}"
