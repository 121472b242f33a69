"""Figures of checks, subgroups and support: they draw what they are given, and their descriptions carry the numbers."""

import numpy as np
import pandas as pd

from evaluation.reporting.figures.checks import (
    leave_out_alt, leave_out_figure, placebos_alt, placebos_figure, subgroups_alt, subgroups_figure,
)
from evaluation.reporting.figures.support import barriers_alt, barriers_figure, fidelity_alt, fidelity_figure
from evaluation.reporting.palette import png_bytes

PLACEBOS = pd.DataFrame({
    "check": ["placebo start", "placebo cohort", "placebo referral"], "analysis": ["B_referred_within_area_matched", "A_eligible", "B_referred"],
    "estimate": [0.2, -1.5, np.nan], "conf_low": [-0.6, -2.5, np.nan], "conf_high": [0.9, -0.5, np.nan], "tolerance": 1.0,
    "result": ["passed", "failed", "could not be done"]})
LEFT_OUT = pd.DataFrame({
    "left_out": ["area", "area", "school", "school"], "place": ["X", "Y", "S1", "S2"], "estimate": [1.2, 0.4, 0.9, 1.1], "conf_low": [0.5, -0.2, 0.1, 0.3],
    "conf_high": [1.9, 1.0, 1.7, 1.9], "result": ["interval still says the same", "interval says something else", "interval still says the same",
                                                  "interval still says the same"]})
SUBGROUPS = pd.DataFrame({
    "subgroup": ["severity", "severity", "phase"], "title": ["Absence in the window", "Absence in the window", "Phase"], "group": ["persistent", "severe", "secondary"],
    "estimate": [1.3, np.nan, np.nan], "conf_low": [0.4, np.nan, np.nan], "conf_high": [2.2, np.nan, np.nan], "n_treated": [308, 9, 317],
    "result": ["estimated", "too few to say", "one group only"]})
FIDELITY = pd.DataFrame({
    "level": ["programme", "programme", "area", "area"], "area_name": ["All areas", "All areas", "North", "South"],
    "component": ["first meeting in time", "every component", "every component", "every component"], "started": [10, 10, 4, 6], "known": [10, 8, 4, 4],
    "met": [5, 2, 2, 0], "share": [0.5, 0.25, 0.5, 0.0]})
BARRIERS = pd.DataFrame({"barrier_type": ["any", "anxiety", "health"], "pupils": [8, 6, 3], "share": [1.0, 0.75, 0.375], "barriers": [9, 6, 3], "resolved": [5, 4, 1],
                         "share_resolved": [5 / 9, 4 / 6, 1 / 3]})


def words(figure) -> str:
    texts = [t.get_text() for ax in figure.axes for t in (*ax.get_yticklabels(), *ax.texts, ax.xaxis.label, ax.yaxis.label)]
    return " ".join([*texts, *(t.get_text() for legend in figure.legends for t in legend.get_texts())])


def drawn(figure) -> set:
    return {(round(float(x), 6), round(float(y), 6)) for ax in figure.axes for line in ax.lines for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}


def is_picture(figure) -> bool:
    return png_bytes(figure)[:8] == b"\x89PNG\r\n\x1a\n"


def test_placebos_stand_over_their_tolerance_and_those_without_a_number_are_left_out():
    figure = placebos_figure(PLACEBOS)
    assert (0.2, 1.0) in drawn(figure) and (-1.5, 0.0) in drawn(figure)
    said = words(figure)
    assert "Tolerance, 1.0 points" in said and "Passed" in said and "Failed" in said and "referral\n" not in said and is_picture(figure)
    assert "placebo cohort (all eligible) −1.5, from −2.5 to −0.5, failed" in placebos_alt(PLACEBOS)
    assert placebos_alt(PLACEBOS.tail(1)) == "No placebo could be estimated."


def test_places_left_out_stand_in_order_beside_the_headline():
    figure = leave_out_figure(LEFT_OUT, pd.Series({"estimate": 1.0, "conf_low": 0.2, "conf_high": 1.8}))
    areas, schools = figure.axes
    assert {(0.0, 0.4), (1.0, 1.2)} <= drawn(figure) and "Without one area\n(2 of them)" in words(figure) and "Says something else" in words(figure)
    assert is_picture(figure)
    alone = leave_out_figure(LEFT_OUT.loc[LEFT_OUT["left_out"].eq("area")], pd.Series({"estimate": 1.0, "conf_low": 0.2, "conf_high": 1.8}))
    assert len(alone.axes) == 1 and "Without one area\n(2 of them)" in words(alone) and "school" not in words(alone)
    ranges = pd.DataFrame({"left_out": ["area"], "smallest": [0.4], "without_smallest": ["Y"], "largest": [1.2], "without_largest": ["X"], "changed": [1], "places": [2]})
    assert "from 0.4 (without Y) to 1.2 (without X), and 1 of 2 change" in leave_out_alt(ranges)


def test_a_group_with_too_few_pupils_has_words_in_the_place_of_a_point_and_no_drawing_counts_it():
    figure = subgroups_figure(SUBGROUPS)
    said = words(figure)
    assert "too few to say" in said and "9" not in said and "secondary" not in said and drawn(figure) >= {(1.3, 1.0)} and is_picture(figure)
    assert "Too few to say: Absence in the window, severe." in subgroups_alt(SUBGROUPS) and "persistent: 1.3, from 0.4 to 2.2" in subgroups_alt(SUBGROUPS)


def test_components_carry_their_share_and_what_it_is_of():
    figure = fidelity_figure(FIDELITY)
    assert "50% of 10" in words(figure) and "25% of 8" in words(figure) and is_picture(figure)
    assert "every component 25%" in fidelity_alt(FIDELITY) and "0 to 50%" in fidelity_alt(FIDELITY)


def test_barriers_are_in_order_with_pupils_at_the_bar():
    figure = barriers_figure(BARRIERS)
    left, right = figure.axes
    assert [bar.get_width() for bar in left.patches] == [37.5, 75.0] and "6" in words(figure) and is_picture(figure)
    assert barriers_alt(BARRIERS).endswith("anxiety 6 pupils, 67% resolved; health 3 pupils, 33% resolved.")
    assert is_picture(barriers_figure(BARRIERS.head(1))) and "no barrier was recorded" in barriers_alt(BARRIERS.head(1))
