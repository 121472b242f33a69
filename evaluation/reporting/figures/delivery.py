"""Figures of delivery: whom the mentors reached, and how much support was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.reporting.palette import BODY_POINTS, CATEGORICAL, MARKERS, TEXT_COLOUR, new_figure, style_axes
from evaluation.reporting.text import number_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

STEPS = (("referred", "Referred"), ("consented", "Parent or carer agreed"), ("started", "Started"), ("completed", "Completed"))
HATCHES = ("", "///", "", "...")


def reach_figure(reach: pd.DataFrame) -> Figure:
    """Draw pupils referred, agreeing, starting and completing, by area.

    Parameters
    ----------
    reach : DataFrame
        Rows of table ``delivery_reach`` at level "area".

    Returns
    -------
    matplotlib.figure.Figure
        A group of bars for each area, in order of pupils referred; every bar carries its number.
    """
    areas = reach.sort_values(["referred", "area_code"], ascending=[True, False], kind="stable")
    figure = new_figure(height=1.6 + 0.85 * len(areas))
    ax = figure.subplots()
    height = 0.8 / len(STEPS)
    for place, (column, label) in enumerate(STEPS):
        offsets = [row + 0.4 - (place + 0.5) * height for row in range(len(areas))]
        bars = ax.barh(offsets, areas[column], height=height * 0.9, color=CATEGORICAL[place], label=label,
                       hatch=HATCHES[place], edgecolor="white")
        ax.bar_label(bars, padding=3, fontsize=BODY_POINTS - 2, color=TEXT_COLOUR)
    ax.set_yticks(range(len(areas)), areas["area_name"])
    ax.set_xlabel("Pupils")
    ax.margins(x=0.08)
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False, fontsize=BODY_POINTS)
    style_axes(ax, grid="x")
    return figure


def dose_figure(dose: pd.DataFrame) -> Figure:
    """Draw meetings kept per pupil who started: median and middle half, by area and delivery model.

    Parameters
    ----------
    dose : DataFrame
        Rows of table ``delivery_dose`` at level "area and delivery model".

    Returns
    -------
    matplotlib.figure.Figure
        A point (the median) on a line (lower to upper quartile) for each row; models differ in marker and colour.
    """
    rows = dose.sort_values(["delivery_model", "area_name"], ascending=False, kind="stable").reset_index(drop=True)
    figure = new_figure(height=1.4 + 0.38 * len(rows))
    ax = figure.subplots()
    for place, model in enumerate(sorted(rows["delivery_model"].unique())):
        own = rows.loc[rows["delivery_model"].eq(model)]
        colour = CATEGORICAL[place % len(CATEGORICAL)]
        ax.hlines(own.index, own["quarter_meetings_kept"], own["three_quarters_meetings_kept"], color=colour, linewidth=2.5)
        ax.plot(own["median_meetings_kept"], own.index, linestyle="none", marker=MARKERS[place % len(MARKERS)], color=colour, markersize=8,
                label=str(model))
    ax.set_yticks(rows.index, [f"{area} ({pupils})" for area, pupils in zip(rows["area_name"], rows["pupils"], strict=True)])
    ax.set_xlabel("Meetings kept per pupil who started: median and middle half")
    ax.set_xlim(0, 1.05 * rows["three_quarters_meetings_kept"].max())
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False, fontsize=BODY_POINTS)
    style_axes(ax, grid="x")
    return figure


def reach_alt(reach: pd.DataFrame) -> str:
    """Describe the figure of reach from its own numbers."""
    said = "; ".join(
        f"{row['area_name']} {', '.join(number_text(int(row[column]), 0) for column, _ in STEPS)}" for _, row in reach.iterrows()
    )
    return f"Four bars for each area: pupils referred, whose parent or carer agreed, who started, who completed. In that order: {said}."


def dose_alt(dose: pd.DataFrame) -> str:
    """Describe the figure of meetings kept from its own numbers."""
    said = []
    for model, own in dose.groupby("delivery_model", sort=True):
        said.append(f"{model} from {number_text(own['median_meetings_kept'].min(), 1)} to {number_text(own['median_meetings_kept'].max(), 1)}")
    return (
        "One line for each area and delivery model, from the lower to the upper quartile of meetings kept, with a marker at the median; models differ "
        f"in marker and colour. Medians run, for {'; for '.join(said)}."
    )
