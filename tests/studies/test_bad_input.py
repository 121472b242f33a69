"""Input that cannot be used, through the command as a user meets it: it ends with 2 or 3, says file, field, rule and mend, and
nothing it leaves behind reads as success."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from evaluation.protocol.simulation import SimulationSection
from evaluation.registers.dictionary import load_table
from evaluation.registers.simulator import simulate_extracts

from .run_folder import ROOT, made_once

PARAMS = "attendance_mentors_trial.yaml"
AREA_PARAMS = "middlesbrough_area_study.yaml"
SEED = 11


@dataclass(frozen=True)
class Desk:
    """A user's place: a project with params of its own, extracts to spoil, and a folder outside for runs."""

    project: Path
    extracts: Path
    out: Path

    def command(self, name: str, *arguments: object, params: str = PARAMS) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-m", "evaluation", name, f"params/{params}", *map(str, arguments)], cwd=self.project, capture_output=True,
                              text=True, timeout=300)

    def run(self, params: str = PARAMS) -> subprocess.CompletedProcess:
        return self.command("run", "--data", self.extracts, "--out", self.out, params=params)

    def check(self, params: str = PARAMS) -> subprocess.CompletedProcess:
        return self.command("check", "--data", self.extracts, "--out", self.out, params=params)

    def edit(self, key: str, to: str) -> None:
        """Write the trial's one line of params with this key again: key and value."""
        path = self.project / "params" / PARAMS
        text, edits = re.subn(rf"^( *){key}:[^#\n]*", rf"\g<1>{to}  ", path.read_text(encoding="utf-8"), flags=re.M)
        assert edits == 1, key
        path.write_text(text, encoding="utf-8")

    def line_of(self, key: str) -> int:
        text = (self.project / "params" / PARAMS).read_text(encoding="utf-8")
        return text[: re.search(rf"^ *{key}:", text, re.M).end()].count("\n") + 1

    def spoil(self, table: str, change) -> None:
        """Write a table of the extracts again after a change."""
        path = self.extracts / f"{table}.parquet"
        pq.write_table(pa.Table.from_pandas(change(pq.read_table(path).to_pandas(date_as_object=True)), preserve_index=False), path)

    def no_success(self) -> None:
        """Nothing below ``out`` could be taken for a finished run or a report."""
        assert list(self.out.rglob("run.json")) == [] and list(self.out.rglob("*.html")) == []


def check_refused(done: subprocess.CompletedProcess, desk: Desk, code: int, *said: str) -> None:
    """The command ended with ``code``, said all this and how to mend it, and left nothing that reads as success."""
    assert done.returncode == code, done.stderr
    for text in (*said, "Mend: "):
        assert text in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and "Report:" not in done.stdout and "Run folder:" not in done.stdout
    desk.no_success()


def check_refused_at_once(desk: Desk, code: int, *said: str, params: str = PARAMS) -> None:
    """Both `check` and `run` refuse with the same words, and `run` starts nothing."""
    done = desk.run(params)
    check_refused(done, desk, code, *said)
    assert list(desk.out.iterdir()) == []
    checked = desk.check(params)
    check_refused(checked, desk, code, *said)
    assert checked.stderr == done.stderr


def check_refused_on_reading(desk: Desk, *said: str, params: str = PARAMS, run: bool = True) -> None:
    """`check` refuses what a file holds without starting anything; `run` ends with the same words and code."""
    checked = desk.check(params)
    check_refused(checked, desk, 3, *said)
    assert list(desk.out.iterdir()) == []
    if run:
        done = desk.run(params)
        check_refused(done, desk, 3, *said)
        assert " ".join(checked.stderr.split()) in " ".join(done.stderr.split())


