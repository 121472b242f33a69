"""Figures of single marks: completeness by school and week, the mix of codes, and absence by weekday and session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.reporting.palette import BODY_POINTS, CATEGORICAL, GRID_COLOUR, LINES, MARKERS, QUIET_COLOUR, TEXT_COLOUR, new_figure, style_axes
from evaluation.reporting.text import number_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# Shades of completeness, palest for a whole register: lower edge in % and what the legend says.
SHADES = ((99.5, "#D9E6F2", "99.5% or more"), (98.0, "#6BACE6", "98% to below 99.5%"), (95.0, "#2073BC", "95% to below 98%"), (0.0, "#12436D", "Below 95%"))
MOST_CODES = 14
SHORTEST_BREAK = 6  # weeks without school from which the axis is broken: the summer


def school_weeks_figure(weeks: pd.DataFrame) -> Figure:
    """Draw how complete each school's registers are, week by week.

    Parameters
    ----------
    weeks : DataFrame
        ``area_name, school_id, week, completeness`` (%), in order of area and school.

    Returns
    -------
    matplotlib.figure.Figure
        A row for each school, a cell for each week in which a session is expected; the darker, the more is missing.
    """
    import numpy as np
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.patches import Patch

    schools = list(dict.fromkeys(weeks["school_id"]))
    dates = sorted(weeks["week"].unique())
    grid = weeks.pivot(index="school_id", columns="week", values="completeness").reindex(index=schools, columns=dates).to_numpy(dtype=float)
    figure = new_figure(height=1.7 + 0.145 * len(schools))
    ax = figure.subplots()
    shades = sorted(SHADES)
    colours = ListedColormap([colour for _, colour, _ in shades])
    norm = BoundaryNorm([low for low, _, _ in shades] + [100.001], colours.N)
    ax.pcolormesh(np.arange(len(dates) + 1), np.arange(len(schools) + 1), np.ma.masked_invalid(grid), cmap=colours, norm=norm, edgecolors="white", linewidth=0.25)
    ax.invert_yaxis()
    areas = weeks.drop_duplicates("school_id").reset_index(drop=True)
    firsts = areas.groupby("area_name", sort=False).apply(lambda rows: (rows.index[0], rows.index[-1] + 1), include_groups=False)
    ax.set_yticks([(first + stop) / 2 for first, stop in firsts], list(firsts.index), fontsize=BODY_POINTS - 2)
    for _, stop in firsts.iloc[:-1]:
        ax.axhline(stop, color=TEXT_COLOUR, linewidth=0.8)
    starts = [i for i, day in enumerate(dates) if i == 0 or (day - dates[i - 1]).days // 7 >= SHORTEST_BREAK]
    for place in starts[1:]:
        ax.axvline(place, color=TEXT_COLOUR, linewidth=0.8)
    ax.set_xticks([place + 0.5 for place in starts], [f"{dates[place]:%b %Y}" for place in starts], ha="left")
    ax.set_xlabel("Weeks with school, from")
    figure.legend(handles=[Patch(facecolor=colour, label=label) for _, colour, label in SHADES], loc="outside upper left", ncols=4, frameon=False,
                  fontsize=BODY_POINTS - 2, columnspacing=1.0, handlelength=1.2)
    style_axes(ax, grid=None)
    return figure


def school_weeks_alt(weeks: pd.DataFrame) -> str:
    """Describe the figure of completeness by school and week from its own numbers."""
    known = weeks.dropna(subset=["completeness"])
    poorest = known.loc[known["completeness"].idxmin()]
    whole = 100 * (known["completeness"] >= SHADES[0][0]).mean()
    return (f"A grid of {known['school_id'].nunique()} schools by {known['week'].nunique()} weeks; darker cells miss more marks. {number_text(whole, 1)}% of school weeks are "
            f"complete to 99.5% or more. The poorest is {number_text(poorest['completeness'], 1)}%, school {poorest['school_id']} in {poorest['area_name']}, "
            f"week of {poorest['week']:%d %B %Y}.")


def code_mix_figure(mix: pd.DataFrame) -> Figure:
    """Draw how common each code is in each academic year.

    Parameters
    ----------
    mix : DataFrame
        ``academic_year, code, meaning, share`` (% of possible sessions), the commonest code first.

    Returns
    -------
    matplotlib.figure.Figure
        A row for each of the commonest codes, a marker for each year.
    """
    codes = list(dict.fromkeys(mix["code"]))[:MOST_CODES]
    years = sorted(mix["academic_year"].unique())
    figure = new_figure(height=1.5 + 0.34 * len(codes))
    ax = figure.subplots()
    meaning = mix.drop_duplicates("code").set_index("code")["meaning"]
    spread = 0.36 / max(len(years) - 1, 1)
    for place, year in enumerate(years):
        own = mix.loc[mix["academic_year"].eq(year)].set_index("code")["share"].reindex(codes)
        rows = [i + (place - (len(years) - 1) / 2) * spread for i in range(len(codes))]
        ax.plot(own, rows, linestyle="none", marker=MARKERS[place % len(MARKERS)], color=CATEGORICAL[place % len(CATEGORICAL)], markersize=6, label=str(year))
    for row in range(len(codes)):
        ax.axhline(row, color=GRID_COLOUR, linewidth=0.7, zorder=0)
    ax.set_yticks(range(len(codes)), [f"{code}  {_short(meaning[code])}" for code in codes], fontsize=BODY_POINTS - 2)
    ax.invert_yaxis()
    ax.set_xlim(left=0)
    ax.set_xlabel("% of possible sessions")
    ax.legend(loc="lower right", frameon=False, fontsize=BODY_POINTS)
    style_axes(ax, grid="x")
    return figure


def _short(meaning: str) -> str:
    """The first words of a meaning that fit beside an axis."""
    text = meaning.split(":")[-1].strip() if meaning.startswith("leave of absence") else meaning
    words, said = text.split(), ""
    for word in words:
        if len(said) + len(word) > 34:
            return f"{said} ..."
        said = f"{said} {word}".strip()
    return said


def code_mix_alt(mix: pd.DataFrame) -> str:
    """Describe the figure of codes from its own numbers."""
    last = mix.loc[mix["academic_year"].eq(mix["academic_year"].max())].nlargest(4, "share")
    said = "; ".join(f"{row['code']} ({row['meaning']}) {number_text(row['share'], 2)}%" for _, row in last.iterrows())
    count = min(MOST_CODES, mix["code"].nunique())
    return f"Markers for the {count} commonest codes other than present, one a year. The commonest in {mix['academic_year'].max()}, of possible sessions: {said}."


def weekday_figure(pattern: pd.DataFrame) -> Figure:
    """Draw absence by weekday, mornings and afternoons.

    Parameters
    ----------
    pattern : DataFrame
        ``weekday, session, absence_rate`` (% of possible sessions).

    Returns
    -------
    matplotlib.figure.Figure
        A line for mornings and one for afternoons.
    """
    figure = new_figure(height=3.6)
    ax = figure.subplots()
    days = list(dict.fromkeys(pattern["weekday"]))
    for place, (session, label) in enumerate((("AM", "Morning"), ("PM", "Afternoon"))):
        own = pattern.loc[pattern["session"].eq(session)].set_index("weekday")["absence_rate"].reindex(days)
        ax.plot(days, own, color=CATEGORICAL[place], linestyle=LINES[place], marker=MARKERS[place], markersize=7, label=label)
    low, high = pattern["absence_rate"].min(), pattern["absence_rate"].max()
    ax.set_ylim(0, 1.25 * float(high)) if low < 0.3 * high else ax.set_ylim(max(0.0, float(low - 1.5)), float(high + 1.0))
    ax.set_ylabel("% of possible sessions")
    if ax.get_ylim()[0] > 0:
        ax.annotate("The axis does not begin at 0", (0.01, 0.02), xycoords="axes fraction", fontsize=BODY_POINTS - 2, color=QUIET_COLOUR)
    ax.legend(loc="upper left", frameon=False, fontsize=BODY_POINTS)
    style_axes(ax, grid="y")
    return figure


def weekday_alt(pattern: pd.DataFrame) -> str:
    """Describe the figure of weekdays from its own numbers."""
    names = {"AM": "morning", "PM": "afternoon"}
    low, high = pattern.loc[pattern["absence_rate"].idxmin()], pattern.loc[pattern["absence_rate"].idxmax()]
    return (f"Two lines over the weekdays, for mornings and afternoons. Absence is lowest on {low['weekday']} {names[low['session']]}s "
            f"({number_text(low['absence_rate'], 1)}%) and highest on {high['weekday']} {names[high['session']]}s ({number_text(high['absence_rate'], 1)}%).")
