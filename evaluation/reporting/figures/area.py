"""Figures of the area study: levels by year, gaps by year within their placebo envelope, effects among placebo effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.reporting.area_text import OUTCOME_TITLES, POOL_NAMES, in_words, signed
from evaluation.reporting.palette import BODY_POINTS, CATEGORICAL, LINES, MARKERS, QUIET_COLOUR, TEXT_COLOUR, new_figure, style_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TREATED, ALL, MATCHED, AFTER = CATEGORICAL[0], CATEGORICAL[1], CATEGORICAL[2], CATEGORICAL[3]
POOL_STYLE = {"all": (ALL, LINES[1], MARKERS[1]), "matched": (MATCHED, LINES[2], MARKERS[2])}
SMALL = BODY_POINTS - 2
BINS = 44
"""Places along the axis in which placebo dots are stacked."""


def _start(year: str) -> int:
    return int(year[:4])


def _missing(years: Sequence[str]) -> list[str]:
    """Academic years between the first and the last that have no figures."""
    starts = [_start(year) for year in years]
    return [f"{start}/{(start + 1) % 100:02d}" for start in range(min(starts), max(starts)) if start not in starts]


def _years_axis(ax: Axes, years: Sequence[str], follow_up: str, began: str | None = None) -> None:
    """Mark every year, the missing one and the one in which support began."""
    missing = _missing(years)
    everything = sorted([*years, *missing])
    ax.set_xticks([_start(year) for year in everything], everything)
    for year in missing:
        ax.axvspan(_start(year) - 0.45, _start(year) + 0.45, facecolor="none", edgecolor=QUIET_COLOUR, hatch="///", linewidth=0, alpha=0.35)
    ax.axvspan(_start(follow_up) - 0.45, _start(follow_up) + 0.45, color=AFTER, alpha=0.14, linewidth=0)
    if began is not None:
        for year, text in [*((year, "no figures") for year in missing), (follow_up, f"support from\n{began}")]:
            ax.annotate(text, (_start(year), 1), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
                        ha="center", va="bottom", fontsize=SMALL, color=QUIET_COLOUR)
    ax.tick_params(axis="x", labelrotation=0)


def _broken_line(ax: Axes, years: Sequence[str], values: Sequence[float], **style) -> None:
    """A line that stops before a missing year and begins again after it."""
    cut = [_start(year) for year in _missing(years)]
    points = list(zip([_start(year) for year in years], values, strict=True))
    pieces: list[list[tuple[int, float]]] = [[]]
    for point in points:
        if pieces[-1] and any(pieces[-1][-1][0] < gone < point[0] for gone in cut):
            pieces.append([])
        pieces[-1].append(point)
    for piece in pieces:
        ax.plot([x for x, _ in piece], [y for _, y in piece], **style)


def _direct_labels(ax: Axes, x: float, labels: list[tuple[float, str, str, str]]) -> None:
    """Name lines at their ends beside their markers, moved apart where they would lie on each other."""
    low, high = ax.get_ylim()
    least = (high - low) * 0.17
    placed: list[float] = []
    for value, text, colour, marker in sorted(labels):
        at = max(value, placed[-1] + least) if placed else value
        placed.append(at)
        ax.plot([x], [at], marker=marker, color=colour, linestyle="none", clip_on=False)
        ax.text(x + 0.14, at, text, color=TEXT_COLOUR, fontsize=SMALL, va="center")


def trajectory_figure(gaps: pd.DataFrame, name: str, follow_up: str, began: str) -> Figure:
    """Draw each outcome by year in the treated authority and in both pools.

    Parameters
    ----------
    gaps : DataFrame
        Table ``area_gaps``.
    name : str
        The treated authority.
    follow_up : str
        The year in which support began.
    began : str
        When in that year, in words.

    Returns
    -------
    matplotlib.figure.Figure
        One panel an outcome, one below the other, each from zero.
    """
    outcomes = list(dict.fromkeys(o for o in OUTCOME_TITLES if o in set(gaps["outcome"])))
    figure = new_figure(height=0.75 + 1.6 * len(outcomes))
    axes = figure.subplots(len(outcomes), 1, squeeze=False)[:, 0]
    for place, (ax, outcome) in enumerate(zip(axes, outcomes, strict=True)):
        rows = {pool: gaps[(gaps["outcome"] == outcome) & (gaps["pool"] == pool)].sort_values("academic_year") for pool in POOL_STYLE}
        years = list(rows["all"]["academic_year"])
        ends = [(float(rows["all"]["treated_value"].iloc[-1]), name, TREATED, MARKERS[0])]
        _broken_line(ax, years, list(rows["all"]["treated_value"]), color=TREATED, linestyle=LINES[0], marker=MARKERS[0], linewidth=2.4)
        for pool, (colour, line, marker) in POOL_STYLE.items():
            _broken_line(ax, years, list(rows[pool]["comparison_value"]), color=colour, linestyle=line, marker=marker, linewidth=1.9)
            ends.append((float(rows[pool]["comparison_value"].iloc[-1]), POOL_NAMES[pool].capitalize(), colour, marker))
        ax.set_ylim(0, 1.12 * ax.get_ylim()[1])
        _years_axis(ax, years, follow_up, began if place == 0 else None)
        ax.set_xlim(_start(years[0]) - 0.5, _start(years[-1]) + 2.2)
        _direct_labels(ax, _start(years[-1]) + 0.57, ends)
        ax.set_title(OUTCOME_TITLES[outcome], loc="left", pad=30 if place == 0 else 8)
        style_axes(ax)
    return figure


def plotted_levels(gaps: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers that :func:`trajectory_figure` plots, in words: ``outcome, pool, academic_year, enrolments, treated_value, comparison_value``."""
    return in_words(gaps[["outcome", "pool", "academic_year", "enrolments", "treated_value", "comparison_value"]])


