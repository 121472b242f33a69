"""Figures of the design: who was kept at each step, and how alike the arms are before and after matching."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from evaluation.reporting.palette import BODY_POINTS, DUO, QUIET_COLOUR, TEXT_COLOUR, new_figure, style_axes
from evaluation.reporting.text import number_text
from evaluation.reporting.words import true_minus

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ARM_COLUMNS = ("schools with mentors", "comparison schools")
ACCEPTABLE_DIFFERENCE = 0.1
"""Standardised difference up to which arms are usually called alike [Austin 2009]; drawn as a guide, no rule."""

BOX_CHARACTERS, LOSS_CHARACTERS = 28, 36


def flow_figure(flow: pd.DataFrame, groups: tuple[str, ...] = ARM_COLUMNS) -> Figure:
    """Draw the flow of pupils, one column a group: kept pupils in boxes, losses between them.

    Parameters
    ----------
    flow : pandas.DataFrame
        Table ``cohort_flow``: ``group, position, step, kind, pupils``.
    groups : tuple of str
        The columns, from left to right.

    Returns
    -------
    matplotlib.figure.Figure
    """
    parts = {group: flow.loc[flow["group"].eq(group)].sort_values("position") for group in groups}
    depth = max(_height(part) for part in parts.values())
    figure = new_figure(height=0.9 + 0.2 * depth)
    ax = figure.subplots()
    ax.set_xlim(0, len(groups))
    ax.set_ylim(depth, -1.4)
    ax.axis("off")
    for column, (group, part) in enumerate(parts.items()):
        ax.text(column + 0.5, -0.7, group[:1].upper() + group[1:], ha="center", va="center", fontsize=BODY_POINTS, fontweight="bold", color=TEXT_COLOUR)
        _draw_column(ax, part, column, DUO[column % len(DUO)])
    return figure


def flow_alt(flow: pd.DataFrame, groups: tuple[str, ...] = ARM_COLUMNS) -> str:
    """Describe the flow diagram from its own numbers."""
    said = []
    for group in groups:
        kept = flow.loc[flow["group"].eq(group) & flow["kind"].eq("kept")].sort_values("position")
        said.append(f"in {group}, from {number_text(int(kept['pupils'].iloc[0]), 0)} pupils to {number_text(int(kept['pupils'].iloc[-1]), 0)} analysed")
    return f"Boxes joined by lines, one column for each arm, with losses between them: {'; '.join(said)}. Every number stands in the table below."


def _lines(row: pd.Series) -> list[str]:
    step = row["step"].replace(": ", ", ")
    if row["kind"] == "kept":
        return textwrap.wrap(f"{step[:1].upper()}{step[1:]}: {number_text(int(row['pupils']), 0)}", BOX_CHARACTERS)
    mark = "\u2212" if row["kind"] == "left out" else "of these,"
    return textwrap.wrap(f"{mark} {step}: {number_text(int(row['pupils']), 0)}", LOSS_CHARACTERS)


def _row_height(row: pd.Series) -> float:
    return len(_lines(row)) + (1.6 if row["kind"] == "kept" else 0.5)


def _height(part: pd.DataFrame) -> float:
    return sum(_row_height(row) for _, row in part.iterrows())


def _draw_column(ax: Axes, part: pd.DataFrame, column: int, colour: str) -> None:
    """Boxes down the left of a column, joined by a line; losses and parts stand to the right of the line."""
    from matplotlib.patches import Rectangle

    top, stem = 0.0, column + 0.08
    last = part.loc[part["kind"].eq("kept"), "position"].max()
    for _, row in part.iterrows():
        lines, height = _lines(row), _row_height(row)
        if row["kind"] == "kept":
            ax.add_patch(Rectangle((column + 0.03, top + 0.2), 0.9, height - 0.6, facecolor="white", edgecolor=colour, linewidth=1.5))
            ax.text(column + 0.48, top + height / 2 - 0.1, "\n".join(lines), ha="center", va="center", fontsize=BODY_POINTS - 1, color=TEXT_COLOUR)
            if row["position"] < last:
                ax.plot([stem, stem], [top + height - 0.4, top + height + 0.2], color=colour, linewidth=1.5)
        else:
            if row["position"] < last:
                ax.plot([stem, stem], [top - 0.4, top + height + 0.2], color=colour, linewidth=1.5)
            ax.text(column + 0.13, top + height / 2, "\n".join(lines), ha="left", va="center", fontsize=BODY_POINTS - 2, color=QUIET_COLOUR)
        top += height


def love_figure(balance: pd.DataFrame) -> Figure:
    """Draw standardised differences before and after matching (a love plot).

    Parameters
    ----------
    balance : pandas.DataFrame
        Rows of table ``balance`` for one design: ``covariate, role, smd_before, smd_after``.

    Returns
    -------
    matplotlib.figure.Figure
        What was matched on first, then the eligibility window, then the baseline half-terms that nothing was matched on.
    """
    rows = balance.sort_values("position", kind="stable").reset_index(drop=True)
    figure = new_figure(height=1.5 + 0.32 * len(rows))
    ax = figure.subplots()
    places = [len(rows) - 1 - i for i in range(len(rows))]
    ax.axvline(0, color=QUIET_COLOUR, linewidth=1)
    for side in (-ACCEPTABLE_DIFFERENCE, ACCEPTABLE_DIFFERENCE):
        ax.axvline(side, color=QUIET_COLOUR, linewidth=1, linestyle=":")
    ax.hlines(places, rows["smd_before"], rows["smd_after"], color=QUIET_COLOUR, linewidth=1)
    ax.plot(rows["smd_before"], places, linestyle="none", marker="o", markerfacecolor="white", markersize=8, color=DUO[1], label="Before matching")
    ax.plot(rows["smd_after"], places, linestyle="none", marker="s", markersize=7, color=DUO[0], label="After matching")
    ax.set_yticks(places, [balance_label(row) for _, row in rows.iterrows()])
    ax.set_xlabel("Standardised difference, referred minus comparison")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False, fontsize=BODY_POINTS)
    return style_axes(ax, grid="x").figure


COVARIATE_WORDS = {
    "window_absence_rate": "Absence in the window", "year_group": "Year", "sex_male": "Male", "fsm": "Free school meals", "sen_none": "No special needs",
    "sen_support": "Special needs: support", "sen_ehcp": "Special needs: plan", "idaci": "Deprivation (IDACI)",
}  # fmt: skip


def balance_label(row: pd.Series) -> str:
    """Name a row of table ``balance`` in plain words, with a mark where it was no target of the matching."""
    name = str(row["covariate"])
    words = COVARIATE_WORDS.get(name, name.replace("year_group_", "Year ").replace("_", " "))
    words = words[:1].upper() + words[1:]
    words = true_minus(words)
    return f"{words} *" if "not" in str(row["role"]) and "matched on" != row["role"] else words


def love_alt(balance: pd.DataFrame) -> str:
    """Describe the love plot from its own numbers."""
    matched = balance.loc[balance["role"].eq("matched on")]
    before, after = matched["smd_before"].abs(), matched["smd_after"].abs()
    baseline = balance.loc[balance["role"].str.startswith("baseline"), "smd_after"].abs()
    return (
        f"Two markers for each characteristic. Before matching, differences on what was matched on reach {number_text(before.max(), 2)} standard "
        f"deviations; after matching, {number_text(after.max(), 2)}. On the baseline half-terms, which nothing was matched on, they reach "
        f"{number_text(baseline.max(), 2)} after matching."
    )
