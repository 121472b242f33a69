"""Figures of the decision: acceptability, value of information, frontier of strategies, and tornado."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.reporting.palette import BODY_POINTS, CATEGORICAL, DUO, LINES, MARKERS, QUIET_COLOUR, TEXT_COLOUR, new_figure, style_axes
from evaluation.reporting.text import money_text, number_text
from evaluation.reporting.words import value_words
from evaluation.value.decision import PROGRAMME
from evaluation.value.wording import chance_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNITS = {"GBP per pupil": "£ per pupil", "GBP per extra day": "£ per extra day", "days per pupil": "Extra days per pupil"}
OUTCOMES = {"extra_days": "Extra days", "cost_per_extra_day": "Cost per extra day", "net_benefit": "Net benefit"}


def acceptability_figure(table: pd.DataFrame, limit: float, values_per_day: Mapping[str, float]) -> Figure:
    """Draw the probability of being the most cost-effective by value of a day, with the frontier and its limit.

    Parameters
    ----------
    table : DataFrame
        Table ``acceptability``.
    limit : float
        Probability that days are gained at all: the curve's limit.
    values_per_day : mapping
        Value of one extra day (GBP) by scenario, marked where it lies inside the figure.

    Returns
    -------
    matplotlib.figure.Figure
        A line for each strategy with its own style, thick where that strategy has the highest mean net benefit. Where the value of
        information is given, it has axes of its own below.
    """
    known = table["evpi"].notna().any()
    figure = new_figure(height=7.2 if known else 4.6)
    axes = figure.subplots(2 if known else 1, 1, sharex=True, gridspec_kw={"height_ratios": [3, 2]} if known else None)
    upper = axes[0] if known else axes
    for place, (name, rows) in enumerate(table.groupby("strategy", sort=False)):
        upper.plot(rows["threshold"], rows["probability"], color=DUO[1 - place % 2], linestyle=LINES[1 - place % 2], linewidth=1.6, label=name.capitalize())
        upper.plot(rows["threshold"].where(rows["on_frontier"]), rows["probability"].where(rows["on_frontier"]), color=DUO[1 - place % 2],
                   linestyle=LINES[1 - place % 2], linewidth=4.2, label=f"{name.capitalize()}, where its mean net benefit is the higher")
    upper.axhline(limit, color=QUIET_COLOUR, linestyle=LINES[2], linewidth=1.6, label=f"Limit for mentoring: chance that days are gained ({chance_in_words(limit)})")
    for place, (name, value) in enumerate(values_per_day.items()):
        if value <= table["threshold"].max():
            row = table.loc[table["strategy"].eq(PROGRAMME)]
            at = row.iloc[(row["threshold"] - value).abs().argmin()]
            upper.plot([at["threshold"]], [at["probability"]], marker=MARKERS[place % len(MARKERS)], markersize=9, color="white", markeredgecolor=TEXT_COLOUR,
                       markeredgewidth=1.6, linestyle="none", label=f"{money_text(value)} a day: {value_words(name)}", zorder=5)
    upper.set_ylim(-0.03, 1.03)
    upper.set_ylabel("Probability most cost-effective")
    figure.legend(*upper.get_legend_handles_labels(), loc="outside upper left", ncols=1, frameon=False, fontsize=BODY_POINTS, labelcolor=TEXT_COLOUR)
    style_axes(upper, grid="both")
    lower = upper
    if known:
        lower = axes[1]
        own = table.drop_duplicates("threshold")
        lower.plot(own["threshold"], own["evpi"], color=DUO[0], linewidth=2)
        lower.set_ylabel("Worth of knowing\neverything, per pupil")
        lower.set_ylim(bottom=0)
        _pounds(lower, "y")
        style_axes(lower, grid="both")
    lower.set_xlabel("What one extra day attended may be worth")
    _pounds(lower, "x")
    return figure


def acceptability_alt(table: pd.DataFrame, limit: float) -> str:
    """Describe the acceptability curve from its own numbers."""
    row = table.loc[table["strategy"].eq(PROGRAMME)]
    first = row.loc[row["on_frontier"], "threshold"]
    turns = f"From {money_text(first.min())} a day mentoring has the higher mean net benefit." if len(first) else "At no value shown has mentoring the higher mean net benefit."
    peak = "" if table["evpi"].isna().all() else (
        f" The worth of knowing everything is highest, {money_text(table['evpi'].max())} per pupil, at {money_text(table.loc[table['evpi'].idxmax(), 'threshold'])} a day.")
    return (f"Lines of the probability that usual support, or mentoring, is the most cost-effective, against the value of a day. Mentoring rises from "
            f"{chance_in_words(row['probability'].iloc[0])} at £0 to {chance_in_words(row['probability'].iloc[-1])} at {money_text(row['threshold'].iloc[-1])}, "
            f"and can never pass {chance_in_words(limit)}. {turns}{peak}")


def tornado_figure(table: pd.DataFrame, outcome: str, scenario: str) -> Figure:
    """Draw what each input does to one outcome when it alone moves over its range, widest first.

    Parameters
    ----------
    table : DataFrame
        Table ``tornado``.
    outcome, scenario : str
        Which of its rows.

    Returns
    -------
    matplotlib.figure.Figure
        For each input a bar to the outcome at its low value (hatched) and one to that at its high value, from the base line; each
        end is labelled with the input's value.
    """
    from matplotlib.ticker import MaxNLocator

    rows = table.loc[table["outcome"].eq(outcome) & table["scenario"].eq(scenario)].reset_index(drop=True)
    base, unit = rows["base"].iloc[0], rows["unit"].iloc[0]
    figure = new_figure(height=1.9 + 0.62 * len(rows))
    ax = figure.subplots()
    ends = rows[["at_low", "at_high"]]
    zero = [0.0] if outcome == "net_benefit" else []
    low, high = min(ends.min(axis=None), base, *zero), max(ends.max(axis=None), base, *zero)
    for place, row in rows.iterrows():
        for column, shift, colour, hatch in (("at_low", -0.19, DUO[1], "//"), ("at_high", 0.19, DUO[0], None)):
            ax.barh([place + shift], [row[column] - base], left=base, height=0.36, color=colour, hatch=hatch, edgecolor="white",
                    label=f"Input at its {'low' if column == 'at_low' else 'high'} value" if place == 0 else None)
            right = row[column] >= base
            ax.annotate(_input_text(row["input"], row["low_value" if column == "at_low" else "high_value"]), (row[column], place + shift),
                        xytext=(4 if right else -4, 0), textcoords="offset points", va="center", ha="left" if right else "right", fontsize=BODY_POINTS - 1,
                        color=TEXT_COLOUR)
    ax.axvline(base, color=TEXT_COLOUR, linewidth=1.4)
    if outcome == "net_benefit":
        ax.axvline(0, color=QUIET_COLOUR, linewidth=1.4, linestyle=LINES[1], label="Breaks even")
    ax.set_xlim(low - 0.24 * (high - low), high + 0.24 * (high - low))
    ax.set_yticks(range(len(rows)), [value_words(name).capitalize() if name.islower() else name for name in rows["input"]])
    ax.invert_yaxis()
    ax.set_xlabel(UNITS[unit] if outcome == "extra_days" else f"{OUTCOMES[outcome]} ({UNITS[unit]})")
    ax.xaxis.set_major_locator(MaxNLocator(5))
    if outcome != "extra_days":
        _pounds(ax, "x")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=3, frameon=False, fontsize=BODY_POINTS, labelcolor=TEXT_COLOUR)
    style_axes(ax, grid="x")
    return figure


def tornado_alt(table: pd.DataFrame, outcome: str, scenario: str) -> str:
    """Describe a tornado from its own numbers."""
    rows = table.loc[table["outcome"].eq(outcome) & table["scenario"].eq(scenario)]
    write = (lambda value: number_text(value, 2)) if outcome == "extra_days" else money_text
    said = "; ".join(f"{row.input} from {write(row.at_low)} to {write(row.at_high)}" for row in rows.itertuples())
    return f"Bars on both sides of the base, {write(rows['base'].iloc[0])}, show {OUTCOMES[outcome].lower()} as each input moves over its range, widest first: {said}."


def frontier_figure(comparison: pd.DataFrame) -> Figure:
    """Draw strategies by mean effect and mean cost, with the frontier; dominated ones are open, with another marker.

    Parameters
    ----------
    comparison : DataFrame
        ``compare_strategies(...).frame``.
    """
    figure = new_figure()
    ax = figure.subplots()
    on = comparison.loc[comparison["status"].eq("ND")]
    ax.plot(on["mean_effect"], on["mean_cost"], color=CATEGORICAL[0], marker="o", markersize=8, linewidth=2, label="On the frontier")
    for status, marker, words in (("ED", "s", "Beaten by a mixture of its neighbours"), ("D", "X", "Another does more for no more")):
        rows = comparison.loc[comparison["status"].eq(status)]
        if len(rows):
            ax.plot(rows["mean_effect"], rows["mean_cost"], linestyle="none", marker=marker, markersize=9, markerfacecolor="white",
                    markeredgecolor=CATEGORICAL[2], markeredgewidth=1.6, label=words)
    for row in comparison.itertuples():
        ratio = "" if row.icer != row.icer else f"\n{money_text(row.icer)} per extra day"
        ax.annotate(f"{row.strategy}{ratio}", (row.mean_effect, row.mean_cost), xytext=(8, -4), textcoords="offset points", fontsize=BODY_POINTS, va="top",
                    color=TEXT_COLOUR)
    ax.margins(0.25)
    ax.set_xlabel("Mean extra days per pupil")
    ax.set_ylabel("Mean extra cost per pupil")
    _pounds(ax, "y")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=1, frameon=False, fontsize=BODY_POINTS, labelcolor=TEXT_COLOUR)
    style_axes(ax, grid="both")
    return figure


def frontier_alt(comparison: pd.DataFrame) -> str:
    """Describe the frontier from its own numbers."""
    names = {"ND": "on the frontier", "ED": "beaten by a mixture of its neighbours", "D": "beaten by another"}
    said = "; ".join(f"{row.strategy} at {number_text(row.mean_effect, 2)} days for {money_text(row.mean_cost)}, {names[row.status]}" for row in comparison.itertuples())
    return f"Points of mean cost over mean effect, those on the frontier joined by a line: {said}."


def _input_text(name: str, value: float) -> str:
    """An input's value as the end of a bar says it."""
    if name in ("cost per pupil", "value of a day"):
        return money_text(value)
    if name in ("take-up", "causal share"):
        return f"{number_text(100 * value, 0)}%"
    if name == "half-life after support":
        return "1 half-term" if value == 1 else f"{number_text(value, 0)} half-terms"
    return f"{number_text(value, 1)} times" if name == "scale" else f"{number_text(value, 2)} days"


def _pounds(ax: Axes, which: str) -> None:
    from matplotlib.ticker import FuncFormatter

    getattr(ax, f"{which}axis").set_major_formatter(FuncFormatter(lambda value, _: money_text(value)))
