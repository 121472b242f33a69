"""Figures of checks: placebos and spillover against their tolerance, estimates without each place, and subgroups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.impact.leave_out import AREA, REMAINS, SCHOOL
from evaluation.reporting.palette import BODY_POINTS, DUO, GRID_COLOUR, MARKERS, QUIET_COLOUR, TEXT_COLOUR, new_figure, style_axes
from evaluation.reporting.text import number_text
from evaluation.reporting.words import value_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = "Percentage points of sessions attended"
RESULT_MARKS = {"passed": ("o", DUO[0]), "failed": ("X", DUO[1]), "too imprecise to say": ("o", "white")}
MARK_WORDS = {"passed": "Passed", "failed": "Failed", "too imprecise to say": "Too imprecise to say"}
WHO = {"A": "all eligible", "B": "referred"}


def placebos_figure(placebos: pd.DataFrame) -> Figure:
    """Draw placebos with their intervals, and the tolerance that the whole interval must lie within.

    Parameters
    ----------
    placebos : DataFrame
        Rows of table ``placebos`` that have an estimate.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = placebos.loc[placebos["estimate"].notna()].reset_index(drop=True)
    figure = new_figure(height=1.7 + 0.5 * max(len(rows), 1))
    ax = figure.subplots()
    places = [len(rows) - 1 - i for i in range(len(rows))]
    if len(rows):
        tolerance = rows["tolerance"].iloc[0]
        ax.axvspan(-tolerance, tolerance, color=GRID_COLOUR, alpha=0.5, label=f"Tolerance, {number_text(tolerance, 1)} points")
    ax.axvline(0, color=QUIET_COLOUR, linewidth=1)
    ax.hlines(places, rows["conf_low"], rows["conf_high"], color=DUO[0], linewidth=2)
    for result, (marker, fill) in RESULT_MARKS.items():
        own = [i for i in range(len(rows)) if rows.loc[i, "result"] == result]
        if own:
            ax.plot(rows.loc[own, "estimate"], [places[i] for i in own], linestyle="none", marker=marker, markersize=9, color=DUO[0] if fill == "white" else fill,
                    markerfacecolor=fill, label=MARK_WORDS[result])
    labels = [f"{row['check'][:1].upper()}{row['check'][1:]}\n({WHO[row['analysis'][0]]})" for _, row in rows.iterrows()]
    ax.set_yticks(places, labels)
    ax.set_ylim(-0.7, max(len(rows), 1) - 0.3)
    ax.set_xlabel(POINTS)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=3, frameon=False, fontsize=BODY_POINTS - 1, labelcolor=TEXT_COLOUR)
    return style_axes(ax, grid="x").figure


def placebos_alt(placebos: pd.DataFrame) -> str:
    """Describe the figure of placebos from its own numbers."""
    rows = placebos.loc[placebos["estimate"].notna()]
    said = "; ".join(f"{row['check']} ({WHO[row['analysis'][0]]}) {number_text(row['estimate'], 1)}, from {number_text(row['conf_low'], 1)} to "
                     f"{number_text(row['conf_high'], 1)}, {row['result']}" for _, row in rows.iterrows())
    return f"A point with an interval for each placebo over a band of tolerance around zero, in points of sessions: {said}." if said else "No placebo could be estimated."


