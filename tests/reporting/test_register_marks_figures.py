"""Figures of single marks: what is drawn, and what their alternative text says of the same numbers."""

import pandas as pd

from evaluation.reporting.figures.register_marks import code_mix_alt, code_mix_figure, school_weeks_alt, school_weeks_figure, weekday_alt, weekday_figure

WEEKS = pd.DataFrame([("North", "S1", "2023-09-04", 100.0), ("North", "S1", "2024-09-02", 99.0), ("South", "S2", "2023-09-04", 40.0), ("South", "S2", "2024-09-02", 99.6)],
                     columns=["area_name", "school_id", "week", "completeness"]).assign(week=lambda f: pd.to_datetime(f["week"]))
MIX = pd.DataFrame([("2023/24", "I", "illness", 3.5), ("2024/25", "I", "illness", 3.0), ("2024/25", "C2", "temporary part-time timetable", 0.3)],
                   columns=["academic_year", "code", "meaning", "share"])
DAYS = pd.DataFrame([("Monday", "AM", 6.0), ("Monday", "PM", 6.4), ("Friday", "AM", 7.0), ("Friday", "PM", 8.5)], columns=["weekday", "session", "absence_rate"])


def test_a_cell_for_each_school_and_week_in_its_shade():
    ax = school_weeks_figure(WEEKS).axes[0]
    drawn = ax.collections[0].get_array().reshape(2, 2)
    assert drawn.tolist() == [[100.0, 99.0], [40.0, 99.6]] and [t.get_text() for t in ax.get_yticklabels()] == ["North", "South"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["Sep 2023", "Sep 2024"]
    alt = school_weeks_alt(WEEKS)
    assert "2 schools by 2 weeks" in alt and "50.0% of school weeks" in alt and "40.0%, school S2 in South, week of 04 September 2023" in alt


def test_a_row_for_each_code_and_a_marker_for_each_year_it_was_used():
    ax = code_mix_figure(MIX).axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["I  illness", "C2  temporary part-time timetable"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["2023/24", "2024/25"]
    assert "I (illness) 3.00%; C2 (temporary part-time timetable) 0.30%" in code_mix_alt(MIX)


def test_a_line_for_mornings_and_one_for_afternoons():
    ax = weekday_figure(DAYS).axes[0]
    assert [list(line.get_ydata()) for line in ax.lines] == [[6.0, 7.0], [6.4, 8.5]]
    assert any("does not begin at 0" in text.get_text() for text in ax.texts)
    assert "lowest on Monday mornings (6.0%) and highest on Friday afternoons (8.5%)" in weekday_alt(DAYS)
