"""The origin of a report: all settings of the run, and the versions of the software."""

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
    """A setting of a run, and its default."""

    name: str
    value: Any
    default: Any

    @property
    def changed(self) -> bool:
        """Whether it differs from the default."""
        return self.value != self.default

    @property
    def text(self) -> str:
        """The value as text."""
        return _text(self.value)

    @property
    def default_text(self) -> str:
        """The default as text."""
        return _text(self.default)


def settings(config: ConfigDict) -> dict[str, list[Setting]]:
    """All settings by section: "" for those without one, "data", "loss", "model", "optimizer"."""
    defaults = default_config()
    sections: dict[str, list[Setting]] = {}
    for name in setting_names(config):
        section, _, key = name.rpartition(".")
        sections.setdefault(section, []).append(Setting(key, setting(config, name), setting(defaults, name)))
    return sections


def versions() -> dict[str, str]:
    """Versions by name: gun_jax, its main dependencies, Python and the platform."""
    packages = {name: importlib.metadata.version(name) for name in _PACKAGES}
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    return {"gun_jax": __version__, **packages, "Python": platform.python_version(), "platform": system}


def _text(value: Any) -> str:
    """The value as on a command line; "none" for an empty one."""
    return str(value) if value not in ("", ()) else "none"
