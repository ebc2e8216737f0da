"""`curves.png`: drawn from the rows, and never a reason to fail a run."""

import warnings

import pytest
from reference_workdirs import write_run

from gun_jax import visualisation
from gun_jax.errors import InputWarning
from gun_jax.runs.rows import append_row, read_rows
from gun_jax.training.drawing import draw_curves, last_report
from gun_jax.visualisation import curve_figure


@pytest.fixture
def workdir(tmp_path):
    return write_run(tmp_path / "run")


def test_the_curves_are_those_of_the_rows(workdir, tmp_path):
    draw_curves(workdir)
    curve_figure(read_rows(workdir / "metrics.jsonl"), tmp_path / "expected.png")
    assert (workdir / "curves.png").read_bytes() == (tmp_path / "expected.png").read_bytes()


def test_a_run_without_a_report_has_no_curves_and_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_curves(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_failure_to_draw_is_a_warning(workdir, monkeypatch):
    def fail(*_):
        raise RuntimeError("no fonts")

    monkeypatch.setattr(visualisation, "curve_figure", fail)
    with pytest.warns(InputWarning, match=r"curves\.png was not drawn: no fonts"):
        draw_curves(workdir)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_curves(workdir, warn=False)


def test_another_process_draws_nothing(workdir, monkeypatch):
    monkeypatch.setattr("gun_jax.training.drawing.is_main", lambda: False)
    draw_curves(workdir)
    assert not (workdir / "curves.png").exists()


def test_a_report_is_noticed(workdir, tmp_path):
    before = last_report(workdir)
    assert last_report(workdir) == before and last_report(tmp_path) is None
    append_row(workdir / "metrics.jsonl", {"step": 17, "epoch": 4.25, "loss": 1.0})
    assert last_report(workdir) != before
