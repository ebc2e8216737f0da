"""StableHLO: any number of images of any size, loaded by a program that cannot import this package."""

import subprocess
import sys

import jax
import jax.export
import numpy as np
import pytest

import gun_jax
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.export.stablehlo import stablehlo_network
from gun_jax.models.encoder import ENCODERS

PROGRAM = """
import sys
sys.modules["gun_jax"] = None  # an import of it fails
import jax.export, numpy as np
call = jax.export.deserialize(bytearray(open(sys.argv[1], "rb").read())).call
for file in sys.argv[2:]:
    np.save(file.replace("images", "labels"), call(np.load(file)))
"""
SIZES = (2, 48, 80), (1, 61, 37)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"input_subsampling": 2}, id="final"),
        pytest.param({"encoder": "enc24", "method": "nearest"}, id="nearest, separate weights", marks=pytest.mark.slow),
        pytest.param({"guidance": None}, id="no guidance", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_labels_are_those_of_predict_without_this_package(settings, random_variables, tmp_path):
    model = gun_jax.GUN(19, width=0.1, **settings)
    variables = random_variables(model)
    (tmp_path / "network").write_bytes(stablehlo_network(model, variables))
    files, expected = [], []
    for count, *size in SIZES:
        source = SyntheticScenes(count, tuple(size), seed=5)
        images = np.stack([source[i]["image"] for i in range(count)])
        files.append(tmp_path / f"images{len(files)}.npy")
        np.save(files[-1], images)
        predict = model.apply(variables, gun_jax.normalise(images), output_size=tuple(size), method="predict")
        expected.append(np.asarray(predict))
    subprocess.run([sys.executable, "-c", PROGRAM, tmp_path / "network", *files], check=True, cwd=tmp_path)
    for number, labels in enumerate(expected):
        found = np.load(tmp_path / f"labels{number}.npy")
        assert found.dtype == np.int32
        assert np.mean(found == labels) >= 0.999


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS)
def test_sizes_stay_open_with_every_encoder(encoder):
    model = gun_jax.GUN(3, width=0.1, encoder=encoder)
    variables = jax.tree.map(
        lambda leaf: np.ones(leaf.shape, leaf.dtype),
        jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, 64, 64, 3), np.float32)),
    )
    exported = jax.export.deserialize(bytearray(stablehlo_network(model, variables)))
    (taken,), (given,) = exported.in_avals, exported.out_avals
    assert [str(side) for side in taken.shape] == ["batch", "height", "width", "3"]
    assert [str(side) for side in given.shape] == ["batch", "height", "width"]
