"""`benchmark.py --peers`: rows, pages that are updated in parts, and refusals in one line."""

import contextlib
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import gun_jax
from benchmarks import peers, report
from benchmarks.peers import Case, Comparison
from benchmarks.report import Part
from benchmarks.scaling import LARGEST, Series
from gun_jax.errors import InputError

ROOT = pathlib.Path(gun_jax.__file__).parents[1]


def say(line):
    pass


def test_a_row_shows_medians_their_ratio_and_its_limit(monkeypatch):
    comparison, cases = Comparison("labels", "jax", "torch", 0.8), (Case("jax", True), Case("torch", True))
    measured = peers.Measured(comparison, cases, np.array([0.1, 0.2, 0.3]), np.array([0.2] * 3))
    monkeypatch.setitem(peers.GROUPS, "some", (((64, 96), 2), ()))
    cells = report._cells("some", measured)
    assert cells == ("labels, 2x64x96", "jax: 200 ms", "torch, same allocator: 200 ms", "1.00 (0.50 to 1.50)", "0.80")


def test_labels_are_compared_with_a_matrix_product_of_the_same_round(monkeypatch):
    product = 2 * 3072**3 / 1e12  # seconds at 1 TFLOP/s
    labels, passes = np.array([0.1, 0.4, 0.2]), np.full(3, 2**29 / 1e10)
    seconds = np.stack([labels, product * np.array([1, 2, 1]), passes], 1)
    monkeypatch.setattr(report, "in_turn", lambda part, inputs, rounds, say: seconds)
    products, traffic, row = report.PARTS["limits"].rows(ROOT, 3, say)
    assert products[1] == "1000 (500 to 1000) GFLOP/s"
    assert traffic[1] == "10 (10 to 10) GB/s"
    # The paper's network has 51 G multiply-adds at this size: 102 ms at 1 TFLOP/s.
    assert row[1:3] == ("200 ms", "at the matrix product's speed: 102 ms")
    assert [float(number) for number in row[3].strip(")").replace(" (", " to ").split(" to ")] == pytest.approx(
        [0.2 / 0.102, 0.1 / 0.102, 0.2 / 0.102], abs=0.02
    )


def test_start_up_shows_the_spread_of_three_pairs(monkeypatch):
    pairs = iter([(10.0, 5.0), (20.0, 5.0), (10.0, 4.0)])
    monkeypatch.setattr(
        report, "start_up", lambda root: dict.fromkeys(("first training step", "evaluate.py"), np.array(next(pairs)))
    )
    row, _ = report.PARTS["start-up"].rows(ROOT, 1, say)
    assert row[1:4] == ("5.0 s", "first start: 10.0 s", "0.40 (0.25 to 0.50)")


def test_single_sizes_are_measured_in_a_second_start(monkeypatch):
    starts = []

    @contextlib.contextmanager
    def started(case, size, batch):
        starts.append((size, batch))
        yield

    def alone(case, size, batch):
        starts.append("counts")
        return 1.5, 2**30

    monkeypatch.setattr(report, "started", started)
    monkeypatch.setattr(report, "alone", alone)
    monkeypatch.setattr(
        report, "grow", lambda sizes, rounds, say: Series(sizes, np.array([[1.0, 1.0, 1.0, 4.0]] * rounds))
    )
    rows = list(report.PARTS["scaling"].rows(ROOT, 1, say))
    assert rows[0][3].endswith("of the largest two 1.00")
    assert starts[-2:] == [LARGEST, "counts"]
    assert rows[-1][1] == "1.50 s, 1.0 GiB"


@pytest.fixture
def parts(monkeypatch):
    """Parts with one row each; "broken" fails after its row."""

    def broken(root, rounds, say):
        yield "broken", "measured", "", "", ""
        raise InputError("out of order")

    made = {
        "labels": Part(lambda root, rounds, say: iter([("labels", f"{rounds} ms", "", "", "")]), "{rounds} rounds."),
        "gum": Part(lambda root, rounds, say: iter([("gum", f"{rounds} ms", "", "", "")]), "{rounds} rounds."),
        "broken": Part(broken, ""),
    }
    monkeypatch.setattr(report, "PARTS", made)


def test_a_command_replaces_its_parts_of_a_page_and_keeps_the_others(parts, tmp_path):
    page = tmp_path / "new" / "peers.md"
    report.report(ROOT, ["gum", "labels"], 7, page, "the first")
    before = page.read_text()
    report.report(ROOT, ["gum"], 9, page, "the second")
    sections = page.read_text().split("\n## ")
    assert [section.splitlines()[0] for section in sections] == [
        "# The network beside its peers",
        "labels",
        "gum",
    ]
    assert sections[:2] == before.split("\n## ")[:2]
    assert "python the first\n" in sections[1] and "7 rounds." in sections[1] and "| labels | 7 ms |" in sections[1]
    assert "python the second\n" in sections[2] and "9 rounds." in sections[2] and "| gum | 9 ms |" in sections[2]
    assert "the first" not in sections[2]


def test_rows_before_an_error_are_shown_and_written(parts, tmp_path, capsys):
    page = tmp_path / "peers.md"
    with pytest.raises(InputError, match="out of order"):
        report.report(ROOT, ["labels", "broken", "gum"], 7, page, "")
    told = capsys.readouterr().out
    assert "7 ms" in told and "measured" in told
    assert "| labels | 7 ms |" in page.read_text() and "| broken | measured |" in page.read_text()


@pytest.mark.parametrize("content", ["# Notes\n", "# The network beside its peers\n\nMerged by hand.\n"])
def test_a_page_that_something_else_wrote_is_refused_and_kept(content, parts, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(content)
    with pytest.raises(InputError, match=r"page\.md, which holds something else"):
        report.report(ROOT, ["labels"], 7, page, "")
    assert page.read_text() == content


def test_without_camvid_the_rest_of_the_pipeline_is_measured_and_a_line_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("GUN_DATA_DIR", str(tmp_path))  # as one that holds Cityscapes
    monkeypatch.setattr(report, "drawn_images", lambda *_: contextlib.nullcontext(tmp_path))
    monkeypatch.setattr(report, "_of_images", lambda what, *_: iter([(what, "100 images/s", "", "", "")]))
    left_out, drawn = report.report(ROOT, ["pipeline"], 1, None, "")
    assert left_out[:2] == ("decoded and augmented: CamVid, crops of 240x320", "left out: CamVid is missing")
    assert drawn[0].startswith("PNGs")
    assert capsys.readouterr().out.startswith("pipeline: CamVid will be left out. CamVid is missing: looked for train")


def test_an_unknown_part_is_refused_with_a_list_of_the_parts():
    with pytest.raises(InputError, match="part 'speed'; expected one of labels, gum"):
        report.report(ROOT, ["speed"], 1, None, "")


@pytest.mark.slow
def test_the_program_writes_a_page(tmp_path):
    page = tmp_path / "peers.md"
    command = [sys.executable, ROOT / "benchmark.py", "--peers", "--parts=limits", "--rounds=1", f"--markdown={page}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "## limits" in page.read_text()
    assert "| matrix product of 3072x3072, float32 |" in page.read_text()