def check_refused_in(stage: str, desk: Desk, done: subprocess.CompletedProcess, code: int, *said: str) -> None:
    """A stage refused: it is named, its notebook is kept as far as it got, and `show` says that the run did not finish."""
    check_refused(done, desk, code, f"Stage `{stage}` failed under ", "Cause: cell `", "executed.ipynb", *said)
    (folder,) = (p.parent for p in desk.out.glob("*/events.jsonl"))
    assert (folder / f"{stage}.partial" / "executed.ipynb").is_file() and not (folder / stage).exists()
    assert json.loads((folder / "events.jsonl").read_text(encoding="utf-8").splitlines()[-1])["event"] == "run failed"
    shown = subprocess.run([sys.executable, "-m", "evaluation", "show", str(folder)], cwd=desk.project, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0 and "did not finish" in shown.stdout and f"Stage failed: {stage}" in shown.stdout


def small_design() -> SimulationSection:
    """Two areas with two schools of each kind and one without mentors; 60 pupils a school."""
    values = yaml.safe_load((ROOT / "params" / PARAMS).read_text(encoding="utf-8"))["simulation"]
    keep = ("E06000002", "E08000017", "XCA000001")
    values["areas"] = [{**area, "mentor_schools": min(area["mentor_schools"], 2), "comparison_schools": 2} for area in values["areas"] if area["code"] in keep]
    values["programmes"] = [{**p, "areas": [a for a in p["areas"] if a in keep]} for p in values["programmes"]]
    values["roll"]["pupils_per_school"] = 60
    return SimulationSection.model_validate_json(json.dumps(values))


@pytest.fixture(scope="module")
def stock(tmp_path_factory) -> Path:
    """A project's files and small extracts with nothing wrong, never changed by a test."""

    def make(folder: Path) -> None:
        for name in ("notebooks", "params", "data_dictionary"):
            shutil.copytree(ROOT / name, folder / "project" / name)
        simulate_extracts(small_design(), ROOT, folder / "extracts", SEED)
        shutil.rmtree(folder / "extracts" / "truth")
        (folder / "extracts" / "simulation.json").unlink()  # as real extracts: without it they count as restricted
        (folder / "extracts" / "deliveries.parquet").unlink()  # it holds each file to its hash, and tests spoil them

    return made_once(tmp_path_factory, "bad-input", make)


@pytest.fixture
def desk(stock, tmp_path) -> Desk:
    """The trial, ready to run on extracts of the test's own."""
    shutil.copytree(stock / "project", tmp_path / "project")
    shutil.copytree(stock / "extracts", tmp_path / "extracts")
    (tmp_path / "out").mkdir()
    made = Desk(tmp_path / "project", tmp_path / "extracts", tmp_path / "out")
    made.edit("minimum_schools_per_arm", "minimum_schools_per_arm: 2")
    return made


@pytest.fixture
def area_desk(desk) -> Desk:
    """The area study, ready to run on a file of bands of the test's own."""
    shutil.rmtree(desk.extracts)
    desk.extracts.mkdir()
    table = load_table(ROOT, "absence_bands")
    words = {"time_period": ["202122", "202223"], "geographic_level": "Local authority", "school_type": "State-funded secondary", "fsm": "Eligible",
             "sen": "Unclassified", "sex": "Female", "old_la_code": "806", "new_la_code": "E06000002", "la_name": "Middlesbrough"}
    frame = pd.DataFrame({c.name: words.get(c.name, "words") if c.type == "string" else [7, 8] for c in table.columns})
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), desk.extracts / "absence_bands.parquet")
    return desk


def test_the_bands_are_in_order_before_a_test_spoils_them(area_desk):
    assert area_desk.check(AREA_PARAMS).returncode == 0


def test_the_trial_extracts_are_in_order_before_a_test_spoils_them(desk):
    done = desk.check()
    assert done.returncode == 0 and "data (restricted)" in done.stdout, done.stderr


def test_an_absent_data_folder(desk):
    shutil.rmtree(desk.extracts)
    check_refused_at_once(desk, 3, "DataError: ", "extracts", "no such data folder", "--data")


def test_a_missing_table(desk):
    (desk.extracts / "referrals.parquet").unlink()
    check_refused_at_once(desk, 3, "DataError: ", "table `referrals`", "data_dictionary/referrals.yaml")


