"""Intake finds every fault that the simulator plants, in the row where it was planted, and nothing else."""

import json
import shutil
from collections import Counter

import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.registers.intake import take_in
from evaluation.registers.simulator.faults import COPIES, plant_faults

from small_study import SEED, study_values


@pytest.fixture(scope="module")
def faulted(extract, tmp_path_factory, root):
    folder = tmp_path_factory.mktemp("bad") / "extract"
    return folder, plant_faults(extract, folder, root, SEED)


@pytest.fixture(scope="module")
def lenient(section):
    """The registered rules with every share of rejects tolerated, so that intake goes through to the end."""
    return type(section).model_validate({**section.model_dump(), "reject_tolerance": {name: 100.0 for name in section.reject_tolerance}})


@pytest.fixture(scope="module")
def taken(faulted, root, lenient):
    return take_in(faulted[0], root, lenient)


def test_every_planted_row_is_rejected_by_its_rule_and_no_other_row_is(faulted, taken):
    planted = {(fault.table, row, fault.column, fault.rule) for fault in faulted[1] if fault.rows and fault.rule != COPIES for row in fault.rows}
    found = {(row.table, row.file_row, row.column, row.rule) for row in taken["intake_rejects"].itertuples()}
    assert sorted(found - planted, key=str) == [], "rejected though sound"
    assert sorted(planted - found, key=str) == [], "not found"


def test_identical_copies_are_collapsed_and_counted(faulted, taken):
    copies = Counter()
    for fault in faulted[1]:
        if fault.rule == COPIES:
            copies[fault.table] += len(fault.rows)
    counts = taken["intake_counts"].set_index("table")
    assert copies and counts["rows_collapsed"].to_dict() == {name: copies.get(name, 0) for name in counts.index}
    assert (counts["rows_accepted"] + counts["rows_rejected"] + counts["rows_collapsed"] == counts["rows_read"]).all()


def test_the_list_says_what_was_planted_and_covers_the_faults_asked_for(faulted):
    listed = json.loads((faulted[0] / "faults.json").read_text(encoding="utf-8"))
    assert listed["seed"] == SEED and len(listed["faults"]) == len(faulted[1]) > 70
    rules = {fault.rule for fault in faulted[1]} | {fault.name for fault in faulted[1]}
    assert {"unknown code", "outdated code", "code not yet in use", "contradictory rows with one key", "type", "too long", "before admission", "after leaving",
            "in two schools at once", "broken encoding", "two columns swapped", "truncated file", "not enrolled at that school"} <= rules


def test_a_faulted_copy_does_not_count_as_simulated_and_holds_no_truth(faulted):
    assert not (faulted[0] / "simulation.json").exists() and not (faulted[0] / "truth").exists()


def test_formula_like_text_is_taken_in_as_text(taken):
    assert taken["school_list"]["school_name"].str.startswith("=").any()


def test_each_whole_file_is_refused_in_words_that_name_its_fault(extract, faulted, root, lenient, tmp_path):
    cases = [fault for fault in faulted[1] if fault.refused is not None]
    assert len(cases) >= 10
    sound = tmp_path / "sound"
    shutil.copytree(extract, sound, ignore=shutil.ignore_patterns("truth", "simulation.json", "deliveries.parquet"))
    (sound / "schools.parquet").unlink()
    for fault in cases:
        bad = faulted[0] / fault.file
        shutil.copyfile(bad, sound / bad.name)
        with pytest.raises(DataError) as refusal:
            take_in(sound, root, lenient)
        assert fault.refused in str(refusal.value), fault.name
        (sound / bad.name).unlink()


def test_faults_are_planted_in_simulated_extracts_only(tmp_path, root):
    (tmp_path / "mine.csv").write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(DataError, match="simulated extracts only"):
        plant_faults(tmp_path, tmp_path / "bad", root, SEED)


def test_nothing_is_planted_where_there_is_nothing_to_copy_and_no_other_file_is_removed(simulate, tmp_path, root):
    sound = simulate("nobody", referral__per_school=0)
    target = tmp_path / "bad"
    planted = plant_faults(sound, target, root, SEED)
    tables = {fault.table for fault in planted}
    assert {"schools", "pupils", "marks", "deliveries"} <= tables and not tables & {"referrals", "meetings", "barriers", "survey_items"}
    assert (target / "referrals.parquet").is_file()
    (target / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="no planted faults"):
        plant_faults(sound, target, root, SEED)
    assert (target / "mine.txt").read_text(encoding="utf-8") == "mine"
    without_starts = plant_faults(simulate("no starts", referral__start_share=0.0), tmp_path / "bad again", root, SEED)
    assert "referrals" not in {fault.table for fault in without_starts}


def test_planting_twice_gives_the_same_bytes(extract, faulted, tmp_path, root):
    plant_faults(extract, tmp_path / "again", root, SEED)
    for path in sorted(p for p in faulted[0].rglob("*") if p.is_file()):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(faulted[0])).read_bytes(), path.name
    assert len(pd.read_csv(faulted[0] / "pupils.csv")) > 0 and study_values()
