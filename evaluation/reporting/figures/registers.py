"""Figures of the registers: what kind of absence there was, how much, and how complete the marks are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.reporting.palette import BODY_POINTS, CATEGORICAL, LINES, MARKERS, QUIET_COLOUR, SEQUENTIAL, TEXT_COLOUR, new_figure, style_axes
from evaluation.reporting.text import number_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

KINDS = (("authorised", "Authorised"), ("unauthorised", "Unauthorised"), ("part_time", "Part-time timetable (C2)"))


def mark_mix_figure(mix: pd.DataFrame) -> Figure:
    """Draw absence by kind through the half-terms.

    Parameters
    ----------
    mix : DataFrame
        ``half_term, academic_year, authorised, unauthorised, part_time`` (% of possible sessions).

    Returns
    -------
    matplotlib.figure.Figure
        A line for each kind, with the academic years marked off.
    """
    figure = new_figure(height=4.4)
    ax = figure.subplots()
    for place, (column, label) in enumerate(KINDS):
        ax.plot(mix["half_term"], mix[column], color=CATEGORICAL[place], linestyle=LINES[place], marker=MARKERS[place], markersize=5, label=label)
    starts = mix.groupby("academic_year")["half_term"].min()
    for year, start in starts.items():
        if start > mix["half_term"].min():
            ax.axvline(start - 0.5, color=QUIET_COLOUR, linewidth=0.9, linestyle=(0, (4, 3)))
        ax.annotate(str(year), (start - 0.4, 1.0), xycoords=("data", "axes fraction"), va="top", fontsize=BODY_POINTS - 1, color=TEXT_COLOUR)
    ax.set_xticks(mix["half_term"])
    ax.set_ylim(0, 1.2 * float(mix[[column for column, _ in KINDS]].max().max()))
    ax.set_xlabel("Half-term of the study")
    ax.set_ylabel("% of possible sessions")
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False, fontsize=BODY_POINTS)
    return _finish(figure, ax, "y")


def completeness_figure(areas: pd.DataFrame, floor: float) -> Figure:
    """Draw how complete each area's registers are over the study and in their poorest half-term.

    Parameters
    ----------
    areas : DataFrame
        ``area_name, completeness, lowest`` (% of expected sessions).
    floor : float
        Completeness below which a half-term is pointed out.

    Returns
    -------
    matplotlib.figure.Figure
        Two markers on a line for each area, and the floor.
    """
    rows = areas.sort_values("area_name", ascending=False, ignore_index=True)
    figure = new_figure(height=1.5 + 0.38 * len(rows))
    ax = figure.subplots()
    ax.hlines(rows.index, rows["lowest"], rows["completeness"], color=QUIET_COLOUR, linewidth=1.2)
    ax.plot(rows["completeness"], rows.index, linestyle="none", marker=MARKERS[0], color=CATEGORICAL[0], markersize=7, label="All half-terms")
    ax.plot(rows["lowest"], rows.index, linestyle="none", marker=MARKERS[2], color=CATEGORICAL[3], markersize=7, label="Poorest half-term")
    ax.axvline(floor, color=TEXT_COLOUR, linewidth=1.0, linestyle=(0, (4, 3)), label=f"Level of {floor:g}%")
    ax.set_yticks(rows.index, rows["area_name"])
    ax.set_xlabel("Sessions with a mark, % of expected sessions")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, columnspacing=1.2, handletextpad=0.4, frameon=False, fontsize=BODY_POINTS)
    return _finish(figure, ax, "x")


def absence_bands_figure(bands: pd.DataFrame) -> Figure:
    """Draw how many pupils miss how much of each academic year.

    Parameters
    ----------
    bands : DataFrame
        ``academic_year, band, share`` (% of pupils), bands in order.

    Returns
    -------
    matplotlib.figure.Figure
        A group of bars for each band, one bar a year, darkest first.
    """
    names = list(dict.fromkeys(bands["band"]))
    years = list(dict.fromkeys(bands["academic_year"]))
    figure = new_figure(height=4.2)
    ax = figure.subplots()
    width = 0.8 / len(years)
    for place, year in enumerate(years):
        own = bands.loc[bands["academic_year"].eq(year)].set_index("band")["share"].reindex(names)
        bars = ax.bar([i - 0.4 + (place + 0.5) * width for i in range(len(names))], own, width=0.92 * width,
                      color=SEQUENTIAL[place % len(SEQUENTIAL)], label=str(year))
        ax.bar_label(bars, fmt="%.0f", fontsize=BODY_POINTS - 3, color=TEXT_COLOUR, padding=2)
    ax.set_xticks(range(len(names)), [name.replace(" to ", " to\n") for name in names])
    ax.set_xlabel("Absent, of the pupil's own possible sessions in the year")
    ax.set_ylabel("% of pupils")
    ax.legend(loc="upper right", frameon=False, fontsize=BODY_POINTS)
    return _finish(figure, ax, "y")


def mark_mix_alt(mix: pd.DataFrame) -> str:
    """Describe the figure of absence by kind from its own numbers."""
    said = "; ".join(
        f"{label.lower().replace('(c2)', '(C2)')} from {number_text(mix[column].min(), 1)}% to {number_text(mix[column].max(), 1)}%" for column, label in KINDS
    )
    return f"A line for each kind of absence by half-term, as a share of possible sessions: {said}."


def completeness_alt(areas: pd.DataFrame, floor: float) -> str:
    """Describe the figure of completeness from its own numbers."""
    poorest = areas.loc[areas["lowest"].idxmin()]
    below = int((areas["lowest"] < floor).sum())
    return (
        f"Two markers for each area, for all half-terms and for the poorest. Over all half-terms areas lie between "
        f"{number_text(areas['completeness'].min(), 1)}% and {number_text(areas['completeness'].max(), 1)}%; the poorest half-term of all is "
        f"{number_text(poorest['lowest'], 1)}%, in {poorest['area_name']}. Areas with a half-term below {floor:g}%: {below}."
    )


def absence_bands_alt(bands: pd.DataFrame) -> str:
    """Describe the figure of absence in the year from its own numbers."""
    last = bands.loc[bands["academic_year"].eq(bands["academic_year"].iloc[-1])]
    said = "; ".join(f"{row['band'].lower()}: {number_text(row['share'], 0)}%" for _, row in last.iterrows())
    return f"Bars for bands of absence in the year, one bar a year. In {last['academic_year'].iloc[0]}, of all pupils: {said}."


def _finish(figure: Figure, ax, grid: str) -> Figure:
    style_axes(ax, grid=grid)
    return figure