def test_a_misnamed_table(desk):
    (desk.extracts / "meetings.parquet").rename(desk.extracts / "meeting.parquet")
    check_refused_at_once(desk, 3, "DataError: ", "table `meetings`", "there is `meeting`: did you mean `meetings`?")


def test_a_missing_column_with_a_near_match(desk):
    desk.spoil("schools", lambda frame: frame.rename(columns={"mentor_school": "mentor_schools"}))
    check_refused_on_reading(desk, "DataError: schools.parquet, header", "lacks column `mentor_school`", "`mentor_schools`: did you mean `mentor_school`?",
                       "rename or supply the column")


def test_a_column_of_the_wrong_type(desk):
    desk.spoil("pupils", lambda frame: frame.assign(year_group=frame["year_group"] > 8))
    check_refused_on_reading(desk, "DataError: pupils.parquet, column `year_group`", "declared integer", "export the column as integer")


def test_text_where_dates_belong(desk):
    frame = pq.read_table(desk.extracts / "referrals.parquet").to_pandas(date_as_object=True)
    frame["referral_date"] = [f"{day:%d/%m/%Y}" for day in frame["referral_date"]]
    (desk.extracts / "referrals.parquet").unlink()
    frame.to_csv(desk.extracts / "referrals.csv", index=False)
    check_refused_on_reading(desk, "DataError: referrals.csv, column `referral_date`", "declared date, but no value is one", "give dates as YYYY-MM-DD",
                       run=False)


def test_an_empty_file(desk):
    (desk.extracts / "marks.parquet").write_bytes(b"")
    check_refused_at_once(desk, 3, "DataError: marks.parquet", "the file is empty", "export it again")


def test_a_file_without_rows(desk):
    desk.spoil("schools", lambda frame: frame.iloc[:0])
    check_refused_on_reading(desk, "DataError: schools.parquet", "the file holds no rows", "this table cannot be empty")


def test_a_misspelt_key_of_the_params(desk):
    desk.edit("unmatched_tolerance", "unmached_tolerance: 0.2")
    check_refused_at_once(desk, 2, "ParameterError: ", PARAMS, f"line {desk.line_of('unmached_tolerance')}", "unmached_tolerance",
                             "did you mean `unmatched_tolerance`")


def test_a_value_of_the_params_out_of_range(desk):
    desk.edit("unmatched_tolerance", "unmatched_tolerance: 1.2")
    check_refused_at_once(desk, 2, "ParameterError: ", PARAMS, f"line {desk.line_of('unmatched_tolerance')}", "unmatched_tolerance", "1.2",
                             "less than or equal to 1")


def test_matching_on_a_column_that_overlaps_the_baseline(desk):
    desk.edit("score_covariates", "score_covariates: [window_absence_rate, baseline_rate]")
    check_refused_at_once(desk, 2, "ParameterError: ", PARAMS, "these columns overlap the baseline: baseline_rate", "baseline_overlap_reason")


def test_a_year_group_that_does_not_exist(desk):
    desk.edit("year_groups", "year_groups: [7, 14]")
    check_refused_at_once(desk, 2, "ParameterError: ", PARAMS, "`year_groups` lie between 1 and 13")


def test_restricted_extracts_may_not_land_in_the_project(desk):
    done = desk.command("run", "--data", desk.extracts)
    check_refused(done, desk, 2, "ContractError: extracts", "restricted", "--out FOLDER")
    assert list((desk.project).rglob("run.json")) == []


def test_a_cohort_that_is_empty_after_eligibility(desk):
    desk.edit("first_window_half_term", "first_window_half_term: 5")
    desk.edit("last_window_half_term", "last_window_half_term: 14")
    desk.spoil("marks", lambda frame: frame.assign(code=np.where(frame["session"] == "AM", "/", "\\")))
    done = desk.run()
    check_refused_in("cohort", desk, done, 3, "UnidentifiedError: cohort: the cohort is empty after eligibility", "no pupil in schools with mentors",
               "the rule `persistent_absence`", "half-term 5 to 14", "see the flow")


