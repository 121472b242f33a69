"""The default study, run by the command: its run folder and both editions."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from simulation.coverage import compare_with_truth

from .run_folder import (
    EDITIONS,
    RunFolder,
    check_figures,
    check_headline_is_printed,
    check_manifest,
    check_no_machine,
    check_reuse,
    check_tables,
    evaluation,
    figures,
    made_once,
    section,
    words,
)

pytestmark = pytest.mark.xdist_group("trial_run")

SIMULATED = "SIMULATED - not a finding"
POINTS, DAYS = "percentage points of sessions", "days over the measured window"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    """One cold run of the default study."""

    def make(folder):
        done = evaluation("run", "--out", folder / "out")
        assert done.returncode == 0, done.stderr
        (folder / "said.txt").write_text(done.stdout, encoding="utf-8")

    return RunFolder.only(made_once(tmp_path_factory, "trial", make) / "out")


def test_the_command_says_what_it_did_and_where(run):
    said = (run.out.parent / "said.txt").read_text(encoding="utf-8")
    assert "attendance_mentors_trial: 7 stages, 0 reused (full run, data simulated)" in said
    assert run.folder.name in said and all(f"report/{edition}" in said for edition in EDITIONS)


def test_the_manifest_is_true(run):
    check_manifest(run, "simulated")
    assert run.manifest["study"] == "attendance_mentors_trial" and run.manifest["python"].startswith("3.")


def test_every_table_matches_the_dictionary_and_holds_no_nan(run):
    check_tables(run)


def test_every_figure_has_its_drawing_and_its_numbers(run):
    check_figures(run)


def test_nothing_names_the_machine(run):
    check_no_machine(run)


def test_the_headline_is_printed_in_both_editions(run):
    check_headline_is_printed(run)


@pytest.mark.parametrize("edition", EDITIONS)
def test_no_report_can_be_taken_for_a_finding(run, edition):
    page = run.page(edition)
    title, footer = re.search(r"(?s)<title>(.*?)</title>", page), re.search(r"(?s)<footer>(.*?)</footer>", page)
    assert SIMULATED in title.group(1) and SIMULATED in footer.group(1) and "Draft" in footer.group(1)
    assert words(section(page, "The answer in brief")).count(SIMULATED) >= 2
    assert figures(page) and all(SIMULATED in figure["caption"] for figure in figures(page))
    captions = re.findall(r"(?s)<caption>(.*?)</caption>", page)
    assert captions and all(SIMULATED in caption for caption in captions)
    assert {p.name.split("-")[0] for p in run.folder.glob("*/figures/*")} == {"simulated"}


@pytest.mark.parametrize("edition", EDITIONS)
def test_no_pupil_is_named(run, edition):
    page, names = run.page(edition), set()
    for table, column in (("panel", "pupil_id"), ("referral_list", "referral_id"), ("meeting_list", "meeting_id"), ("referral_list", "mentor_id")):
        names |= set(run.table(table)[column].dropna())
    assert {"P000123"} <= names and len(names) > 10_000
    assert set(re.findall(r"\b[A-Z]\d+\b", page)) & names == set()
    for path in run.folder.glob("*/figures/*.csv"):
        assert set(re.findall(r"\b[A-Z]\d+\b", path.read_text(encoding="utf-8"))) & names == set(), path.name


def test_estimate_against_truth_stands_in_both_editions(run):
    row = run.row("truth_comparison", estimate_id="B_referred_within_area_matched_days")
    said = (f"known because the data are simulated, is {row.truth:.1f} days. The estimate is {row.estimate:.1f} days; its interval "
            f"({row.conf_low:.1f} to {row.conf_high:.1f}) {'holds' if row.covered else 'does not hold'} the truth.")
    assert said.replace("-", "−") in words(section(run.page("summary.html"), "Estimate against truth"))
    part = words(section(run.page("technical.html"), "Estimate against truth", last=True))
    points = run.table("truth_comparison").query("scale == @POINTS")
    assert len(points) >= 8
    for row in points.itertuples():
        numbers = " ".join(f"{value:.2f}".replace("-", "−") for value in (row.estimate, row.conf_low, row.conf_high, row.truth))
        assert f"{numbers} {'Yes' if row.covered else 'No'}".lower() in part.lower(), row.estimate_id


def test_the_truth_comparison_is_what_the_package_gives_on_these_extracts(run):
    """So that the study on other seeds speaks of the very study that the notebooks run."""
    (extracts,) = (run.out / ".store" / "extracts").iterdir()
    again = compare_with_truth(extracts, run.manifest["seed"]).drop(columns=["std_error", "headline"])
    again = again.sort_values("estimate_id", ignore_index=True)
    pd.testing.assert_frame_equal(again, run.table("truth_comparison")[list(again.columns)].sort_values("estimate_id", ignore_index=True),
                                  check_dtype=False, rtol=1e-12)


# The effect on referred pupils is least squares of the change on treated and area-by-stack effects, with matching weights:
# by Frisch and Waugh, the weighted mean of the change times treated less its mean in the cell.
MATCHED = """
WITH rows AS (
    SELECT stack || '|' || area_code AS cell, weight, CAST(w.treated AS INTEGER) AS t, change AS y, followup_possible AS possible
    FROM {match_weights} AS w JOIN {cohort} AS c USING (stack, pupil_id) WHERE w.design = 'within_area'),
