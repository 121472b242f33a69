"""Figures of the registers draw what they are given."""

import pandas as pd

from evaluation.reporting.figures.registers import absence_bands_figure, completeness_figure, mark_mix_figure
from evaluation.reporting.palette import png_bytes


def test_each_kind_of_absence_is_a_line_with_its_numbers():
    mix = pd.DataFrame({"half_term": [12, 13], "academic_year": ["2023/24", "2024/25"], "authorised": [5.0, 4.5], "unauthorised": [4.0, 4.2], "part_time": [0.0, 0.4]})
    lines = {line.get_label(): list(line.get_ydata()) for line in mark_mix_figure(mix).axes[0].get_lines()}
    assert lines["Authorised"] == [5.0, 4.5] and lines["Unauthorised"] == [4.0, 4.2] and lines["Part-time timetable (C2)"] == [0.0, 0.4]


def test_bars_of_bands_keep_their_order_and_missing_years_leave_no_bar():
    bands = pd.DataFrame({"academic_year": ["2022/23"] * 2 + ["2023/24"], "band": ["Below 5%", "50% or more", "Below 5%"], "share": [90.0, 10.0, 95.0]})
    ax = absence_bands_figure(bands).axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["Below 5%", "50% or more"]
    assert [bar.get_height() for bar in ax.containers[0]] == [90.0, 10.0] and ax.containers[1][0].get_height() == 95.0


def test_completeness_shows_both_markers_and_the_floor_and_draws_the_same_bytes_twice():
    areas = pd.DataFrame({"area_name": ["North", "South"], "completeness": [99.8, 99.0], "lowest": [99.0, 97.0]})
    ax = completeness_figure(areas, 98.0).axes[0]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["South", "North"]
    assert {line.get_label() for line in ax.get_lines()} >= {"All half-terms", "Poorest half-term", "Level of 98%"}
    assert png_bytes(completeness_figure(areas, 98.0)) == png_bytes(completeness_figure(areas, 98.0))
