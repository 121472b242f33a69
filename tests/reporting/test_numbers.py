"""Whether a number of a sentence is found in its rows, or reported as standing in none."""

from __future__ import annotations

import pandas as pd
import pytest

from evaluation.reporting.numbers import numbers_without_rows

ROWS = {"estimates": pd.DataFrame({"estimate": [0.9371, -1.25], "pupils": [13_925, 317], "share": [0.643, 0.004], "covered": [True, False]})}


@pytest.mark.parametrize(
    "text",
    [
        "Pupils attended 0.9 more days (95% interval \u22121.2 to 0.94).",
        "Attendance fell by 1.2 points among 13,925 pupils and 317 others.",
        "64% of pupils; the chance is below 1%.",
        "Costs were \u00a30.94 in 2022/23 prices, registered on 21 November 2026.",
        "The largest bias was 1.2 points (placebo start, the other way).",
        "Nothing is counted.",
    ],
)
def test_numbers_that_rows_give_pass(text):
    assert numbers_without_rows(text, ROWS) == []


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("Pupils attended 0.8 more days.", ["0.8"]),
        ("Pupils attended 1.2 more days.", ["1.2"]),
        ("Attendance moved by \u22120.9 points.", ["\u22120.9"]),
        ("Attendance fell by 1.3 points.", ["1.3"]),
        ("Of 13,926 pupils, 65% started.", ["13,926", "65%"]),
        ("The chance is above 99%.", ["above 99%"]),
        ("Some paid \u00a31,043.", ["\u00a31,043"]),
    ],
)
def test_numbers_that_no_row_gives_are_named_as_printed(text, missing):
    assert numbers_without_rows(text, ROWS) == missing


def test_a_truth_value_is_no_number_and_missing_values_give_nothing():
    rows = {"t": pd.DataFrame({"covered": [True], "value": [float("nan")], "most": [float("inf")]})}
    assert numbers_without_rows("It was 1.", rows) == ["1"]


def test_a_rows_own_text_gives_its_numbers_but_the_headline_does_not_vouch_for_itself():
    frame = pd.DataFrame({"text": ["more than 4 of 10 schools"]})
    assert numbers_without_rows("This holds in 4 of 10 schools.", {"limitations": frame}) == []
    assert numbers_without_rows("This holds in 4 of 10 schools.", {"headline": frame}) == ["4", "10"]
