"""JupyterLab as a researcher uses it: every notebook runs from top to bottom, and nothing done by hand enters a report."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from lab import Lab

from evaluation.errors import ContractError
from evaluation.runs.clearance import RunClearance
from evaluation.runs.files import sha256_of
from evaluation.runs.interactive import make_working_copy
from evaluation.runs.progress import Reporter
from evaluation.runs.reports import Material, write_reports
from evaluation.runs.store import StageResult
from evaluation.runs.study import stored_results

import tiny_study  # isort: skip

CHECKOUT = Path(__file__).resolve().parents[2]


def digests(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): sha256_of(p) for p in sorted(folder.rglob("*")) if p.is_file() and "by_hand" not in p.parts}


def test_a_working_copy_runs_in_a_server_and_changes_no_run(finished, tmp_path):
    copy = make_working_copy(finished.root, finished.root / "reports", "second", None, kinds=tiny_study.KINDS)
    before = digests(finished.root / "reports")
    with Lab(finished.root, tmp_path) as lab:
        path = copy.relative_to(finished.root).as_posix()
        done = lab.run_all(path, change={"threshold: int = 5": "threshold: int = 19"})
        assert [run.error for run in done] == [""] * 4
        refused = lab.run_all(path, change={"threshold: int = 5": "threshold: int = 500"})
        assert refused[-1].status == "error" and "ParameterError" in refused[-1].error and "less than or equal to 100" in refused[-1].error
        misspelt = lab.run_all(path, change={"threshold: int": "treshold: int"})
        assert "there is `treshold`: misspelt?" in misspelt[-1].error
    assert (copy.parent / "tables" / "totals.parquet").is_file(), "the result by hand lies beside the working copy"
    assert digests(finished.root / "reports") == before, "neither run nor store was touched"
    result = finished.run()
    assert all(outcome.reused for outcome in result.outcomes.values())


def test_a_result_made_by_hand_enters_no_report(finished, tmp_path):
    study = finished.study()
    results = stored_results(study, study.kind.stage("report"))
    by_hand = StageResult(results["second"].folder, {**results["second"].step, "kind": "interactive"})
    material = Material(values=study.values, protocol_digest=study.loaded.digest, label="simulated", stages=tuple(results), sources={}, origin={},
                        results={**results, "second": by_hand}, store=tmp_path / "store")
    with pytest.raises(ContractError, match="interactive results enter no report"):
        write_reports(RunClearance(material, finished.root), tmp_path / "run", Reporter())
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """What a fresh clone holds: the notebooks, params and dictionary, and no run."""
    root = tmp_path_factory.mktemp("clone")
    for folder in ("notebooks", "params", "data_dictionary"):
        shutil.copytree(CHECKOUT / folder, root / folder, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    return root


@pytest.mark.slow
def test_run_all_works_in_every_notebook_on_a_fresh_clone(clone, published, tmp_path):
    names = sorted(p.name for p in (clone / "notebooks").glob("*.ipynb"))
    assert names
    # the last stage first: its earlier stages must run by themselves
    order = sorted(names, key=lambda name: (name not in ("report.ipynb", "area_report.ipynb"), name))
    data = {"EVALUATION_DATA": str(published / "data" / "dfe_absence_bands")}
    before = {name: (clone / "notebooks" / name).read_text(encoding="utf-8") for name in names}
    with Lab(clone, tmp_path, data) as lab:
        failed = {name: [f"{r.cell_id}: {r.error}" for r in lab.run_all(f"notebooks/{name}") if r.status != "ok"] for name in order}
    assert failed == {name: [] for name in order}
    assert {name: (clone / "notebooks" / name).read_text(encoding="utf-8") for name in names} == before, "running writes no output into the source"
    finished = [json.loads(p.read_text(encoding="utf-8")) for p in (clone / "reports").glob("*/run.json")]
    assert finished and all(run["kind"] == "partial" for run in finished), "runs made for notebooks are no full runs and have no reports"
    assert not list((clone / "reports").glob("*/report/*.html"))


def test_the_area_notebooks_say_which_data_they_need(monkeypatch, tmp_path):
    from evaluation.errors import DataError
    from evaluation.runs.interactive import default_context

    monkeypatch.delenv("EVALUATION_DATA", raising=False)
    monkeypatch.chdir(CHECKOUT / "notebooks")
    with pytest.raises(DataError, match="EVALUATION_DATA"):
        default_context("area_panel", "area")
    assert os.getcwd() == str(CHECKOUT / "notebooks")
