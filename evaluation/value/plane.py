"""The cost-effectiveness plane: draws of extra days and extra cost that carry the whole uncertainty of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluation.errors import ContractError, UnidentifiedError

from .terms import BASE_CASE, EARNINGS_SHARE, EARNINGS_UNCERTAIN, DaysEffect, PupilCost, Valuation, same_pupils

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MINIMUM_DRAWS = 5_000
MOST_REDRAWS = 200
QUADRANTS = (
    "more days, costs more", "fewer days, costs more", "more days, costs no more", "fewer days, costs no more",
)


def draw_plane(effect: DaysEffect, cost: PupilCost, *, draws: int, seed: int, correlation: float = 0.0) -> pd.DataFrame:
    """Draw pairs of extra days and extra cost for the cost-effectiveness plane.

    Days come from Student's distribution placed at the estimate, scaled by its standard error, with its degrees
    of freedom: the distribution whose tail areas are the interval's. Days that are not possible (``effect.feasible``)
    are drawn again. Cost comes from a gamma distribution with the cost's mean and standard error (a constant when that is
    0). With a correlation the two are joined by a normal copula: ``correlation`` is that of the scores behind them. One seed
    gives the same standardised draws whatever the denominator or perspective, so that differences between them are not noise.

    Returns
    -------
    DataFrame
        ``draw`` (from 1), ``extra_days``, ``extra_cost`` (GBP), ``quadrant``.

    Raises
    ------
    ContractError
        Mixed denominators, fewer than 5,000 draws, or a correlation not between -1 and 1.
    UnidentifiedError
        Hardly any draw of days is possible.
    """
    import numpy as np
    import pandas as pd

    same_pupils(effect, cost)
    if draws < MINIMUM_DRAWS:
        raise ContractError(f"{draws} draws; at least {MINIMUM_DRAWS:,} are needed for stable probabilities", where="value for money",
                            mend="raise `draws`")
    if not -1 < correlation < 1:
        raise ContractError(f"a correlation of {correlation}", where="value for money", mend="give `cost_effect_correlation` between -1 and 1")
    for_days, for_cost, _ = _streams(seed)
    days = _days(effect, draws, for_days)
    money = _money(cost, draws, for_cost, None if correlation == 0 else correlation * _scores(effect, days), correlation)
    quadrant = np.select([(days > 0) & (money > 0), (days <= 0) & (money > 0), (days > 0) & (money <= 0)], QUADRANTS[:3], QUADRANTS[3])
    return pd.DataFrame({"draw": np.arange(1, draws + 1), "extra_days": days, "extra_cost": money, "quadrant": quadrant})


def _days(effect: DaysEffect, draws: int, random: np.random.Generator) -> np.ndarray:
    """Extra days of each draw, all of them possible."""
    import numpy as np

    def drawn(count: int) -> np.ndarray:
        standard = random.standard_normal(count) if np.isinf(effect.df) else random.standard_t(effect.df, size=count)
        return effect.extra_days + effect.std_error * standard

    days = drawn(draws)
    if effect.feasible is None:
        return days
    fewest, most = effect.feasible
    for _ in range(MOST_REDRAWS):
        beyond = (days < fewest) | (days > most)
        if not beyond.any():
            return days
        days[beyond] = drawn(int(beyond.sum()))
    raise UnidentifiedError(f"hardly any draw lies between {fewest:.2f} and {most:.2f} days, which is all that is possible", where="value for money",
                            mend="look at the effect and its standard error: it is larger than pupils' absence allows")


def _scores(effect: DaysEffect, days: np.ndarray) -> np.ndarray:
    """Normal scores of the days, by the distribution that they were drawn from."""
    import numpy as np
    from scipy.special import ndtri, stdtr

    standard = (days - effect.extra_days) / effect.std_error
    return standard if np.isinf(effect.df) else ndtri(np.clip(stdtr(effect.df, standard), 1e-15, 1 - 1e-15))


def _money(cost: PupilCost, draws: int, random: np.random.Generator, shift: np.ndarray | None, correlation: float) -> np.ndarray:
    """Extra cost of each draw: gamma, or a constant where cost is known or not above zero."""
    import numpy as np
    from scipy.special import gammaincinv, ndtr

    if not (cost.std_error > 0 and cost.amount > 0):
        return np.full(draws, cost.amount)
    shape = (cost.amount / cost.std_error) ** 2
    if shift is None:
        return random.gamma(shape, cost.amount / shape, size=draws)
    score = shift + np.sqrt(1 - correlation**2) * random.standard_normal(draws)
    return gammaincinv(shape, ndtr(score)) * cost.amount / shape


def draw_shares(share_range: tuple[float, float], *, draws: int, seed: int) -> np.ndarray:
    """Draw causal shares evenly between two values, independent of days and cost; one seed gives the same draws."""
    low, high = share_range
    return low + (high - low) * _streams(seed)[2].random(draws)


def _streams(seed: int) -> list[np.random.Generator]:
    """Independent generators for days, cost and causal share."""
    import numpy as np

    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3)]


def net_benefit(plane: pd.DataFrame, value_per_day: float | np.ndarray) -> pd.Series:
    """Net benefit per pupil of each draw: value of the extra days less the extra cost, GBP; one value or one a draw."""
    return value_per_day * plane["extra_days"] - plane["extra_cost"]


def worth_by_draw(value: Valuation, *, draws: int, seed: int) -> float | np.ndarray:
    """What a day is worth, GBP: one number, or one a draw where the causal share is uncertain."""
    if value.share_range is None:
        return value.value_per_day
    return value.association_per_day * draw_shares(value.share_range, draws=draws, seed=seed)


def mark_breaking_even(plane: pd.DataFrame, valuations: Sequence[Valuation], *, seed: int) -> pd.DataFrame:
    """Add each draw's net benefit in the base case, and whether it breaks even there and under the earnings scenarios.

    Returns
    -------
    DataFrame
        ``plane`` with ``net_benefit`` (GBP per pupil, base case), ``breaks_even``, ``breaks_even_earnings`` (causal
        share held fixed), ``causal_share`` (as drawn) and ``breaks_even_uncertain_share`` (with that draw); the last
        three are missing when their scenario is not registered.
    """
    import pandas as pd

    values = {v.scenario: v for v in valuations}
    base = net_benefit(plane, values[BASE_CASE].value_per_day)
    marked = plane.assign(net_benefit=base, breaks_even=base >= 0, causal_share=float("nan"))
    for column, scenario in (("breaks_even_earnings", EARNINGS_SHARE), ("breaks_even_uncertain_share", EARNINGS_UNCERTAIN)):
        marked[column] = pd.Series(pd.NA, index=plane.index, dtype="boolean")
        if scenario in values:
            worth = worth_by_draw(values[scenario], draws=len(plane), seed=seed)
            marked[column] = (net_benefit(plane, worth) >= 0).astype("boolean")
    if EARNINGS_UNCERTAIN in values:
        marked["causal_share"] = draw_shares(values[EARNINGS_UNCERTAIN].share_range, draws=len(plane), seed=seed)
    return marked
