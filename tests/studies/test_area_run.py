"""The area study on published data, run by the command: its run folder and both editions."""

from __future__ import annotations

import re

import duckdb
import pandas as pd
import pytest

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
    made_once,
    number,
    sha256,
    tables,
    words,
)

PARAMS = "params/middlesbrough_area_study.yaml"
TITLE = "What published statistics can and cannot show"
NOT_NONE = "This is not evidence of no effect"
POOLS = {"all": "All authorities", "matched": "Matched authorities"}
OUTCOMES = ("mean_absence", "persistent_absence", "severe_absence")


@pytest.fixture(scope="module")
def data(published):
    return published / "data" / "dfe_absence_bands"


@pytest.fixture(scope="module")
def run(tmp_path_factory, data) -> RunFolder:
    """One cold run of the area study."""

    def make(folder):
        done = evaluation("run", PARAMS, "--data", data, "--out", folder / "out")
        assert done.returncode == 0, done.stderr
        (folder / "said.txt").write_text(done.stdout, encoding="utf-8")

    return RunFolder.only(made_once(tmp_path_factory, "area", make) / "out")


def test_the_command_says_what_it_did(run):
    assert "middlesbrough_area_study: 4 stages, 0 reused (full run, data published)" in (run.out.parent / "said.txt").read_text(encoding="utf-8")


def test_the_manifest_is_true(run, data):
    check_manifest(run, "published")
    (given,) = run.manifest["inputs"]
    assert given["sha256"] == sha256(data / "absence_bands.parquet") and given["rows"] == 192_776


def test_every_table_matches_the_dictionary_and_holds_no_nan(run):
    check_tables(run)


def test_every_figure_has_its_drawing_and_its_numbers(run):
    check_figures(run)


def test_nothing_names_the_machine(run):
    check_no_machine(run)


def test_the_headline_is_printed_in_both_editions(run):
    check_headline_is_printed(run)


@pytest.mark.parametrize("edition", EDITIONS)
def test_title_and_warning(run, edition):
    page = run.page(edition)
    assert f"<h1>{TITLE}</h1>" in page and re.search(rf"<title>{TITLE}\b", page)
    assert NOT_NONE in run.row("headline", key="verdict").text and NOT_NONE in run.row("headline", key="effect").text
    estimates = estimates_shown(page)
    assert NOT_NONE in estimates.attrs["caption"]
    before = words(page[: page.index("<table")])
    assert before.count(NOT_NONE) >= 2 and "SIMULATED" not in page


def estimates_shown(page: str) -> pd.DataFrame:
    """The first table that sets estimates against both pools, with plain headers."""
    found = next(t for t in tables(page) if "Compared with" in t and any(c.startswith("Estimate") for c in t))
    return found.rename(columns=lambda name: name.split(" (")[0])


@pytest.mark.parametrize("edition", EDITIONS)
def test_both_pools_stand_side_by_side_with_their_estimates(run, edition):
    shown = estimates_shown(run.page(edition))
    estimates = run.table("area_estimates").query("registered")
    assert len(shown) == len(estimates) == len(OUTCOMES) * len(POOLS)
    for row in estimates.itertuples():
        own = shown.loc[shown["Outcome"].eq(row.outcome.replace("_", " ").capitalize()) & shown["Compared with"].eq(POOLS[row.pool])]
        assert own["Estimate"].tolist() == [number(row.estimate, 2)], row.outcome
    for _, both in shown.groupby("Outcome"):
        assert both["Compared with"].tolist() == list(POOLS.values()) and (both.index[1] - both.index[0]) == 1


def test_every_earlier_year_is_shown_for_each_outcome_and_pool(run):
    years = run.manifest["protocol"]["area_panel"]["academic_years"]
    gaps = run.table("area_gaps")
    assert years[0] == "2016/17" and "2019/20" not in years and len(years) == 6
    for keys, group in gaps.groupby(["outcome", "pool"]):
        assert group["academic_year"].tolist() == years, keys
        assert (group["period"] == "before").sum() == len(years) - 2
    for edition in EDITIONS:
        plotted = [t for t in tables(run.page(edition)) if "Academic year" in t and t.attrs["caption"].startswith("Numbers plotted")]
        assert len(plotted) >= 2
        for table in plotted:
            for _, group in table.groupby([c for c in ("Outcome", "Pool") if c in table]):
                assert set(years) - {"2021/22"} <= set(group["Academic year"]) <= set(years), table.attrs["caption"]


@pytest.mark.parametrize("edition", EDITIONS)
def test_the_smallest_effect_that_could_have_been_seen_is_that_of_the_table(run, edition):
    outcome = run.manifest["protocol"]["report"]["headline_outcome"]
    every, matched = (run.row("area_detectable", outcome=outcome, pool=pool) for pool in POOLS)
    impact = run.manifest["protocol"]["area_impact"]
    share = impact["pupils_started"]["value"] * impact["months_of_support"]["value"] / impact["months_in_school_year"]["value"]
    for row in (every, matched):
        assert row.dilution == pytest.approx(share / row.enrolments) and row.pupil_detectable == pytest.approx(row.area_detectable / row.dilution)
    said = run.row("headline", key="how_sure").text
    assert "smallest effect that this design could have seen" in said and "each supported pupil" in said
    assert f"{number(every.pupil_detectable, 0)} or {number(matched.pupil_detectable, 0)} points" in said
    assert f"{number(every.area_detectable, 1)} points (against all authorities) or {number(matched.area_detectable, 1)} points" in said
    text = run.words(edition)
    assert text.count(said) >= 2, "in the headline and in its own place"
    standing = impact["pupils_started"]["standing"]
    assert standing == "S2" and f"{impact['pupils_started']['value']:g} pupils [{standing}]" in text
    assert f"{impact['months_of_support']['value']:g} months [{impact['months_of_support']['standing']}]" in text


