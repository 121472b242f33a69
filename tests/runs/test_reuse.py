"""Nothing stale is reused, nothing that still holds is run again, and each re-run says why."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from evaluation.errors import ContractError
from evaluation.runs import root as project_root
from evaluation.runs.files import sha256_of
from evaluation.runs.progress import Reporter
from evaluation.runs.run import run_study
from evaluation.runs.study import plan_study


def test_an_unchanged_second_run_reuses_every_stage_and_the_reports(finished):
    result = finished.run()
    assert all(outcome.reused for outcome in result.outcomes.values()) and len(result.outcomes) == 3
    assert result.manifest["report"]["reused"]
    assert len(finished.runs()) == 2, "each run has a folder of its own"
    first, second = ((run / "working" / "technical.html").read_text(encoding="utf-8").replace(run.name, "") for run in finished.runs())
    assert first == second


def test_a_parameter_change_runs_from_its_stage_on_and_says_why(finished):
    finished.replace("threshold: 5", "threshold: 6")
    planned = {p.stage.name: (p.action, p.why) for p in plan_study(finished.study())}
    assert planned == {"first": ("reused", "nothing it depends on changed"), "second": ("runs", "threshold 5 -> 6"),
                       "report": ("waits", "runs unless second gives equal tables again")}
    result = finished.run()
    assert [o.reused for o in result.outcomes.values()] == [True, False, False]
    assert result.outcomes["second"].why == "threshold 5 -> 6"
    assert "second runs: threshold 5 -> 6" in finished.said.getvalue()


def test_equal_outputs_stop_the_cascade(finished):
    finished.replace("label_text: plain", "label_text: other")
    result = finished.run()
    assert [o.reused for o in result.outcomes.values()] == [False, True, False]
    assert result.outcomes["report"].why == "first.label_text plain -> other", "the report sees the whole protocol, no table changed"


def test_a_prose_edit_renders_again_and_runs_nothing(finished):
    path = finished.root / "notebooks" / "second.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("About second-work", "About the counting"), encoding="utf-8")
    result = finished.run()
    assert all(outcome.reused for outcome in result.outcomes.values())
    assert not result.manifest["report"]["reused"]
    page = (result.folder / "working" / "technical.html").read_text(encoding="utf-8")
    assert "About the counting" in page and "About second-work" not in page


def test_a_code_edit_runs_the_stage_again(finished):
    finished.cells("second", second_work="numbers = stage.read(\"numbers\")\nabove = numbers[numbers.number >= stage.parameters.threshold]")
    result = finished.run()
    assert not result.outcomes["second"].reused
    assert "code of the notebook changed (cell second-work)" in result.outcomes["second"].why


def test_a_package_edit_invalidates_every_stage_and_names_the_file(finished, tmp_path, monkeypatch):
    package = tmp_path / "evaluation"
    shutil.copytree(project_root.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(project_root, "PACKAGE", package)
    assert [p.action for p in plan_study(finished.study())] == ["reused"] * 3
    (package / "reporting" / "render" / "model.py").open("a").write("\n# prose alone\n")
    assert [p.action for p in plan_study(finished.study())] == ["reused"] * 3, "what only shapes the page runs nothing"
    (package / "errors.py").open("a").write("\n# changed\n")
    planned = plan_study(finished.study())
    assert planned[0].action == "runs" and "evaluation/errors.py" in planned[0].why


def test_a_changed_dictionary_entry_runs_the_stages_that_use_it(finished):
    path = finished.root / "data_dictionary" / "totals.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("Of the tests.", "Of these tests."), encoding="utf-8")
    from evaluation.registers import entries
    from evaluation.runs import fingerprint

    entries._load_table.cache_clear()
    fingerprint.dictionary_digest.cache_clear()
    assert [p.action for p in plan_study(finished.study())] == ["reused", "runs", "waits"]


def test_changed_data_run_from_the_stage_that_reads_them_on(finished):
    finished.replace("rows: 12", "rows: 13")
    planned = plan_study(finished.study())
    assert (planned[0].action, planned[0].why) == ("runs", "input extract readings changed")


def test_a_stored_result_that_was_altered_is_not_reused(finished):
    (stored,) = [p for p in (finished.root / "reports" / ".store" / "stages").glob("*/tables/numbers.parquet")]
    content = stored.read_bytes()
    stored.unlink()
    stored.write_bytes(content + b" ")
    planned = plan_study(finished.study())
    assert (planned[0].action, planned[0].why) == ("runs", "the stored result is gone or was altered")


def test_two_runs_with_one_seed_give_byte_identical_tables(finished):
    result = finished.run(fresh=True)
    before = finished.runs()[0]
    tables = sorted(p.relative_to(before) for p in before.glob("*/tables/*.parquet"))
    assert len(tables) == 3
    assert not any(o.reused for o in result.outcomes.values())
    assert [sha256_of(before / t) for t in tables] == [sha256_of(result.folder / t) for t in tables]


def test_another_seed_gives_other_tables(finished):
    finished.replace("seed: 7", "seed: 8")
    planned = plan_study(finished.study())
    assert planned[0].action == "runs" and "seed 7 -> 8" in planned[0].why


def test_from_a_stage_on_the_store_is_ignored(finished):
    result = finished.run(start="second")
    assert [o.reused for o in result.outcomes.values()] == [True, False, False]
    assert result.outcomes["second"].why == "asked for"


def test_only_runs_one_stage_and_needs_its_inputs(finished, tmp_path):
    result = finished.run(only="second")
    assert list(result.outcomes) == ["second"] and result.manifest["kind"] == "partial"
    assert not (result.folder / "report").exists() and not list(result.folder.glob("working/*.html")), "a partial run has no reports"
    with pytest.raises(ContractError, match="first writes, and that is not stored"):
        finished.run(only="second", out=tmp_path / "elsewhere")


def test_the_manifest_says_what_another_evaluator_needs(finished):
    (run,) = finished.runs()
    manifest = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert manifest["run_id"] == run.name and manifest["kind"] == "full" and manifest["data_label"] == "simulated"
    assert manifest["protocol"]["second"] == {"threshold": 5} and manifest["seed"] == 7
    assert manifest["inputs"][0]["rows"] == 12 and len(manifest["inputs"][0]["sha256"]) == 64
    assert [s["name"] for s in manifest["stages"]] == ["first", "second", "report"]
    assert manifest["stages"][0]["outputs"]["tables/numbers.parquet"]["sensitivity"] == "aggregate"
    assert manifest["headline"] == [{"position": 1, "text": "1 totals"}]
    for path in run.rglob("*"):
        if path.suffix in {".json", ".jsonl", ".yaml", ".ipynb", ".html"}:
            assert str(finished.root) not in path.read_text(encoding="utf-8"), f"{path.name} holds a path of the machine"


def test_runs_in_one_second_get_folders_of_their_own(finished):
    finished.run(), finished.run()
    assert len({run.name for run in finished.runs()}) == 3


def test_a_notebook_edited_while_the_study_runs_does_not_enter_the_store(finished):
    study = finished.study()
    finished.cells("second", second_work="numbers = stage.read(\"numbers\")\nabove = numbers.head(0)")
    result = run_study(study, start="second", reporter=Reporter(finished.said, terminal=False))
    executed = (result.folder / "second" / "executed.ipynb").read_text(encoding="utf-8")
    assert "numbers.head(0)" not in executed, "what ran is what the key was made from"


def test_what_a_notebook_could_import_from_its_folder_is_part_of_the_key(finished):
    (finished.root / "notebooks" / "helper.py").write_text("VALUE = 1\n")
    planned = plan_study(finished.study())
    assert planned[0].action == "runs" and "notebooks/helper.py changed" in planned[0].why


def test_a_tag_of_a_code_cell_is_part_of_the_key(finished):
    path = finished.root / "notebooks" / "second.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["cells"][-1]["metadata"]["tags"] = ["skip-execution"]
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert plan_study(finished.study())[1].action == "runs"


def test_a_stored_result_under_a_foreign_key_is_not_used(finished):
    store = finished.study().store
    one, other = sorted(p for p in store.stages.iterdir())[:2]
    shutil.rmtree(other)
    shutil.copytree(one, other)
    assert store.find(other.name) is None and store.find(one.name) is not None


@pytest.mark.parametrize("content", ["{", "{}", "null", "[]"])
def test_damaged_notes_in_the_store_heal(finished, content):
    reports = finished.root / "reports" / ".store"
    for path in (next(reports.glob("latest/*-second.json")), next(reports.glob("reports/*/checks.json"))):
        path.unlink()
        path.write_text(content, encoding="utf-8")
    result = finished.run()
    assert not result.manifest["report"]["reused"] and set(result.manifest["report"]["files"]) == {"working/summary.html", "working/technical.html"}
    assert finished.run().manifest["report"]["reused"]


def test_runs_at_the_same_time_do_not_fail_each_other(finished):
    shutil.rmtree(finished.root / "reports")
    command = [sys.executable, "-m", "tiny_study", "run"]
    running = [subprocess.Popen(command, cwd=finished.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert len(finished.runs()) == 2 and all((run / "run.json").is_file() for run in finished.runs())
