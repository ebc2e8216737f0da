"""Runs a StableHLO network in a program that cannot import this package."""

import functools
import subprocess
import sys

import jax
import numpy as np

import gun_jax
from gun_jax.data.synthetic import SyntheticScenes

PROGRAM = """
import sys
sys.modules["gun_jax"] = None  # an import of it fails
import jax.export, numpy as np
call = jax.export.deserialize(bytearray(open(sys.argv[1], "rb").read())).call
for file in sys.argv[2:]:
    np.save(file.replace("images", "labels"), call(np.load(file)))
"""
SIZES = (2, 48, 80), (1, 61, 37)


def stablehlo_is_predict(network, model, variables, folder):
    """Asserts that the labels of a network's file are those of `predict`, for images of two sizes."""
    files, expected = [], []
    for count, *size in SIZES:
        source = SyntheticScenes(count, tuple(size), seed=5)
        images = np.stack([source[i]["image"] for i in range(count)])
        files.append(f"images{len(files)}.npy")
        np.save(folder / files[-1], images)
        predict = jax.jit(functools.partial(model.apply, output_size=tuple(size), method="predict"))
        expected.append(np.asarray(predict(variables, gun_jax.normalise(images))))
    subprocess.run([sys.executable, "-c", PROGRAM, network, *files], check=True, cwd=folder)
    for number, labels in enumerate(expected):
        found = np.load(folder / f"labels{number}.npy")
        assert found.dtype == np.int32
        assert np.mean(found == labels) >= 0.999
