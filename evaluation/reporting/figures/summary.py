"""The one figure of the summary edition: mentored pupils against similar pupils, half-term by half-term."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.reporting.palette import BODY_POINTS, DUO, QUIET_COLOUR, label_ends, new_figure, style_axes
from evaluation.reporting.text import number_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

ARMS = (("mentored", "Pupils referred", DUO[0], "-", "o"), ("comparison", "Similar pupils, usual support", DUO[1], "--", "s"))


def arms_by_half_term(trajectories: pd.DataFrame, design: str) -> pd.DataFrame:
    """Return mean absence of either arm side by side.

    Parameters
    ----------
    trajectories : pandas.DataFrame
        Table ``trajectories``: ``design, event_time, role, arm, mean_absence_rate``, and ``pupils`` where known.
    design : str
        The design shown.

    Returns
    -------
    pandas.DataFrame
        ``event_time, role, mentored, comparison`` (percentage of sessions), in order of time; with the pupils behind each,
        ``pupils_mentored, pupils_comparison``, where the table has them.
    """
    own = trajectories.loc[trajectories["design"].eq(design)]
    wide = own.pivot(index=["event_time", "role"], columns="arm", values="mean_absence_rate").reset_index()
    wide = wide.rename_axis(columns=None).sort_values("event_time", ignore_index=True)
    wide = wide[["event_time", "role", "mentored", "comparison"]]
    if "pupils" not in own:
        return wide
    pupils = own.pivot(index=["event_time", "role"], columns="arm", values="pupils").add_prefix("pupils_").reset_index().rename_axis(columns=None)
    return wide.merge(pupils[["event_time", "role", "pupils_mentored", "pupils_comparison"]], on=["event_time", "role"], validate="one_to_one")


def arms_figure(arms: pd.DataFrame) -> Figure:
    """Draw absence of either arm by half-term around the window in which pupils were chosen.

    Parameters
    ----------
    arms : pandas.DataFrame
        From :func:`arms_by_half_term`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(6.0, 3.5)  # narrower than a page, so that its words stay readable where the summary is printed
    ax = figure.subplots()
    ax.axvline(0, color=QUIET_COLOUR, linewidth=1, linestyle=":")
    for arm, words, colour, line, marker in ARMS:
        ax.plot(arms["event_time"], arms[arm], color=colour, linestyle=line, marker=marker, linewidth=2, label=words)
    ax.set_ylim(bottom=0)
    ax.set_xlim(arms["event_time"].min() - 0.3, arms["event_time"].max() + 0.2)
    label_ends(ax, [(arms["event_time"].iloc[-1], arms[arm].iloc[-1], words.replace(", ", ",\n")) for arm, words, *_ in ARMS])
    ax.set_xticks(arms["event_time"], [number_text(int(time)) for time in arms["event_time"]])
    ax.annotate("window in which\npupils were chosen", (0, 0.03), xycoords=("data", "axes fraction"), xytext=(6, 0),
                textcoords="offset points", fontsize=BODY_POINTS - 1, color=QUIET_COLOUR)  # fmt: skip
    ax.set_xlabel("Half-terms from that window")
    ax.set_ylabel("Sessions absent (%)")
    return style_axes(ax).figure


def arms_alt(arms: pd.DataFrame) -> str:
    """Describe the figure for readers who cannot see it, from its own numbers."""
    first, last = arms.iloc[0], arms.iloc[-1]
    window = arms.loc[arms["event_time"].eq(0)]
    peak = ""
    if len(window):
        peak = (
            f" In the window in which pupils were chosen they stand at {number_text(window['mentored'].iloc[0], 1)}% and "
            f"{number_text(window['comparison'].iloc[0], 1)}%."
        )
    return (
        f"Two lines of absence by half-term. Pupils referred go from {number_text(first['mentored'], 1)}% of sessions absent to "
        f"{number_text(last['mentored'], 1)}%, similar pupils with usual support from {number_text(first['comparison'], 1)}% to "
        f"{number_text(last['comparison'], 1)}%.{peak} The numbers stand in the table below."
    )
