"""Both editions of both studies in a real browser, on the runs that the other tests of this folder made."""

from __future__ import annotations

import json

import pytest

from evaluation.reporting.render.browser import BROWSER_VARIABLE, browser_findings, browser_path, open_browser, printed_pages

from .run_folder import EDITIONS, RunFolder, evaluation, made_once

OLDEST_READER = 14
MOST_PAGES = 4
STUDIES = ("trial", "area")


@pytest.fixture(scope="module")
def browser():
    if browser_path() is None:
        pytest.skip(f"no Chromium: install the system's package chromium or set {BROWSER_VARIABLE}")
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def run_of(tmp_path_factory, request):
    """The finished run of a study, made once for all tests of this folder."""

    def find(study: str) -> RunFolder:
        arguments = [] if study == "trial" else ["params/middlesbrough_area_study.yaml", "--data", request.getfixturevalue("published") / "data" / "dfe_absence_bands"]

        def make(folder):
            done = evaluation("run", *arguments, "--out", folder / "out")
            assert done.returncode == 0, done.stderr
            (folder / "said.txt").write_text(done.stdout, encoding="utf-8")

        return RunFolder.only(made_once(tmp_path_factory, study, make) / "out")

    return find


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("edition", [pytest.param(edition, marks=pytest.mark.slow if edition == "technical.html" else ()) for edition in EDITIONS])
def test_axe_keyboard_reflow_and_print_find_nothing(run_of, browser, study, edition):
    findings = browser_findings(run_of(study).page(edition), edition, browser)
    assert not findings, "\n".join(f"{found.where}: {found.rule}: {found.message}" for found in findings[:10])


@pytest.mark.parametrize("study", STUDIES)
def test_the_summary_prints_on_four_pages_at_most(run_of, browser, study):
    assert printed_pages(run_of(study).page("summary.html"), browser) <= MOST_PAGES


@pytest.mark.parametrize("study", STUDIES)
def test_the_summary_can_be_read_at_fourteen(run_of, study):
    checks = json.loads((run_of(study).folder / "report" / "checks.json").read_text(encoding="utf-8"))
    assert 6 < checks["reading_age"]["summary.html"] <= OLDEST_READER
