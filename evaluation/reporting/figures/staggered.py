"""Figures of staggered starts: an event study with two kinds of band, sensitivity to diverging trends, and weights of two-way comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from evaluation.impact.bacon import KINDS
from evaluation.impact.estimate import Estimate
from evaluation.reporting.palette import BODY_POINTS, CATEGORICAL, DUO, MARKERS, QUIET_COLOUR, TEXT_COLOUR, new_figure, style_axes
from evaluation.reporting.text import number_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PERIODS = "half-terms"
MEASURE = "percentage points"
# Name of a way to bound the divergence: words for the axis.
BOUNDS = {
    "relative_magnitude": "Largest divergence allowed after the start,\nas a multiple of the largest seen before it",
    "smoothness": "Largest change in slope of the divergence\nfrom one period to the next",
}


def event_study_rows(frame: pd.DataFrame, *, base: int | None) -> pd.DataFrame:
    """What an event study's figure draws: its estimates by event time, and the base period at zero.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``event_time, estimate, conf_low, conf_high`` and, where they exist, ``band_low, band_high`` (simultaneous).
    base : int or None
        Event time of the base period; None where each effect before the start has a base of its own, the period before it.

    Returns
    -------
    pandas.DataFrame
        ``event_time, estimate, conf_low, conf_high, band_low, band_high, base``; effects that could not be estimated are left out.
    """
    columns = ["event_time", "estimate", "conf_low", "conf_high", "band_low", "band_high"]
    rows = frame.reindex(columns=columns).astype(float)
    rows = rows.loc[rows["estimate"].notna() & rows["event_time"].ne(base)]
    if base is not None:
        rows = pd.concat([rows, pd.DataFrame([{"event_time": float(base), "estimate": 0.0}])])
    rows = rows.sort_values("event_time", ignore_index=True)
    return rows.assign(event_time=rows["event_time"].astype(int), base=rows["event_time"] == base)[[*columns, "base"]]


def event_study_bands_figure(frame: pd.DataFrame, *, base: int | None = -1, measure: str = MEASURE, periods: str = PERIODS, conf_level: float = 0.95) -> Figure:
    """Draw effects by time since start, each with its own interval and with the band that holds for all at once.

    Parameters
    ----------
    frame : pandas.DataFrame
        As :func:`event_study_rows`.
    base : int or None
        Event time of the base period, which is named on the figure; None as in :func:`event_study_rows`.
    measure, periods : str
        Units of the effect, and what time is counted in.
    conf_level : float
        Of both.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = event_study_rows(frame, base=base)
    drawn, level = rows.loc[~rows["base"]], number_text(100 * conf_level, 0)
    figure = new_figure(height=4.6)
    ax = figure.subplots()
    ax.axhline(0, color=QUIET_COLOUR, linewidth=1)
    ax.axvline(-0.5, color=QUIET_COLOUR, linewidth=1, linestyle="--")
    if drawn["band_low"].notna().any():
        _capped(ax, drawn, "band_low", "band_high", f"{level}% band for all effects together")
    ax.vlines(drawn["event_time"], drawn["conf_low"], drawn["conf_high"], color=DUO[0], linewidth=4, label=f"{level}% interval of each effect")
    early = "Before the start" if base is not None else "Before the start: change from the period before"
    for inside, fill, words in ((drawn["event_time"] < 0, "white", early), (drawn["event_time"] >= 0, DUO[0], "From the start on")):
        ax.plot(drawn.loc[inside, "event_time"], drawn.loc[inside, "estimate"], linestyle="none", marker="o", markersize=8, color=DUO[0],
                markerfacecolor=fill, markeredgewidth=1.5, label=words)  # fmt: skip
    if base is not None:
        ax.plot([base], [0], linestyle="none", marker="D", markersize=8, color=DUO[1], label=f"Base period: {number_text(base, 0)} (zero by construction)")
    ax.set_xticks(rows["event_time"], [number_text(int(time), 0) for time in rows["event_time"]])
    ax.set_xlabel(f"{periods.capitalize()} since the start of support (0 is the first)")
    ax.set_ylabel(f"Effect ({measure})")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False, fontsize=BODY_POINTS - 1, labelcolor=TEXT_COLOUR)
    return style_axes(ax).figure


