"""`export`, its files, and loading and scoring them."""

import errno
import functools
import json
import os
import pathlib
import shutil
import sys

import cv2
import jax
import numpy as np
import pytest
from reference_programs import run_program
from reference_stablehlo import stablehlo_is_predict

import gun_jax
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.errors import InputError
from gun_jax.evaluation.evaluate import evaluate, evaluate_exported
from gun_jax.export.exported import load_exported
from gun_jax.export.exporter import export
from gun_jax.export.spec import FORMATS

for package in ("onnx", "onnxruntime", "gun_jax.export.quiet_openvino", "nncf"):
    pytest.importorskip(package)

ROOT = pathlib.Path(gun_jax.__file__).parents[1]
SIZE = 64, 128  # of the run's scenes
OTHER_EVALUATIONS = "--panels=1", "--trimap", "--against=a", "--report", "--step=3"


@pytest.fixture(scope="module")
def workdir(random_run, tmp_path_factory):
    """A run, exported in all formats; the one in 8 bits by 4 images in a folder of their own."""
    workdir = tmp_path_factory.mktemp("exported") / "run"
    shutil.copytree(random_run.workdir, workdir)
    folder = workdir.parent / "images"
    folder.mkdir()
    scenes = SyntheticScenes(4, (96, 150), seed=11)
    for i in range(4):
        cv2.imwrite(str(folder / f"{i}.png"), scenes[i]["image"][..., ::-1])
    for form in FORMATS:
        if form == "openvino-int8":
            export(workdir, form, size=SIZE, calibration=folder, images=3)
        else:
            export(workdir, form)
    return workdir


@pytest.fixture(scope="module")
def images():
    scenes = SyntheticScenes(3, SIZE, seed=2)
    return np.stack([scenes[i]["image"] for i in range(3)])


@pytest.fixture(scope="module")
def expected(random_run, images):
    predict = jax.jit(functools.partial(random_run.model.apply, output_size=SIZE, method="predict"))
    return np.asarray(predict(random_run.variables, gun_jax.normalise(images)))


@pytest.fixture(scope="module")
def scores(workdir):
    return evaluate(workdir)


@pytest.fixture(scope="module")
def evaluated(workdir, tmp_path_factory):
    """evaluate.py with an exported network whose run has no checkpoints: outcomes by option, and the run."""
    run = tmp_path_factory.mktemp("evaluated") / "run"
    shutil.copytree(workdir, run, ignore=shutil.ignore_patterns("checkpoints", "evaluation"))
    options = ["", *OTHER_EVALUATIONS]
    lines = [["evaluate.py", f"--exported={spec(run, 'onnx')}", *filter(None, [option])] for option in options]
    return {option: (run_program(*line, cwd=run.parent), run) for option, line in zip(options, lines, strict=True)}


def spec(workdir, form):
    return workdir / "export" / f"{form}.json"


def exported_files(workdir):
    return {path.name: path.read_bytes() for path in (workdir / "export").iterdir()}


@pytest.mark.parametrize("form", ["stablehlo", "onnx", "openvino"])
def test_a_loaded_network_gives_the_labels_of_the_run(form, workdir, images, expected):
    label = load_exported(spec(workdir, form)).label
    labels = np.concatenate([label(image[None]) for image in images])
    assert labels.dtype == np.int32
    assert np.mean(labels == expected) >= 0.999


def test_stablehlo_labels_images_of_any_number_and_size_without_this_package(workdir, random_run, tmp_path):
    stablehlo_is_predict(workdir / "export" / "stablehlo.stablehlo", random_run.model, random_run.variables, tmp_path)


def test_8_bits_give_nearly_the_same_labels_in_a_quarter_of_the_bytes(workdir, images, expected):
    labels = load_exported(spec(workdir, "openvino-int8")).label(images)
    assert 0.8 < np.mean(labels == expected) < 1
    bits = [(workdir / "export" / f"{form}.bin").stat().st_size for form in ("openvino", "openvino-int8")]
    assert bits[1] < 0.4 * bits[0]


@pytest.mark.parametrize("form", FORMATS)
def test_the_json_file_describes_input_and_output(form, workdir, random_run, strict_json):
    written = strict_json(spec(workdir, form).read_text())
    assert (workdir / "export" / written["file"]).is_file()
    sides = ["height", "width"] if form == "stablehlo" else list(SIZE)
    assert written["input"]["shape"] == ["batch", *sides, 3]
    assert written["input"]["minimum"] == [1, *((16, 16) if form == "stablehlo" else SIZE), 3]
    assert written["output"]["shape"] == ["batch", *sides]
    assert [written["input"][key] for key in ("dtype", "layout", "range")] == ["uint8", "NHWC", [0, 255]]
    assert written["classes"][13] == {"name": "car", "color": [0, 0, 142]}
    assert written["origin"]["step"] == 7
    assert written["origin"]["model"]["encoder"] == "enc24shared"


def test_the_json_file_names_the_calibration_images(workdir):
    written = json.loads(spec(workdir, "openvino-int8").read_text())["origin"]["calibration"]
    assert written["count"] == 3
    assert "images" in written["images"]


@pytest.mark.parametrize("form", ["onnx", "stablehlo"])
def test_evaluation_of_an_exported_network_has_the_scores_of_the_run(form, workdir, scores):
    network = load_exported(spec(workdir, form))
    report = evaluate_exported(workdir, spec(workdir, form), network.label_at, network.spec.classes, 7)
    assert report["miou"] == pytest.approx(scores["miou"], abs=2e-3)
    assert report["images"] == 5
    assert json.loads((workdir / "evaluation" / f"val-{form}.json").read_text()) == report


