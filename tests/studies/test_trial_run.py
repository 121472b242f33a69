"""The default study, run by the command: its run folder and both editions."""

from __future__ import annotations

import hashlib
import json
import re
import shutil

import pandas as pd
import pytest
from simulation.coverage import compare_with_truth

from evaluation.reporting.disclosure import people_counts

from .differences import pinned
from .intruder import attack
from .run_folder import (
    EDITIONS,
    ROOT,
    RunFolder,
    check_figures,
    check_headline_is_printed,
    check_manifest,
    check_no_machine,
    check_reuse,
    check_tables,
    default_run,
    evaluation,
    figures,
    number,
    section,
    tables,
    words,
)
from .walk import counts_not_released, people_in_words, small_counts

SIMULATED = "SIMULATED - not a finding"
POINTS = "percentage points of sessions"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    """One cold run of the default study."""
    return default_run(tmp_path_factory)


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
    assert SIMULATED in words(page)[:200] and SIMULATED in run.row("headline", key="label").text
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
    brief = words(section(run.page("summary.html"), "Estimate against truth"))
    assert f"is {number(row.truth, 1)} days" in brief and f"is {number(row.estimate, 1)} days" in brief
    assert f"({number(row.conf_low, 1)} to {number(row.conf_high, 1)}) {'holds' if row.covered else 'does not hold'} the truth" in brief
    (shown,) = tables(section(run.page("technical.html"), "Estimate against truth", last=True))
    points = run.table("truth_comparison").query("scale == @POINTS")
    assert len(shown) == len(points) >= 8
    printed = {tuple(cells) for cells in shown.iloc[:, 3:].to_numpy()}
    wanted = {(*(number(value, 2) for value in (row.estimate, row.conf_low, row.conf_high, row.truth)), "Yes" if row.covered else "No")
              for row in points.itertuples()}
    assert printed == wanted


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

# The offer: in each area and stack the weighted mean change of all eligible in schools with mentors, less that of all eligible
# elsewhere, weighted by the referral risk of pupils in schools with mentors.
OFFER = """
WITH rows AS (
    SELECT stack, area_code, weight, treated, change, followup_possible AS possible
    FROM {offer_weights} AS w JOIN {cohort} AS c USING (stack, pupil_id) WHERE w.design = 'within_area' AND weight > 0),
cells AS (
    SELECT sum(weight) FILTER (WHERE treated) AS n, sum(weight * change) FILTER (WHERE treated) / sum(weight) FILTER (WHERE treated) AS t,
           sum(weight * change) FILTER (WHERE NOT treated) / sum(weight) FILTER (WHERE NOT treated) AS c,
           sum(weight * possible) FILTER (WHERE treated) AS possible
    FROM rows GROUP BY stack, area_code)
SELECT -sum(n * (t - c)) / sum(n), sum(possible) / sum(n) FROM cells
"""


@pytest.mark.parametrize("key, query", [("effect", MATCHED), ("effect_eligible", OFFER)])
def test_the_printed_effect_follows_from_the_tables(run, key, query):
    points, possible = run.sql(query)
    days = points / 100 * possible / 2
    row = run.row("headline", key=key)
    assert row.value == pytest.approx(days, rel=1e-9)
    own = run.row("estimates", estimate_id=row.source_key)
    assert (own.estimate, own.conf_low, own.conf_high) == (row.value, row.conf_low, row.conf_high) and own.headline
    assert run.row("estimates", estimate_id=row.source_key.replace("_days", "_points")).estimate == pytest.approx(points, rel=1e-9)
    assert f"{number(abs(days), 1)} {'more' if days >= 0 else 'fewer'} days" in row.text
    assert f"{number(own.conf_low, 1)} to {number(own.conf_high, 1)}" in row.text


