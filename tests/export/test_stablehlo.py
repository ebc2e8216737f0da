"""StableHLO of other networks than the one that test_exporter.py exports."""

import jax
import jax.export
import numpy as np
import pytest
from reference_stablehlo import stablehlo_is_predict

import gun_jax
from gun_jax.export.stablehlo import stablehlo_network
from gun_jax.models.encoder import ENCODERS


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"encoder": "enc24", "method": "nearest"}, {"guidance": None}], ids=["enc24, nearest", "no guidance"]
)
def test_labels_are_those_of_predict_without_this_package(settings, random_variables, tmp_path):
    model = gun_jax.GUN(19, width=0.1, **settings)
    variables = random_variables(model)
    (tmp_path / "network").write_bytes(stablehlo_network(model, variables))
    stablehlo_is_predict(tmp_path / "network", model, variables, tmp_path)


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
