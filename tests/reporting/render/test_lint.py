"""Each rule of the lint gate finds the document that breaks it, and nothing in one that keeps them all."""

from __future__ import annotations

import pytest

from evaluation.reporting.render.contrast import contrast
from evaluation.reporting.render.lint import lint
from evaluation.reporting.text import SIMULATED

TABLE = (
    '<table id="t"><caption>SIMULATED - not a finding. Rows</caption><thead><tr><th scope="col">A</th></tr></thead>'
    '<tbody><tr><th scope="row">1</th></tr></tbody></table>'
)
IMAGE = '<img alt="Absence rises in both groups over the year." src="data:image/png;base64,AA/home/someone/x==">'
GOOD = f"""<!DOCTYPE html>
<html lang="en-GB"><head><title>Report - {SIMULATED}</title><style>p {{ color: #000 }}</style></head>
<body data-label="simulated"><a href="#main">Skip</a><header>{SIMULATED}</header><main id="main"><h1>Report</h1>
<div data-cell="impact/first"><h2 id="s">Section</h2><p>Prose with a <a href="https://www.gov.uk/x">link</a> and 3 /4.</p></div>
<div data-cell="impact/second">{IMAGE}{TABLE}</div><h3>Deeper</h3><h2>Next</h2></main>
<footer>{SIMULATED} <a href="summary.html">Summary</a></footer></body></html>"""


def rules(html: str) -> set[str]:
    return {finding.rule for finding in lint(html, "technical.html", user="nobody")}


def test_a_document_that_keeps_every_rule_has_no_findings():
    assert lint(GOOD, "technical.html", user="nobody") == []


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("<!DOCTYPE html>", "", "document"),
        ("<h2>Next</h2>", "<h1>Second first</h1>", "headings"),
        ("<h1>Report</h1>", "", "headings"),
        ("<h3>Deeper</h3>", "<h4>Deeper</h4>", "headings"),
        ("<h2>Next</h2>", "<h2> </h2>", "headings"),
        ('id="t"', 'id="s"', "unique ids"),
        ("Absence rises in both groups over the year.", "", "alternative text"),
        ("Absence rises in both groups over the year.", "Figure 3", "alternative text"),
        ("Absence rises in both groups over the year.", "trajectories_of_groups.png", "alternative text"),
        (' alt="Absence rises in both groups over the year."', "", "alternative text"),
        ("<caption>SIMULATED - not a finding. Rows</caption>", "", "table caption"),
        ("<caption>SIMULATED - not a finding. Rows</caption>", "<caption> </caption>", "table caption"),
        ('<th scope="col">', "<th>", "table header"),
        ('<th scope="row">1</th>', "<td>1</td>", "table header"),
        ('lang="en-GB"', 'lang="en"', "language"),
        ('lang="en-GB"', "", "language"),
        (f"<title>Report - {SIMULATED}</title>", "", "title"),
        ('src="data:image/png;base64,AA', 'src="https://example.org/a.png', "outside call"),
        ('src="data:image/png;base64,AA/home/someone/x=="', 'src="figures/a.png"', "outside call"),
        ("p { color: #000 }", "@import 'https://example.org/a.css';", "outside call"),
        ("p { color: #000 }", "p { background: url(//example.org/a.png) }", "outside call"),
        ("<footer>", '<p style="background:url(https://example.org)">x</p><footer>', "outside call"),
        ("<footer>", '<link rel="stylesheet" href="https://example.org/a.css"><footer>', "active content"),
        ("<footer>", '<p style="color: #0f0">x</p><footer>', "colour"),
        ("<footer>", '<font color="#f00">x</font><footer>', "colour"),
        ("p { color: #000 }", "p { color: #999 }", "contrast"),
        ("p { color: #000 }", ":root { --quiet: #aaa } p { color: var(--quiet) }", "contrast"),
        ("p { color: #000 }", "p { color: #12436d; background: #3d3d3d }", "contrast"),
        ('href="summary.html"', 'href="summary.html.exe"', "link"),
        ("<footer>", "<script>1</script><footer>", "active content"),
        ("<footer>", '<iframe src="x"></iframe><footer>', "active content"),
        ("<footer>", '<p onclick="x()">x</p><footer>', "active content"),
        ('href="https://www.gov.uk/x"', 'href="javascript:x()"', "link"),
        ('href="https://www.gov.uk/x"', 'href="matching.ipynb"', "link"),
        ('href="#main"', 'href="#gone"', "link"),
        ("<footer>", "<p>Traceback (most recent call last)</p><footer>", "traceback"),
        ("<footer>", "<p>read /home/somebody/data.csv</p><footer>", "file path"),
        ("<footer>", "<p>read C:\\Users\\somebody\\data.csv</p><footer>", "file path"),
        ("<footer>", "<p>read \\\\server\\share\\data.csv</p><footer>", "file path"),
        ("<footer>", '<p title="/Users/somebody/x">x</p><footer>', "file path"),
        ("<footer>", "<p>made by nobody@example.org</p><footer>", "user name"),
        (f"<footer>{SIMULATED}", "<footer>", "simulated label"),
        (f"<header>{SIMULATED}", "<header>", "simulated label"),
        (f"Report - {SIMULATED}", "Report", "simulated label"),
        ("SIMULATED - not a finding. Rows", "Rows", "simulated label"),
        (' data-label="simulated"', "", "label"),
        ('<main id="main">', '<div id="main">', "document"),
    ],
)  # fmt: skip
def test_each_broken_rule_is_found(old, new, rule):
    assert old in GOOD
    assert rule in rules(GOOD.replace(old, new, 1))


def test_a_finding_names_the_cell_it_comes_from_and_the_mend():
    broken = GOOD.replace(' alt="Absence rises in both groups over the year."', "")
    (finding,) = lint(broken, "technical.html", user="nobody")
    assert finding.where == "impact/second" and "alt" in finding.mend


def test_after_a_cell_ends_findings_belong_to_the_edition():
    (finding,) = lint(GOOD.replace("<footer>", '<a href="#gone">x</a><footer>'), "technical.html", user="nobody")
    assert finding.where == "technical.html"


def test_ordinary_words_are_no_user_name_but_telling_ones_are():
    page = GOOD.replace("<h2>Next</h2>", "<p>The runner of the test, j.smith7, ran.</p>")
    assert lint(page, "technical.html", user="runner") == []
    assert [finding.rule for finding in lint(page, "technical.html", user="j.smith7")] == ["user name"]


def test_a_link_into_the_other_edition_travels_with_the_report():
    assert lint(GOOD.replace('href="summary.html"', 'href="technical.html#result-table-estimates"'), "summary.html", user="nobody") == []


@pytest.mark.parametrize(("one", "other", "wanted"), [("#000", "#fff", 21.0), ("#0000ff", "#ffffff", 8.59), ("#777777", "#fff", 4.48), ("#ff0000", "#fff", 4.0)])
def test_contrast_is_that_of_the_published_formula(one, other, wanted):
    assert contrast(one, other) == pytest.approx(wanted, abs=0.01) == contrast(other, one)


def test_published_data_need_no_simulated_words():
    page = GOOD.replace(SIMULATED, "Published").replace('data-label="simulated"', 'data-label="published"')
    assert lint(page, "technical.html", user="nobody") == []
