"""Editions from executed notebooks: whole, ordered, safe, or refused with the cell named."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser

import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from evaluation.errors import ContractError, GateError
from evaluation.reporting import show
from evaluation.reporting.headline import HeadlineRow, headline_frame
from evaluation.reporting.palette import new_figure
from evaluation.reporting.render import ReportMeta, StageNotebook, render_editions
from evaluation.reporting.text import SIMULATED

SIGNED = {"commissioner": "Department", "analyst": "A. Analyst", "assurer": "B. Checker", "approver": "C. Chief", "assured_on": "2 January 2026",
          "approved_on": "3 January 2026", "checks": "2 passed", "findings": "0"}  # fmt: skip
ALT = "The gap opens after the window and closes again."


def meta(**changes) -> ReportMeta:
    values = {
        "title": "Attendance Mentors trial <1>", "study": "attendance_mentors_trial", "run_id": "20260102T030405Z-trial-abc",
        "label": "simulated", "report_kind": "interim", "protocol_version": "1.0", "protocol_digest": "sha256:abcd",
    }  # fmt: skip
    return ReportMeta(**{**values, **changes})


def code(name: str, outputs=(), source: str = "show_table(counts)", tags=()) -> dict:
    outputs = [output if "output_type" in output else new_output("stream", **output) for output in outputs]
    cell = new_code_cell(source, id=name, execution_count=1, metadata={"tags": list(tags)})
    cell["outputs"] = list(outputs)
    return cell


@pytest.fixture
def notebooks(shown):
    """Three stages as a run leaves them; the last is the report."""

    def stage(name: str, act) -> StageNotebook:
        show.set_context(name, "simulated", None)
        shown.clear()
        act()
        cells = [
            new_markdown_cell(f"# The {name} stage\n\nProse <script>x</script> of [a source](https://www.gov.uk/x).", id="a"),
            code("b", source="caliper: float = 0.2", tags=["parameters"]),
            new_markdown_cell("## Result\n\nA sentence.\n\n### Detail", id="c"),
            code("d", list(shown)),
        ]
        return StageNotebook(name, new_notebook(cells=cells))

    def headline():
        rows = [HeadlineRow("verdict", "No clear evidence either way"),
                HeadlineRow("effect", "1.2 more days.", 1.2, -0.3, 2.7, "days", "estimates", "B_referred")]  # fmt: skip
        show.show_headline(headline_frame(rows))

    def drawn():
        figure = new_figure(3, 2)
        figure.subplots().plot([1, 2], [1, 2])
        show.show_figure(figure, alt=ALT, caption="The gap by half-term", data=pd.DataFrame({"x": [1, 2]}))

    return [
        stage("registers", lambda: show.show_table(pd.DataFrame({"a": [1]}), caption="Rows taken in")),
        stage("impact", drawn),
        stage("report", headline),
    ]


class Outline(HTMLParser):
    """Headings and ids of a document."""

    def __init__(self, html: str):
        super().__init__()
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.ids += [value for key, value in attrs if key == "id"]


def refusal(notebooks, **changes) -> str:
    with pytest.raises(GateError) as refused:
        render_editions(notebooks, meta(**changes))
    assert refused.value.exit_code == 4 and refused.value.where and refused.value.mend
    return str(refused.value)


def test_both_editions_have_one_first_heading_ordered_headings_and_unique_ids(notebooks):
    editions = render_editions(notebooks, meta())
    assert sorted(editions) == ["summary.html", "technical.html"]
    for html in editions.values():
        outline = Outline(html)
        assert outline.headings.count(1) == 1 and outline.headings[:3] == [1, 2, 3]
        assert "Result</h" in html and "Detail</h" in html
        assert all(after <= before + 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False))
        assert len(outline.ids) == len(set(outline.ids))


def test_technical_edition_opens_with_the_report_and_holds_every_stage_and_its_code(notebooks):
    html = render_editions(notebooks, meta())["technical.html"]
    places = [html.index(f">The {stage} stage</h2>") for stage in ("report", "registers", "impact")]
    assert places == sorted(places)
    assert html.count("caliper: float = 0.2") == 3 and html.count('<details class="code">') == 6
    assert "Figure 1: " in html and "Table 1: " in html and "Table 2: " not in html
    assert f'alt="{ALT}"' in html


def test_values_of_the_run_take_the_place_of_default_values(notebooks):
    notebooks[0].notebook["cells"].insert(2, code("injected-parameters", source="caliper = 0.3", tags=["injected-parameters"]))
    html = render_editions(notebooks, meta())["technical.html"]
    assert html.count("caliper: float = 0.2") == 2 and html.count("caliper = 0.3") == 1 and "Parameters of this run" in html


def test_summary_edition_is_the_report_without_code(notebooks):
    html = render_editions(notebooks, meta())["summary.html"]
    assert "No clear evidence either way" in html and "caliper" not in html and 'class="code"' not in html
    assert "The impact stage" not in html
    assert "The report stage" not in html and ">Result</h2>" in html and ">Detail</h3>" in html


def test_label_draft_and_provenance_stand_on_the_page(notebooks):
    html = render_editions(notebooks, meta(amendments=("Caliper widened; outcomes unseen <b>",)))["technical.html"]
    for text in (SIMULATED, "Draft", "Interim report", "20260102T030405Z-trial-abc", "sha256:abcd",
                 "Caliper widened; outcomes unseen &lt;b&gt;", "Attendance Mentors trial &lt;1&gt;", 'lang="en-GB"'):  # fmt: skip
        assert text in html
    assert "Draft" not in render_editions(notebooks, meta(signed=SIGNED))["technical.html"]


def test_nothing_is_loaded_and_nothing_runs(notebooks):
    for html in render_editions(notebooks, meta()).values():
        assert not re.search(r"<(script|link|iframe|object)\b", html)
        assert not re.search(r'\ssrc="(?!data:)', html)
        assert "&lt;script&gt;x&lt;/script&gt;" in html


def test_printed_text_is_escaped_and_errors_are_never_shown(notebooks):
    notebooks[0].notebook["cells"].append(
        code("printed", [{"name": "stdout", "text": "<b>3 rows</b>\n"}, {"name": "stderr", "text": "Warning: secret\n"}])
    )
    editions = render_editions(notebooks, meta())
    assert "&lt;b&gt;3 rows&lt;/b&gt;" in editions["technical.html"]
    assert all("secret" not in html for html in editions.values())


@pytest.mark.parametrize(
    ("output", "word"),
    [
        (new_output("display_data", {"text/html": "<table></table>", "text/plain": "x"}), "text/html"),
        (new_output("execute_result", {"text/html": "<table></table>", "text/plain": "x"}, execution_count=1), "text/html"),
        (new_output("display_data", {"image/png": "AAAA", "text/plain": "x"}), "image/png"),
        (new_output("display_data", {"text/html": "<b>x</b>"}, metadata={"evaluation": {"kind": "other"}}), "text/html"),
        (new_output("display_data", {"text/html": "<b>x</b>"}, metadata={"evaluation": "figure"}), "text/html"),
        (new_output("error", ename="ValueError", evalue="x", traceback=["t"]), "ValueError"),
    ],
)  # fmt: skip
def test_results_not_shown_by_the_show_functions_are_refused_naming_the_cell(notebooks, output, word):
    notebooks[1].notebook["cells"].append(code("balance-frame", [output]))
    message = refusal(notebooks)
    assert "impact/balance-frame" in message and word in message


def test_a_result_of_another_label_is_refused(notebooks):
    assert "registers/d" in refusal(notebooks, label="restricted")


def test_a_heading_that_jumps_is_refused_naming_the_cell(notebooks):
    notebooks[0].notebook["cells"].append(new_markdown_cell("##### Too deep", id="deep"))
    assert "registers/deep" in refusal(notebooks)


def test_a_second_first_heading_in_prose_becomes_a_second_level_heading(notebooks):
    notebooks[0].notebook["cells"].append(new_markdown_cell("# Another", id="another"))
    html = render_editions(notebooks, meta())["technical.html"]
    assert ">Another</h2>" in html and html.count("<h1") == 1


def test_a_path_of_the_machine_in_printed_text_is_refused(notebooks):
    notebooks[0].notebook["cells"].append(code("paths", [{"name": "stdout", "text": "/home/someone/run/panel.parquet\n"}]))
    assert "registers/paths" in refusal(notebooks)


def test_code_smuggled_into_a_marked_output_is_refused(notebooks):
    smuggled = new_output("display_data", {"text/html": "<p><script>x</script></p>"},
                          metadata={"evaluation": {"kind": "text", "label": "simulated"}})  # fmt: skip
    notebooks[2].notebook["cells"].append(code("smuggled", [smuggled]))
    assert "report/smuggled" in refusal(notebooks)


def test_a_table_written_in_prose_is_refused(notebooks):
    notebooks[0].notebook["cells"].append(new_markdown_cell("| a | b |\n|---|---|\n| 1 | 2 |", id="prose-table"))
    assert "registers/prose-table" in refusal(notebooks)


def test_without_a_report_notebook_there_are_no_editions(notebooks):
    with pytest.raises(ContractError, match="report"):
        render_editions(notebooks[:2], meta())


def test_equal_inputs_give_equal_editions(notebooks):
    assert render_editions(notebooks, meta()) == render_editions(notebooks, meta())


def test_rendering_needs_no_heavy_library():
    code = (
        "import sys; import evaluation.reporting.render.assemble as a; a._template(); import mistune;"
        "heavy = {'pandas', 'matplotlib', 'nbconvert', 'papermill', 'numpy'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
