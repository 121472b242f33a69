"""Figures that set simulated registers beside published statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.reporting.palette import BODY_POINTS, CATEGORICAL, DUO, LINES, MARKERS, QUIET_COLOUR, new_figure, style_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri")


def rates_figure(rates: pd.DataFrame) -> Figure:
    """Draw persistent absence by phase and group, published and simulated.

    Parameters
    ----------
    rates : DataFrame
        Indexed by phase and group: ``persistent_published, persistent_drawn`` (% of enrolments, of pupils).

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each phase, two markers on a line for each group.
    """
    phases = list(dict.fromkeys(rates.index.get_level_values(0)))
    figure = new_figure(width=8.4, height=4.8)
    for place, (phase, ax) in enumerate(zip(phases, figure.subplots(1, len(phases)), strict=True)):
        mine = rates.loc[phase].iloc[::-1]
        heights = range(len(mine))
        ax.hlines(heights, mine["persistent_published"], mine["persistent_drawn"], color=QUIET_COLOUR, linewidth=1.0)
        for column, colour, marker, label in (("persistent_published", DUO[0], "o", "Published, 2022/23"), ("persistent_drawn", DUO[1], "D", "Simulated")):
            ax.plot(mine[column], heights, linestyle="none", marker=marker, markersize=5, color=colour, label=label)
        ax.set_yticks(list(heights), list(mine.index))
        ax.set_title(phase.capitalize(), fontsize=BODY_POINTS, loc="left")
        ax.set_xlim(0, 50)
        ax.set_xticks([0, 25, 50])
        if place == len(phases) // 2:
            ax.set_xlabel("Persistently absent, %")
        style_axes(ax, grid="x")
        ax.tick_params(axis="y", labelsize=BODY_POINTS - 3)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False, fontsize=BODY_POINTS - 1)
    return figure


def patterns_figure(week: pd.DataFrame, weeks: pd.DataFrame) -> Figure:
    """Draw absence within the week by phase, and by week of an autumn term in all schools.

    Parameters
    ----------
    week : DataFrame
        ``phase, weekday`` (1 Monday to 5 Friday)``, session`` ("AM", "PM")``, absence`` (%).
    weeks : DataFrame
        ``week`` (its Monday)``, half_term, absence`` (%).

    Returns
    -------
    matplotlib.figure.Figure
        Two panels.
    """
    figure = new_figure(width=8.4, height=3.9)
    left, right = figure.subplots(1, 2)
    for place, (phase, mine) in enumerate(week.groupby("phase", sort=False)):
        mine = mine.sort_values(["weekday", "session"])
        left.plot(range(len(mine)), mine["absence"], color=CATEGORICAL[place], linestyle=LINES[place], marker=MARKERS[place], markersize=4, label=str(phase).capitalize())
    left.set_xticks([2 * day + 0.5 for day in range(len(DAYS))], DAYS)
    left.set_xlabel("Morning and afternoon of each day")
    left.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False, fontsize=BODY_POINTS - 2)
    right.plot(range(1, len(weeks) + 1), weeks["absence"], color=CATEGORICAL[0], marker=MARKERS[0], markersize=4)
    breaks = [place + 1.5 for place, (a, b) in enumerate(zip(weeks["half_term"], weeks["half_term"].iloc[1:], strict=False)) if a != b]
    for place in breaks:
        right.axvline(place, color=QUIET_COLOUR, linewidth=0.9, linestyle=(0, (4, 3)))
    right.set_xticks(range(1, len(weeks) + 1, 2))
    right.set_xlabel("School week of the autumn term, all schools")
    for ax in (left, right):
        ax.set_ylim(0, None)
        ax.set_ylabel("Absent, % of sessions")
        style_axes(ax, grid="y")
    return figure