def test_one_mentor_school(desk):
    schools = pq.read_table(desk.extracts / "schools.parquet").to_pandas(date_as_object=True)
    one = schools.loc[schools["mentor_school"], "school_id"].iloc[0]
    others = schools["school_id"] != one
    desk.spoil("schools", lambda frame: frame.assign(mentor_school=~others, mentoring_start=frame["mentoring_start"].mask(others, None)))
    desk.spoil("referrals", lambda frame: frame.loc[frame["school_id"] == one])
    kept = set(pq.read_table(desk.extracts / "referrals.parquet").column("pupil_id").to_pylist())
    desk.spoil("meetings", lambda frame: frame.loc[frame["pupil_id"].isin(kept)])
    check_refused_in("cohort", desk, desk.run(), 3, "UnidentifiedError: table `school_list`, column `mentor_school`: only one school has mentors",
               "report it descriptively, or add schools")


def test_a_comparison_pool_held_to_a_misspelt_programme(desk):
    desk.edit("pool_programmes", "pool_programmes: [Local Need Fund]")
    check_refused_in("cohort", desk, desk.run(), 2, "ParameterError: cohort.pool_programmes: programme 'Local Need Fund' is not in table `programmes`",
                     "did you mean 'Local Needs Fund'?")


def test_strata_without_comparison_pupils_above_the_tolerance_and_what_is_kept(desk):
    desk.edit("unmatched_tolerance", "unmatched_tolerance: 0.2")
    desk.edit("exact_columns", "exact_columns: [stack, stratum, half_terms_measured, school_id]")
    done = desk.run()
    check_refused_in("matching", desk, done, 3, "UnidentifiedError: matching, design `within_area`", "are without comparison pupils",
               "no comparison unit in its exact stratum", "above the tolerance of 20%", "match exactly on fewer columns")
    lost, of, strata = map(int, re.search(r"(\d+) of (\d+) referred pupils in (\d+) strata", done.stderr).groups())
    assert lost == of > strata > 1
    desk.edit("exact_columns", "exact_columns: [stack]")
    planned = desk.command("plan", "--data", desk.extracts, "--out", desk.out)
    assert [line.split()[:2] for line in planned.stdout.splitlines()][:3] == [["registers", "reused"], ["cohort", "reused"], ["matching", "runs"]]


def test_area_missing_table(area_desk):
    (area_desk.extracts / "absence_bands.parquet").rename(area_desk.extracts / "absence_band.parquet")
    check_refused_at_once(area_desk, 3, "DataError: ", "table `absence_bands`", "did you mean `absence_bands`?", params=AREA_PARAMS)


def test_area_missing_column_with_a_near_match(area_desk):
    area_desk.spoil("absence_bands", lambda frame: frame.rename(columns={"enrolments_absence_05_10": "enrolments_absence_5_10"}))
    check_refused_on_reading(area_desk, "DataError: absence_bands.parquet", "`enrolments_absence_05_10` is missing", "`enrolments_absence_5_10`",
                       "rename the column", params=AREA_PARAMS)


def test_area_column_of_the_wrong_type(area_desk):
    area_desk.spoil("absence_bands", lambda frame: frame.assign(enrolments_absence_10_15=["twelve", "3"]))
    check_refused_on_reading(area_desk, "DataError: absence_bands.parquet, column `enrolments_absence_10_15`", "a whole number", params=AREA_PARAMS)


def test_area_empty_file(area_desk):
    (area_desk.extracts / "absence_bands.parquet").write_bytes(b"")
    check_refused_at_once(area_desk, 3, "DataError: absence_bands.parquet", "the file is empty", params=AREA_PARAMS)


def test_area_file_without_rows(area_desk):
    area_desk.spoil("absence_bands", lambda frame: frame.iloc[:0])
    check_refused_on_reading(area_desk, "DataError: absence_bands.parquet", "no rows", params=AREA_PARAMS, run=False)


def test_area_no_data_at_all(area_desk):
    done = area_desk.command("run", "--out", area_desk.out, params=AREA_PARAMS)
    check_refused(done, area_desk, 3, "DataError: ", "--data FOLDER")
