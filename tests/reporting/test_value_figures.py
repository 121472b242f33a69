"""Figures of delivery and value for money show the numbers given, and never tell groups apart by colour alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.markers import MarkerStyle

from evaluation.reporting.figures.delivery import dose_figure, reach_figure
from evaluation.reporting.figures.value import MOST_DRAWN, cost_figure, plane_figure, plane_sample
from evaluation.reporting.figures.value_decision import (
    acceptability_alt,
    acceptability_figure,
    frontier_alt,
    frontier_figure,
    tornado_alt,
    tornado_figure,
)
from evaluation.reporting.value_tables import information_for_reading, inputs_for_reading, places_for_reading, present_for_reading
from evaluation.value import compare_strategies


def plane(draws: int = 40) -> pd.DataFrame:
    days = np.linspace(-1, 3, draws)
    side = np.where(days > 0, "more days, costs more", "fewer days, costs more")
    return pd.DataFrame({"draw": range(1, draws + 1), "extra_days": days, "extra_cost": 900.0, "quadrant": side})


def legend(figure) -> list[str]:
    return [text.get_text() for text in (figure.legends or [figure.axes[0].get_legend()])[0].get_texts()]


def test_draws_with_fewer_days_have_another_marker_and_their_own_share():
    figure = plane_figure(plane(), {"base case": 100.0})
    more, fewer, mean = figure.axes[0].collections[:3]
    assert (more.get_offsets()[:, 0] > 0).all() and (fewer.get_offsets()[:, 0] <= 0).all()
    circle, cross = (MarkerStyle(m) for m in ("o", "x"))
    assert len(more.get_paths()[0].vertices) == len(circle.get_path().vertices)
    assert len(fewer.get_paths()[0].vertices) == len(cross.get_path().vertices)
    assert mean.get_offsets()[0].tolist() == pytest.approx([1.0, 900.0])
    assert "More days (75% of draws)" in legend(figure)
    assert "Fewer days (25% of draws)" in legend(figure)
    assert "£100 per extra day: base case" in legend(figure)


def test_the_line_of_a_value_runs_from_nothing_at_that_many_pounds_a_day():
    line = plane_figure(plane(), {"base case": 100.0}).axes[0].lines[0]
    assert line.get_xdata()[0] == 0 and line.get_ydata()[0] == 0
    assert line.get_ydata()[1] == pytest.approx(100 * line.get_xdata()[1])


def test_shares_use_every_draw_though_not_all_are_plotted():
    many = plane(4 * MOST_DRAWN)
    figure = plane_figure(many, {})
    assert len(plane_sample(many)) == MOST_DRAWN
    assert sum(len(c.get_offsets()) for c in figure.axes[0].collections[:2]) == MOST_DRAWN
    assert "More days (75% of draws)" in legend(figure)


def test_bars_of_cost_start_where_the_one_above_ends_and_add_up_to_the_total():
    costs = pd.DataFrame({"group": ["travel", "mentor pay", "training"], "per_pupil_started": [100.0, 900.0, 200.0]})
    bars = cost_figure(costs, denominator="started").axes[0].patches
    assert [(bar.get_x(), bar.get_width()) for bar in bars] == [(0, 900), (900, 200), (1100, 100), (0, 1200)]
    assert bars[-1].get_hatch() and not bars[0].get_hatch()


def test_each_step_of_reach_has_its_bar_for_each_area():
    areas = pd.DataFrame({"area_code": ["A1", "A2"], "area_name": ["North", "South"], "referred": [10, 20], "consented": [9, 15], "started": [6, 12],
                          "completed": [5, 8]})
    axes = reach_figure(areas).axes[0]
    assert sorted(bar.get_width() for bar in axes.patches) == [5, 6, 8, 9, 10, 12, 15, 20]
    assert legend(axes.figure) == ["Referred", "Parent or carer agreed", "Started", "Completed"]


def test_models_of_delivery_differ_in_marker():
    dose = pd.DataFrame({"area_name": ["North", "South"], "delivery_model": ["school based", "family outreach"], "pupils": [5, 6],
                         "quarter_meetings_kept": [2.0, 3.0], "median_meetings_kept": [4.0, 5.0], "three_quarters_meetings_kept": [6.0, 7.0]})
    axes = dose_figure(dose).axes[0]
    assert len({line.get_marker() for line in axes.lines}) == 2
    assert sorted(float(line.get_xdata()[0]) for line in axes.lines) == [4, 5]


def curve(known: bool = True) -> pd.DataFrame:
    rows = [(t, name, p if name == "mentoring" else 1 - p, 10.0 * t * p, (p > 0.5) == (name == "mentoring"), 100.0 * p * (1 - p) if known else np.nan)
            for t, p in ((0.0, 0.0), (500.0, 0.4), (1000.0, 0.7)) for name in ("usual support", "mentoring")]
    return pd.DataFrame(rows, columns=["threshold", "strategy", "probability", "mean_net_benefit", "on_frontier", "evpi"])


def test_the_acceptability_curve_shows_both_choices_the_frontier_and_its_limit():
    figure = acceptability_figure(curve(), 0.9, {"base case": 500.0, "beyond": 5000.0})
    upper, lower = figure.axes
    drawn = {line.get_label(): line for line in upper.lines}
    assert drawn["Mentoring"].get_ydata().tolist() == [0.0, 0.4, 0.7]
    thick = drawn["Mentoring, where its mean net benefit is the higher"]
    assert np.isnan(thick.get_ydata()[:2]).all() and thick.get_ydata()[2] == 0.7
    assert drawn["Mentoring"].get_linestyle() != drawn["Usual support"].get_linestyle()
    assert [line.get_ydata()[0] for name, line in drawn.items() if name.startswith("Limit")] == [0.9]
    assert "£500 a day: base case" in legend(figure) and not any("5,000" in words for words in legend(figure))
    assert lower.lines[0].get_ydata().tolist() == pytest.approx([0.0, 24.0, 21.0])
    assert "never pass 90%" in acceptability_alt(curve(), 0.9) and "highest, £24 per pupil, at £500 a day" in acceptability_alt(curve(), 0.9)


def test_a_withheld_value_of_information_has_no_axes():
    figure = acceptability_figure(curve(known=False), 0.9, {})
    assert len(figure.axes) == 1 and "worth of knowing" not in acceptability_alt(curve(known=False), 0.9)


def test_the_tornado_reaches_from_the_base_to_both_ends():
    table = pd.DataFrame([("net_benefit", "base case", "value of a day", 21.0, 375.0, -800.0, 300.0, -700.0, "GBP per pupil"),
                          ("net_benefit", "base case", "effect", 0.5, 3.5, -850.0, -550.0, -700.0, "GBP per pupil")],
                         columns=["outcome", "scenario", "input", "low_value", "high_value", "at_low", "at_high", "base", "unit"])
    figure = tornado_figure(table, "net_benefit", "base case")
    spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in figure.axes[0].patches]
    assert spans == [pytest.approx(pair) for pair in ((-700, -800), (-700, 300), (-700, -850), (-700, -550))]
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said == ["£21", "£375", "0.50 days", "3.50 days"]
    assert "Breaks even" in legend(figure) and any(bar.get_hatch() for bar in figure.axes[0].patches)
    assert "value of a day from −£800 to £300" in tornado_alt(table, "net_benefit", "base case")


def test_the_frontier_joins_what_is_on_it_and_marks_what_is_not():
    cost = pd.DataFrame([[0.0, 500.0, 900.0, 1000.0]], columns=["usual", "outreach", "dearer", "both"])
    effect = pd.DataFrame([[0.0, 1.0, 0.8, 1.5]], columns=["usual", "outreach", "dearer", "both"])
    frame = compare_strategies(cost, effect).frame
    line, others = frontier_figure(frame).axes[0].lines
    assert line.get_xdata().tolist() == [0.0, 1.0, 1.5] and others.get_xdata().tolist() == [0.8]
    assert line.get_marker() != others.get_marker()
    assert "dearer at 0.80 days for £900, beaten by another" in frontier_alt(frame)


def test_inputs_are_read_with_range_standing_and_date():
    table = pd.DataFrame([("value_per_day", 100.0, 21.0, 375.0, "GBP per day", "a choice", "November 2026", "judgement", None, 150.0, "value of a day at which it pays"),
                          ("discounting", np.nan, np.nan, np.nan, "table", "Green Book", "2026", "S", "3.5% to year 30", np.nan, "no value does")],
                         columns=["input", "value", "low", "high", "unit", "source", "dated", "standing", "note", "switching_value", "switching_text"])
    first, second = inputs_for_reading(table).to_dict("records")
    assert first["value"] == "100 (21 to 375) £ per day" and first["standing"] == "a planning choice; November 2026" and first["turns"].startswith("150: value of a day")
    assert second["value"] == "3.5% to year 30" and second["standing"] == "published value; 2026" and second["turns"] == "no value does"


def test_places_stand_side_by_side_and_present_values_with_their_intervals():
    rows = [{"place": place, "roll": roll, "persistent_absentees": 2, "severe_absentees": 1, "referred": 2, "starts": 1.0, "mentors": 0.5, "cost": 10.0 * roll,
             "cost_per_referred": 5.0, "extra_days": 3.0, "days_low": -1.0, "days_high": 7.0, "value_per_day": worth, "break_even_days": 4.0,
             "probability_breaking_even": 0.25} for place, roll in (("trust", 60), ("school", 10)) for worth in (375.0, 100.0)]
    table = places_for_reading(pd.DataFrame(rows))
    assert list(table.columns) == ["item", "School", "Trust"]
    said = table.set_index("item")["Trust"]
    assert said["Cost"] == "£600" and said["Extra days in all"] == "3 (−1 to 7)" and said["Probability of that, if a day is worth £375"] == "25%"
    appraisal = pd.DataFrame([("base case", "npsv", -5000.0, -9000.0, 10.0), ("base case", "benefit_cost_ratio", 0.5, 0.25, 1.0), ("any", "extra_days", 1.0, 0.0, 2.0)],
                             columns=["scenario", "measure", "value", "conf_low", "conf_high"])
    (row,) = present_for_reading(appraisal).to_dict("records")
    assert row == {"scenario": "base case", "total": "−£5,000 (−£9,000 to £10)", "ratio": "0.50 (0.25 to 1.00)"}


def test_information_is_read_in_pounds_or_with_its_reason():
    columns = ["scenario", "parameter", "evppi", "std_error", "evppi_population", "evpi", "evpi_population", "withheld"]
    given = pd.DataFrame([("base case", "extra days", 2.0, 0.1, 200.0, 3.0, 300.0, None)], columns=columns)
    first, last = information_for_reading(given).to_dict("records")
    assert first["worth_per_pupil"] == "£2.00 (Monte Carlo error £0.10)" and (last["parameter"], last["worth_for_all_pupils"]) == ("everything", "£300")
    none = pd.DataFrame([("base case", "everything", *[np.nan] * 5, "Too few degrees of freedom")], columns=columns)
    (row,) = information_for_reading(none).to_dict("records")
    assert row["worth_per_pupil"] == "Too few degrees of freedom"
