"""The confidence set of a cost-effectiveness ratio when the effect may be zero (Fieller 1954)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from evaluation.errors import DataError

from .text import pounds

SetForm = Literal["interval", "outside", "all", "from", "up_to"]


@dataclass(frozen=True)
class FiellerSet:
    """All ratios that the data do not reject.

    ``form``: "interval" = from ``low`` to ``high``; "outside" = everything at or below ``low`` together with
    everything at or above ``high`` (the effect's interval includes zero); "all" = every number; "from" = at or
    above ``low``; "up_to" = at or below ``high``.
    """

    form: SetForm
    low: float | None
    high: float | None
    conf_level: float

    @property
    def bounded(self) -> bool:
        """Whether the set is an ordinary interval."""
        return self.form == "interval"

    def __contains__(self, ratio: float) -> bool:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if self.form == "outside":
            return ratio <= low or ratio >= high
        return low <= ratio <= high

    def scaled(self, factor: float) -> FiellerSet:
        """The set of the ratio times a positive number."""
        if factor <= 0:
            raise DataError(f"a confidence set is scaled by a number above zero, not {factor}", where="Fieller set")
        return FiellerSet(self.form, None if self.low is None else self.low * factor,
                          None if self.high is None else self.high * factor, self.conf_level)

    def sentence(self, write: Callable[[float], str] = pounds) -> str:
        """The set in plain words, its limits written by ``write``."""
        low, high = (None if limit is None else write(limit) for limit in (self.low, self.high))
        return {
            "interval": f"from {low} to {high}",
            "outside": f"{low} or below, or {high} or above: the data do not rule out that it buys no extra day",
            "all": "every value: the data rule out none",
            "from": f"{low} or above",
            "up_to": f"{high} or below",
        }[self.form]


def fieller_set(cost: float, cost_se: float, effect: float, effect_se: float, *, df: float, conf_level: float = 0.95,
                covariance: float = 0.0) -> FiellerSet:
    """Confidence set of cost / effect by Fieller's theorem.

    A ratio R is in the set when the test of ``cost - R * effect = 0`` does not reject it:
    ``(cost - R effect)^2 <= t^2 (cost_se^2 - 2 R covariance + R^2 effect_se^2)``, t the two-sided point of
    Student's distribution with ``df`` degrees of freedom. The quadratic in R gives an interval when the effect's
    own interval excludes zero, and otherwise a set without end.

    Parameters
    ----------
    cost, cost_se : float
        Extra cost per pupil and its standard error (0 when cost is known).
    effect, effect_se : float
        Extra days per pupil and its standard error, above zero.
    df : float
        Degrees of freedom of the effect's standard error.
    conf_level : float
        Level of the set.
    covariance : float
        Covariance of the two estimates.

    Returns
    -------
    FiellerSet

    Raises
    ------
    DataError
        A standard error or degrees of freedom that no estimate can have.

    References
    ----------
    Fieller (1954), Journal of the Royal Statistical Society B 16; Willan & O'Brien (1996), Health Economics 5.
    """
    from scipy.stats import t as student

    if not (effect_se > 0 and cost_se >= 0 and df > 0 and 0 < conf_level < 1):
        raise DataError(f"standard errors {cost_se} and {effect_se}, degrees of freedom {df}, level {conf_level}",
                        where="Fieller set", mend="give an effect with its standard error and degrees of freedom")
    point = student.ppf(0.5 + conf_level / 2, df)
    a = effect**2 - (point * effect_se) ** 2
    b = -2.0 * (cost * effect - point**2 * covariance)
    c = cost**2 - (point * cost_se) ** 2
    if a == 0:
        if b == 0:
            return FiellerSet("all", None, None, conf_level)
        return FiellerSet("from", -c / b, None, conf_level) if b < 0 else FiellerSet("up_to", None, -c / b, conf_level)
    discriminant = b**2 - 4 * a * c
    if discriminant <= 0:
        # With a > 0 the estimate itself solves the inequality, so only a set of every number remains here.
        return FiellerSet("all", None, None, conf_level)
    # The root that would lose digits is taken from the product of the two.
    q = -0.5 * (b + math.copysign(math.sqrt(discriminant), b))
    roots = sorted((q / a, c / q if q != 0 else 0.0))
    return FiellerSet("interval" if a > 0 else "outside", roots[0], roots[1], conf_level)
