"""Figures of staggered starts: they draw what they are given, name the base period, and their descriptions carry the numbers."""

import numpy as np
import pandas as pd
import pytest

from evaluation.impact.estimate import Estimate, figures
from evaluation.reporting.figures.staggered import (
    comparison_weights_alt,
    comparison_weights_figure,
    event_study_bands_alt,
    event_study_bands_figure,
    event_study_rows,
    sensitivity_alt,
    sensitivity_figure,
)
from evaluation.reporting.palette import png_bytes

EVENTS = pd.DataFrame({"event_time": [-3, -2, 0, 1, 2], "estimate": [0.2, -0.1, -1.0, -2.0, np.nan], "conf_low": [-0.5, -0.8, -1.8, -2.9, np.nan],
                       "conf_high": [0.9, 0.6, -0.2, -1.1, np.nan], "band_low": [-0.8, -1.1, -2.1, -3.2, np.nan], "band_high": [1.2, 0.9, 0.1, -0.8, np.nan]})
BOUNDS = pd.DataFrame({"m": [0.0, 0.5, 1.0], "conf_low": [-2.0, -2.6, -np.inf], "conf_high": [-0.4, 0.1, 1.5]})
WEIGHTS = pd.DataFrame({"kind": ["treated v never treated", "later v earlier treated", "treated v never treated"], "treated": [4, 5, 5], "estimate": [-2.0, 1.0, -1.0],
                        "weight": [0.6, 0.1, 0.3]})


def labels(figure) -> str:
    return " ".join(text.get_text() for legend in figure.legends for text in legend.get_texts())


def points(figure) -> set:
    return {(round(float(x), 6), round(float(y), 6)) for line in figure.axes[0].lines for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}


def segments(figure) -> set:
    return {tuple(np.round(segment[:, 1], 6)) for collection in figure.axes[0].collections for segment in collection.get_segments()}


def test_event_study_draws_every_effect_with_both_bands_and_names_the_base():
    figure = event_study_bands_figure(EVENTS, base=-1)
    drawn = EVENTS.dropna()
    assert {(row.event_time, row.estimate) for row in drawn.itertuples()} <= points(figure) and (-1.0, 0.0) in points(figure)
    wanted = {(row.conf_low, row.conf_high) for row in drawn.itertuples()} | {(row.band_low, row.band_high) for row in drawn.itertuples()}
    assert segments(figure) == wanted
    assert "Base period: −1 (zero by construction)" in labels(figure)
    assert "95% band for all effects together" in labels(figure) and "95% interval of each effect" in labels(figure)
    assert png_bytes(figure)[:8] == b"\x89PNG\r\n\x1a\n"


def test_event_study_without_a_band_says_nothing_of_one():
    alone = EVENTS.drop(columns=["band_low", "band_high"])
    assert "together" not in labels(event_study_bands_figure(alone, base=-1, conf_level=0.9)) and "90% interval of each effect" in labels(
        event_study_bands_figure(alone, base=-1, conf_level=0.9))
    assert "intervals of 2 of them exclude zero" in event_study_bands_alt(alone)


def test_event_study_rows_are_the_data_drawn_with_the_base_among_them():
    rows = event_study_rows(EVENTS, base=-1)
    assert list(rows["event_time"]) == [-3, -2, -1, 0, 1] and list(rows["base"]) == [False, False, True, False, False]
    with_base = pd.concat([EVENTS, pd.DataFrame({"event_time": [-1], "estimate": [0.0]})])
    pd.testing.assert_frame_equal(event_study_rows(with_base, base=-1), rows)
    text = event_study_bands_alt(EVENTS, base=-1)
    assert "base period −1" in text and "2 effects run from −0.10 to 0.20" in text and "2 effects run from −2.00 to −1.00" in text
    assert "bands for all effects together of 1 of them exclude zero" in text


def test_without_a_common_base_none_is_drawn_and_that_is_said():
    figure = event_study_bands_figure(EVENTS, base=None)
    assert "Base period" not in labels(figure) and "Before the start: change from the period before" in labels(figure) and (-1.0, 0.0) not in points(figure)
    assert "those before the start as changes from the period before" in event_study_bands_alt(EVENTS, base=None)


@pytest.mark.parametrize("kind", ["relative_magnitude", "smoothness"])
def test_sensitivity_draws_every_interval_and_the_breakdown_value(kind):
    figure = sensitivity_figure(BOUNDS, kind=kind, original=(-1.9, -0.5), breakdown=0.42)
    ends = {(0.0, -2.0), (0.0, -0.4), (1.0, -2.6), (1.0, 0.1), (2.0, 1.5), (-1.0, -1.9), (-1.0, -0.5)}
    finite = {point for point in points(figure) if np.isfinite(point[1])}
    whole = sensitivity_figure(BOUNDS, kind=kind, original=Estimate(**{**figures(-1.2, 0.3), "conf_low": -1.9, "conf_high": -0.5}), breakdown=0.42)
    assert {point for point in points(whole) if point[1] == point[1]} == {point for point in points(figure) if point[1] == point[1]}
    assert ends <= finite and not any(x == 2.0 and y < 0 for x, y in finite)
    assert "Breakdown value: includes zero from 0.42 on" in labels(figure) and "excludes zero" in labels(figure) and "includes zero" in labels(figure)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["parallel", "0", "0.5", "1"]


def test_sensitivity_alt_says_where_an_interval_has_no_end():
    text = sensitivity_alt(BOUNDS, breakdown=0.42)
    assert sensitivity_alt(BOUNDS, breakdown=np.inf).endswith("Breakdown value: none, no interval includes zero.")
    assert "from −2.00 to −0.40 at 0; from no lower limit to 1.50 at 1. Breakdown value: includes zero from 0.42 on." in text


def test_weights_figure_draws_every_comparison_by_kind():
    figure = comparison_weights_figure(WEIGHTS, effect=-1.4)
    assert {(0.6, -2.0), (0.1, 1.0), (0.3, -1.0)} <= points(figure)
    assert "Treated v never treated: 90.0% of the weight" in labels(figure) and "Two-way effect: −1.40" in labels(figure)
    markers = {line.get_marker() for line in figure.axes[0].lines if "weight" in str(line.get_label())}
    assert len(markers) == 2
    text = comparison_weights_alt(WEIGHTS, effect=-1.4)
    assert "treated v never treated 90.0% of the weight, mean −1.67" in text and "two-way effect is −1.40 percentage points" in text