def plotted_gaps(gaps: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers that :func:`gap_figure` plots, in words: ``outcome, pool, academic_year, period, gap_from_base, placebo_low, placebo_high``."""
    return in_words(gaps[["outcome", "pool", "academic_year", "period", "gap_from_base", "placebo_low", "placebo_high"]])


def gap_figure(gaps: pd.DataFrame, name: str, follow_up: str, envelope_level: float) -> Figure:
    """Draw how far the gap of each year lies from that of the base years, within the envelope of placebo authorities.

    Parameters
    ----------
    gaps, name, follow_up
        As for :func:`trajectory_figure`.
    envelope_level : float
        Share of placebo authorities inside the grey bars.

    Returns
    -------
    matplotlib.figure.Figure
        A row an outcome, a column a pool; the two pools of an outcome share a scale.
    """
    outcomes = list(dict.fromkeys(o for o in OUTCOME_TITLES if o in set(gaps["outcome"])))
    figure = new_figure(height=1.0 + 1.95 * len(outcomes))
    grid = figure.subplots(len(outcomes), len(POOL_STYLE), sharey="row", squeeze=False)
    for across, outcome in zip(grid, outcomes, strict=True):
        for ax, pool in zip(across, POOL_STYLE, strict=True):
            rows = gaps[(gaps["outcome"] == outcome) & (gaps["pool"] == pool)].sort_values("academic_year")
            years, starts = list(rows["academic_year"]), [_start(year) for year in rows["academic_year"]]
            ax.vlines(starts, rows["placebo_low"], rows["placebo_high"], color=QUIET_COLOUR, alpha=0.35, linewidth=9)
            ax.axhline(0, color=TEXT_COLOUR, linewidth=0.8)
            _broken_line(ax, years, list(rows["gap_from_base"]), color=TREATED, linestyle=LINES[0], marker=MARKERS[0], linewidth=2)
            for year, start in zip(years, starts, strict=True):
                if (rows.loc[rows["academic_year"] == year, "period"] == "base").any():
                    ax.annotate("base", (start, 0), xytext=(3, -14), textcoords="offset points", ha="center", fontsize=SMALL, color=TEXT_COLOUR)
            last = float(rows["gap_from_base"].iloc[-1])
            ax.annotate(signed(last), (starts[-1], last), xytext=(8, 4 if last >= 0 else -13), textcoords="offset points", fontsize=SMALL, color=TREATED)
            _years_axis(ax, years, follow_up)
            ax.set_xticks(ax.get_xticks(), [f"{start}/\n{(start + 1) % 100:02d}" for start in sorted([*starts, *(_start(year) for year in _missing(years))])])
            ax.set_xlim(starts[0] - 0.6, starts[-1] + 1.15)
            ax.set_title(f"{OUTCOME_TITLES[outcome].split(':')[0].split(',')[0]},\nagainst {POOL_NAMES[pool]}", loc="left")
            style_axes(ax)
            ax.tick_params(labelsize=SMALL)
        across[0].set_ylabel("Points from base")
    from matplotlib.lines import Line2D

    keys = [Line2D([], [], color=TREATED, marker=MARKERS[0], label=name),
            Line2D([], [], color=QUIET_COLOUR, alpha=0.35, linewidth=9, label=f"{100 * envelope_level:g}% of placebo authorities")]
    figure.legend(handles=keys, loc="outside upper left", ncols=2, frameon=False, fontsize=BODY_POINTS)
    return figure


def placebo_figure(placebos: pd.DataFrame, name: str) -> Figure:
    """Draw the treated authority's effect among the effects placed in every authority of each pool.

    Parameters
    ----------
    placebos : DataFrame
        Table ``area_placebos``.
    name : str
        The treated authority.

    Returns
    -------
    matplotlib.figure.Figure
        A row an outcome, a column a pool: one dot an authority, stacked where they are close; the treated one a labelled
        diamond. The two pools of an outcome share a scale.
    """
    outcomes = list(dict.fromkeys(o for o in OUTCOME_TITLES if o in set(placebos["outcome"])))
    figure = new_figure(height=0.9 + 1.75 * len(outcomes))
    grid = figure.subplots(len(outcomes), len(POOL_STYLE), sharex="row", squeeze=False)
    for across, outcome in zip(grid, outcomes, strict=True):
        chosen = placebos[placebos["outcome"] == outcome]
        reach = float(chosen["effect"].abs().max()) * 1.1 or 1.0
        for ax, pool in zip(across, POOL_STYLE, strict=True):
            rows = chosen[chosen["pool"] == pool]
            others, own = rows[rows["role"] == "placebo"].sort_values("effect"), float(rows.loc[rows["role"] == "treated", "effect"].iloc[0])
            place = ((others["effect"] + reach) / (2 * reach) * BINS).astype(int)
            height = place.groupby(place).cumcount() + 1
            colour, _, marker = POOL_STYLE[pool]
            ax.plot(others["effect"], height, linestyle="none", marker=marker, markersize=3.6, color=colour)
            top = max(int(height.max()), 6)
            ax.vlines(own, 0, top * 1.12, color=TREATED, linewidth=1.2)
            ax.plot([own], [top * 1.12], marker="D", color=TREATED, markersize=7, linestyle="none")
            left = own > 0.25 * reach
            ax.annotate(f"{name} {signed(own)}", (own, top * 1.12), xytext=(-8 if left else 8, 0), textcoords="offset points", ha="right" if left else "left",
                        va="center", fontsize=SMALL, color=TREATED)
            ax.axvline(0, color=TEXT_COLOUR, linewidth=0.8)
            ax.set_xlim(-reach, reach)
            ax.set_ylim(0, top * 1.35)
            ax.set_yticks([])
            ax.set_title(f"{OUTCOME_TITLES[outcome].split(':')[0].split(',')[0]},\n{len(others)} placebos: {POOL_NAMES[pool]}", loc="left")
            style_axes(ax, grid="x")
            ax.spines["left"].set_visible(False)
            ax.tick_params(labelsize=SMALL)
    for ax in grid[-1]:
        ax.set_xlabel("Percentage points (below zero: less absence)", fontsize=SMALL)
    return figure
