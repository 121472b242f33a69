"""Figures of the design: who was kept at each step, and how alike the arms are before and after matching."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from evaluation.reporting.palette import BODY_POINTS, CATEGORICAL, DUO, QUIET_COLOUR, TEXT_COLOUR, new_figure, style_axes
from evaluation.reporting.text import number_text
from evaluation.reporting.words import true_minus

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ARM_COLUMNS = ("schools with mentors", "comparison schools")
ACCEPTABLE_DIFFERENCE = 0.1
"""Standardised difference up to which arms are usually called alike [Austin 2009]; drawn as a guide, no rule."""

BOX_CHARACTERS, LOSS_CHARACTERS = 44, 44
LINE_INCHES = 0.2


def flow_figure(flow: pd.DataFrame, groups: tuple[str, ...] = ARM_COLUMNS) -> Figure:
    """Draw the flow of pupils as reporting guidelines ask (CONSORT, STROBE): a column an arm, step beside step.

    Kept pupils stand in boxes joined by arrows; a side box between two of them says how many left there and why. Parts of the last box
    stand below it.

    Parameters
    ----------
    flow : pandas.DataFrame
        Table ``cohort_flow``: ``group, position, step, kind, pupils, schools``.
    groups : tuple of str
        The columns, from left to right.

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = [_blocks(flow.loc[flow["group"].eq(group)].sort_values("position")) for group in groups]
    places = sorted({place for column in columns for place in column})
    rows = [[column.get(place) for column in columns] for place in places]  # an arm that lost nobody at a step has no box there
    heights = [max(_block_height(block) for block in row if block is not None) for row in rows]
    figure = new_figure(height=0.7 + LINE_INCHES * sum(heights))
    ax = figure.subplots()
    ax.set_xlim(0, len(groups))
    ax.set_ylim(sum(heights), -1.6)
    ax.axis("off")
    for column, group in enumerate(groups):
        colour = DUO[column % len(DUO)]
        ax.text(column + 0.48, -0.8, group[:1].upper() + group[1:], ha="center", va="center", fontsize=BODY_POINTS, fontweight="bold", color=TEXT_COLOUR)
        _draw_column(ax, [row[column] for row in rows], heights, column, colour)
    return figure


def flow_alt(flow: pd.DataFrame, groups: tuple[str, ...] = ARM_COLUMNS) -> str:
    """Describe the flow diagram from its own numbers."""
    said = []
    for group in groups:
        kept = flow.loc[flow["group"].eq(group) & flow["kind"].eq("kept")].sort_values("position")
        said.append(f"in {group}, from {number_text(int(kept['pupils'].iloc[0]), 0)} pupils to {number_text(int(kept['pupils'].iloc[-1]), 0)} analysed")
    return (f"Flow diagram, one column for each arm: boxes of pupils joined by arrows downwards, with a side box at each step that says how many left and why: "
            f"{'; '.join(said)}. Every number stands in the table below.")


def _blocks(part: pd.DataFrame) -> dict[tuple[int, int], tuple[str, list[str]]]:
    """The boxes of an arm as (kind, lines), by (step, 0 kept, 1 parts, 2 left out): all that left after a step, or parts of it, in one box."""
    found: dict[tuple[int, int], tuple[str, list[str]]] = {}
    step = 0
    for _, row in part.iterrows():
        said = f"{row['step'].replace(': ', ', ')}: {number_text(int(row['pupils']), 0)}"
        if row["kind"] == "kept":
            where = row.get("schools")
            more = f" in {number_text(int(where), 0)} schools" if where is not None and where == where else ""
            step += 1
            found[step, 0] = ("kept", textwrap.wrap(f"{said[:1].upper()}{said[1:]}{more}", BOX_CHARACTERS))
            continue
        place = (step, 2 if row["kind"] == "left out" else 1)
        if place not in found:
            total = part.loc[part["kind"].eq("left out") & part["position"].ge(row["position"]) & part["position"].lt(_next_kept(part, row["position"])), "pupils"]
            found[place] = (row["kind"], [f"Left out: {number_text(int(total.sum()), 0)}" if row["kind"] == "left out" else "Of these"])
        found[place][1].extend(textwrap.wrap(f"\u2022 {said}", LOSS_CHARACTERS, subsequent_indent="   "))
    return found


def _next_kept(part: pd.DataFrame, position: int) -> float:
    later = part.loc[part["kind"].eq("kept") & part["position"].gt(position), "position"]
    return float(later.min()) if len(later) else float("inf")


def _block_height(block: tuple[str, list[str]]) -> float:
    """In lines, with the gap to the next box."""
    return len(block[1]) + 1.2 if block[0] == "kept" else 0.86 * len(block[1]) + 1.1


