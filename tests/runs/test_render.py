"""Rendering a finished run again: prose rejoined, sign-off bound to the content, and refusals that say why."""

from __future__ import annotations

import io
import json
import re

import pytest
import tiny_study
import yaml

from evaluation.errors import ContractError, GateError, ParameterError
from evaluation.reporting.render.browser import BROWSER_VARIABLE, browser_path
from evaluation.runs.files import read_json, write_json
from evaluation.runs.progress import Reporter
from evaluation.runs.render import render_run

SIGNED = {
    "commissioner": "Department", "analyst": "A. Analyst", "assurer": "B. Checker", "approver": "C. Chief",
    "checks": [{"check": "Recomputed the total by hand", "outcome": "passed"}], "findings": [], "assured_on": "2026-01-06", "approved_on": "2026-01-07",
}  # fmt: skip


@pytest.fixture
def finished(ruled):
    """A run with a report: its protocol registers disclosure rules."""
    return ruled


def render(project, **options) -> dict:
    (run,) = project.runs()
    return render_run(project.root, run, Reporter(project.said, terminal=False), kinds=tiny_study.KINDS, **options)


def page(project, edition: str = "technical.html") -> str:
    return (project.runs()[0] / "report" / edition).read_text(encoding="utf-8")


def prose(project, stage: str, text: str) -> None:
    """Write a sentence of its own under a notebook's first heading."""
    path = project.root / "notebooks" / f"{stage}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["cells"][0]["source"] = f"# {stage.capitalize()}\n\n{text}"
    path.write_text(json.dumps(notebook), encoding="utf-8")


def sign(project, **changes) -> None:
    values = {"run_digest": read_json(project.runs()[0] / "report" / "checks.json")["run_digest"], **SIGNED, **changes}
    (project.runs()[0] / "assurance.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def test_a_mended_sentence_is_rejoined_to_stored_outputs_and_nothing_is_run(finished):
    (run,) = finished.runs()
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.parent.name == "tables" or p.name == "executed.ipynb"}
    prose(finished, "second", "A sentence that was mended.")
    assert "A sentence that was mended." not in page(finished)
    report = render(finished)
    assert "A sentence that was mended." in page(finished) and not report["reused"]
    assert all(p.read_bytes() == content for p, content in before.items())
    manifest = read_json(run / "run.json")
    assert manifest["report"]["files"] == report["files"] and manifest["report"]["checks"]["standing"] == "draft"
    assert "reports rendered again" in (run / "events.jsonl").read_text(encoding="utf-8")


def test_rendering_twice_gives_the_same_pages(finished):
    first = render(finished)
    assert render(finished)["files"] == first["files"] and first["checks"]["run_digest"] == render(finished)["checks"]["run_digest"]


def test_where_the_code_has_changed_the_prose_stays_as_it_was_run(finished):
    finished.cells("second", second_work="numbers = stage.read('numbers')\nabove = numbers")
    prose(finished, "second", "Words about other code.")
    render(finished)
    assert "Words about other code." not in page(finished) and "second: the code of its notebook has changed since" in finished.said.getvalue()


def test_the_command_says_where_the_report_lies_and_the_digest_to_sign(finished):
    done = finished.command("render")
    assert done.returncode == 0, done.stderr
    digest = read_json(finished.runs()[0] / "report" / "checks.json")["run_digest"]
    assert "report/summary.html" in done.stdout and "Standing:   draft; reading age" in done.stdout and digest in done.stdout


@pytest.mark.parametrize("name", ["second/tables/totals.parquet", "first/executed.ipynb", "second/step.json", "protocol.yaml"])
def test_an_altered_run_is_refused_naming_the_file(finished, name):
    path = finished.runs()[0] / name
    content = path.read_bytes()
    path.unlink()  # hard-linked with the store
    path.write_bytes(content.replace(b"plain", b"other") + b" " if name == "protocol.yaml" else content + b" \n{")
    before = page(finished)
    with pytest.raises(ContractError, match=rf"altered since the run: {name}"):
        render(finished)
    assert page(finished) == before