def event_study_bands_alt(frame: pd.DataFrame, *, base: int | None = -1, measure: str = MEASURE) -> str:
    """Describe the event study from its own numbers."""
    rows = event_study_rows(frame, base=base)
    low, high = ("band_low", "band_high") if rows["band_low"].notna().any() else ("conf_low", "conf_high")
    held = "bands for all effects together" if low == "band_low" else "intervals"
    said = []
    for words, inside in (("Before the start", ~rows["base"] & (rows["event_time"] < 0)), ("From the start on", ~rows["base"] & (rows["event_time"] >= 0))):
        part = rows.loc[inside]
        if part.empty:
            continue
        apart = int(((part[low] > 0) | (part[high] < 0)).sum())
        said.append(f"{words}, {len(part)} effects run from {number_text(part['estimate'].min(), 2)} to {number_text(part['estimate'].max(), 2)} {measure}; "
                    f"the {held} of {apart} of them exclude zero.")  # fmt: skip
    measured = f"measured from base period {number_text(base, 0)}" if base is not None else "those before the start as changes from the period before"
    shown = "two intervals" if low == "band_low" else "an interval"
    return f"A point with {shown} for each period since start, {measured}. {' '.join(said)}"


def sensitivity_figure(
    frame: pd.DataFrame, *, kind: str, original: tuple[float, float] | Estimate | None = None, breakdown: float | None = None, measure: str = MEASURE,
    conf_level: float = 0.95,
) -> Figure:  # fmt: skip
    """Draw the interval of an effect as trends are allowed to diverge more and more.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``m, conf_low, conf_high``: how far trends may diverge, and the interval that holds then; infinite limits are drawn to the edge.
    kind : {"relative_magnitude", "smoothness"}
        What ``m`` counts.
    original : (float, float) or Estimate, optional
        The interval that takes trends as parallel.
    breakdown : float, optional
        Smallest ``m`` at which the interval includes zero; infinite where none does.
    measure : str
    conf_level : float

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = frame.sort_values("m", ignore_index=True)
    if isinstance(original, Estimate):
        original = original.conf_low, original.conf_high
    level = number_text(100 * conf_level, 0)
    figure = new_figure(height=4.4)
    ax = figure.subplots()
    ax.axhline(0, color=QUIET_COLOUR, linewidth=1)
    places = list(range(len(rows)))
    finite = rows.loc[:, ["conf_low", "conf_high"]].replace([float("inf"), -float("inf")], float("nan"))
    limits = [value for pair in (finite["conf_low"], finite["conf_high"], pd.Series(original or [], dtype=float)) for value in pair.dropna()]
    if not limits:
        limits = [-1.0, 1.0]
    edge = 0.08 * (max([*limits, 0]) - min([*limits, 0]))
    bottom, top = min([*limits, 0]) - edge, max([*limits, 0]) + edge
    lows, highs = rows["conf_low"].clip(lower=bottom), rows["conf_high"].clip(upper=top)
    if original is not None:
        ax.vlines([-1], *original, color=DUO[1], linewidth=3)
        ax.plot([-1, -1], original, linestyle="none", marker=MARKERS[1], markersize=7, color=DUO[1], label=f"{level}% interval if trends are parallel")
    crosses = (rows["conf_low"] <= 0) & (rows["conf_high"] >= 0)
    ax.vlines(places, lows, highs, color=DUO[0], linewidth=3)
    for flag, fill, words in ((False, DUO[0], "excludes zero"), (True, "white", "includes zero")):
        own = [place for place in places if bool(crosses.iloc[place]) == flag]
        if own:
            ends = [(place, side.iloc[place]) for side in (finite["conf_low"], finite["conf_high"]) for place in own]
            ax.plot(*zip(*ends, strict=True), linestyle="none", marker="o", markersize=7, color=DUO[0], markerfacecolor=fill,
                    markeredgewidth=1.5, label=f"{level}% interval if they diverge: {words}")  # fmt: skip
    ticks = ([-1] if original is not None else []) + places
    ax.set_xticks(ticks, (["parallel"] if original is not None else []) + [f"{value:g}" for value in rows["m"]])
    ax.set_ylim(bottom, top)
    ax.set_xlabel(BOUNDS[kind])
    ax.set_ylabel(f"Effect ({measure})")
    if breakdown is not None:
        ax.plot([], [], linestyle="none", label=f"Breakdown value: {_breakdown_text(breakdown)}")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=1, frameon=False, fontsize=BODY_POINTS - 1, labelcolor=TEXT_COLOUR)
    return style_axes(ax).figure


def sensitivity_alt(frame: pd.DataFrame, *, breakdown: float | None = None, measure: str = MEASURE) -> str:
    """Describe the sensitivity figure from its own numbers."""
    rows = frame.sort_values("m", ignore_index=True)
    first, last = rows.iloc[0], rows.iloc[-1]
    said = f" Breakdown value: {_breakdown_text(breakdown)}." if breakdown is not None else ""
    return f"The interval of the effect ({measure}) as trends may diverge more: {_interval_text(first)}; {_interval_text(last)}.{said}"


def comparison_weights_figure(frame: pd.DataFrame, *, effect: float | None = None, measure: str = MEASURE) -> Figure:
    """Draw each comparison that a two-way effect is made of: its estimate against its weight.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``kind, estimate, weight``, as of :func:`evaluation.impact.bacon_decomposition`.
    effect : float, optional
        The two-way effect, drawn as a line.
    measure : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(height=4.8)
    ax = figure.subplots()
    ax.axhline(0, color=QUIET_COLOUR, linewidth=1)
    if effect is not None:
        ax.axhline(effect, color=TEXT_COLOUR, linewidth=1.5, linestyle="--", label=f"Two-way effect: {number_text(effect, 2)}")
    for kind, part in frame.groupby("kind", sort=False):
        place = KINDS.index(kind)
        share = number_text(100 * part["weight"].sum(), 1)
        ax.plot(part["weight"], part["estimate"], linestyle="none", marker=MARKERS[place], markersize=9, color=CATEGORICAL[place],
                markerfacecolor="white" if place % 2 else CATEGORICAL[place], markeredgewidth=1.5, label=f"{str(kind).capitalize()}: {share}% of the weight")  # fmt: skip
    ax.set_xlim(left=0)
    ax.set_xlabel("Weight in the two-way effect (all sum to 1)")
    ax.set_ylabel(f"Effect ({measure})")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=1, frameon=False, fontsize=BODY_POINTS - 1, labelcolor=TEXT_COLOUR)
    return style_axes(ax, grid="both").figure


