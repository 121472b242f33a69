"""To how many digits a release states its measures, and that no count can be read from them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.reporting.disclosure import PROFILES, clear_tables
from evaluation.reporting.disclosure.stated import state_money, state_number

REACH = {"about": "pupils", "dimensions": {"area": None}, "counts": {"started": "started"}}


def released(*tables) -> dict[str, pd.DataFrame]:
    """What leaves, by table."""
    return {c.table.name: c.frame for c in clear_tables(dict(tables), PROFILES["srs"], "restricted").cleared}


def test_money_is_stated_in_whole_pounds_and_measures_to_few_digits():
    assert state_money(np.array([671850.06, 1523.469524, 93.6249, 2.6123, -0.12345, 0.0, np.nan])).tolist()[:6] == [671850.0, 1523.0, 93.6, 2.61, -0.123, 0.0]
    assert state_number(np.array([0.6403785, 352.208202, 25.8105])).tolist() == [0.64, 352.21, 25.81]


@pytest.mark.parametrize("column, unit, value, stated", [
    ("cost", "\u00a3 per pupil", 977.123456, 977.0), ("cost", "GBP per pupil", 977.123456, 977.0), ("ratio", "pupils referred per pupil", 1.560090703, 1.56), ("df", None, 25.810511, 25.8),
    ("share", "share", 203 / 317, 0.64), ("probability", "probability", 0.0003, 0.0003), ("extra_days", "days", 0.9362488743, 0.936),
])
def test_every_measure_of_every_kind_of_table_is_stated_to_few_digits(dictionary, column, unit, value, stated):
    units = {column: unit} if unit else {}
    plan = dictionary.table("plan", pd.DataFrame({"place": ["a"], column: [value]}), {"about": "no pupils", "why": "registered"}, units=units)
    based = dictionary.table("based", pd.DataFrame({"area": ["A"], "started": [40], column: [value]}), REACH | {"based_on": {column: ["started"]}}, units=units)
    reveals = dictionary.table("reveals", pd.DataFrame({"area": ["A"], "started": [40], column: [value]}), REACH | {"reveals": {column: ["started"]}}, units=units)
    apart = dictionary.table("apart", pd.DataFrame({"area": ["A"], "started": [40], column: [value]}), REACH | {"apart": {column: "registered"}}, units=units)
    assert {name: frame[column].iloc[0] for name, frame in released(plan, based, reveals, apart).items()} == dict.fromkeys(("plan", "based", "reveals", "apart"), stated)


def test_a_unit_in_the_row_says_what_is_money(dictionary):
    frame = pd.DataFrame({"key": ["money", "effect"], "text": ["It cost more.", "Days rose."], "value": [1523.469524, 1.4620241], "unit": ["GBP per pupil", "days"]})
    assert released(dictionary.table("said", frame, {"about": "sentences", "words": ["text"]}))["said"]["value"].tolist() == [1523.0, 1.46]
    assert released(dictionary.table("appraised", frame.drop(columns="text"), {"about": "no pupils", "why": "money"}))["appraised"]["value"].tolist() == [1523.0, 1.46]


def test_published_statistics_stay_as_they_are(dictionary):
    frame = pd.DataFrame({"area": ["A"], "rate": [1 / 3]})
    clearance = clear_tables(dict([dictionary.table("bands", frame, {"about": "published statistics"})]), PROFILES["srs"], "published")
    assert clearance.cleared[0].frame["rate"].tolist() == [1 / 3]


def test_sums_of_sessions_do_not_tell_the_pupils_registered_twice(dictionary):
    frame = pd.DataFrame({"area": ["A", "B"], "started": [2350, 2010], "sessions_expected": [2350 * 58 + 174, 2010 * 58], "sessions_no_mark": [116, 0]})
    entry = REACH | {"based_on": {"sessions_expected": ["started"], "sessions_no_mark": ["started"]}}
    shown = released(dictionary.table("roll", frame, entry, units={"sessions_expected": "sessions", "sessions_no_mark": "sessions"}))["roll"]
    assert shown["sessions_expected"].tolist() == [136000, 117000] and shown["sessions_no_mark"].isna().tolist() == [True, False] and shown["sessions_no_mark"].iloc[1] == 0


def test_a_table_of_money_stays_where_its_count_is_held_back(dictionary):
    cost = pd.DataFrame({"place": ["a"], "cost_per_pupil": [977.1]})
    entry = {"about": "no pupils", "why": "money per pupil", "gives": ["reach.started: area=A"]}
    few = dictionary.table("reach", pd.DataFrame({"area": ["A", "B"], "started": [7, 40]}), REACH)
    assert "cost" not in released(few, dictionary.table("cost", cost, entry))
    assert "elsewhere" in released(few, dictionary.table("elsewhere", cost, entry | {"gives": ["reach.started: area=B"]}))
    assert "alone" in released(dictionary.table("alone", cost, entry)), "nothing gives it away in a run that counts nobody"