# The change from the first to the last half-term of the baseline, of the headline's own pupils and weights.
PLACEBO_START = """
WITH rates AS (
    SELECT stack, pupil_id, max(rate) FILTER (WHERE event_time = -2) - max(rate) FILTER (WHERE event_time = -4) AS y
    FROM {cohort_trajectories} WHERE role = 'baseline' GROUP BY stack, pupil_id),
rows AS (
    SELECT stack || '|' || area_code AS cell, weight, CAST(w.treated AS INTEGER) AS t, y
    FROM {match_weights} AS w JOIN {cohort} AS c USING (stack, pupil_id) JOIN rates USING (stack, pupil_id) WHERE w.design = 'within_area' AND y IS NOT NULL),
cells AS (SELECT cell, sum(weight * t) / sum(weight) AS share FROM rows GROUP BY cell)
SELECT -sum(weight * (t - share) * y) / sum(weight * (t - share) * t) FROM rows JOIN cells USING (cell)
"""


def test_the_checks_are_about_the_headline(run):
    analysis = "B_referred_within_area_matched"
    lead = run.row("estimates", estimate_id=f"{analysis}_points")
    (start,) = run.sql(PLACEBO_START)
    assert run.row("placebos", check="placebo start", analysis=analysis).estimate == pytest.approx(start, rel=1e-9)
    lee = run.row("attrition_bounds", analysis=analysis, method="Lee bounds")
    assert lee.estimate == pytest.approx(lead.estimate, rel=1e-9) and lee.lower <= lead.estimate <= lee.upper
    left = run.table("leave_one_out").query("analysis == @analysis")
    assert (left.query("left_out == 'school'").shape[0], left.query("left_out == 'area'").shape[0]) == (lead.schools_treated + lead.schools_comparison, lead.areas)
    groups = run.table("subgroups").query("analysis == @analysis and subgroup == 'area'")
    assert groups["n_treated"].sum() == lead.n_treated and run.row("subgroups", analysis=analysis, subgroup="phase", group="secondary").result == "one group only"
    registered = run.table("robustness_checks").query("registered")
    assert set(registered["name"]) == set(run.manifest["protocol"]["impact"]["robustness_checks"]) and not registered["text"].str.contains("not made").any()


def test_delivery_counts_who_started_and_calls_no_difference_of_models_an_effect(run):
    (started,) = run.sql("SELECT count(DISTINCT pupil_id) FROM {referral_list} WHERE started")
    whole = run.row("delivery_caseload", area_code="all")
    assert whole.pupils + whole.without_mentor == started == run.row("delivery_barriers", area_code="all", barrier_type="any").pupils_started
    shown = words(section(run.page("technical.html"), "Models compared", last=True))
    assert "not allocated at random" in shown and "not an effect of the model" in shown
    assert not run.table("survey_changes")["is_effect"].any()


def test_the_printed_counts_follow_from_the_tables(run):
    (eligible,) = run.sql("SELECT count(DISTINCT pupil_id) FROM {cohort} WHERE mentor_school")
    referred, started = run.sql("SELECT count(DISTINCT pupil_id), count(DISTINCT pupil_id) FILTER (WHERE started) FROM {referral_list}")
    (analysed,) = run.sql("SELECT count(*) FROM {cohort} WHERE mentor_school AND analysed AND entry = 'first' AND referred")
    who, used = run.row("headline", key="who"), run.row("headline", key="who_analysed")
    assert (who.value, used.value) == (referred, analysed)
    assert all(re.search(rf"\b{count:,}\b", who.text) for count in (eligible, referred, started)) and re.search(rf"\b{analysed:,}\b", used.text)


def test_the_printed_cost_follows_from_the_tables(run):
    value = run.manifest["protocol"]["value_for_money"]
    payers = ", ".join(f"'{payer}'" for payer in value["payers"][value["perspective"]])
    (total,) = run.sql(f"SELECT sum(CAST(round(100 * amount) AS BIGINT)) / 100.0 FROM {{cost_list}} WHERE payer IN ({payers})")
    (started,) = run.sql("SELECT count(DISTINCT pupil_id) FILTER (WHERE started) FROM {referral_list}")
    row = run.row("headline", key="money")
    assert row.value == pytest.approx(total / started, rel=1e-9) and f"£{number(total / started, 0)} for each pupil who started" in row.text


