"""Present values by the Green Book: a step schedule of discount rates, and weights for who gains."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.errors import ContractError

GREEN_BOOK = ((30, 0.035), (75, 0.030), (125, 0.025))
"""Last year to which each annual real rate applies: 3.5% for years 0 to 30, 3.0% to 75, 2.5% to 125 (HM Treasury, February 2026)."""


def discount_factor(year: int, schedule: Sequence[tuple[int, float]] = GREEN_BOOK) -> float:
    """Present value in year 0 of one pound in a later year.

    Within the first step the factor is 1 / (1 + r)^t. Each year after the step is discounted at its own step's rate
    from there on, so that the factor has no jump.

    Parameters
    ----------
    year : int
        Whole years after the base year, which is year 0.
    schedule : sequence of (last year, annual rate)
        In order.

    Raises
    ------
    ContractError
        A year before the base year, or after the schedule ends; a schedule out of order.
    """
    last_years = [last for last, _ in schedule]
    if not schedule or last_years != sorted(set(last_years)) or any(not -1 < rate < 1 for _, rate in schedule):
        raise ContractError("the schedule's years must rise, and its rates be shares such as 0.035", where="discounting", mend="correct the schedule")
    if isinstance(year, bool) or year != int(year) or not 0 <= year <= last_years[-1]:
        raise ContractError(f"year {year} lies outside the schedule, which runs from 0 to {last_years[-1]}", where="discounting",
                            mend="count whole years from the base year, or supply a longer schedule")
    factor, before = 1.0, 0
    for last, rate in schedule:
        factor /= (1 + rate) ** (min(int(year), last) - before)
        if year <= last:
            break
        before = last
    return factor


def years_after(period: str, base_year: str) -> int:
    """Whole years from one academic or financial year to another, such as "2022/23" to "2024/25".

    Raises
    ------
    ContractError
        A name that does not start with four digits.
    """
    for name in (period, base_year):
        if not (isinstance(name, str) and name[:4].isdecimal()):
            raise ContractError(f"{name!r} is no year", where="discounting", mend='write years as "2022/23"')
    return int(period[:4]) - int(base_year[:4])


def decision_population(pupils_a_year: float, years: int, schedule: Sequence[tuple[int, float]] = GREEN_BOOK) -> float:
    """Pupils whom a decision covers, those of later years discounted: the factor of a population's value of information."""
    if years < 1 or not pupils_a_year >= 0:
        raise ContractError(f"{pupils_a_year} pupils a year for {years} years", where="decision population", mend="give at least one year")
    return pupils_a_year * sum(discount_factor(year, schedule) for year in range(years))


def distributional_weight(income_ratio: float, elasticity: float = 1.3) -> float:
    """Weight of a pound to the recipients, against a pound to the median taxpayer.

    (median equivalised income of taxpayers / of recipients) ^ elasticity [HM Treasury, The Green Book]. Weighted
    results stand beside unweighted ones, never in their place.

    Parameters
    ----------
    income_ratio : float
        Median equivalised income of taxpayers over that of the recipients' households.
    elasticity : float
        Of the marginal utility of income.
    """
    if not income_ratio > 0 or not elasticity >= 0:
        raise ContractError(f"an income ratio of {income_ratio} and an elasticity of {elasticity}", where="distributional weight",
                            mend="give a ratio above zero and an elasticity of zero or more")
    return income_ratio**elasticity
