"""Every register code on both sides of 19 August 2024."""

from datetime import date

import duckdb
import pytest

from evaluation.errors import DataError
from evaluation.registers.codes import CLASSES, CODE_CHANGE, OWN_COUNTS, attendance_codes, code_class, code_groups, withdrawn_code_mend
from evaluation.registers.panel import COUNTER_BITS, COUNTERS, NEW, NUMBERS, WITHDRAWN, load_codes

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


def test_groups_hold_every_code_once_and_fit_two_whole_numbers():
    groups, codes = code_groups(), attendance_codes()
    assert sorted(code for group in groups for code in group.codes) == sorted(BEFORE_AND_FROM)
    assert WITHDRAWN + 1 <= len(NUMBERS) * COUNTERS and COUNTERS * COUNTER_BITS <= 63
    for group in groups:
        for side, kind in enumerate((group.class_before, group.class_from)):
            assert {BEFORE_AND_FROM[code][side] for code in group.codes} - {None} == {kind} - {None}, group
        assert {codes[code].harmonised_class for code in group.codes} == {group.harmonised_class}
        assert {OWN_COUNTS.get(code) for code in group.codes} == {group.own_count}
    assert [g.codes for g in groups if g.own_count] == [("L",), ("B", "K"), ("E",), ("I",), ("M",), ("U",), ("C2",)]


def test_a_code_adds_one_to_its_group_and_one_where_it_was_in_use_on_one_side_only():
    """Looked up by the functions that the scan of the marks calls; what is no code, in any form, adds nothing."""
    with duckdb.connect() as con:
        load_codes(con)
        for code, (before, since) in BEFORE_AND_FROM.items():
            numbers = con.execute("SELECT codes_a(?), codes_b(?)", [code, code]).fetchone()
            counters = [number // 2 ** (COUNTER_BITS * place) % 2**COUNTER_BITS for number in numbers for place in range(COUNTERS)]
            assert counters == [con.execute("SELECT counter(?, ?)", [number, COUNTER_BITS * place]).fetchone()[0] for number in numbers for place in range(COUNTERS)]
            group = next(place for place, found in enumerate(code_groups()) if code in found.codes)
            added = {group, *([NEW] if before is None else []), *([WITHDRAWN] if since is None else [])}
            assert {place for place, count in enumerate(counters) if count} == added and set(counters) <= {0, 1}, code
        for given in (None, "", " ", "/ ", "c2", "C22", "AB", "é", "//"):
            assert con.execute("SELECT codes_a(?), codes_b(?)", [given, given]).fetchone() == (None, None), given
        sessions = {given: con.execute("SELECT in_morning(?), in_afternoon(?)", [given, given]).fetchone() for given in ("AM", "PM", "am", "EV", "", None)}
    assert sessions == {"AM": (1, 0), "PM": (0, 1), "am": (None, None), "EV": (None, None), "": (None, None), None: (None, None)}


@pytest.mark.parametrize("code", [code for code, kinds in BEFORE_AND_FROM.items() if None in kinds])
def test_every_code_that_is_not_in_use_names_one_that_is(code):
    import re

    day = LAST_BEFORE if BEFORE_AND_FROM[code][0] is None else FIRST_FROM
    named = re.findall(r"`([^`]+)`", withdrawn_code_mend(code, day))
    assert named and all(BEFORE_AND_FROM[other][day >= FIRST_FROM] for other in named)