def test_an_unchanged_second_run_reuses_every_stage(run):
    check_reuse(run, evaluation("run", "--out", run.out))


def test_the_intruder_learns_nothing_from_the_whole_release(run):
    attacked, learned = attack(run.folder / "release", run.folder / "disclosure", ROOT / "data_dictionary", 10)
    assert attacked >= 10 and learned == []


def test_every_number_of_people_in_the_headline_and_the_limitations_is_read_and_no_other(run):
    reach, row = run.row("delivery_reach", area_code="all", delivery_model="all"), run.row("estimates", estimate_id="B_referred_within_area_matched_days")
    said = {r.key: r.text for r in run.table("headline").itertuples()} | {r.rule: r.text for r in run.table("limitations").itertuples()}
    found = {key: [c.value for c in people_counts(text) if not c.bound] for key, text in said.items()}
    assert found.pop("who") == [reach.eligible, reach.referred, reach.started, reach.completed]
    assert found.pop("who_analysed") == [row.n_treated + row.unmatched, row.n_treated, row.unmatched, row.n_comparison]
    assert (found.pop("unmatched"), found.pop("measured_shorter")) == ([row.unmatched], [run.row("limitations", rule="measured_shorter").value])
    assert len(found) > 40 and not {key: counts for key, counts in found.items() if counts}


def test_no_difference_of_two_counts_and_no_share_of_the_release_pins_a_small_group(run, tmp_path):
    tried, found = pinned(run.folder / "release", ROOT / "data_dictionary", 10)
    assert tried > 2000 and found == []
    bare = shutil.copytree(run.folder / "release", tmp_path / "bare")  # what it would find if nothing but the small counts themselves were held back
    for counts in (run.folder / "disclosure" / "counts").glob("*.csv"):
        shown, true = pd.read_csv(bare / "tables" / counts.name, dtype=str, keep_default_na=False), pd.read_csv(counts, dtype=str, keep_default_na=False)
        for column in [c for c in true if c in shown]:
            large = shown[column].eq("c") & pd.to_numeric(true[column], errors="coerce").ge(10)
            shown[column] = true[column].where(large, shown[column])
        shown.to_csv(bare / "tables" / counts.name, index=False)
    assert len(pinned(bare, ROOT / "data_dictionary", 10)[1]) > 10


