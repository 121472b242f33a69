"""The bias of designs in simulations without an effect."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from evaluation.reporting.palette import BODY_POINTS, DUO, QUIET_COLOUR, new_figure, style_axes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.figure import Figure


def bias_figure(biases: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw each design's bias in every setting.

    Parameters
    ----------
    biases : DataFrame
        ``design, rule, correlation, bias`` (percentage points of sessions attended).
    titles : mapping of str to str
        Designs in the order of rows, with the words to print.

    Returns
    -------
    matplotlib.figure.Figure
        A row for each design; colour and marker tell the two rules of referral apart.
    """
    figure = new_figure(width=7.6, height=0.55 * len(titles) + 1.4)
    ax = figure.subplots()
    ax.axvline(0.0, color=QUIET_COLOUR, linewidth=1.2)
    heights = {design: len(titles) - place for place, design in enumerate(titles)}
    for (rule, mine), colour, marker, shift in zip(biases.groupby("rule", sort=False), DUO, ("o", "D"), (0.12, -0.12), strict=True):
        ax.plot(mine["bias"], mine["design"].map(heights) + shift, linestyle="none", marker=marker, markersize=6, color=colour, label=f"Referral follows {rule}")
    ax.set_yticks(list(heights.values()), [fill(title, 36, break_on_hyphens=False) for title in titles.values()])
    ax.set_ylim(0.4, len(titles) + 0.6)
    ax.set_xlabel("Bias, percentage points of sessions attended (true effect 0)")
    style_axes(ax, grid="x")
    ax.tick_params(axis="y", labelsize=BODY_POINTS - 1)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False, fontsize=BODY_POINTS - 1)
    return figure
