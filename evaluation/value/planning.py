"""What a school, a trust or an authority would pay for mentors of its own, and what it could expect for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluation.errors import ContractError

from .plane import draw_plane
from .terms import BASE_CASE, REFERRED, DaysEffect, PupilCost, Valuation

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.protocol.value import Planning


def planning_table(planning: Planning, effect: DaysEffect, *, share_started: float, relative_error: float, values: Sequence[Valuation], draws: int,
                   seed: int) -> pd.DataFrame:
    """Expected cost, days and chance of breaking even for each registered place, in one year.

    Mentors are full-time equivalents: pupils who start over pupils whom one mentor can start in a year (caseload times
    courses). Days are those of the measured window, nothing after it, at the effect per pupil referred of this study.

    Parameters
    ----------
    planning : Planning
    effect : DaysEffect
        Per pupil referred.
    share_started : float
        Share of pupils referred who start.
    relative_error : float
        Standard error of cost as a share of it.
    values : sequence of Valuation
        Values of a day; those with an uncertain share are left out.
    draws, seed : int
        See :func:`evaluation.value.draw_plane`.

    Returns
    -------
    DataFrame
        Table ``planning_table``, a row per place and value of a day: ``place, roll, persistent_absentees, severe_absentees, referred,
        starts, mentors, cost, cost_per_referred, extra_days, days_low, days_high, valuation, value_per_day, break_even_days,
        net_benefit, probability_breaking_even``. Days and net benefit are totals, ``break_even_days`` is per pupil referred.

    Raises
    ------
    ContractError
        The effect is not per pupil referred, or a share or capacity that is not above zero.
    """
    import pandas as pd

    if effect.level != REFERRED:
        raise ContractError(f"the effect is per pupil {effect.level}, and places plan with pupils referred", where="planning",
                            mend="register an estimand for `referred`")
    capacity = planning.caseload.value * planning.courses_a_year.value
    if not (0 < share_started <= 1 and capacity > 0):
        raise ContractError(f"a share of {share_started} who start and {capacity} pupils a mentor and year", where="planning", mend="give both above zero")
    rows = []
    for place in planning.places:
        starts = place.referred * share_started
        total = starts / capacity * planning.mentor_cost.value
        each = PupilCost(REFERRED, "place", total / place.referred, relative_error * total / place.referred, "own", None, 1.0)
        plane = draw_plane(effect, each, draws=draws, seed=seed)
        for value in values:
            if value.share_range is not None:
                continue
            worth = value.value_per_day
            rows.append({
                "place": place.place, "roll": place.roll, "persistent_absentees": place.persistent_absentees, "severe_absentees": place.severe_absentees,
                "referred": place.referred, "starts": starts, "mentors": starts / capacity, "cost": total, "cost_per_referred": each.amount,
                "extra_days": place.referred * effect.extra_days, "days_low": place.referred * effect.conf_low if effect.bounded else None,
                "days_high": place.referred * effect.conf_high if effect.bounded else None, "conf_level": effect.conf_level, "valuation": value.scenario, "value_per_day": worth,
                "break_even_days": each.amount / worth, "net_benefit": place.referred * (worth * effect.extra_days - each.amount),
                "probability_breaking_even": float((worth * plane["extra_days"] >= plane["extra_cost"]).mean()),
            })
    return pd.DataFrame(rows).astype({"days_low": "float64", "days_high": "float64"})


def planning_sentences(table: pd.DataFrame, valuation: str = BASE_CASE) -> list[str]:
    """One plain sentence a place: what it would pay, what it could expect, and how likely that is to pay."""
    from .text import number
    from .wording import chance_in_words, pounds

    said = []
    words = {"school": "A school", "trust": "A trust", "authority": "An authority"}
    for row in table.loc[table["valuation"].eq(valuation)].sort_values("roll", kind="stable").itertuples():
        more = "more" if row.extra_days >= 0 else "fewer"
        interval = (f"{100 * row.conf_level:g}% interval {number(row.days_low, 0)} to {number(row.days_high, 0)}" if row.days_low == row.days_low
                    else f"{100 * row.conf_level:g}% interval without an end")
        said.append(
            f"{words[row.place]} with {row.roll:,} pupils, {row.persistent_absentees:,} of them persistently and {row.severe_absentees:,} severely absent, that "
            f"refers {row.referred:,} pupils in a year would need {_posts(row.mentors)} for the {row.starts:,.0f} who start, at {pounds(row.cost)}. "
            f"It could expect {number(abs(row.extra_days), 0)} {more} days attended in all over the half-terms measured ({interval}). "
            f"At {pounds(row.value_per_day)} a day that repays the cost with a probability of "
            f"{chance_in_words(row.probability_breaking_even)}; it takes {number(row.break_even_days, 1)} days per pupil referred.")
    return said


def _posts(mentors: float) -> str:
    said = f"{mentors:.1f}"
    if mentors < 0.95:
        return f"{said} of a full-time mentor"
    return "1 full-time mentor" if said == "1.0" else f"{said} full-time mentors"
