"""The specification curve: estimates in order of size, and below them the choices behind each."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from evaluation.reporting.palette import BODY_POINTS, DUO, GRID_COLOUR, QUIET_COLOUR, TEXT_COLOUR, new_figure, style_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHOICES = {"design": "Design", "entries": "Entries", "method": "Method", "distance": "Distance", "caliper": "Caliper", "ratio": "Ratio",
           "covariates": "Covariates", "outcome": "Outcome", "windows": "Half-terms", "weighting": "Weighting", "interval": "Interval"}  # fmt: skip
NOT_USED = "not used"
WORDS = {"within_area": "within areas", "between_areas": "between areas", "nearest_reuse": "nearest, with reuse", "entropy": "entropy balancing",
         "att_weights": "weights for the treated", "overlap_weights": "overlap weights", "same_rule": "same rule, no matching", "absence_rate": "absence, harmonised",
         "absence_rate_official": "absence, official", "absence_rate_off_site_absent": "off site counted absent", "attended_of_open": "attended of open",
         "pupils": "pupils", "sessions": "baseline sessions"}  # fmt: skip


def curve_rows(curve: pd.DataFrame) -> list[tuple[str, str, pd.Series]]:
    """The rows below the curve: choice, option in words, and which branches take it; only choices on which branches differ."""
    done = curve.loc[curve["estimate"].notna()]
    rows = []
    for column, title in CHOICES.items():
        words = done[column].map(lambda value, column=column: _words(column, value))
        if column == "caliper":  # without a distance there is none to leave out
            words = words.where(done["distance"].notna(), NOT_USED)
        options = sorted(set(words) - {NOT_USED})
        rows += [(title, option, words == option) for option in options if len(options) > 1]
    return rows


def _words(column: str, value: object) -> str:
    if value is None or str(value) in ("nan", "<NA>"):
        return "none" if column == "caliper" else NOT_USED
    if column == "caliper":
        return f"{value:g} SD"
    if column == "ratio":
        return f"{int(value)} for each"
    return WORDS.get(str(value), str(value).replace("_", " "))


def specification_figure(curve: pd.DataFrame) -> Figure:
    """Draw the specification curve.

    Parameters
    ----------
    curve : DataFrame
        Table ``specification_curve``; branches without an estimate are not drawn.

    Returns
    -------
    matplotlib.figure.Figure
        Above, each branch's estimate with its interval, in order of size, the registered one marked; below, a mark for each choice it takes.
    """
    done = curve.loc[curve["estimate"].notna()].reset_index(drop=True)
    rows = curve_rows(done)
    figure = new_figure(width=7.6, height=3.0 + 0.2 * len(rows))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2.6, 0.2 * len(rows) + 0.2])
    _draw_estimates(upper, done)
    _draw_choices(lower, done, rows)
    return figure


def _draw_estimates(ax: Axes, done: pd.DataFrame) -> None:
    place, own = done.index.to_numpy(), done["registered"].to_numpy(dtype=bool)
    ax.axhline(0.0, color=QUIET_COLOUR, linewidth=1.2)
    for inside, colour, marker, size, label in ((~own, DUO[0], "o", 3.2, "Other registered choices"), (own, DUO[1], "D", 6.5, "Registered headline")):
        ax.vlines(place[inside], done["conf_low"][inside], done["conf_high"][inside], color=colour, linewidth=1.1, alpha=0.55)
        ax.plot(place[inside], done["estimate"][inside], linestyle="none", marker=marker, markersize=size, color=colour, label=label)
    ax.set_ylabel("Effect on attendance,\npoints of sessions")
    style_axes(ax)
    ax.tick_params(axis="x", length=0, labelbottom=False)
    ax.legend(loc="upper left", ncols=2, frameon=False, fontsize=BODY_POINTS - 2, bbox_to_anchor=(0.0, 1.16), borderaxespad=0.0)


def _draw_choices(ax: Axes, done: pd.DataFrame, rows: list[tuple[str, str, pd.Series]]) -> None:
    heights = range(len(rows), 0, -1)
    last = None
    for height, (title, _, taken) in zip(heights, rows, strict=True):
        if title != last and last is not None:
            ax.axhline(height + 0.5, color=GRID_COLOUR, linewidth=0.8)
        own = taken & done["registered"]
        for inside, colour in ((taken & ~own, DUO[0]), (own, DUO[1])):
            ax.plot(done.index[inside], [height] * int(inside.sum()), linestyle="none", marker="|", markersize=6, markeredgewidth=1.6, color=colour)
        last = title
    labels, before = [], None
    for title, option, _ in rows:
        labels.append(f"{title}: {option}" if title != before else option)
        before = title
    ax.set_yticks(list(heights), [fill(label, 44) for label in labels])
    ax.set_ylim(0.3, len(rows) + 0.7)
    ax.set_xlabel("Branches, by size of the estimate")
    style_axes(ax, grid=None)
    ax.tick_params(axis="y", labelsize=BODY_POINTS - 3, length=0, labelcolor=TEXT_COLOUR)


def specification_alt(curve: pd.DataFrame) -> str:
    """What the picture shows, in words."""
    done = curve.loc[curve["estimate"].notna()]
    own = done.loc[done["registered"], "estimate"].iloc[0]
    above = int((done["estimate"] > 0).sum())
    return (f"Specification curve of {len(done)} branches, from {done['estimate'].min():.1f} to {done['estimate'].max():.1f} points of sessions attended; "
            f"{above} lie above zero. The registered estimate is {own:.1f}. Marks below show the choices behind each branch.")
