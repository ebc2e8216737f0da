"""`export`, what it writes, and running and scoring that again."""

import json
import pathlib
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

import gun_jax
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.errors import InputError
from gun_jax.evaluation import evaluate
from gun_jax.export.contract import FORMATS
from gun_jax.export.exported import load_exported
from gun_jax.export.exporter import export

for package in ("onnx", "onnxruntime", "openvino", "nncf"):
    pytest.importorskip(package)

SIZE = 64, 128  # of the run's scenes


@pytest.fixture(scope="module")
def workdir(random_run, tmp_path_factory):
    """A run, exported in all formats; the one in 8 bits by 4 pictures in a folder of their own."""
    workdir = tmp_path_factory.mktemp("exported") / "run"
    shutil.copytree(random_run.workdir, workdir)
    pictures = workdir.parent / "pictures"
    pictures.mkdir()
    scenes = SyntheticScenes(4, (96, 150), seed=11)
    for i in range(4):
        cv2.imwrite(str(pictures / f"{i}.png"), scenes[i]["image"][..., ::-1])
    for form in FORMATS:
        if form == "openvino-int8":
            export(workdir, form, size=SIZE, calibration=pictures, pictures=3)
        else:
            export(workdir, form)
    return workdir


@pytest.fixture(scope="module")
def images():
    scenes = SyntheticScenes(3, SIZE, seed=2)
    return np.stack([scenes[i]["image"] for i in range(3)])


@pytest.fixture(scope="module")
def expected(random_run, images):
    normal = gun_jax.normalise(images)
    return np.asarray(random_run.model.apply(random_run.variables, normal, output_size=SIZE, method="predict"))


def contract(workdir, form):
    return workdir / "export" / f"{form}.json"


@pytest.mark.parametrize("form", ["stablehlo", "onnx", "openvino"])
def test_what_is_loaded_again_gives_the_labels_of_the_run(form, workdir, images, expected):
    labels = load_exported(contract(workdir, form)).label(images)
    assert labels.dtype == np.int32
    assert np.mean(labels == expected) >= 0.999


def test_8_bits_give_nearly_the_same_labels_in_a_quarter_of_the_bytes(workdir, images, expected):
    labels = load_exported(contract(workdir, "openvino-int8")).label(images)
    assert 0.8 < np.mean(labels == expected) < 1
    bits = [(workdir / "export" / f"{form}.bin").stat().st_size for form in ("openvino", "openvino-int8")]
    assert bits[1] < 0.4 * bits[0]


@pytest.mark.parametrize("form", FORMATS)
def test_the_contract_says_what_goes_in_and_comes_out(form, workdir, random_run, strict_json):
    said = strict_json(contract(workdir, form).read_text())
    assert (workdir / "export" / said["file"]).is_file()
    sides = ["height", "width"] if form == "stablehlo" else list(SIZE)
    assert said["input"]["shape"] == ["batch", *sides, 3]
    assert said["output"]["shape"] == ["batch", *sides]
    assert [said["input"][key] for key in ("dtype", "layout", "range")] == ["uint8", "NHWC", [0, 255]]
    assert said["classes"][13] == {"name": "car", "color": [0, 0, 142]}
    assert said["origin"]["step"] == 7
    assert said["origin"]["model"]["encoder"] == "enc24shared"


def test_calibration_is_told(workdir):
    told = json.loads(contract(workdir, "openvino-int8").read_text())["origin"]["calibration"]
    assert told["count"] == 3
    assert "pictures" in told["pictures"]


@pytest.mark.parametrize("form", ["onnx", "stablehlo"])
def test_evaluation_of_an_exported_network_has_the_scores_of_the_run(form, workdir):
    report = evaluate(workdir, exported=contract(workdir, form))
    assert report["miou"] == pytest.approx(evaluate(workdir)["miou"], abs=2e-3)
    assert report["images"] == 5
    assert json.loads((workdir / "evaluation" / f"val-{form}.json").read_text()) == report


def test_nothing_unfinished_is_left_behind(workdir):
    endings = {path.suffix for path in (workdir / "export").iterdir()}
    assert endings == {".json", ".onnx", ".stablehlo", ".xml", ".bin"}


def test_openvino_is_loaded_without_a_process_that_reports_it():
    program = "import jax; jax.numpy.ones(1); import gun_jax.export.openvino_network"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert "fork" not in done.stderr


# What is refused


def test_images_of_another_size_are_refused(workdir, images):
    with pytest.raises(InputError, match=r"32x128.*takes 64x128.*--size=32x128"):
        load_exported(contract(workdir, "onnx")).label(images[:, :32])


@pytest.mark.parametrize("form", ["onnx", "openvino", "stablehlo"])
def test_a_damaged_network_is_named(form, workdir, tmp_path):
    folder = tmp_path / "export"
    shutil.copytree(workdir / "export", folder)
    file = folder / f"{form}{FORMATS[form]}"
    file.write_bytes(b"not a network")
    with pytest.raises(InputError, match=f"{file.name} is not a {form} network"):
        load_exported(folder / f"{form}.json")


def test_a_network_without_its_file_is_named(workdir, tmp_path):
    shutil.copy(contract(workdir, "onnx"), tmp_path)
    with pytest.raises(InputError, match=r"onnx\.onnx, which is not there"):
        load_exported(tmp_path / "onnx.json")


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON", '{"format": "onnx", "file": 3}'])
def test_a_contract_of_another_form_is_named(content, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"a\.json is not the JSON file"):
        load_exported(tmp_path / "a.json")


@pytest.mark.parametrize("change", [{"file": "../onnx.onnx"}, {"format": "torchscript"}, {"origin": {}}])
def test_a_contract_that_was_changed_by_hand_is_named(change, workdir, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(json.loads(contract(workdir, "onnx").read_text()) | change))
    with pytest.raises(InputError, match=r"a\.json is not the JSON file"):
        load_exported(tmp_path / "a.json")


def test_a_missing_contract_is_named(tmp_path):
    with pytest.raises(InputError, match=r"a\.json cannot be read: No such file"):
        load_exported(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("form", "options", "message"),
    [
        ("torchscript", {}, "'torchscript'; expected one of stablehlo, onnx, openvino, openvino-int8"),
        ("onnx", {"calibration": "."}, "--calibration is of no use to --format=onnx"),
        ("stablehlo", {"size": (64, 64)}, "--size is of no use to --format=stablehlo"),
        ("onnx", {"size": (8, 64)}, "--size is 8x64; expected 64 pixels or more"),
        ("openvino-int8", {"pictures": 0}, "pictures 0; expected a whole number"),
        ("openvino-int8", {"calibration": "/no/such/folder"}, "/no/such/folder does not exist"),
    ],
)
def test_impossible_exports_are_refused(form, options, message, workdir):
    options = {name: pathlib.Path(value) if name == "calibration" else value for name, value in options.items()}
    with pytest.raises(InputError, match=message):
        export(workdir, form, **options)


@pytest.mark.parametrize("options", [{"panels": 1}, {"trimap": True}, {"step": 3}])
def test_an_exported_network_is_only_scored(options, workdir):
    with pytest.raises(InputError, match="--exported only scores"):
        evaluate(workdir, exported=contract(workdir, "onnx"), **options)
