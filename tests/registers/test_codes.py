"""Every register code on both sides of 19 August 2024."""

from datetime import date

import pytest

from evaluation.errors import DataError
from evaluation.registers.codes import CLASSES, CODE_CHANGE, attendance_codes, code_class, code_groups, withdrawn_code_mend
from evaluation.registers.panel import COUNTER_BITS, COUNTERS, NUMBERS

ATTENDING, ACTIVITY = "attending", "approved_educational_activity"
AUTHORISED, UNAUTHORISED = "authorised_absence", "unauthorised_absence"
NOT_POSSIBLE, NO_MARK = "not_possible", "no_mark"

# Written out by hand from the guidance in force on each side, not read from the project's own list.
BEFORE_AND_FROM = {
    "/": (ATTENDING, ATTENDING), "\\": (ATTENDING, ATTENDING), "L": (ATTENDING, ATTENDING),
    "B": (ACTIVITY, ACTIVITY), "K": (None, ACTIVITY), "P": (ACTIVITY, ACTIVITY), "V": (ACTIVITY, ACTIVITY), "W": (ACTIVITY, ACTIVITY),
    "J": (ACTIVITY, None), "J1": (None, AUTHORISED),
    "C": (AUTHORISED, AUTHORISED), "C1": (None, AUTHORISED), "C2": (None, AUTHORISED), "E": (AUTHORISED, AUTHORISED),
    "H": (AUTHORISED, None), "F": (AUTHORISED, None), "I": (AUTHORISED, AUTHORISED), "M": (AUTHORISED, AUTHORISED),
    "R": (AUTHORISED, AUTHORISED), "S": (AUTHORISED, AUTHORISED), "T": (AUTHORISED, AUTHORISED),
    "G": (UNAUTHORISED, UNAUTHORISED), "N": (UNAUTHORISED, UNAUTHORISED), "O": (UNAUTHORISED, UNAUTHORISED), "U": (UNAUTHORISED, UNAUTHORISED),
    "D": (NOT_POSSIBLE, NOT_POSSIBLE), "Q": (None, NOT_POSSIBLE), "X": (NOT_POSSIBLE, NOT_POSSIBLE), "Y": (NOT_POSSIBLE, None),
    **{f"Y{n}": (None, NOT_POSSIBLE) for n in range(1, 8)}, "Z": (NOT_POSSIBLE, NOT_POSSIBLE), "#": (NOT_POSSIBLE, NOT_POSSIBLE),
    "-": (NO_MARK, NO_MARK),
}  # fmt: skip

LAST_BEFORE, FIRST_FROM = date(2024, 8, 18), date(2024, 8, 19)


def test_the_list_holds_exactly_these_codes():
    assert set(attendance_codes()) == set(BEFORE_AND_FROM)
    assert CODE_CHANGE == FIRST_FROM


@pytest.mark.parametrize(("code", "before", "since"), [(c, *k) for c, k in BEFORE_AND_FROM.items()])
def test_class_on_both_sides_of_the_change(code, before, since):
    for day, expected in ((LAST_BEFORE, before), (FIRST_FROM, since)):
        if expected is None:
            with pytest.raises(DataError, match="not in use"):
                code_class(code, day)
        else:
            assert code_class(code, day) == expected


def test_harmonised_classes_are_one_on_both_sides():
    codes = attendance_codes()
    assert {codes[c].harmonised_class for c in ("J", "J1")} == {ATTENDING}
    assert {codes[c].harmonised_class for c in ("C", "C1", "C2")} == {AUTHORISED}
    assert {codes[c].harmonised_class for c in ("B", "K")} == {ACTIVITY}
    for code in codes.values():
        assert code.harmonised_class in CLASSES
        if code.code not in ("J", "J1"):
            assert {code.class_before, code.class_from} - {None} == {code.harmonised_class}


@pytest.mark.parametrize("code", ["j1", "c2", "", "AB", "??"])
def test_unknown_codes_are_refused(code):
    with pytest.raises(DataError, match="no register code"):
        code_class(code, FIRST_FROM)


def test_groups_hold_every_code_once_and_fit_three_whole_numbers():
    groups = code_groups()
    assert sorted(code for group in groups for code in group.codes) == sorted(BEFORE_AND_FROM)
    assert len(groups) <= len(NUMBERS) * COUNTERS and COUNTERS * COUNTER_BITS <= 63
    for group in groups:
        assert {BEFORE_AND_FROM[code] for code in group.codes} == {(group.class_before, group.class_from)}
    assert [g.codes for g in groups if g.own_count] == [("L",), ("B",), ("K",), ("C2",), ("E",), ("I",), ("M",), ("U",)]


@pytest.mark.parametrize("code", [code for code, kinds in BEFORE_AND_FROM.items() if None in kinds])
def test_every_code_that_is_not_in_use_names_one_that_is(code):
    import re

    day = LAST_BEFORE if BEFORE_AND_FROM[code][0] is None else FIRST_FROM
    named = re.findall(r"`([^`]+)`", withdrawn_code_mend(code, day))
    assert named and all(BEFORE_AND_FROM[other][day >= FIRST_FROM] for other in named)
