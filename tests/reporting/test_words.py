"""Codes of result tables are shown in plain words, and a minus is the true minus sign everywhere."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from evaluation.reporting import markup, show
from evaluation.reporting.words import true_minus, unit_words, value_words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-£247 (-£640 to £147)", "\u2212£247 (\u2212£640 to £147)"),
        ("baseline -4 to -2", "baseline \u22124 to \u22122"),
        ("2021-22, follow-up, 2026-11-21, COVID-19, A -- B", "2021-22, follow-up, 2026-11-21, COVID-19, A -- B"),
        ("SIMULATED - not a finding", "SIMULATED - not a finding"),
    ],
)
def test_a_hyphen_before_a_number_becomes_a_true_minus_and_others_stay(text, shown):
    assert true_minus(text) == shown


def test_sentences_captions_cells_and_alternative_texts_use_the_true_minus(shown, figure):
    show.show_text("A net benefit of -£247.\n\n- lines -4 to -2", rows=["appraisal"])
    show.show_table(pd.DataFrame({"a": ["half-term -4"]}), caption="From half-term -4 on")
    show.show_figure(figure, alt="The gap opens at half-term -4 and closes.", caption="The gap from -4", data=pd.DataFrame({"a": [1]}))
    html = "".join(output["data"]["text/html"] for output in shown)
    assert "\u2212£247" in html and "lines \u22124 to \u22122" in html and "half-term \u22124 on" in html
    assert ">half-term \u22124<" in html and "at half-term \u22124 and closes" in html and "The gap from \u22124" in html
    assert " -" not in re.sub(r"<[^>]*>", "", html).replace("SIMULATED - not", "")


@pytest.mark.parametrize(
    ("code", "words"),
    [("B_referred_within_area_matched", "B: referred, within areas, matched"), ("within_area", "within areas"), ("public_sector", "public sector"),
     ("year_group_7", "Year 7"), ("GBP per pupil", "£ per pupil"), ("sessions_possible", "sessions_possible"),
     ("S2, association times a causal share (judgement)", "an association (secondary source, not verified) times a causal share (a planning choice)"), ("Some words", "Some words")],
)  # fmt: skip
def test_known_codes_are_put_into_words_and_nothing_else_is_changed(code, words):
    assert value_words(code) == words


def test_units_are_written_with_their_signs():
    assert unit_words("percent, or enrolments") == "%, or enrolments" and unit_words("percentage points") == "percentage points"
    assert unit_words("GBP") == "£"


def test_rows_to_be_looked_up_keep_their_codes():
    frame = pd.DataFrame({"key": ["B_referred_within_area_matched"], "outcome": ["mean_absence"], "conf_low": [1.0]})
    assert "mean absence" in markup.table_html(frame, caption="c", identifier="i")
    kept = markup.table_html(frame, caption="c", identifier="i", codes=True)
    assert "mean_absence" in kept and "B_referred_within_area_matched" in kept
    assert "Interval from" in kept
