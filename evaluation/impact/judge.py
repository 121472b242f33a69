"""What a check says: an estimate on the headline's terms, and whether it passed a rule that was registered.

A placebo whose interval merely includes zero may be too imprecise to find anything, so passing means more: the whole interval
lies within a registered tolerance (Hartman, E. & Hidalgo, F. D. 2018, An equivalence approach to balance and placebo tests,
American Journal of Political Science 62(4), 1000-1013).
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from evaluation.errors import UnidentifiedError
from evaluation.impact.change import ChangeEstimate, estimate_change, smallest_detectable_effect
from evaluation.impact.comparisons import Estimated
from evaluation.protocol.trial import ImpactSection

PASSED, FAILED, IMPRECISE, NOT_DONE = "passed", "failed", "too imprecise to say", "could not be done"

FIGURES = ("estimate", "std_error", "df", "conf_low", "conf_high")
COUNTS = ("n_treated", "n_comparison", "schools_treated", "schools_comparison")


def judge(low: float, high: float, tolerance: float) -> str:
    """Whether something that should be zero is zero, as far as its interval tells.

    Parameters
    ----------
    low, high : float
        Interval of the estimate.
    tolerance : float
        Registered; what is this close to zero does no harm to the headline.

    Returns
    -------
    str
        "passed": the whole interval lies within the tolerance. "failed": the interval excludes zero and reaches beyond the tolerance.
        "too imprecise to say": it holds zero and more than the tolerance. No interval passes because it is wide.
    """
    if -tolerance <= low and high <= tolerance:
        return PASSED
    return FAILED if low > 0 or high < 0 else IMPRECISE


def interval(change: ChangeEstimate, confidence_level: float) -> tuple[float, float]:
    """Limits of the headline's test: CR2 standard error by school and Satterthwaite degrees of freedom."""
    from scipy.stats import t

    reach = float(t.ppf(0.5 + confidence_level / 2.0, change.df)) * change.std_error
    return change.estimate - reach, change.estimate + reach


def figures_of(change: ChangeEstimate, rules: ImpactSection, *, sign: float = 1.0) -> dict[str, float | int]:
    """An estimate's figures as columns of a table; ``sign`` -1 turns effects on attendance into effects on the outcome itself."""
    low, high = interval(change, rules.confidence_level)
    ends = (low, high) if sign > 0 else (-high, -low)
    detectable = smallest_detectable_effect(change.std_error, change.df, confidence_level=rules.confidence_level, power=rules.power)
    return {"estimate": sign * change.estimate, "std_error": change.std_error, "df": change.df, "conf_low": ends[0], "conf_high": ends[1],
            "detectable": detectable, **{name: getattr(change, name) for name in COUNTS}}


def try_change(rows: pd.DataFrame, **how) -> ChangeEstimate | UnidentifiedError:
    """The estimate, or the refusal, so that a table of checks can say why one of them has no number."""
    try:
        if rows.empty or rows["treated"].nunique() < 2:
            raise UnidentifiedError("one of the arms has no pupil", where="rows", mend="see the flow")
        return estimate_change(rows, **how)
    except UnidentifiedError as error:
        return error


def no_figures(rows: pd.DataFrame) -> dict[str, float | int | None]:
    """Columns of a check that could not be done: counts, and nothing in the place of numbers."""
    treated = rows["treated"] == 1 if len(rows) else pd.Series(dtype=bool)
    return {**dict.fromkeys((*FIGURES, "detectable")), "n_treated": int(treated.sum()), "n_comparison": int((~treated).sum()),
            "schools_treated": int(rows.loc[treated, "school_id"].nunique()) if len(rows) else 0,
            "schools_comparison": int(rows.loc[~treated, "school_id"].nunique()) if len(rows) else 0}


def leading_changes(found: Sequence[Estimated]) -> dict[str, ChangeEstimate]:
    """The leading estimates that checks are about, by analysis: on the primary outcome, not derived by division.

    Parameters
    ----------
    found : sequence of Estimated
        Of :func:`evaluation.impact.estimates.trial_estimates`.
    """
    return {item.comparison.key: item.change for item in found if item.comparison.headline and item.share == 1.0}
