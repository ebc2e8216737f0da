"""The input pipeline beside bare decoding, and how long training waits for it."""

import collections
import pathlib

import pytest

import gun_jax
from benchmarks import pipeline
from benchmarks.pipeline import drawn_images, pipeline_ratio
from gun_jax.configuration import default_config
from gun_jax.data.sources import load_source

ROOT = pathlib.Path(gun_jax.__file__).parents[1]


def test_the_pipeline_and_bare_decoding_read_the_same_files(monkeypatch):
    bare, ours = collections.Counter(), collections.Counter()
    read_bytes = pathlib.Path.read_bytes

    def counted(path):
        ours[path] += 1
        return read_bytes(path)

    with drawn_images(3, (48, 64)) as folder:
        data = default_config().data
        data.source, data.dir, data.prefetch = "folder", str(folder), 1
        source = load_source(data, "train")
        assert len(load_source(data, "val")) == 1
        assert source[1]["image"].shape == (48, 64, 3)
        monkeypatch.setattr(pipeline, "_read", bare.update)
        monkeypatch.setattr(pathlib.Path, "read_bytes", counted)
        speeds = pipeline_ratio(source, data, 2)
    assert all(speed.shape == (2,) and (speed > 0).all() for speed in speeds)
    files = {folder / "train" / part / f"{index}.png" for part in ("images", "labels") for index in range(3)}
    assert set(bare) == set(ours) == files
    each = 2 * 12 * 8 // 3
    assert set(bare.values()) == {each}
    assert all(each <= count <= each + 2 * 8 for count in ours.values())  # and some ahead, a round


@pytest.mark.slow
def test_waiting_is_reported_for_all_but_the_first_steps_of_a_training():
    settings = ("--config=configs/synthetic.py", "--config.model.width=0.05", "--config.data.synthetic_val=2")
    shares = pipeline.waiting_share(ROOT, *settings)
    assert shares.shape == (3,)
    assert ((shares >= 0) & (shares < 1)).all()
