"""Settings and versions in a report."""

import importlib.metadata
import platform

import gun_jax
from gun_jax.configuration import default_config
from gun_jax.evaluation.report import origin


def test_settings_that_are_not_the_default_are_marked_and_all_are_there():
    config = default_config()
    config.batch_size, config.model.width, config.data.crop = 3, 0.25, (64, 128)
    found = origin.settings(config)
    changed = {
        (section, one.name): (one.text, one.default_text) for section in found for one in found[section] if one.changed
    }
    assert changed == {
        ("", "batch_size"): ("3", "8"), ("model", "width"): ("0.25", "1.0"), ("data", "crop"): ("(64, 128)", "none"),
    }  # fmt: skip
    sections = ["data", "loss", "model", "optimizer"]
    count = len(config) - len(sections) + sum(len(config[section]) for section in sections)
    assert sum(map(len, found.values())) == count and list(found) == ["", *sections]


def test_versions_are_those_of_the_installed_packages():
    found = origin.versions()
    assert found["gun_jax"] == gun_jax.__version__ and found["Python"] == platform.python_version()
    assert found["flax"] == importlib.metadata.version("flax") and platform.machine() in found["platform"]