def test_a_table_put_beside_the_others_is_refused(finished):
    (finished.runs()[0] / "second" / "tables" / "more.parquet").write_bytes(b"x")
    with pytest.raises(ContractError, match="more.parquet"):
        render(finished)


def test_a_manifest_whose_protocol_was_changed_is_refused(finished):
    path = finished.runs()[0] / "run.json"
    manifest = read_json(path)
    manifest["protocol"]["second"]["threshold"] = 99
    write_json(path, manifest)
    with pytest.raises(ContractError, match="the protocol is not the one of its digest"):
        render(finished)


def test_an_unfinished_run_is_refused_and_says_where_it_stopped(begun):
    begun.cells("second", second_work="1 / 0")
    assert begun.command("run").returncode == 1
    done = begun.command("render", begun.runs()[0].name)
    assert done.returncode == 2 and "did not finish" in done.stderr and "Finished stages: first" in done.stderr


def test_a_partial_run_is_refused(finished):
    finished.run(only="second")
    with pytest.raises(ContractError, match="a partial run has no report"):
        render_run(finished.root, finished.runs()[-1], Reporter(io.StringIO(), terminal=False), kinds=tiny_study.KINDS)


def test_what_was_made_by_hand_is_refused(finished):
    (finished.runs()[0] / "stage_context.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ContractError, match="interactive results enter no report"):
        render(finished)


def test_a_result_marked_as_interactive_is_refused(finished):
    (run,) = finished.runs()
    step, manifest = read_json(run / "second" / "step.json"), read_json(run / "run.json")
    (run / "second" / "step.json").unlink()
    write_json(run / "second" / "step.json", {**step, "kind": "interactive"})
    write_json(run / "run.json", manifest)
    with pytest.raises(ContractError, match="second did not come from a run"):
        render(finished)


def test_a_signed_report_is_no_draft_until_anything_changes(finished):
    render(finished)
    assert "Draft" in page(finished) and "Assured by" not in page(finished)
    sign(finished)
    assert render(finished)["checks"]["standing"] == "assured"
    for edition in ("summary.html", "technical.html"):
        assert "Assured by B. Checker on 6 January 2026." in page(finished, edition) and "Draft" not in page(finished, edition)
    assert "C. Chief, 7 January 2026" in page(finished)
    prose(finished, "first", "One more word.")
    assert render(finished)["checks"]["standing"] == "draft"
    assert "Draft" in page(finished) and "Assured by" not in page(finished) and "signs another content" in finished.said.getvalue()


def test_a_sign_off_of_another_run_signs_nothing(finished):
    render(finished)
    sign(finished, run_digest="0" * 64)
    assert render(finished)["checks"]["standing"] == "draft"


@pytest.mark.parametrize(("changes", "said"), [
    ({"assurer": " a.  ANALYST"}, "the assurer is the analyst"),
    ({"checks": [{"check": "Recomputed the total", "outcome": "failed"}]}, "a check failed"),
    ({"checks": []}, "checks"),
    ({"approved_on": "2026-01-05"}, "approved before it was assured"),
    ({"approved_on": "2999-01-05"}, "a day that has not come"),
    ({"run_digest": "abc"}, "run_digest"),
    ({"colour": "red"}, "unknown key `colour`"),
])  # fmt: skip
def test_a_sign_off_that_breaks_a_rule_is_refused_and_no_report_is_written(finished, changes, said):
    sign(finished, **changes)
    before = page(finished)
    with pytest.raises(ParameterError, match=said) as refused:
        render(finished)
    assert "assurance.yaml" in str(refused.value) and page(finished) == before


def test_an_edition_that_fails_a_gate_is_not_written_and_names_the_cell(finished):
    prose(finished, "report", "Kept in /home/somebody/secret.")
    before = page(finished)
    with pytest.raises(GateError, match=r"report/report-title: shows the path") as refused:
        render(finished)
    assert refused.value.exit_code == 4 and page(finished) == before
    done = finished.command("render")
    assert done.returncode == 4 and "report/report-title" in done.stderr and "Mend:" in done.stderr


def test_a_figure_without_alternative_text_never_reaches_a_report(begun):
    begun.cells("report", report_show="from evaluation.reporting import show_figure\nfrom evaluation.reporting.palette import new_figure\n"
                "show_figure(new_figure(3, 2), caption='All totals', data=totals)")  # fmt: skip
    done = begun.command("run")
    assert done.returncode != 0 and "cell `report-show`" in done.stderr and "alt" in done.stderr and not list(begun.runs()[0].glob("report/*.html"))


def test_with_axe_the_report_is_held_against_it_and_the_checks_say_so(finished):
    if browser_path() is None:
        pytest.skip(f"no Chromium: install the system's package chromium or set {BROWSER_VARIABLE}")
    assert render(finished)["checks"]["gates"] == {"lint": "passed", "disclosure": "passed"}
    assert render(finished, axe=True)["checks"]["gates"] == {"lint": "passed", "disclosure": "passed", "axe": "passed"}


def test_a_report_that_names_a_pupil_is_not_written_and_the_cell_is_named(finished):
    before = page(finished)
    prose(finished, "second", "Pupil A12345678901B came back to school.")
    with pytest.raises(GateError, match="unique pupil number") as refused:
        render(finished)
    assert refused.value.exit_code == 4 and refused.value.where.startswith("second/") and refused.value.mend and page(finished) == before
    done = finished.command("render")
    assert done.returncode == 4 and "second/" in done.stderr and "A12345678901B" not in done.stderr


def test_a_study_without_disclosure_rules_has_no_report_and_says_so_with_the_mend(begun):
    result = begun.run()
    checks = read_json(result.folder / "working" / "checks.json")
    assert not (result.folder / "report").exists() and not (result.folder / "release").exists()
    assert checks["gates"]["disclosure"] == "no rules registered" and "registers no disclosure rules" in checks["disclosure"]["report"] and "section `report`" in checks["disclosure"]["mend"]
    assert "No report was written" in begun.said.getvalue() and result.manifest["release"]["profile"] is None and result.manifest["disclosure_log"] == []
    assert "Working edition: not cleared for publication" in (result.folder / "working" / "summary.html").read_text(encoding="utf-8")


def test_a_table_without_source_is_a_note_in_the_report_and_stands_in_the_working_edition_alone(ruled):
    ruled.cells("report", report_show="from evaluation.reporting.show import show_table\nshow_table(totals, caption='All totals of the tiny study')")
    result = ruled.run()
    cleared, working = ((result.folder / folder / "technical.html").read_text(encoding="utf-8") for folder in ("report", "working"))
    assert "Table held back: All totals of the tiny study" in cleared and "<caption>" not in cleared.split('class="about"')[0]
    assert "<caption>" in working.split('class="about"')[0] and "Working edition: not cleared" in working and "Working edition: not cleared" not in cleared
    told = result.manifest["report"]["checks"]["disclosure"]
    assert told["held_back"]["tables"] == 1 and (told["profile"], told["threshold"]) == ("srs", 10)
    assert any(e["table"].startswith("report: table") and "the run keeps no table of its numbers" in e["reason"] for e in result.manifest["disclosure_log"])
    assert "the run keeps no table of its numbers" in (result.folder / "disclosure" / "report_log.csv").read_text(encoding="utf-8")
    assert {p.name for p in (result.folder / "report").iterdir()} == {"checks.json", *(f"{e}.{k}" for e in ("summary", "technical") for k in ("html", "pdf", "docx"))}
    records = [re.search(r'(?s)<table id="record-tables-table">.*?</table>', page)[0] for page in (working, cleared)]
    assert [("Rows" in record, "SHA-256" in record) for record in records] == [(True, True), (False, False)], "sizes and digests of tables stay behind"


def test_what_is_rendered_again_leaves_nothing_of_before_that_was_not_cleared_now(ruled):
    (run,) = ruled.runs()
    (run / "report" / "notes.html").write_text("4 pupils", encoding="utf-8")
    render(ruled)
    assert not (run / "report" / "notes.html").exists() and (run / "working" / "executed.ipynb").is_file()