def comparison_weights_alt(frame: pd.DataFrame, *, effect: float | None = None, measure: str = MEASURE) -> str:
    """Describe the weights figure from its own numbers."""
    said = []
    for kind, part in frame.groupby("kind", sort=False):
        mean = float((part["estimate"] * part["weight"]).sum() / part["weight"].sum())
        said.append(f"{kind} {number_text(100 * part['weight'].sum(), 1)}% of the weight, mean {number_text(mean, 2)}")
    closing = f" The two-way effect is {number_text(effect, 2)} {measure}." if effect is not None else ""
    return f"A point for each comparison of two groups, estimate against weight: {'; '.join(said)}.{closing}"


def _breakdown_text(breakdown: float) -> str:
    return f"includes zero from {breakdown:.3g} on" if breakdown < float("inf") else "none, no interval includes zero"


def _interval_text(row: pd.Series) -> str:
    """An interval in words, one without an end included."""
    low = f"from {number_text(row['conf_low'], 2)}" if row["conf_low"] > -float("inf") else "from no lower limit"
    high = f"to {number_text(row['conf_high'], 2)}" if row["conf_high"] < float("inf") else "to no upper limit"
    return f"{low} {high} at {row['m']:g}"


def _capped(ax: Axes, rows: pd.DataFrame, low: str, high: str, words: str) -> None:
    """Thin lines with caps, so that they are told from the thick ones without colour."""
    ax.vlines(rows["event_time"], rows[low], rows[high], color=CATEGORICAL[4], linewidth=1.2, label=words)
    for side in (low, high):
        ax.plot(rows["event_time"], rows[side], linestyle="none", marker="_", markersize=10, color=CATEGORICAL[4])
