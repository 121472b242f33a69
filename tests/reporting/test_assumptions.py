"""The assumptions log from a params file, amendments, and the glossary."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from pydantic import Field

from evaluation.protocol.base import Amendment, Quantity, Section
from evaluation.protocol.load import load_protocol
from evaluation.reporting.assumptions import amendments_text, assumptions_log, switching_words
from evaluation.reporting.glossary import TERMS, glossary

PARAMS = Path(__file__).parents[2] / "params"
STUDIES = ("attendance_mentors_trial", "middlesbrough_area_study")


@pytest.fixture(scope="module", params=STUDIES)
def loaded(request):
    return load_protocol(PARAMS / f"{request.param}.yaml")


@pytest.fixture(scope="module")
def trial():
    return load_protocol(PARAMS / "attendance_mentors_trial.yaml")


def test_every_registered_value_of_the_analysis_has_a_row_with_its_standing(loaded):
    log = assumptions_log(loaded.protocol, loaded.notes)
    assert not log.duplicated(["section", "name"]).any() and not log.eq("").any().any()  # a blank cell is passed over by a reader who listens
    left_out = {"study", "kind", "title", "protocol_version", "registered_on", "report_kind", "amendments", "execution", "simulation"}
    for name in set(type(loaded.protocol).model_fields) - left_out:
        section = name.replace("_", " ").capitalize()
        own = log.loc[log["section"].str.lower().eq(section.lower())]
        assert len(own) >= len(type(getattr(loaded.protocol, name)).model_fields), name


def test_a_sourced_number_keeps_value_range_unit_source_and_standing(trial):
    log = assumptions_log(trial.protocol, trial.notes, {"value_per_day": "£1,043 a day"}).set_index("name")
    row, sourced = log.loc["Value per day"], trial.protocol.value_for_money.value_per_day
    assert row["value"] == "100 (21 to 375)" and row["unit"] == sourced.unit and row["source"].startswith(sourced.source)
    assert row["standing"] == "a planning choice" and row["switching_value"] == "£1,043 a day"
    earnings = log.loc[log.index.str.contains("arnings") & log["unit"].str.contains("per day")].iloc[0]
    assert earnings["standing"] == "secondary source, not verified"
    assert log.loc["Minimum sessions", "switching_value"] == "not sought"


def test_a_plain_value_keeps_the_comment_beside_it(trial):
    log = assumptions_log(trial.protocol, trial.notes).set_index("name")
    assert log.loc["Minimum sessions", "source"] == trial.notes["cohort.minimum_sessions"] and "mostly noise" in log.loc["Minimum sessions", "source"]
    assert log.loc["Minimum sessions", "standing"] == "a planning choice" and log.loc["Distance", "standing"] == "a choice"


def test_switching_values_come_from_the_appraisals_inputs():
    inputs = pd.DataFrame([("value_per_day", 1043.2, "value of a day at which it pays"), ("scale", None, "no scale would pay"), ("cost", None, None)],
                          columns=["input", "switching_value", "switching_text"])  # fmt: skip
    assert switching_words(inputs) == {"value_per_day": "1,043.20: value of a day at which it pays", "scale": "no scale would pay"}


class _Stream(Section):
    stream: str
    per_day: Quantity = Field(description="Worth of a day")


class _Rates(Section):
    rate: float
    source: str
    standing: str


class _Own(Section):
    discounting: _Rates
    benefits: list[_Stream] = Field(description="Streams")


class _Study(Section):
    value: _Own


def test_numbers_in_a_list_of_blocks_have_a_row_each_with_their_standing():
    per_day = Quantity(value=750, unit="GBP", source="a press report", standing="S2")
    log = assumptions_log(_Study(value=_Own(discounting=_Rates(rate=0.015, source="the Green Book", standing="S"), benefits=[_Stream(stream="earnings", per_day=per_day), _Stream(stream="health", per_day=per_day)])), {},
                          {"earnings: per_day": "beyond its range"}).set_index("name")  # fmt: skip
    row = log.loc["Benefits: earnings: per day"]
    assert row["value"] == "750" and row["standing"] == "secondary source, not verified" and row["switching_value"] == "beyond its range"
    assert log.loc["Benefits: health: per day", "switching_value"] == "not sought"
    assert log.loc["Discounting: rate", ["source", "standing"]].tolist() == ["the Green Book", "published value"] and "Discounting: standing" not in log.index


def test_what_is_not_established_says_so():
    area = load_protocol(PARAMS / "middlesbrough_area_study.yaml")
    log = assumptions_log(area.protocol, area.notes).set_index("name")
    for statement in (*area.protocol.report.programme_facts, *area.protocol.report.other_programmes):
        if statement.standing in ("M", "S2"):
            (value,) = [v for v in log["value"] if statement.text in v]
            assert "not verified)" in value[value.index(statement.text) + len(statement.text):]


def test_comments_above_beside_and_below_a_key_are_its_note(tmp_path):
    text = (PARAMS / "attendance_mentors_trial.yaml").read_text(encoding="utf-8")
    old = "  minimum_sessions: 20              # possible sessions; judgement: below it a rate is mostly noise\n"
    assert old in text
    path = tmp_path / "study.yaml"
    path.write_text(text.replace(old, "  # Above # it,\n  # in two lines\n  minimum_sessions: 20  # beside it\n                        # and below\n"), encoding="utf-8")
    changed = load_protocol(path)
    assert changed.notes["cohort.minimum_sessions"] == "Above # it, in two lines; beside it and below"
    assert changed.digest == load_protocol(PARAMS / "attendance_mentors_trial.yaml").digest


def test_amendments_say_when_why_and_whether_outcomes_were_seen(trial):
    assert "Nothing was changed since" in amendments_text(trial.protocol)
    change = Amendment(date=date(2026, 12, 1), change="Caliper 0.2 to 0.3", reason="too few matches", outcomes_seen=True)
    text = amendments_text(trial.protocol.model_copy(update={"amendments": (change, change.model_copy(update={"outcomes_seen": False}))}))
    assert "- 1 December 2026: Caliper 0.2 to 0.3. Reason: too few matches. Outcomes had been seen." in text and "had not been seen." in text


def test_the_glossary_holds_what_a_kind_of_study_uses_in_order():
    for kind in ("trial", "area"):
        frame = glossary(kind)
        assert frame["term"].tolist() == sorted(frame["term"]) and frame["term"].is_unique and frame["meaning"].str.endswith(".").all()
    assert "Matched authorities" in set(glossary("area")["term"]) and "Stack" not in set(glossary("area")["term"])
    assert {term for term, _, _ in TERMS} == set(glossary("trial")["term"]) | set(glossary("area")["term"])
