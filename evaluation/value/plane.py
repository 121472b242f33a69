"""The cost-effectiveness plane: draws of extra days and extra cost that carry the whole uncertainty of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluation.errors import ContractError

from .terms import BASE_CASE, EARNINGS_SHARE, DaysEffect, PupilCost, Valuation, same_pupils

if TYPE_CHECKING:
    import pandas as pd

MINIMUM_DRAWS = 5_000
QUADRANTS = (
    "more days, costs more", "fewer days, costs more", "more days, costs no more", "fewer days, costs no more",
)


def draw_plane(effect: DaysEffect, cost: PupilCost, *, draws: int, seed: int) -> pd.DataFrame:
    """Draw pairs of extra days and extra cost for the cost-effectiveness plane.

    Days come from Student's distribution placed at the estimate, scaled by its standard error, with its degrees
    of freedom: the distribution whose tail areas are the interval's. Cost comes from a gamma distribution
    with the cost's mean and standard error (a constant when that is 0), independent of days. One seed gives the
    same standardised draws whatever the denominator or perspective, so that differences between them are not noise.

    Returns
    -------
    DataFrame
        ``draw`` (from 1), ``extra_days``, ``extra_cost`` (GBP), ``quadrant``.

    Raises
    ------
    ContractError
        Mixed denominators, or fewer than 5,000 draws.
    """
    import numpy as np
    import pandas as pd

    same_pupils(effect, cost)
    if draws < MINIMUM_DRAWS:
        raise ContractError(f"{draws} draws; at least {MINIMUM_DRAWS:,} are needed for stable probabilities", where="value for money",
                            mend="raise `draws`")
    for_days, for_cost = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    days = effect.extra_days + effect.std_error * for_days.standard_t(effect.df, size=draws)
    if cost.std_error > 0 and cost.amount > 0:
        shape = (cost.amount / cost.std_error) ** 2
        money = for_cost.gamma(shape, cost.amount / shape, size=draws)
    else:
        money = np.full(draws, cost.amount)
    quadrant = np.select([(days > 0) & (money > 0), (days <= 0) & (money > 0), (days > 0) & (money <= 0)], QUADRANTS[:3], QUADRANTS[3])
    return pd.DataFrame({"draw": np.arange(1, draws + 1), "extra_days": days, "extra_cost": money, "quadrant": quadrant})


def net_benefit(plane: pd.DataFrame, value_per_day: float) -> pd.Series:
    """Net benefit per pupil of each draw: value of the extra days less the extra cost, GBP."""
    return value_per_day * plane["extra_days"] - plane["extra_cost"]


def mark_breaking_even(plane: pd.DataFrame, valuations: Sequence[Valuation]) -> pd.DataFrame:
    """Add each draw's net benefit in the base case, and whether it breaks even there and under the earnings scenario.

    Returns
    -------
    DataFrame
        ``plane`` with ``net_benefit`` (GBP per pupil, base case), ``breaks_even`` and ``breaks_even_earnings``
        (missing when that scenario is not registered).
    """
    import pandas as pd

    values = {v.scenario: v.value_per_day for v in valuations}
    base = net_benefit(plane, values[BASE_CASE])
    earnings = pd.Series(pd.NA, index=plane.index, dtype="boolean")
    if EARNINGS_SHARE in values:
        earnings = (net_benefit(plane, values[EARNINGS_SHARE]) >= 0).astype("boolean")
    return plane.assign(net_benefit=base, breaks_even=base >= 0, breaks_even_earnings=earnings)