cells AS (SELECT cell, sum(weight * t) / sum(weight) AS share FROM rows GROUP BY cell)
SELECT -sum(weight * (t - share) * y) / sum(weight * (t - share) * t), sum(weight * t * possible) / sum(weight * t) FROM rows JOIN cells USING (cell)
"""

# The offer: in each area and stack the mean change of all eligible in schools with mentors, less that of all eligible
# elsewhere, weighted by pupils in schools with mentors.
OFFER = """
WITH rows AS (SELECT * FROM {cohort} WHERE analysed AND entry = 'first' AND within_area),
cells AS (
    SELECT count(*) FILTER (WHERE mentor_school) AS n, avg(change) FILTER (WHERE mentor_school) AS t, avg(change) FILTER (WHERE NOT mentor_school) AS c,
           sum(followup_possible) FILTER (WHERE mentor_school) AS possible
    FROM rows GROUP BY stack, area_code HAVING n > 0 AND count(*) > n)
SELECT -sum(n * (t - c)) / sum(n), sum(possible) / sum(n) FROM cells
"""


def printed(value: float, decimals: int = 1) -> str:
    return f"{abs(value):.{decimals}f} {'more' if value >= 0 else 'fewer'}"


@pytest.mark.parametrize("key, query, words_before", [("effect", MATCHED, "Pupils referred attended "), ("effect_eligible", OFFER, "referred or not: ")])
def test_the_printed_effect_follows_from_the_tables(run, key, query, words_before):
    points, possible = run.sql(query)
    days = points / 100 * possible / 2
    row = run.row("headline", key=key)
    assert row.value == pytest.approx(days, rel=1e-9)
    own = run.row("estimates", estimate_id=row.source_key)
    assert (own.estimate, own.conf_low, own.conf_high) == (row.value, row.conf_low, row.conf_high) and own.headline
    assert run.row("estimates", estimate_id=row.source_key.replace("_days", "_points")).estimate == pytest.approx(points, rel=1e-9)
    for edition in EDITIONS:
        assert f"{words_before}{printed(days)} days per pupil" in run.words(edition)


def test_the_printed_counts_follow_from_the_tables(run):
    (eligible,) = run.sql("SELECT count(DISTINCT pupil_id) FROM {cohort} WHERE mentor_school")
    referred, started = run.sql("SELECT count(DISTINCT pupil_id), count(DISTINCT pupil_id) FILTER (WHERE started) FROM {referral_list}")
    (analysed,) = run.sql("SELECT count(*) FROM {cohort} WHERE mentor_school AND analysed AND entry = 'first' AND referred")
    assert run.row("headline", key="who").value == referred and run.row("headline", key="who_analysed").value == analysed
    for edition in EDITIONS:
        assert f"{eligible:,} eligible pupils in schools with mentors; {referred:,} referred, of whom {started:,} started" in run.words(edition)
        assert f"Analysed: {analysed:,} referred pupils" in run.words(edition)


def test_the_printed_cost_follows_from_the_tables(run):
    value = run.manifest["protocol"]["value_for_money"]
    payers = ", ".join(f"'{payer}'" for payer in value["payers"][value["perspective"]])
    (total,) = run.sql(f"SELECT sum(CAST(round(100 * amount) AS BIGINT)) / 100.0 FROM {{cost_list}} WHERE payer IN ({payers})")
    (started,) = run.sql("SELECT count(DISTINCT pupil_id) FILTER (WHERE started) FROM {referral_list}")
    assert run.row("headline", key="money").value == pytest.approx(total / started, rel=1e-9)
    for edition in EDITIONS:
        assert f"It cost £{total / started:,.0f} for each pupil who started" in run.words(edition)


def test_an_unchanged_second_run_reuses_every_stage(run):
    check_reuse(run, evaluation("run", "--out", run.out))
