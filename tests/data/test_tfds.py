"""A prepared Cityscapes is read by the base install, in a process in which TensorFlow cannot be imported."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from cityscapesscripts.helpers.labels import id2label

SIZE = (6, 9)
NAMES = ("ulm_000001_000019", "bochum_000000_000313")
READ = """
import importlib.util, pickle, sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name == "tensorflow" else find(name, *rest)
assert importlib.util.find_spec("tensorflow") is None
import numpy as np
from gun_jax.configuration import default_config
from gun_jax.data.sources import load_source

config = default_config()
config.data.dir, config.data.partial = sys.argv[1], True
source = pickle.loads(pickle.dumps(load_source(config.data, "train")))
records = [source[index] for index in range(len(source))]
assert "tensorflow" not in sys.modules
np.savez(sys.argv[2], **{f"{key}{i}": value for i, record in enumerate(records) for key, value in record.items()})
"""


def arrays(seed):
    """An image and label ids of all 34 kinds."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8), rng.integers(0, 34, SIZE).astype(np.uint8)


def png(pixels):
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.fixture
def prepared(tmp_path):
    """The folder that TFDS leaves after preparing, with the two records in its train split."""
    folder = tmp_path / "cityscapes" / "semantic_segmentation" / "1.0.0"
    folder.mkdir(parents=True)
    image, label = (tfds.features.Image(shape=(None, None, channels)) for channels in (3, 1))
    features = tfds.features.FeaturesDict(
        {"image_id": tfds.features.Text(), "image_left": image, "segmentation_label": label}
    )
    features.save_config(str(folder))
    serialize = tfds.core.example_serializer.ExampleSerializer(features.get_serialized_info()).serialize_example
    writer = ArrayRecordWriter(str(folder / "cityscapes-train.array_record-00000-of-00001"), "group_size:1")
    for seed, name in enumerate(NAMES):
        image, label = arrays(seed)
        record = {"image_id": name, "image_left": png(image[..., ::-1]), "segmentation_label": png(label)}
        writer.write(serialize(features.encode_example(record)))
    writer.close()
    split = {
        "name": "train",
        "shardLengths": ["2"],
        "numBytes": "1000",
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
    }
    info = {"name": "cityscapes", "configName": "semantic_segmentation", "version": "1.0.0",
            "fileFormat": "array_record", "moduleName": "", "splits": [split]}  # fmt: skip
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return tmp_path


def test_a_prepared_cityscapes_is_read_without_tensorflow(prepared, tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", READ, prepared, tmp_path / "read.npz"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    found = np.load(tmp_path / "read.npz")
    for index, name in enumerate(NAMES):
        image, label = arrays(index)
        assert found[f"id{index}"] == f"{name.partition('_')[0]}/{name}"
        np.testing.assert_array_equal(found[f"image{index}"], image)
        np.testing.assert_array_equal(found[f"label{index}"], np.vectorize(lambda i: id2label[i].trainId)(label))
