"""Figures of impact: the gap by half-term, and every estimate beside its interval and, where it is known, the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.reporting.palette import BODY_POINTS, CATEGORICAL, DUO, MARKERS, QUIET_COLOUR, TEXT_COLOUR, new_figure, style_axes
from evaluation.reporting.text import number_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

ROLE_LOOKS = {
    "baseline": ("Baseline (its sessions together are the base)", 0), "eligibility window": ("Window in which pupils were chosen: no target", 2),
    "left out": ("Left out", 4), "follow-up": ("Follow-up", 1),
}  # fmt: skip
LEVEL_WORDS = {"eligible": "all eligible", "referred": "referred", "started": "started"}
DESIGN_WORDS = {"within_area": "within areas", "between_areas": "between areas"}
METHOD_WORDS = {
    "matched": "matched", "weighted by referral risk": "weighted by referral risk", "same rule, no matching": "same rule, no matching", "matched with baseline mean": "matched with baseline mean",
    "offer effect divided by share referred": "offer / share referred", "effect on referred divided by share started": "matched / share started",
}  # fmt: skip


def event_study_figure(gaps: pd.DataFrame) -> Figure:
    """Draw the gap in absence by half-term with pointwise intervals and, where it is known, the band that holds for all at once.

    Parameters
    ----------
    gaps : pandas.DataFrame
        Rows of table ``event_study`` for one design.

    Returns
    -------
    matplotlib.figure.Figure
        Below zero, referred pupils are absent less, measured from the gap over all baseline sessions.
    """
    rows = gaps.loc[gaps["estimate"].notna()].sort_values("event_time")
    figure = new_figure(height=4.6)
    ax = figure.subplots()
    ax.axhline(0, color=QUIET_COLOUR, linewidth=1)
    if "band_low" in rows and rows["band_low"].notna().any():
        ax.vlines(rows["event_time"], rows["band_low"], rows["band_high"], color=QUIET_COLOUR, linewidth=1, label="Band for all half-terms together")
        for side in ("band_low", "band_high"):
            ax.plot(rows["event_time"], rows[side], linestyle="none", marker="_", markersize=10, color=QUIET_COLOUR)
    for role, (words, place) in ROLE_LOOKS.items():
        own = rows.loc[rows["role"].eq(role)]
        if own.empty:
            continue
        colour = CATEGORICAL[place]
        ax.vlines(own["event_time"], own["conf_low"], own["conf_high"], color=colour, linewidth=4)
        ax.plot(own["event_time"], own["estimate"], linestyle="none", marker=MARKERS[place], markersize=8, color=colour, label=words)
    ax.set_xticks(rows["event_time"], [number_text(int(time), 0) for time in rows["event_time"]])
    ax.set_xlabel("Half-terms from the window in which pupils were chosen")
    ax.set_ylabel("Gap in absence (percentage points)")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False, fontsize=BODY_POINTS - 1)
    return style_axes(ax).figure


def event_study_alt(gaps: pd.DataFrame) -> str:
    """Describe the event study from its own numbers."""
    follow_up = gaps.loc[gaps["role"].eq("follow-up") & gaps["estimate"].notna()]
    baseline = gaps.loc[gaps["role"].eq("baseline") & gaps["estimate"].notna()]
    shown = "an interval and a wider band for all together" if "band_low" in gaps and gaps["band_low"].notna().any() else "an interval"
    return (
        f"A point with {shown} for each half-term. In the baseline the gaps run from {number_text(baseline['estimate'].min(), 1)} to "
        f"{number_text(baseline['estimate'].max(), 1)} points around the base; in the follow-up from {number_text(follow_up['estimate'].min(), 1)} to "
        f"{number_text(follow_up['estimate'].max(), 1)} points, where below zero means that referred pupils were absent less."
    )


def estimate_label(row: pd.Series) -> str:
    """Name an estimate in plain words: level, design, method."""
    level, design, method = LEVEL_WORDS[row["level"]], DESIGN_WORDS[row["design"]], METHOD_WORDS[row["method"]]
    return f"{level[:1].upper()}{level[1:]}, {design}\n{method}"


def estimates_figure(estimates: pd.DataFrame, truth: pd.DataFrame | None = None) -> Figure:
    """Draw estimates with their intervals, headline rows filled, and the truth where it is known.

    Parameters
    ----------
    estimates : pandas.DataFrame
        Rows of table ``estimates`` on one scale.
    truth : pandas.DataFrame, optional
        Table ``truth_comparison``; None or no rows where data are not simulated.

    Returns
    -------
    matplotlib.figure.Figure
        Above zero, pupils attended more.
    """
    rows = estimates.reset_index(drop=True)
    figure = new_figure(height=1.5 + 0.52 * len(rows))
    ax = figure.subplots()
    places = [len(rows) - 1 - i for i in range(len(rows))]
    ax.axvline(0, color=QUIET_COLOUR, linewidth=1)
    ax.hlines(places, rows["conf_low"], rows["conf_high"], color=DUO[0], linewidth=2)
    for leads, fill, words in ((True, DUO[0], "Estimate: registered headline of its level"), (False, "white", "Estimate: shown beside it")):
        own = [i for i, value in enumerate(rows["headline"]) if bool(value) == leads]
        ax.plot(rows.loc[own, "estimate"], [places[i] for i in own], linestyle="none", marker="o", markersize=8, color=DUO[0], markerfacecolor=fill, label=words)
    if truth is not None and len(truth):
        known = rows["estimate_id"].map(truth.set_index("estimate_id")["truth"])
        ax.plot(known, places, linestyle="none", marker="D", markersize=7, color=DUO[1], label="Truth of the simulation")
    ax.set_yticks(places, [estimate_label(row) for _, row in rows.iterrows()])
    ax.set_xlabel(f"Effect on attendance ({rows['scale'].iloc[0]})")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=1, frameon=False, fontsize=BODY_POINTS - 1, labelcolor=TEXT_COLOUR)
    style_axes(ax, grid="x")
    ax.tick_params(axis="y", labelsize=BODY_POINTS - 2)
    return figure


def estimates_alt(estimates: pd.DataFrame) -> str:
    """Describe the figure of estimates from its own numbers."""
    leads = estimates.loc[estimates["headline"].astype(bool)]
    said = "; ".join(
        f"{LEVEL_WORDS[row['level']]} ({'offer' if row['estimand'] == 'A' else 'referral'}): {number_text(row['estimate'], 1)}, "
        f"{number_text(row['conf_low'], 1)} to {number_text(row['conf_high'], 1)}"
        for _, row in leads.iterrows()
    )
    return f"A point with an interval for each comparison. The registered headlines are {said}. All numbers stand in the table below."


def bracket_figure(bracket: pd.DataFrame) -> Figure:
    """Draw the sensitivity bracket: each way of asking the same question, and the before-and-after figure as what it is.

    Parameters
    ----------
    bracket : pandas.DataFrame
        Table ``sensitivity``.

    Returns
    -------
    matplotlib.figure.Figure
        Above zero, pupils attended more.
    """
    rows = bracket.sort_values("position", ignore_index=True)
    figure = new_figure(height=1.6 + 0.42 * len(rows))
    ax = figure.subplots()
    places = [len(rows) - 1 - place for place in range(len(rows))]
    ax.axvline(0, color=QUIET_COLOUR, linewidth=1)
    ax.hlines(places, rows["conf_low"], rows["conf_high"], color=DUO[0], linewidth=2)
    leads = rows.index == 0
    for inside, colour, marker, fill, words in (
        (leads, DUO[0], MARKERS[0], DUO[0], "Leading comparison of referred pupils"),
        (~leads & rows["is_effect"].astype(bool), DUO[0], MARKERS[0], "white", "Beside it"),
        (~rows["is_effect"].astype(bool), DUO[1], "X", DUO[1], "Before and after: not an effect"),
    ):
        own = [place for place, chosen in zip(places, inside, strict=True) if chosen]
        ax.plot(rows.loc[inside, "estimate"], own, linestyle="none", marker=marker, markersize=8, color=colour, markerfacecolor=fill, label=words)
    ax.set_yticks(places, [name[:1].upper() + name[1:] for name in rows["name"]])
    ax.set_xlabel("Effect on attendance (percentage points of sessions)")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=1, frameon=False, fontsize=BODY_POINTS - 1, labelcolor=TEXT_COLOUR)
    style_axes(ax, grid="x")
    ax.tick_params(axis="y", labelsize=BODY_POINTS - 2)
    return figure


def bracket_alt(bracket: pd.DataFrame) -> str:
    """Describe the bracket from its own numbers."""
    rows = bracket.sort_values("position", ignore_index=True)
    effects, other = rows.loc[rows["is_effect"].astype(bool)], rows.loc[~rows["is_effect"].astype(bool)]
    said = f" The before-and-after figure, no effect, is {number_text(other['estimate'].iloc[0], 1)}." if len(other) else ""
    return (
        f"A point with an interval for each way of asking the same question. The leading comparison gives {number_text(rows['estimate'].iloc[0], 1)} points; all "
        f"{len(effects)} estimates lie between {number_text(effects['estimate'].min(), 1)} and {number_text(effects['estimate'].max(), 1)} points.{said}"
    )
