"""Figures of value for money: the plane and what the cost is made of; curves and tornado are in ``value_decision``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.reporting.palette import BODY_POINTS, DUO, LINES, QUIET_COLOUR, TEXT_COLOUR, new_figure, style_axes
from evaluation.reporting.text import money_text, number_text
from evaluation.reporting.words import value_words
from evaluation.value.wording import PUPILS, chance_in_words, cost_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.figure import Figure

SIDES = (("more days", DUO[0], "o"), ("fewer days", DUO[1], "x"))
MOST_DRAWN = 2_000
"""Draws plotted at most: more hide each other; shares always use every draw."""


def plane_sample(plane: pd.DataFrame) -> pd.DataFrame:
    """Return the draws that :func:`plane_figure` plots: the first so many, which are as random as any."""
    return plane.sort_values("draw").head(MOST_DRAWN)


def plane_figure(plane: pd.DataFrame, values_per_day: Mapping[str, float]) -> Figure:
    """Draw the cost-effectiveness plane: extra cost over extra days, programme minus usual practice.

    Parameters
    ----------
    plane : DataFrame
        Table ``plane_draws``; every draw counts in the shares, at most ``MOST_DRAWN`` are plotted.
    values_per_day : mapping
        Value of one extra day (GBP) by scenario; a draw below a line is worth its cost at that value.

    Returns
    -------
    matplotlib.figure.Figure
        Draws with more days are filled circles, draws with fewer days crosses: different marker and colour, so
        that a draw is never mistaken for cheap when it is harmful.
    """
    from matplotlib.ticker import FuncFormatter

    figure = new_figure(height=5.8)
    ax = figure.subplots()
    drawn = plane_sample(plane)
    for side, colour, marker in SIDES:
        inside = plane["quadrant"].str.startswith(side)
        own = drawn.loc[drawn["quadrant"].str.startswith(side)]
        ax.scatter(own["extra_days"], own["extra_cost"], s=14 if marker == "o" else 26, marker=marker, color=colour, alpha=0.45 if marker == "o" else 0.9,
                   linewidths=0 if marker == "o" else 1.1, label=f"{side.capitalize()} ({chance_in_words(inside.mean())} of draws)")
    ax.scatter([plane["extra_days"].mean()], [plane["extra_cost"].mean()], s=110, marker="D", color="white", edgecolor=TEXT_COLOUR,
               linewidths=1.8, zorder=5, label="Mean of the draws")
    low, high = min(drawn["extra_days"].min(), 0.0), max(drawn["extra_days"].max(), 0.0)
    top = 1.35 * drawn["extra_cost"].max()
    for place, (name, value) in enumerate(values_per_day.items()):
        ax.plot([0, high], [0, value * high], color=TEXT_COLOUR, linestyle=LINES[1 + place % (len(LINES) - 1)], linewidth=1.4,
                label=f"{money_text(value)} per extra day: {value_words(name)}")
    ax.axhline(0, color=QUIET_COLOUR, linewidth=1)
    ax.axvline(0, color=QUIET_COLOUR, linewidth=1)
    margin = 0.05 * (high - low)
    ax.set_xlim(low - margin, high + margin)
    ax.set_ylim(min(0.0, drawn["extra_cost"].min()) - 0.04 * top, top)
    ax.set_xlabel("Extra days attended per pupil over the measured window")
    ax.set_ylabel("Extra cost per pupil")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: money_text(value)))
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=1, frameon=False, fontsize=BODY_POINTS, labelcolor=TEXT_COLOUR)
    style_axes(ax, grid="both")
    return figure


def cost_figure(costs: pd.DataFrame, *, denominator: str, basis: str | None = None) -> Figure:
    """Draw how categories of cost add up to cost per pupil, largest first.

    Parameters
    ----------
    costs : DataFrame
        Rows of table ``costs_by_perspective`` of one perspective with breakdown "category".
    denominator : str
        "eligible", "referred" or "started".
    basis : str, optional
        "planned", "outturn" or "mixed", said in the axis's label.

    Returns
    -------
    matplotlib.figure.Figure
        One bar a category, each starting where the one above ends, and the total at the foot.
    """
    from matplotlib.ticker import FuncFormatter

    column = f"per_pupil_{denominator}"
    rows = costs.sort_values([column, "group"], ascending=[False, True], kind="stable")
    ends = rows[column].cumsum()
    starts = ends - rows[column]
    figure = new_figure(height=1.3 + 0.42 * (len(rows) + 1))
    ax = figure.subplots()
    places = list(range(len(rows)))
    ax.barh(places, rows[column], left=starts, color=DUO[0], height=0.62)
    ax.barh([len(rows)], [rows[column].sum()], color=DUO[1], hatch="//", edgecolor="white", height=0.62)
    labels = [*rows[column], rows[column].sum()]
    for place, (end, amount) in enumerate(zip([*ends, rows[column].sum()], labels, strict=True)):
        ax.annotate(money_text(amount), (max(end, end - amount), place), xytext=(5, 0),
                    textcoords="offset points", va="center", fontsize=BODY_POINTS, color=TEXT_COLOUR)
    ax.set_yticks([*places, len(rows)], [*(name.capitalize() for name in rows["group"]), "Total"])
    ax.invert_yaxis()
    ax.margins(x=0.16)
    ax.set_xlim(left=min(0.0, float(starts.min()), float(ends.min())))
    ax.set_xlabel(f"{cost_words([basis]).capitalize()} per {PUPILS[denominator]}, in the accounts")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: money_text(value)))
    style_axes(ax, grid="x")
    return figure


def plane_alt(plane: pd.DataFrame) -> str:
    """Describe the cost-effectiveness plane from its own numbers."""
    more = plane["quadrant"].str.startswith(SIDES[0][0]).mean()
    return (
        f"Scatter of extra cost over extra days per pupil. On average {number_text(plane['extra_days'].mean(), 1)} extra days cost "
        f"{money_text(plane['extra_cost'].mean())}; {chance_in_words(more)} of draws have more days (circles), the others fewer (crosses). Lines from "
        "the origin show each value of one extra day."
    )


def cost_alt(costs: pd.DataFrame, *, denominator: str) -> str:
    """Describe the figure of costs by category from its own numbers."""
    column = f"per_pupil_{denominator}"
    rows = costs.sort_values([column, "group"], ascending=[False, True], kind="stable")
    said = "; ".join(f"{row['group']} {money_text(row[column])}" for _, row in rows.iterrows())
    return f"A bar for each category of cost, each starting where the one above ends, and the total at the foot: {said}; total {money_text(rows[column].sum())}."