def leave_out_figure(table: pd.DataFrame, headline: pd.Series) -> Figure:
    """Draw the estimate without each area, or without each school, or both, beside the headline.

    Parameters
    ----------
    table : DataFrame
        Rows of table ``leave_one_out`` of one analysis.
    headline : Series
        ``estimate, conf_low, conf_high`` of that analysis.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each kind of place that the rows hold, on one axis of points, in order of the estimate.
    """
    kinds = [what for what in (AREA, SCHOOL) if table["left_out"].eq(what).any()]
    figure = new_figure(height=4.4)
    axes = figure.subplots(1, len(kinds), sharey=True, squeeze=False, width_ratios=[1, 3][: len(kinds)])[0]
    for ax, what in zip(axes, kinds, strict=True):
        rows = table.loc[(table["left_out"] == what) & table["estimate"].notna()].sort_values("estimate", kind="stable").reset_index(drop=True)
        ax.axhspan(headline["conf_low"], headline["conf_high"], color=GRID_COLOUR, alpha=0.5, label="Headline's interval")
        ax.axhline(headline["estimate"], color=QUIET_COLOUR, linewidth=1.2, linestyle="--", label="Headline")
        ax.axhline(0, color=TEXT_COLOUR, linewidth=0.8)
        ax.vlines(rows.index, rows["conf_low"], rows["conf_high"], color=DUO[0], linewidth=1.5)
        for same, marker, words in ((True, MARKERS[0], "Says the same"), (False, "X", "Says something else")):
            own = rows.loc[rows["result"].eq(REMAINS) == same]
            if len(own):
                ax.plot(own.index, own["estimate"], linestyle="none", marker=marker, markersize=6, color=DUO[0] if same else DUO[1], label=words)
        ax.set_xticks([])
        ax.set_xlabel(f"Without one {what}\n({len(rows)} of them)")
        style_axes(ax)
    axes[0].set_ylabel(POINTS)
    handles = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=4, frameon=False, fontsize=BODY_POINTS - 1, labelcolor=TEXT_COLOUR)
    return figure


def leave_out_alt(ranges: pd.DataFrame) -> str:
    """Describe the figure of places left out from the ranges over them."""
    said = "; ".join(f"without one {row['left_out']}, from {number_text(row['smallest'], 1)} (without {row['without_smallest']}) to "
                     f"{number_text(row['largest'], 1)} (without {row['without_largest']}), and {row['changed']} of {row['places']} change what the interval says"
                     for _, row in ranges.iterrows())
    return f"Points with intervals over the headline's own interval, in points of sessions: {said}."


def subgroups_figure(subgroups: pd.DataFrame) -> Figure:
    """Draw the effect in every group of every subgroup that has one, and name those with too few pupils.

    Parameters
    ----------
    subgroups : DataFrame
        Rows of table ``subgroups`` of one analysis.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = subgroups.loc[subgroups["result"].ne("one group only")].reset_index(drop=True)
    figure = new_figure(height=1.2 + 0.36 * max(len(rows), 1))
    ax = figure.subplots()
    places = [len(rows) - 1 - i for i in range(len(rows))]
    ax.axvline(0, color=QUIET_COLOUR, linewidth=1)
    known = rows["estimate"].notna()
    _intervals(ax, rows.loc[known], [place for place, has in zip(places, known, strict=True) if has])
    for place, has in zip(places, known, strict=True):
        if not has:
            ax.annotate("too few to say", (0, place), textcoords="offset points", xytext=(6, 0), va="center", fontsize=BODY_POINTS - 1, color=TEXT_COLOUR)
    labels = [f"{row['title']}: {value_words(row['group'])}" for _, row in rows.iterrows()]
    ax.set_yticks(places, labels)
    for i in range(1, len(rows)):
        if rows.loc[i, "subgroup"] != rows.loc[i - 1, "subgroup"]:
            ax.axhline(places[i] + 0.5, color=GRID_COLOUR, linewidth=0.8)
    ax.set_xlabel(POINTS)
    style_axes(ax, grid="x")
    ax.tick_params(axis="y", labelsize=BODY_POINTS - 1)
    return figure


def _intervals(ax: Axes, rows: pd.DataFrame, places: list[int]) -> None:
    ax.hlines(places, rows["conf_low"].astype(float), rows["conf_high"].astype(float), color=DUO[0], linewidth=2)
    ax.plot(rows["estimate"].astype(float), places, linestyle="none", marker="o", markersize=7, color=DUO[0])


def subgroups_alt(subgroups: pd.DataFrame) -> str:
    """Describe the figure of subgroups from its own numbers."""
    rows = subgroups.loc[subgroups["result"].eq("estimated")]
    few = subgroups.loc[subgroups["result"].eq("too few to say")]
    said = "; ".join(f"{row['title']}, {value_words(row['group'])}: {number_text(row['estimate'], 1)}, from {number_text(row['conf_low'], 1)} to "
                     f"{number_text(row['conf_high'], 1)}" for _, row in rows.iterrows())
    left = "; ".join(f"{row['title']}, {value_words(row['group'])}" for _, row in few.iterrows())
    return f"A point with an interval for each group, in points of sessions attended. {said or 'No group could be estimated'}." + (
        f" Too few to say: {left}." if left else "")
