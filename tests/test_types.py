"""The types that users see: mypy checks code of theirs, strictly, against the package as it is installed."""

import os
import re
import subprocess
import sys

import pytest
from reference_package import copy_sources, install, make_wheel

RIGHT = """
from typing import Any, assert_type

import jax
import jax.numpy as jnp
import numpy as np

import gun_jax


def label(images: jax.Array) -> jax.Array:
    model = gun_jax.GUN(num_classes=19, encoder="enc24", guidance=None, width=0.5, dtype=jnp.bfloat16)
    images = gun_jax.normalise(images)
    variables = model.init(jax.random.key(0), images)
    labels = model.apply(variables, images, output_size=(64, 64), method="predict")
    assert isinstance(labels, jax.Array)  # Flax says no more than that it may be anything
    return labels


features, offsets = jnp.zeros((1, 4, 4, 2)), jnp.zeros((1, 8, 8, 2))
assert_type(gun_jax.guided_upsample(features, offsets, method="nearest", padding="zeros"), jax.Array)
assert_type(gun_jax.GuidedUpsampling(guidance="high_res"), gun_jax.GuidedUpsampling)
assert_type(gun_jax.DRN(variant="d38", num_classes=None), gun_jax.DRN)
assert_type(gun_jax.GUN(19)(features), jax.Array)
assert_type(gun_jax.GUN(19).num_classes, int)

model, variables, config = gun_jax.load_run("runs/camvid", step=3)
assert_type(model, gun_jax.GUN)
assert_type(variables, dict[str, Any])
assert_type(gun_jax.load_pretrained()[0], gun_jax.GUN)
assert_type(gun_jax.fold_batch_norm(variables), dict[str, Any])
assert_type(gun_jax.load_drn_weights("drn_d_22-4bd2f8ea.pth", variant="d22"), dict[str, Any])

maps = np.zeros((2, 8, 8), np.uint8)
scores = gun_jax.ConfusionMatrix(19).update(maps, maps).merge(gun_jax.ConfusionMatrix(19))
assert_type(scores.miou(), float)
curve: np.ndarray[Any, Any] = gun_jax.trimap_curve(maps, list(maps), num_classes=19, distances=(1, 2.5))
version: str = gun_jax.__version__
with gun_jax.plain_ops():
    label(features)
"""

# Each line is wrong, in the way that is named behind it.
WRONG = """
import jax.numpy as jnp
import numpy as np

import gun_jax

maps, features, offsets = np.zeros((2, 8, 8), np.uint8), jnp.zeros((1, 4, 4, 2)), jnp.zeros((1, 8, 8, 2))

gun_jax.GUN()  # call-arg
gun_jax.GUN(classes=19)  # call-arg
gun_jax.GUN(19, guidance=3)  # arg-type
gun_jax.GUN(19, method="cubic")  # arg-type
gun_jax.DRN(variant=22)  # arg-type
gun_jax.guided_upsample(features)  # call-arg
gun_jax.guided_upsample(features, offsets, method="cubic")  # arg-type
gun_jax.guided_upsample(features, offsets, "nearest")  # call-arg
gun_jax.guided_upsample(features, offsets).shapes  # attr-defined
gun_jax.GuidedUpsampling(padding="reflect")  # arg-type
gun_jax.ConfusionMatrix("19")  # arg-type
gun_jax.ConfusionMatrix(19).mean()  # attr-defined
gun_jax.trimap_curve(maps, maps)  # call-arg
gun_jax.load_run(3)  # arg-type
gun_jax.load_run("runs/camvid").model  # attr-defined
gun_jax.load_drn_weights("drn.pth", variant=22)  # arg-type
gun_jax.normalize(features)  # attr-defined
gun_jax.jax  # attr-defined
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory, pytestconfig):
    """(file, line, code) of every error that mypy finds in the two files, with the package as it is installed."""
    source, built, site, folder = (tmp_path_factory.mktemp(name) for name in ("source", "built", "site", "user"))
    install(make_wheel(copy_sources(source), built), site)
    (folder / "right.py").write_text(RIGHT)
    (folder / "wrong.py").write_text(WRONG)
    cache = pytestconfig.cache.mkdir("mypy")
    mypy = subprocess.run(
        [sys.executable, "-P", "-m", "mypy", "--strict", f"--cache-dir={cache}", "right.py", "wrong.py"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(site)}, capture_output=True, text=True,
    )  # fmt: skip
    assert mypy.returncode == 1, mypy.stdout + mypy.stderr
    errors = re.findall(r"^(\S+?):(\d+): error: .*\[([\w-]+)\]$", mypy.stdout, flags=re.MULTILINE)
    return [(file, int(line), code) for file, line, code in errors]


def test_right_uses_of_every_public_name_pass(found):
    assert not [error for error in found if error[0] == "right.py"]


def test_each_wrong_use_is_found(found):
    marked = [re.search(r"  # ([\w-]+)$", line) for line in WRONG.splitlines()]
    expected = [("wrong.py", number, match[1]) for number, match in enumerate(marked, 1) if match]
    assert [error for error in found if error[0] == "wrong.py"] == expected


def test_the_right_uses_have_all_public_names():
    import gun_jax

    assert not [name for name in gun_jax.__all__ if f"gun_jax.{name}" not in RIGHT]