LATER_AREAS = ("371", "340", "355", "861")
BANDS = [f"enrolments_absence_{low:02d}_{low + 5:02d}" for low in range(0, 50, 5)]


def year_values(data, run, year: str, *, treated: bool) -> tuple[int, float, float]:
    """Enrolments, mean absence and severe absence of a year from the published file: Middlesbrough, or all others but the later areas."""
    spec = run.manifest["protocol"]["area_panel"]
    last = spec["last_band_midpoint"]["value"]
    total = " + ".join([*BANDS, "enrolments_absence_50_100"])
    points = " + ".join([*(f"{low + 2.5} * {band}" for low, band in zip(range(0, 50, 5), BANDS, strict=True)), f"{last} * enrolments_absence_50_100"])
    excluded = ", ".join(f"'{code}'" for code in ("806", *LATER_AREAS))
    who = "old_la_code = '806'" if treated else f"old_la_code NOT IN ({excluded}) AND old_la_code IN (SELECT old_la_code FROM present)"
    relation = f"read_parquet('{(data / 'absence_bands.parquet').as_posix()}')"
    with duckdb.connect() as con:
        return con.execute(f"""
            WITH bands AS (SELECT * FROM {relation} WHERE geographic_level = 'Local authority' AND school_type = 'State-funded secondary'),
            present AS (SELECT old_la_code FROM bands GROUP BY old_la_code HAVING count(DISTINCT time_period) = 6)
            SELECT CAST(sum({total}) AS BIGINT), sum({points}) / sum({total}), 100.0 * sum(enrolments_absence_50_100) / sum({total})
            FROM bands WHERE time_period = '{year}' AND {who}""").fetchone()


def test_the_printed_numbers_follow_from_the_published_file(run, data):
    enrolments, after, severe = year_values(data, run, "202223", treated=True)
    _, before, _ = year_values(data, run, "202122", treated=True)
    _, others_after, others_severe = year_values(data, run, "202223", treated=False)
    _, others_before, _ = year_values(data, run, "202122", treated=False)
    effect = (after - before) - (others_after - others_before)
    headline = {row.key: row.value for row in run.table("headline").itertuples()}
    assert headline["who"] == enrolments
    assert headline["greatest_need"] == pytest.approx(severe)
    assert headline["counterfactual"] == pytest.approx(others_after - others_before)
    assert headline["effect"] == pytest.approx(effect)
    said = {row.key: row.text for row in run.table("headline").itertuples()}
    assert f"{enrolments:,} state-funded secondary enrolments" in said["who"]
    assert f"{number(severe, 1)}% of enrolments" in said["greatest_need"] and f"{number(others_severe, 1)}% in all authorities" in said["greatest_need"]
    assert f"{after - before:+.2f} points" in said["counterfactual"] and f"{others_after - others_before:+.2f} points" in said["counterfactual"]
    assert f"{abs(effect):.2f} points {'higher' if effect > 0 else 'lower'} than in all authorities" in said["effect"]


def test_areas_that_started_later_are_in_no_pool(run):
    pools = run.table("area_pools")
    assert set(pools.loc[pools["role"] == "comparison", "authority_code"]) & {"806", *LATER_AREAS} == set()
    assert pools.groupby("pool")["role"].apply(lambda role: (role == "comparison").sum()).to_dict() == {"all": 142, "matched": 20}


def test_an_unchanged_second_run_reuses_every_stage_and_a_fresh_one_gives_the_same_bytes(run, data):
    check_reuse(run, evaluation("run", PARAMS, "--data", data, "--out", run.out))
    done = evaluation("run", PARAMS, "--data", data, "--out", run.out, "--fresh")
    assert done.returncode == 0 and "4 stages, 0 reused" in done.stdout, done.stderr
    fresh = max(p.parent for p in run.out.glob("*/run.json"))
    tables = {p.relative_to(run.folder): sha256(p) for p in run.folder.glob("*/tables/*.parquet")}
    assert len(tables) == sum(len(stage.writes) for stage in run.kind.stages)
    assert {p.relative_to(fresh): sha256(p) for p in fresh.glob("*/tables/*.parquet")} == tables


def test_published_statistics_leave_as_they_are(run):
    manifest = run.manifest
    assert manifest["release"]["profile"]["name"] == "dfe_absence" and manifest["release"]["proof"]["cells"] == 0
    assert not [e for e in manifest["disclosure_log"] if e["action"] == "suppressed"]
    released = pd.read_csv(run.folder / "release" / "tables" / "area_estimates.csv")
    assert len(released) == len(run.table("area_estimates")) and released["estimate"].round(6).tolist() == run.table("area_estimates")["estimate"].round(6).tolist()
    assert "Nothing was withheld or rounded" in (run.folder / "release" / "editions" / "summary.html").read_text(encoding="utf-8")
