"""The terms of an appraisal: the effect in days, the cost over the same pupils, and what a day is taken to be worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evaluation.errors import ContractError, UnidentifiedError

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.protocol.base import Quantity
    from evaluation.protocol.value import BenefitStream

DAYS_SCALE = "days over the measured window"
REFERRED = "referred"
BASE_CASE = "base case"
EARNINGS_SHARE = "earnings, causal share"
EARNINGS_UNCERTAIN = "earnings, causal share uncertain"
EARNINGS_FULL = "earnings, all causal"
SHORT_NAMES = {"lifetime earnings": "earnings"}
"""What a stream of benefit is called in the names of scenarios, where that differs from its own name."""
RANDOMISATION = "randomisation"


@dataclass(frozen=True)
class DaysEffect:
    """Extra days attended per pupil of one level, with its uncertainty; positive is better.

    ``test`` names the test whose inversion gave the interval, ``feasible`` the fewest and the most extra days that are
    possible at all (None: not stated).
    """

    level: str
    estimand: str
    extra_days: float
    std_error: float
    df: float
    conf_low: float
    conf_high: float
    conf_level: float
    estimate_id: str
    test: str | None = None
    feasible: tuple[float, float] | None = None

    @property
    def includes_zero(self) -> bool:
        """Whether the registered interval includes zero."""
        return self.conf_low <= 0 <= self.conf_high

    @property
    def bounded(self) -> bool:
        """Whether the registered interval ends on both sides; that of a randomisation test may not."""
        return math.isfinite(self.conf_low) and math.isfinite(self.conf_high)


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
class PresentValue:
    """How much of costs and benefits is left after discounting, and how many pupils were counted.

    The factors are averages over the years in which costs fall, and in which pupils are served.
    """

    cost_factor: float
    benefit_factor: float
    base_year: str
    pupils: dict[str, int]


@dataclass(frozen=True)
class Valuation:
    """What one extra day attended is taken to be worth in one scenario, and what that number rests on.

    With ``share_range`` the causal share is itself uncertain, evenly between the two, and ``value_per_day`` is the
    mean that follows. ``counted_in`` names the perspectives that count the gain (None: all).
    """

    scenario: str
    value_per_day: float
    standing: str
    association_per_day: float | None = None
    share_range: tuple[float, float] | None = None
    counted_in: tuple[str, ...] | None = None


@dataclass(frozen=True)
class AppraisalSpec:
    """How costs and effects are set against each other.

    Attributes
    ----------
    estimand_by_denominator : mapping of str to str
        Which estimand gives the effect for each denominator.
    outcome : str
        Outcome whose effect is in days.
    relative_error : float
        Standard error of cost per pupil as a share of it.
    perspective, denominator : str
        Of the headline.
    draws, seed : int
    correlation : float
        Of cost and effect in the draws.
    feasible : tuple of float, optional
        Fewest and most extra days that are possible (:func:`feasible_days`).
    present : mapping of str to PresentValue, optional
        By perspective.
    weight : float, optional
        Distributional weight of a pound of benefit.
    """

    estimand_by_denominator: Mapping[str, str]
    outcome: str
    relative_error: float
    perspective: str
    denominator: str
    draws: int
    seed: int
    correlation: float = 0.0
    feasible: tuple[float, float] | None = None
    present: Mapping[str, PresentValue] | None = None
    weight: float | None = None


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
    return _carried(rows.iloc[0], where)


def annual_effect(estimates: pd.DataFrame, days: DaysEffect, *, outcome: str) -> DaysEffect | None:
    """The effect on a yearly outcome of the same comparison, as a share of pupils; positive is better.

    Parameters
    ----------
    estimates : DataFrame
        Table ``estimates``.
    days : DaysEffect
        The comparison: its pupils, estimand, and the design of its row.
    outcome : str
        ``annual_persistent_absence`` or ``annual_severe_absence``: over full academic years. A window's rate will not do.

    Returns
    -------
    DaysEffect or None
        With shares of pupils where days would stand; None where it was not estimated.
    """
    if not outcome.startswith("annual_"):
        raise ContractError(f"`{outcome}` is not measured over full academic years, so nobody can be said to be out of it", where="value for money",
                            mend="use an outcome over full academic years")
    own = estimates.loc[estimates["estimate_id"].eq(days.estimate_id)]
    rows = estimates.loc[estimates["outcome"].eq(outcome) & estimates["level"].eq(days.level) & estimates["estimand"].eq(days.estimand)]
    for column in ("design", "method", "part", "weighting"):
        if column in rows and len(own) == 1:
            rows = rows.loc[rows[column].eq(own[column].iloc[0])]
    if len(rows) != 1 or rows[["estimate", "std_error", "df"]].isna().any(axis=None):
        return None
    found = _carried(rows.iloc[0], f"table `estimates`, {rows['estimate_id'].iloc[0]}")
    return replace(found, extra_days=found.extra_days / 100, std_error=found.std_error / 100, conf_low=found.conf_low / 100, conf_high=found.conf_high / 100)


def _carried(row: pd.Series, where: str) -> DaysEffect:
    """A row of the estimates as an effect with its distribution; positive is better."""
    test = row["test"] if "test" in row.index and isinstance(row["test"], str) else None
    shuffled = test is not None and RANDOMISATION in test
    needed = ["estimate", "std_error", "df", *([] if shuffled else ["conf_low", "conf_high"])]
    if row[needed].isna().any() or not row["std_error"] > 0:
        raise UnidentifiedError("the effect has no standard error, degrees of freedom or interval, so its uncertainty cannot be carried on",
                                where=f"{where} ({row['estimate_id']})",
                                mend="leave the value for money out of this run, or register an effect that can be estimated")
    sign = -1.0 if row["direction"] == "absence" else 1.0
    low, high = (end if limit != limit else limit for limit, end in ((row["conf_low"], -math.inf), (row["conf_high"], math.inf)))
    ends = sorted((sign * low, sign * high))
    effect = DaysEffect(level=row["level"], estimand=row["estimand"], extra_days=float(sign * row["estimate"]), std_error=float(row["std_error"]),
                        df=float(row["df"]), conf_low=float(ends[0]), conf_high=float(ends[1]), conf_level=float(row["conf_level"]),
                        estimate_id=str(row["estimate_id"]), test=test)
    return _from_interval(effect) if shuffled and effect.bounded else effect


def _from_interval(effect: DaysEffect) -> DaysEffect:
    """An effect decided by randomisation: its spread is that of a normal whose interval reaches to the farther limit.

    Where that interval has no end, the spread stays that of the standard error, and no ratio and no interval is given.
    """
    from scipy.stats import norm

    reach = max(effect.extra_days - effect.conf_low, effect.conf_high - effect.extra_days)
    return replace(effect, std_error=reach / float(norm.ppf(0.5 + effect.conf_level / 2)), df=math.inf)


def feasible_days(cohort: pd.DataFrame) -> tuple[float, float]:
    """The fewest and the most extra days that are possible per analysed pupil of comparison schools, over the follow-up.

    Nobody can attend more days than usual support would have left missed, nor lose more than it would have left
    attended; a session is half a day. An effect is a mean over pupils, so the means of the pupils who met the rule bound it.

    Parameters
    ----------
    cohort : DataFrame
        Table ``cohort``; the rows analysed in schools without mentors are used.

    Raises
    ------
    UnidentifiedError
        No such row.
    """
    rows = cohort.loc[cohort["analysed"].astype(bool) & ~cohort["mentor_school"].astype(bool)]
    if rows.empty:
        raise UnidentifiedError("no comparison pupil was analysed, so the days that are possible are not known", where="table `cohort`",
                                mend="supply comparison schools")
    possible, absent = rows["followup_possible"].sum() / len(rows) / 2, rows["followup_absent"].sum() / len(rows) / 2
    return float(absent - possible), float(absent)


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


def valuations(value_per_day: Quantity, benefits: Sequence[BenefitStream] = ()) -> tuple[Valuation, ...]:
    """The registered values of one extra day: the base case, and each stream of benefit in up to three scenarios.

    An association enters times the causal share held fixed; times a share drawn evenly between its low and high
    value, where both are registered; and in full only to show the most that it could give. A stream that is an effect
    of attendance itself enters once. Streams are never added up: each is a scenario.

    Parameters
    ----------
    value_per_day : Quantity
        Of the base case, in every perspective.
    benefits : sequence of BenefitStream
        As the protocol registers them; it refuses streams that hold the same gain twice.
    """
    found = [Valuation(BASE_CASE, value_per_day.value, value_per_day.standing)]
    for benefit in benefits:
        name = SHORT_NAMES.get(benefit.stream, benefit.stream)
        full, standing, counted = benefit.per_day.value, benefit.per_day.standing, tuple(benefit.counted_in)
        share = benefit.causal_share
        if share is None:
            found.append(Valuation(name, full, f"{standing}, {benefit.nature}", counted_in=counted))
            continue
        found.append(Valuation(f"{name}, causal share", full * share.value, f"{standing}, {benefit.nature} times a causal share ({share.standing})", full,
                               counted_in=counted))
        if share.low is not None and share.high is not None:
            said = (f"{standing}, {benefit.nature} times a causal share anywhere from {share.low:g} to {share.high:g}, each as likely "
                    f"({share.standing})")
            found.append(Valuation(f"{name}, causal share uncertain", full * (share.low + share.high) / 2, said, full, (share.low, share.high), counted))
        found.append(Valuation(f"{name}, all causal", full, f"{standing}, {benefit.nature} taken as wholly causal: an upper bound", full,
                               counted_in=counted))
    return tuple(found)


def counted(values: Sequence[Valuation], perspective: str) -> tuple[Valuation, ...]:
    """The values whose gain a perspective counts."""
    return tuple(value for value in values if value.counted_in is None or perspective in value.counted_in)
