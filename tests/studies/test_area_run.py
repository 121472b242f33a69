"""The area study on published data, run by the command: its run folder and both editions."""

from __future__ import annotations

import re

import duckdb
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
    section,
    sha256,
    words,
)

pytestmark = pytest.mark.xdist_group("area_run")

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
    assert NOT_NONE in words(section(page, "In short"))
    beside = section(page, "What the area did that others did not")
    caption = re.search(r"(?s)<caption>(.*?)</caption>", beside)
    assert NOT_NONE in words(caption.group(1)) and NOT_NONE in words(beside.replace(caption.group(0), ""))
    assert "SIMULATED" not in page


def table_rows(part: str, table: int = 0) -> list[list[str]]:
    """Cells of a table of a part of a page."""
    body = re.findall(r"(?s)<tbody>(.*?)</tbody>", part)[table]
    return [[words(cell) for cell in re.findall(r"(?s)<t[hd]\b[^>]*>(.*?)</t[hd]>", row)] for row in re.findall(r"(?s)<tr\b[^>]*>(.*?)</tr>", body)]


@pytest.mark.parametrize("edition", EDITIONS)
def test_both_pools_stand_side_by_side_with_their_estimates(run, edition):
    shown = table_rows(section(run.page(edition), "What the area did that others did not"))
    estimates = run.table("area_estimates").query("registered")
    assert len(shown) == len(estimates) == len(OUTCOMES) * len(POOLS)
    for row in estimates.itertuples():
        outcome = row.outcome.replace("_", " ").capitalize()
        (cells,) = [c for c in shown if c[:2] == [outcome, POOLS[row.pool]]]
        assert cells[2] == f"{row.estimate:.2f}".replace("-", "−"), cells
        assert cells[6:] == [f"{row.p_two_sided:.3f}", f"{row.p_floor:.3f}"], cells
    for outcome in OUTCOMES:
        assert [c[1] for c in shown if c[0] == outcome.replace("_", " ").capitalize()] == list(POOLS.values())


def test_every_earlier_year_is_shown_for_each_outcome_and_pool(run):
    spec = run.manifest["protocol"]
    years = spec["area_panel"]["academic_years"]
    gaps = run.table("area_gaps")
    assert years[0] == "2016/17" and "2019/20" not in years and len(years) == 6
    for keys, group in gaps.groupby(["outcome", "pool"]):
        assert list(group["academic_year"]) == years, keys
        assert (group["period"] == "before").sum() == len(years) - 2
    for edition in EDITIONS:
        for heading in ("Did attendance improve in the area?", "What was moving before the programme"):
            numbers = table_rows(section(run.page(edition), heading))
            assert {c[2] for c in numbers} == set(years), (edition, heading)


@pytest.mark.parametrize("edition", EDITIONS)
def test_the_smallest_effect_that_could_have_been_seen_is_that_of_the_table(run, edition):
    outcome = run.manifest["protocol"]["report"]["headline_outcome"]
    every, matched = (run.row("area_detectable", outcome=outcome, pool=pool) for pool in POOLS)
    impact = run.manifest["protocol"]["area_impact"]
    share = impact["pupils_started"]["value"] * impact["months_of_support"]["value"] / impact["months_in_school_year"]["value"]
    for row in (every, matched):
        assert row.dilution == pytest.approx(share / row.enrolments) and row.pupil_detectable == pytest.approx(row.area_detectable / row.dilution)
    said = (f"each supported pupil would have had to fall by {every.pupil_detectable:.0f} or {matched.pupil_detectable:.0f} points of their sessions")
    for heading in ("In short", "The smallest effect that could have been seen"):
        part = words(section(run.page(edition), heading))
        assert said in part and f"{every.area_detectable:.1f} points (against all authorities) or {matched.area_detectable:.1f} points" in part
    assert f"equivalent of {100 * every.dilution:.1f}% of" in words(section(run.page(edition), "In short"))
    assert f"{impact['pupils_started']['value']:g} pupils [{impact['pupils_started']['standing']}]" in part


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
    for edition in EDITIONS:
        text = run.words(edition)
        assert f"{enrolments:,} state-funded secondary enrolments" in text
        assert f"They are {severe:.1f}% of enrolments in Middlesbrough in 2022/23, {others_severe:.1f}% in all authorities" in text
        assert f"changed by {after - before:+.2f} points from 2021/22 to 2022/23; in all authorities by {others_after - others_before:+.2f} points" in text
        assert f"in Middlesbrough was {abs(effect):.2f} points {'higher' if effect > 0 else 'lower'} than in all authorities" in text


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
