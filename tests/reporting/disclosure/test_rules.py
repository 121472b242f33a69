"""Primary rules and profiles, by hand and against ACRO; the search for secondary cells beside tau-ARGUS's optimum."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from evaluation.errors import ParameterError
from evaluation.reporting.disclosure import PROFILES, Profile, check_points, check_sum, find_profile, prove, risky_counts, suppress_cells, table_system
from evaluation.reporting.disclosure.bounds import cell_bounds, round_counts, shown_as
from evaluation.reporting.disclosure.content import identifiers_in
from evaluation.reporting.disclosure.system import CellSystem

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "disclosure"
ACRO_NAMES = {"MinimumThresholdCheck": "threshold", "NKCheck": "dominance", "PPercentCheck": "p-ratio"}


def test_each_profile_says_where_its_thresholds_come_from():
    assert set(PROFILES) == {"srs", "dfe_absence", "acro"}
    assert all(len(p.source) > 30 for p in PROFILES.values())
    assert (PROFILES["srs"].threshold, PROFILES["dfe_absence"].threshold, PROFILES["dfe_absence"].rounding_base) == (10, 3, 5)


def test_a_study_changes_thresholds_by_name_and_with_a_source():
    own = find_profile("srs", {"threshold": 5, "source": "data sharing agreement, section 4"})
    assert own.threshold == 5 and own.residual_df == 10 and own.name == "srs, changed by the protocol"
    with pytest.raises(ParameterError, match="source"):
        find_profile("srs", {"threshold": 5})
    with pytest.raises(ParameterError, match="treshold"):
        find_profile("srs", {"treshold": 5, "source": "agreement"})
    with pytest.raises(ParameterError, match="at least 1"):
        find_profile("srs", {"threshold": 0, "source": "agreement"})
    with pytest.raises(ParameterError, match="no disclosure profile"):
        find_profile("ons")


def test_sums_break_the_rules_that_acro_finds_broken():
    told = json.loads((REFERENCE / "acro.json").read_text(encoding="utf-8"))["sums"]
    for name, values in told["cells"].items():
        assert sorted(check_sum(values, PROFILES["acro"]).broken) == sorted(ACRO_NAMES[rule] for rule in told["broken"][name]), name


def test_regressions_pass_where_acro_lets_them_pass():
    for case in json.loads((REFERENCE / "acro.json").read_text(encoding="utf-8"))["regressions"]:
        assert (case["rows"] - case["parameters"] >= PROFILES["srs"].residual_df) == (case["status"] == "pass"), case


@pytest.mark.parametrize("profile, risky", [("srs", {"two", "nine"}), ("dfe_absence", {"two"}), ("acro", {"zero", "two", "nine"})])
def test_small_counts_and_zeros_by_profile(profile, risky):
    system = CellSystem()
    for name, value in {"zero": 0, "two": 2, "nine": 9, "ten": 10}.items():
        system.add((name, ()), value)
    assert {system.keys[at][0] for at in risky_counts(system, PROFILES[profile])} == risky


def test_a_group_whose_members_are_all_alike_is_a_class_disclosure_only_on_a_trait():
    system = CellSystem()
    for severity, value in {"severe": 40, "other": 0}.items():
        system.add(("pupils", (("severity", severity),)), value)
    system.equate(system.add(("pupils", ()), 40), [0, 1])
    assert {system.keys[at][1] for at in risky_counts(system, PROFILES["srs"], ["severity"])} == {(("severity", "severe"),)}
    assert risky_counts(system, PROFILES["srs"], []) == {} and risky_counts(system, PROFILES["dfe_absence"], ["severity"]) == {}


def test_what_is_left_of_a_group_counts_as_much_as_what_is_printed():
    system = CellSystem()
    whole, part = system.add("started", 112), system.add("completed", 108)
    rest = system.rest(whole, [part], "did not complete")
    assert risky_counts(system, PROFILES["srs"]) == {rest: "leaves a group below the threshold"}
    result = suppress_cells(system, np.array([False, False, True]), threshold=10)
    assert result.secondary.sum() == 1 and result.unsafe == ()


def test_rounding_keeps_zero_a_true_zero():
    assert round_counts(np.array([0, 1, 2, 3, 7, 8, 12, 13]), 5).tolist() == [0, 5, 5, 5, 5, 10, 10, 15]


def test_a_point_of_two_pupils_is_refused():
    assert check_points([30, 2, 10, float("nan")], PROFILES["srs"]) == [1, 3]


def test_a_count_known_from_elsewhere_cannot_be_protected_and_the_search_says_so():
    system = table_system(np.array([[4, 30], [25, 40]]))
    for at in range(system.size):
        system.structural[at] = at != 0
    result = suppress_cells(system, np.arange(system.size) == 0, threshold=10)
    assert result.unsafe == (0,)


def test_a_count_that_only_whole_numbers_pin_is_protected_in_whole_numbers():
    system = CellSystem()
    one, twin, few = system.add("one", 100), system.add("twin", 100), system.add("few", 7)
    whole = system.add("whole", 207)
    system.equate(one, [twin])
    system.equate(whole, [one, twin, few])  # twice a number and the few make 207: none of them cannot be
    result = suppress_cells(system, np.arange(system.size) == few, threshold=10, kept=[one, twin])
    assert result.unsafe == () and result.suppressed[whole]


def test_no_more_cells_go_than_half_as_many_again_as_in_the_optimum_of_tau_argus():
    ours = theirs = 0
    for case in json.loads((REFERENCE / "tau_argus.json").read_text(encoding="utf-8"))["tables"]:
        counts = np.array(case["counts"])
        system = table_system(counts)
        values = system.numbers()
        primary = (values > 0) & (values < 10)
        result = suppress_cells(system, primary, threshold=10)
        names = {(f"r{k[0]}" if k[0] != "total" else "Total", f"c{k[1]}" if k[1] != "total" else "Total"): i for i, k in enumerate(system.keys)}
        hidden = np.zeros(system.size, dtype=bool)
        hidden[[names[tuple(cell)] for cell in case["suppressed"]]] = True
        assert hidden[primary].all(), "tau-ARGUS hides what this project calls primary"
        assert result.unsafe == () and prove(system, primary, result.suppressed, threshold=10)[1] == []
        ours, theirs = ours + int(result.suppressed.sum()), theirs + int(hidden.sum())
    assert theirs <= ours * 1.25 and ours <= 1.5 * theirs


@pytest.mark.parametrize("text, kind", [
    ("A123456789012", "unique pupil number"), ("seen as A12345678901B", "unique pupil number"), ("p0123456789abcdef0123456789abcdef", "pupil pseudonym"), ("pupil 004217 left", "pupil identifier"),
    ("P000042", "pupil identifier"), ("ask jo.bloggs@school.example", "email address"), ("/home/jo/extract.csv", "file path"), ("C:\\Users\\jo\\x", "file path"),
    ("TS1 3BA", "postcode"), ("born 3 May 2010", "date of birth"), ("0123456789abcdef", "keyed hash"),
])
def test_values_that_stand_for_a_person_are_known(text, kind):
    assert kind in identifiers_in(text)


@pytest.mark.parametrize("text", ["5,029 pupils", "E06000002", "2022/23", "95% interval 0.2 to 1.7", "B_referred_within_area_matched_days", "p 0.048", "stack 12", "Year 11", "half-term -4", "£1,523"])
def test_ordinary_results_are_not_taken_for_identifiers(text):
    assert identifiers_in(text) == []


def test_profiles_hold_nothing_but_data():
    assert {f.type for f in fields(Profile)} <= {"str", "int", "bool", "float"}


def test_two_counts_that_are_equal_by_two_equations_are_not_solved_apart():
    # x = y + 0 and y = x + 0: the signs of the two equations cancel, but neither count can be had without the other.
    system = CellSystem()
    x, y, one, other = (system.add(name, value) for name, value in (("x", 40), ("y", 40), ("one", 0), ("other", 0)))
    system.equate(x, [y, one])
    system.equate(y, [x, other])
    hidden = np.array([True, True, False, False])
    found = cell_bounds(system, shown_as(system, hidden), np.array([x, y]))
    assert (found.low == 0).all() and (found.high >= 1000).all()