def test_an_exported_network_is_scored_without_the_checkpoints(scores, evaluated):
    done, run = evaluated[""]
    assert done.returncode == 0, done.stderr
    report = json.loads((run / "evaluation" / "val-onnx.json").read_text())
    assert report["miou"] == pytest.approx(scores["miou"], abs=2e-3)
    assert (report["step"], report["images"]) == (7, 5)


def test_images_of_the_smallest_size_are_labelled(workdir, images):
    assert load_exported(spec(workdir, "stablehlo")).label(images[:, :16, :16]).shape == (3, 16, 16)


def test_nothing_unfinished_is_left_behind(workdir):
    endings = {path.suffix for path in (workdir / "export").iterdir()}
    assert endings == {".json", ".onnx", ".stablehlo", ".xml", ".bin"}


# Bad input


def test_images_of_another_size_are_refused(workdir, images):
    with pytest.raises(InputError, match=r"32x128.*expected 64x128.*--size=32x128"):
        load_exported(spec(workdir, "onnx")).label(images[:, :32])


@pytest.mark.parametrize("size", [(15, 40), (40, 15)])
def test_images_that_are_too_small_are_refused(size, workdir, images):
    with pytest.raises(InputError, match=rf"images of {size[0]}x{size[1]}.*expected 16x16 \(height x width\) or more"):
        load_exported(spec(workdir, "stablehlo")).label(images[:, : size[0], : size[1]])


@pytest.mark.parametrize("form", ["onnx", "openvino", "stablehlo"])
def test_a_damaged_network_is_named(form, workdir, tmp_path):
    folder = tmp_path / "export"
    shutil.copytree(workdir / "export", folder)
    file = folder / f"{form}{FORMATS[form]}"
    file.write_bytes(b"not a network")
    with pytest.raises(InputError, match=f"{file.name} is not a {form} network"):
        load_exported(folder / f"{form}.json")


def test_a_network_without_its_file_is_named(workdir, tmp_path):
    shutil.copy(spec(workdir, "onnx"), tmp_path)
    with pytest.raises(InputError, match=r"onnx\.onnx, which is missing"):
        load_exported(tmp_path / "onnx.json")


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON", '{"format": "onnx", "file": 3}'])
def test_another_json_file_is_refused_by_name(content, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"a\.json is not a JSON file of export\.py"):
        load_exported(tmp_path / "a.json")


@pytest.mark.parametrize(
    "change",
    [
        {"file": "../onnx.onnx"},
        {"format": "torchscript"},
        {"origin": {}},
        *(
            {"input": {"shape": shape, "minimum": [1, 16, 16, 3]}}
            for shape in (["batch"], ["batch", "64", "128", 3], ["batch", "height", 128, 3], ["batch", 64, None, 3], 4)
        ),
        {"input": {"shape": ["batch", "height", "width", 3], "minimum": [16, 16]}},
    ],
    ids=str,
)
def test_an_edited_json_file_is_refused_by_name(change, workdir, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(json.loads(spec(workdir, "onnx").read_text()) | change))
    with pytest.raises(InputError, match=r"a\.json is not a JSON file of export\.py"):
        load_exported(tmp_path / "a.json")


def test_a_missing_json_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"a\.json cannot be read: No such file"):
        load_exported(tmp_path / "a.json")


@pytest.mark.parametrize("missing", ["onnx", "nncf"])
def test_a_missing_package_is_named_before_anything_is_done(missing, workdir, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InputError, match=f"--format=openvino-int8 needs {missing}, from the `export` extra"):
        export(workdir, "openvino-int8")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("form", "options", "message"),
    [
        ("torchscript", {}, "'torchscript'; expected one of stablehlo, onnx, openvino, openvino-int8"),
        ("onnx", {"calibration": "."}, "--calibration only applies to --format=openvino-int8, not onnx"),
        ("onnx", {"images": 300}, "--images only applies to --format=openvino-int8, not onnx"),
        ("stablehlo", {"size": (64, 64)}, "--size does not apply to --format=stablehlo"),
        ("onnx", {"size": (8, 64)}, "--size is 8x64; expected 64 pixels or more"),
        ("openvino-int8", {"images": 0}, "images 0; expected a whole number"),
        ("openvino-int8", {"calibration": "/no/such/folder"}, "/no/such/folder does not exist"),
    ],
)
def test_impossible_exports_are_refused_and_keep_earlier_ones(form, options, message, workdir):
    before = exported_files(workdir)
    options = {name: pathlib.Path(value) if name == "calibration" else value for name, value in options.items()}
    with pytest.raises(InputError, match=message):
        export(workdir, form, **options)
    assert exported_files(workdir) == before


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_an_export_that_cannot_be_written_is_refused_and_keeps_earlier_ones(form, workdir, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = exported_files(workdir)
    monkeypatch.setattr(pathlib.Path, "write_bytes", fail)
    monkeypatch.setattr("gun_jax.export.openvino_network.write_network", fail)
    with pytest.raises(InputError, match=rf"cannot write .*{form}.* and {form}\.json: No space left on device; .*"):
        export(workdir, form)
    assert exported_files(workdir) == before


def test_a_folder_in_the_place_of_the_json_file_is_named(random_run, tmp_path):
    shutil.copytree(random_run.workdir, tmp_path / "run")
    spec(tmp_path / "run", "onnx").mkdir(parents=True)
    with pytest.raises(InputError, match=r"cannot write .*onnx\.json: Is a directory; remove what is in the way"):
        export(tmp_path / "run", "onnx")


@pytest.mark.parametrize("option", OTHER_EVALUATIONS)
def test_an_exported_network_is_only_scored(option, evaluated):
    done, _ = evaluated[option]
    assert done.returncode == 2
    assert done.stderr == f"evaluate.py: --exported only scores; leave out {option.partition('=')[0]}\n"
