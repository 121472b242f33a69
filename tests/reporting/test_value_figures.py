"""Figures of delivery and value for money show the numbers given, and never tell groups apart by colour alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.markers import MarkerStyle

from evaluation.reporting.figures.delivery import dose_figure, reach_figure
from evaluation.reporting.figures.value import MOST_DRAWN, cost_figure, plane_figure, plane_sample


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