def _draw_column(ax: Axes, blocks: list[tuple[str, list[str]] | None], heights: list[float], column: int, colour: str) -> None:
    """The boxes of an arm, at the heights that all arms share, and the arrows that join them."""
    from matplotlib.patches import Rectangle

    tops = [sum(heights[:place]) for place in range(len(heights))]
    stem, edge = column + 0.07, column + 0.13
    arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0}
    last_box = None
    for block, top, height in zip(blocks, tops, heights, strict=True):
        if block is None:
            continue
        kind, lines = block
        tall = height - 0.55
        if kind == "kept":
            if last_box is not None:
                ax.annotate("", (stem, top), (stem, last_box), arrowprops=arrow)
            ax.add_patch(Rectangle((column + 0.02, top), 0.93, tall, facecolor="white", edgecolor=colour, linewidth=1.5))
            ax.text(column + 0.485, top + tall / 2, "\n".join(lines), ha="center", va="center", fontsize=BODY_POINTS - 1, color=TEXT_COLOUR)
            last_box = top + tall
            continue
        ax.add_patch(Rectangle((edge, top), 0.82, tall, facecolor="white", edgecolor=QUIET_COLOUR, linewidth=0.8))
        ax.text(edge + 0.02, top + tall / 2, "\n".join(lines), ha="left", va="center", fontsize=BODY_POINTS - 2, color=TEXT_COLOUR, linespacing=1.15)
        if kind == "left out":
            ax.annotate("", (edge, top + tall / 2), (stem, top + tall / 2), arrowprops={**arrow, "color": QUIET_COLOUR, "linewidth": 1.0})
        else:
            ax.plot([stem, stem, edge], [last_box, top + tall / 2, top + tall / 2], color=QUIET_COLOUR, linewidth=1.0)


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


OVERLAP_GROUPS = {
    "referred": ("Pupils referred", DUO[0], "-"), "mentored": ("Schools with mentors", DUO[0], "-"),
    "comparison": ("Comparison schools", DUO[1], "--"), "matched": ("Comparison, matched", CATEGORICAL[1], ":"),
}  # fmt: skip


def overlap_figure(bins: pd.DataFrame, *, label: str) -> Figure:
    """Draw how two arms (and matched pupils) are spread over a score: outlines of histograms.

    Parameters
    ----------
    bins : pandas.DataFrame
        From :func:`evaluation.design.score_overlap` or :func:`evaluation.design.risk_overlap`: two columns that end in ``_from`` and
        ``_to``, and a share (%) by group.
    label : str
        What the score is, with its unit.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(height=3.6)
    ax = figure.subplots()
    edges = [*bins.iloc[:, 0], bins.iloc[-1, 1]]
    for group, (words, colour, line) in OVERLAP_GROUPS.items():
        if group in bins:
            ax.stairs(bins[group], edges, color=colour, linestyle=line, linewidth=2, label=words)
    ax.set_ylim(bottom=0)
    ax.set_xlabel(label)
    ax.set_ylabel("Share of the group (%)")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=3, frameon=False, fontsize=BODY_POINTS)
    return style_axes(ax).figure


def overlap_alt(bins: pd.DataFrame) -> str:
    """Describe the overlap from its own numbers: how much of each group lies in bins that the other arm reaches."""
    first = "referred" if "referred" in bins else "mentored"
    words = OVERLAP_GROUPS[first][0].lower()
    shared = bins.loc[(bins[f"{first}_pupils"] > 0) & (bins["comparison_pupils"] > 0)]
    return (f"Outlines of histograms over the score, a line for each group. {number_text(shared[first].sum(), 1)}% of {words} and "
            f"{number_text(shared['comparison'].sum(), 1)}% of eligible pupils of comparison schools lie where there are pupils of the other arm.")


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
    said = ["Two markers for each characteristic."]
    if len(matched):
        said.append(f"Before matching, differences on what was matched on reach {number_text(before.max(), 2)} standard deviations; after matching, {number_text(after.max(), 2)}.")
    if len(baseline):
        said.append(f"On the baseline half-terms, which nothing was matched on, differences reach {number_text(baseline.max(), 2)} after matching.")
    return " ".join(said)


RETURN_LINES = (
    ("predicted", "Predicted from one window", QUIET_COLOUR, ":", "D"), ("seen", "All who met the rule", DUO[1], "--", "s"),
    ("seen_first", "First entries", CATEGORICAL[1], "-", "o"), ("mean_all", "All pupils", TEXT_COLOUR, "-.", "^"),
)  # fmt: skip


def return_figure(returns: pd.DataFrame) -> Figure:
    """Draw how far pupils who were chosen by a bad window come back without a mentor, and how far its reliability says they would.

    Parameters
    ----------
    returns : pandas.DataFrame
        Table ``regression_to_mean``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure()
    ax = figure.subplots()
    ax.axvline(0, color=QUIET_COLOUR, linewidth=1, linestyle=":")
    for column, words, colour, line, marker in RETURN_LINES:
        ax.plot(returns["event_time"], returns[column], color=colour, linestyle=line, marker=marker, markersize=6, linewidth=1.8, label=words)
    ax.set_ylim(bottom=0)
    ax.set_xticks(returns["event_time"], [number_text(int(time)) for time in returns["event_time"]])
    ax.set_xlabel("Half-terms from the window in which pupils were chosen")
    ax.set_ylabel("Sessions absent (%)")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False, fontsize=BODY_POINTS)
    return style_axes(ax).figure


def return_alt(returns: pd.DataFrame) -> str:
    """Describe the return from its own numbers."""
    window, last = returns.loc[returns["event_time"].eq(0)].iloc[0], returns.iloc[-1]
    return (f"Four lines of absence by half-term in schools without mentors. Pupils who met the rule stand at {number_text(window['seen'], 1)}% in the window; "
            f"{int(last['event_time'])} half-terms later one window predicts {number_text(last['predicted'], 1)}% for them and {number_text(last['seen'], 1)}% was seen, "
            f"{number_text(last['seen_first'], 1)}% among first entries, against {number_text(last['mean_all'], 1)}% of all pupils.")
