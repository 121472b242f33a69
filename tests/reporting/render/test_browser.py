"""Each rule that needs a browser finds the page that breaks it, and names its cell."""

from __future__ import annotations

import pytest

from evaluation.errors import ContractError, GateError
from evaluation.reporting.render import browser as gate
from evaluation.reporting.text import SIMULATED

GOOD = f"""<!DOCTYPE html>
<html lang="en-GB"><head><meta charset="utf-8"><title>Report - {SIMULATED}</title><style>p {{ color: #0b0c0c }} .scroll {{ overflow-x: auto }}</style></head>
<body data-label="simulated"><a href="#main">Skip</a><header>{SIMULATED}</header><main id="main" tabindex="-1"><h1>Report</h1>
<div data-cell="impact/first"><h2 id="s">Section</h2><p>Prose with a <a href="#s">link to the section</a>.</p></div>
<div data-cell="impact/second"><div class="scroll" role="region" tabindex="0" aria-labelledby="c"><table><caption id="c">Rows</caption><thead><tr><th scope="col">A</th></tr></thead>
<tbody><tr><th scope="row">{"wide" * 400}</th></tr></tbody></table></div>
<details><summary>More</summary><p>Folded, with <a href="#s">another link</a>.</p></details></div></main><footer>{SIMULATED}</footer></body></html>"""


@pytest.fixture(scope="module")
def browser():
    if gate.browser_path() is None:
        pytest.skip(f"no Chromium: install the system's package chromium or set {gate.BROWSER_VARIABLE}")
    with gate.open_browser() as opened:
        yield opened


def test_a_page_that_keeps_every_rule_has_no_findings_though_a_table_is_wide(browser):
    assert gate.browser_findings(GOOD, "technical.html", browser) == []


@pytest.mark.parametrize(
    ("old", "new", "rule", "cell"),
    [
        ("<p>Prose", '<p style="color: #ccc">Prose', "axe color-contrast", "impact/first"),
        ("<p>Prose", '<p><img src="data:,x">Prose', "axe image-alt", "impact/first"),
        ('<html lang="en-GB">', "<html>", "axe html-has-lang", "technical.html"),
        ("<p>Prose", f"<p>{'long' * 200}</p><p>Prose", "reflow", "impact/first"),
        ('<a href="#s">link', '<a href="#s" tabindex="-1">link', "keyboard", "impact/first"),
        ('<a href="#s">another', '<a href="#s" style="visibility: hidden">another', "keyboard", "impact/second"),
        ("<p>Prose", '<p><img alt="A picture kept elsewhere" src="https://example.invalid/x.png">Prose', "outside request", "technical.html"),
    ],
)  # fmt: skip
def test_each_broken_rule_is_found_and_names_its_cell(browser, old, new, rule, cell):
    assert old in GOOD
    found = gate.browser_findings(GOOD.replace(old, new, 1), "technical.html", browser)
    assert (rule, cell) in {(finding.rule, finding.where) for finding in found} and {finding.rule for finding in found} == {rule}


def test_a_page_that_breaks_a_rule_is_refused_with_the_mend(browser, monkeypatch):
    monkeypatch.setattr(gate, "open_browser", lambda: _Kept(browser))
    with pytest.raises(GateError, match="impact/first") as refused:
        gate.refuse_violations({"summary.html": GOOD.replace("<p>Prose", '<p style="color: #ccc">Prose', 1)})
    assert refused.value.exit_code == 4 and refused.value.mend
    gate.refuse_violations({"summary.html": GOOD})


class _Kept:
    """An opened browser that stays open."""

    def __init__(self, browser):
        self.browser = browser

    def __enter__(self):
        return self.browser

    def __exit__(self, *error):
        return None


def test_pages_are_counted_as_printed(browser):
    long = GOOD.replace("<p>Prose", '<div style="break-after: page">One</div><div style="break-after: page">Two</div><p>Prose', 1)
    assert (gate.printed_pages(GOOD, browser), gate.printed_pages(long, browser)) == (1, 3)


def test_without_a_browser_the_gate_says_how_to_get_one(monkeypatch):
    monkeypatch.setenv(gate.BROWSER_VARIABLE, "nowhere/chromium")
    with pytest.raises(ContractError, match="no Chromium") as refused, gate.open_browser():
        pass
    assert "chromium" in refused.value.mend
