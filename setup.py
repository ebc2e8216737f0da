"""What pyproject.toml cannot say: configs/ is installed as gun_jax/configs, without a link or a copy."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["gun_jax", "gun_jax.*"]), "gun_jax.configs"],
    package_dir={"gun_jax.configs": "configs"},
)
