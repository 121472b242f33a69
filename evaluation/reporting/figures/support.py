"""Figures of support as it was given: components of the programme's design, and barriers found and resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.impact.support import EVERY
from evaluation.reporting.palette import BODY_POINTS, CATEGORICAL, DUO, MARKERS, TEXT_COLOUR, new_figure, style_axes
from evaluation.reporting.text import number_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

EVERYWHERE = "All areas"


def fidelity_figure(fidelity: pd.DataFrame) -> Figure:
    """Draw the share of referrals that had each component: the programme as a bar, its areas as points.

    Parameters
    ----------
    fidelity : DataFrame
        Rows of table ``delivery_fidelity`` at levels "programme" and "area".

    Returns
    -------
    matplotlib.figure.Figure
    """
    whole = fidelity.loc[fidelity["level"].eq("programme") & fidelity["known"].gt(0)].reset_index(drop=True)
    areas = fidelity.loc[fidelity["level"].eq("area") & fidelity["known"].gt(0)]
    figure = new_figure(height=1.5 + 0.62 * len(whole))
    ax = figure.subplots()
    places = {component: len(whole) - 1 - place for place, component in enumerate(whole["component"])}
    bars = ax.barh([places[c] for c in whole["component"]], 100 * whole["share"], height=0.55, color=CATEGORICAL[0], label="The programme")
    ax.bar_label(bars, labels=[f"{number_text(100 * row['share'], 0)}% of {row['known']}" for _, row in whole.iterrows()], padding=3, fontsize=BODY_POINTS - 1,
                 color=TEXT_COLOUR, label_type="edge")
    ax.plot(100 * areas["share"], [places[c] - 0.38 for c in areas["component"]], linestyle="none", marker=MARKERS[2], markersize=6, color=CATEGORICAL[3],
            label="Each area")
    ax.set_yticks(list(places.values()), [component[:1].upper() + component[1:] for component in places])
    ax.set_xlim(0, 128)
    ax.set_xticks(range(0, 101, 25))
    ax.set_xlabel("Referrals that started and had it (% of those known)")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False, fontsize=BODY_POINTS)
    return style_axes(ax, grid="x").figure


def fidelity_alt(fidelity: pd.DataFrame) -> str:
    """Describe the figure of fidelity from its own numbers."""
    whole = fidelity.loc[fidelity["level"].eq("programme") & fidelity["known"].gt(0)]
    areas = fidelity.loc[fidelity["level"].eq("area") & fidelity["known"].gt(0) & fidelity["component"].eq(EVERY)]
    said = "; ".join(f"{row['component']} {number_text(100 * row['share'], 0)}%" for _, row in whole.iterrows())
    spread = (f" Between areas, every component together was met by {number_text(100 * areas['share'].min(), 0)} to "
              f"{number_text(100 * areas['share'].max(), 0)}%.") if len(areas) else ""
    return f"A bar for each component of support, with a point for each area below it. Of the programme's referrals: {said}.{spread}"


def barriers_figure(barriers: pd.DataFrame) -> Figure:
    """Draw pupils with each barrier, and the share of barriers recorded as resolved.

    Parameters
    ----------
    barriers : DataFrame
        Rows of table ``delivery_barriers`` for all areas.

    Returns
    -------
    matplotlib.figure.Figure
        Two panels that share their rows, most frequent barrier first.
    """
    rows = barriers.loc[barriers["barrier_type"].ne("any")].sort_values(["pupils", "barrier_type"], kind="stable").reset_index(drop=True)
    figure = new_figure(height=1.6 + 0.42 * max(len(rows), 1))
    left, right = figure.subplots(1, 2, sharey=True)
    bars = left.barh(rows.index, 100 * rows["share"].astype(float), height=0.6, color=DUO[0])
    left.bar_label(bars, labels=rows["pupils"].tolist(), padding=3, fontsize=BODY_POINTS - 1, color=TEXT_COLOUR)
    right.plot(100 * rows["share_resolved"].astype(float), rows.index, linestyle="none", marker=MARKERS[0], markersize=8, color=DUO[1])
    left.set_yticks(rows.index, [kind[:1].upper() + kind[1:] for kind in rows["barrier_type"]])
    left.set_xlabel("Pupils with it\n(% of pupils assessed)")
    right.set_xlabel("Recorded as resolved\n(% of these barriers)")
    left.margins(x=0.15)
    right.set_xlim(0, 100)
    style_axes(left, grid="x")
    return style_axes(right, grid="x").figure


def barriers_alt(barriers: pd.DataFrame) -> str:
    """Describe the figure of barriers from its own numbers."""
    rows = barriers.loc[barriers["barrier_type"].ne("any")].sort_values(["pupils", "barrier_type"], ascending=[False, True], kind="stable")
    if rows.empty:
        return "Two empty panels: no barrier was recorded for any pupil who started."
    said = "; ".join(f"{row['barrier_type']} {row['pupils']} pupils, {number_text(100 * row['share_resolved'], 0)}% resolved" for _, row in rows.iterrows())
    return f"Bars for pupils with each barrier, and a point for the share of these barriers recorded as resolved. Most frequent first: {said}."
