"""What the protocol of value for money refuses, before any number is computed."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from evaluation.protocol.value import ValueForMoneySection

PARAMS = Path(__file__).parents[2] / "params" / "attendance_mentors_trial.yaml"
GRADES = {"stream": "GCSE grades", "nature": "causal", "causal_share": None, "counted_in": ["society"],
          "per_day": {"value": 10.0, "unit": "GBP per day", "source": "this test", "standing": "judgement", "low": None, "high": None, "note": None, "dated": "today"}}


@pytest.fixture
def values() -> dict:
    return copy.deepcopy(yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["value_for_money"])


def refused(values: dict) -> str:
    with pytest.raises(ValidationError) as found:
        ValueForMoneySection.model_validate(values)
    return str(found.value)


def test_the_registered_values_are_accepted(values):
    assert ValueForMoneySection.model_validate(values).benefits[0].stream == "lifetime earnings"


def test_streams_that_hold_the_same_gain_are_refused(values):
    values["benefits"].append(GRADES)
    assert "GCSE grades and lifetime earnings overlap" in refused(values)
    ValueForMoneySection.model_validate(values | {"benefits": [GRADES]})
    assert "names a stream twice" in refused(values | {"benefits": [GRADES, GRADES]})


def test_an_association_needs_a_causal_share(values):
    values["benefits"][0]["causal_share"] = None
    assert "give the `causal_share` that is taken as caused by attendance" in refused(values)


@pytest.mark.parametrize("share", [{"value": 1.2}, {"value": -0.1}, {"low": 0.2, "high": None}, {"low": 0.9, "high": 0.1}])
def test_an_impossible_causal_share_is_refused(values, share):
    values["benefits"][0]["causal_share"].update(share)
    assert "causal_share" in refused(values)


def test_every_input_says_when_it_was_published_or_chosen(values):
    del values["take_up"]["dated"]
    assert "take_up.dated" in refused(values)


def test_a_secondary_source_is_never_the_base_case(values):
    values["value_per_day"]["standing"] = "S2"
    assert "may enter scenarios alone" in refused(values)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("discounting", "steps"), [[75, 0.03], [30, 0.035]], "must rise"), (("discounting", "steps"), [[30]], "[last year, rate]"),
        (("cost_bands", "limits"), [80, 200, 200, 1200], "must rise"), (("persistence", "horizon_half_terms"), 4, None),
        (("take_up", "value"), 0.0, "share above 0"),
        (("cost_effect_correlation", "value"), 1.0, "between -1 and 1"), (("deflators",), {"index": {"2021/22": 90.0, "2023/24": 110.0}, "source": "x", "dated": "2025",
                                                                                       "standing": "S"}, "lack the price base"),
        (("deflators",), {"index": {"2022/23": 100.0, "2023/24": 0.0}, "source": "x", "dated": "2025", "standing": "S"}, "above zero"),
        (("deflators",), {"index": {"2022/23": 100.0, "2023/24": 105.0}}, "source"),
    ],
)
def test_tables_of_numbers_keep_their_rules(values, path, value, words):
    place = values
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    if words is None:
        ValueForMoneySection.model_validate(values)
    else:
        assert words in refused(values)


def test_places_hold_the_pupils_they_name(values):
    values["planning"]["places"][0]["severe_absentees"] = 300
    assert "severe_absentees <= persistent_absentees" in refused(values)


def test_a_horizon_inside_the_follow_up_is_refused(values):
    values["persistence"] |= {"first_measured_half_term": 5, "measured_half_terms": 3, "horizon_half_terms": 6}
    assert "ends before the follow-up" in refused(values)