def test_the_release_is_complete_and_the_manifest_says_what_was_held_back(run):
    manifest = run.manifest
    files = {p.relative_to(run.folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in (run.folder / "release").rglob("*") if p.is_file()}
    assert files == {name: digest for name, digest in manifest["report"]["files"].items() if name.startswith("release/")}
    assert {"release/tables/headline.csv", "release/tables/estimates.csv", "release/simulated_attendance_mentors_trial.xlsx", "release/editions/simulated_summary.pdf"} <= set(files)
    assert manifest["release"]["proof"]["recovered"] == 0 and manifest["release"]["profile"]["name"] == "srs"
    told = {(e["table"], e["action"]) for e in manifest["disclosure_log"]}
    assert {("panel", "refused"), ("cohort", "refused"), ("attrition", "suppressed")} <= told and all(e["reason"] for e in manifest["disclosure_log"])


def test_nothing_of_single_pupils_is_in_the_release(run):
    for path in (run.folder / "release").rglob("*"):
        if path.suffix in (".csv", ".json", ".html"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"\bP\d{6}\b|pupil_id", text), path.name
    assert all(p.name.startswith("simulated_") for p in (run.folder / "release" / "open_data").iterdir())


def test_no_count_in_the_report_is_small_or_otherwise_than_released(run):
    looked, wrong = counts_not_released(run.folder, ROOT / "data_dictionary", [stage.name for stage in run.kind.stages])
    assert looked > 200 and wrong == []
    for edition in EDITIONS:
        assert small_counts(run.page(edition), 10) == []
    assert len(small_counts(run.page("technical.html", "working"), 10)) > 10, "the walk finds small counts where they are"


def test_no_text_of_the_report_counts_a_few_pupils(run):
    places = set(run.table("planning_table").select_dtypes("number").stack().round())
    for edition in EDITIONS:
        assert {n for n in people_in_words(run.page(edition)) if 0 < n < 10} <= places
    assert {688, 441} <= set(people_in_words(run.page("summary.html"))), "the walk reads the counts that are there"


def test_the_report_says_what_it_holds_back_and_the_record_says_why(run):
    told = run.manifest["report"]["checks"]["disclosure"]
    notes = {kind: len(re.findall(f"{kind.capitalize()} held back: ", run.words("technical.html"))) for kind in ("table", "figure")}
    assert told["profile"] == "srs" and told["threshold"] == 10 and told["shown"]["tables"] > 50 and told["shown"]["figures"] > 12
    assert notes["figure"] == told["held_back"]["figures"] < 18 and notes["table"] <= told["held_back"]["tables"] < 20
    logged = [entry for entry in run.manifest["disclosure_log"] if entry["table"].startswith("report: ")]
    assert len(logged) >= sum(told["held_back"].values()) and all(entry["reason"] for entry in logged)
    assert "Counts of fewer than 10 pupils are withheld" in run.words("summary.html") and "Working edition" not in run.page("summary.html")
    working = run.page("summary.html", "working")
    assert working.count("Working edition: not cleared for publication") >= 2 and "working edition, not cleared" in re.search(r"(?s)<title>(.*?)</title>", working).group(1)


def test_both_editions_are_there_as_pdf_and_docx_that_keep_their_standards(run):
    import pikepdf

    for name in ("report/summary.pdf", "report/technical.pdf", "release/editions/simulated_summary.pdf"):
        with pikepdf.open(run.folder / name) as pdf:
            metadata = pdf.open_metadata()
            assert metadata["pdfuaid:part"] == "1" and metadata["pdfaid:part"] == "3" and str(pdf.Root.Lang) == "en-GB"
            assert SIMULATED in str(metadata["dc:title"])
    assert all((run.folder / "report" / f"{edition}.docx").read_bytes()[:2] == b"PK" for edition in ("summary", "technical"))


def test_every_edition_is_built_again_from_the_release_alone(run, tmp_path):
    done = evaluation("render", "--from-release", run.folder / "release", "--out", tmp_path / "editions")
    assert done.returncode == 0, done.stderr
    for path in (run.folder / "release" / "editions").iterdir():
        assert (tmp_path / "editions" / path.name).read_bytes() == path.read_bytes()


NUMBERS_WITHOUT_ROWS: dict[str, list[str]] = {}
"""Numbers of the summary that stand in none of the rows behind their text, by cell, each with its reason here."""


def test_every_number_of_the_summarys_texts_stands_in_the_rows_behind_it(run):
    notebook = json.loads((run.folder / "working" / "executed.ipynb").read_text(encoding="utf-8"))
    marks = [(cell["id"], output["metadata"]["evaluation"]) for cell in notebook["cells"] for output in cell.get("outputs", []) if "evaluation" in output.get("metadata", {})]
    checked = [(cell, mark["numbers_without_rows"]) for cell, mark in marks if "numbers_without_rows" in mark]
    assert len(checked) >= 10
    assert {cell: missing for cell, missing in checked if missing} == NUMBERS_WITHOUT_ROWS


def test_an_outcome_that_is_both_a_harm_and_a_secondary_outcome_has_one_number(run):
    harms, estimates = run.table("harms"), run.table("estimates")
    both = harms.assign(estimate_id=harms["analysis"] + "_" + harms["outcome"]).merge(estimates, on="estimate_id", suffixes=("", "_there"))
    assert set(both["outcome"]) >= {"medical_rate", "part_time_timetable_rate", "suspension_sessions"} and (both["n_treated"] == both["n_treated_there"]).all()
    for name in ("estimate", "std_error", "df"):
        assert both[name].abs().to_numpy() == pytest.approx(both[f"{name}_there"].abs().to_numpy(), rel=1e-9), name
