"""The terms of an appraisal: the effect in days, the cost over the same pupils, and what a day is taken to be worth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluation.errors import ContractError, UnidentifiedError

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.protocol.base import Quantity

DAYS_SCALE = "days over the measured window"
REFERRED = "referred"
BASE_CASE = "base case"
EARNINGS_SHARE = "earnings, causal share"
EARNINGS_UNCERTAIN = "earnings, causal share uncertain"
EARNINGS_FULL = "earnings, all causal"


@dataclass(frozen=True)
class DaysEffect:
    """Extra days attended per pupil of one level, with its uncertainty; positive is better."""

    level: str
    estimand: str
    extra_days: float
    std_error: float
    df: float
    conf_low: float
    conf_high: float
    conf_level: float
    estimate_id: str

    @property
    def includes_zero(self) -> bool:
        """Whether the registered interval includes zero."""
        return self.conf_low <= 0 <= self.conf_high


@dataclass(frozen=True)
class PupilCost:
    """Extra cost per pupil of one denominator, in one perspective.

    ``basis`` says whether it was planned or is outturn (None where there is no cost at all); ``referred_per_pupil`` is
    the number of pupils referred whose cost it holds.
    """

    denominator: str
    perspective: str
    amount: float
    std_error: float
    price_base: str
    basis: str | None
    referred_per_pupil: float


@dataclass(frozen=True)
class Valuation:
    """What one extra day attended is taken to be worth in one scenario, and what that number rests on.

    With ``share_range`` the causal share is itself uncertain, evenly between the two, and ``value_per_day`` is the
    mean that follows.
    """

    scenario: str
    value_per_day: float
    standing: str
    association_per_day: float | None = None
    share_range: tuple[float, float] | None = None


def days_effect(estimates: pd.DataFrame, *, level: str, estimand: str, outcome: str) -> DaysEffect:
    """Find the one registered effect in days for a level, with the sign of attendance.

    Parameters
    ----------
    estimates : DataFrame
        Table ``estimates``.
    level : str
        "eligible", "referred" or "started".
    estimand : str
        "A" or "B".
    outcome : str
        As named in the table.

    Raises
    ------
    ContractError
        No row, or several with none or more than one marked as headline: which one to use is then a choice that
        the protocol has not made.
    UnidentifiedError
        The effect has no standard error or degrees of freedom.
    """
    rows = estimates.loc[estimates["scale"].eq(DAYS_SCALE) & estimates["level"].eq(level)
                         & estimates["estimand"].eq(estimand) & estimates["outcome"].eq(outcome)]
    if len(rows) > 1:
        leading = rows.loc[rows["headline"].fillna(False).astype(bool)]
        rows = leading if len(leading) else rows.loc[rows["decision_test"].fillna(False).astype(bool)]
    where = f"table `estimates`, estimand {estimand}, pupils {level}, outcome {outcome}, {DAYS_SCALE}"
    if len(rows) != 1:
        found = ", ".join(rows["estimate_id"]) or "none"
        raise ContractError(f"one effect is needed, found {found}", where=where,
                            mend="register which estimate leads, or correct `estimand_by_denominator` and `outcome`")
    row = rows.iloc[0]
    if row[["estimate", "std_error", "df", "conf_low", "conf_high"]].isna().any() or not row["std_error"] > 0:
        raise UnidentifiedError("the effect has no standard error, degrees of freedom or interval, so its uncertainty cannot be carried on",
                                where=f"{where} ({row['estimate_id']})",
                                mend="leave the value for money out of this run, or register an effect that can be estimated")
    sign = -1.0 if row["direction"] == "absence" else 1.0
    low, high = sorted((sign * row["conf_low"], sign * row["conf_high"]))
    return DaysEffect(level=level, estimand=estimand, extra_days=float(sign * row["estimate"]), std_error=float(row["std_error"]),
                      df=float(row["df"]), conf_low=float(low), conf_high=float(high), conf_level=float(row["conf_level"]),
                      estimate_id=str(row["estimate_id"]))


def referred_per_pupil(estimates: pd.DataFrame, *, level: str, estimand: str, outcome: str) -> float:
    """Count the pupils referred for each pupil of a level, as the effect itself counts them.

    The effect on the eligible and that on pupils referred, or that on pupils referred and that on those who started,
    are one estimate divided by one share. That share, taken here from the two rows, is the one by which a cost
    per pupil referred must be divided too: any other share of other pupils would change the cost per extra day.

    Parameters
    ----------
    estimates, level, estimand, outcome
        See :func:`days_effect`.

    Returns
    -------
    float
        1 for "referred", below 1 for "eligible", above 1 for "started".

    Raises
    ------
    ContractError
        A row is absent, or the two effects are not one estimate divided by a share.
    """
    if level == REFERRED:
        return 1.0
    own, referred = (days_effect(estimates, level=name, estimand=estimand, outcome=outcome) for name in (level, REFERRED))
    factor = own.std_error / referred.std_error
    same = math.isclose(own.extra_days, factor * referred.extra_days, rel_tol=1e-6, abs_tol=1e-9) and math.isclose(own.df, referred.df, rel_tol=1e-6)
    if not same:
        raise ContractError("the effect is not the effect on pupils referred times a share, so cost cannot be stated over its pupils",
                            where=f"table `estimates`, {own.estimate_id} and {referred.estimate_id}",
                            mend="derive both from one estimate, or leave this level out of `estimand_by_denominator`")
    return factor


def pupil_cost(costs: pd.DataFrame, *, denominator: str, perspective: str, relative_error: float, referred_per_pupil: float) -> PupilCost:
    """State cost per pupil over the pupils of an effect: cost per pupil referred times pupils referred per pupil.

    Parameters
    ----------
    costs : DataFrame
        Table ``costs_by_perspective``; of its costs per pupil only that per pupil referred is used.
    denominator, perspective : str
    relative_error : float
        Registered standard error as a share of the cost.
    referred_per_pupil : float
        See :func:`referred_per_pupil`.

    Raises
    ------
    ContractError
        The perspective has not exactly one total.
    """
    rows = costs.loc[costs["perspective"].eq(perspective) & costs["breakdown"].eq("total")]
    if len(rows) != 1:
        raise ContractError(f"{len(rows)} totals where one is needed", where=f"table `costs_by_perspective`, perspective {perspective}",
                            mend="write one total for each perspective")
    total = rows.iloc[0]
    amount = float(total["per_pupil_referred"]) * referred_per_pupil
    basis = total["basis"] if isinstance(total["basis"], str) else None
    return PupilCost(denominator, perspective, amount, abs(amount) * relative_error, str(total["price_base"]), basis, referred_per_pupil)


def same_pupils(effect: DaysEffect, cost: PupilCost) -> None:
    """Refuse a cost over some pupils and an effect over others.

    Raises
    ------
    ContractError
        The two denominators differ.
    """
    if effect.level != cost.denominator:
        raise ContractError(f"the cost is per pupil {cost.denominator} and the effect per pupil {effect.level}: the two cannot be set against each other",
                            where="value for money", mend="state both over the same pupils: eligible, referred or started")


def valuations(value_per_day: Quantity, earnings_per_day: Quantity | None, causal_share: Quantity | None) -> tuple[Valuation, ...]:
    """The registered values of one extra day: the base case, and the earnings association in up to three scenarios.

    The association enters times the causal share held fixed; times a share drawn evenly between its low and high
    value, where both are registered; and in full only to show the most that it could give. Without it there is
    the base case alone.

    Raises
    ------
    ContractError
        The share's low and high values are not in order between 0 and 1.
    """
    base = (Valuation(BASE_CASE, value_per_day.value, value_per_day.standing),)
    if earnings_per_day is None or causal_share is None:
        return base
    full, standing, low, high = earnings_per_day.value, earnings_per_day.standing, causal_share.low, causal_share.high
    uncertain = ()
    if low is not None and high is not None:
        if not 0 <= low <= high <= 1:
            raise ContractError(f"a causal share from {low:g} to {high:g}", where="value_for_money.causal_share",
                                mend="give `low` and `high` in order, between 0 and 1, or both null")
        said = f"{standing}, association times a causal share anywhere from {low:g} to {high:g}, each as likely ({causal_share.standing})"
        uncertain = (Valuation(EARNINGS_UNCERTAIN, full * (low + high) / 2, said, full, (low, high)),)
    return (
        *base,
        Valuation(EARNINGS_SHARE, full * causal_share.value, f"{standing}, association times a causal share ({causal_share.standing})", full),
        *uncertain,
        Valuation(EARNINGS_FULL, full, f"{standing}, association taken as wholly causal: an upper bound", full),
    )
