"""What a check says: an estimate on the headline's terms, and whether it passed a rule that was registered.

A placebo whose interval merely includes zero may be too imprecise to find anything, so passing means more: the whole interval
lies within a registered tolerance (Hartman, E. & Hidalgo, F. D. 2018, An equivalence approach to balance and placebo tests,
American Journal of Political Science 62(4), 1000-1013).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from evaluation.errors import UnidentifiedError
from evaluation.impact.change import ChangeEstimate, estimate_change, smallest_detectable_effect
from evaluation.impact.comparisons import Estimated
from evaluation.impact.decision import decide
from evaluation.inference.decision import CR2_SATTERTHWAITE
from evaluation.protocol.trial import ImpactSection

PASSED, FAILED, IMPRECISE, NOT_DONE = "passed", "failed", "too imprecise to say", "could not be done"

FIGURES = ("estimate", "std_error", "df", "conf_low", "conf_high")
LIMITS = ("conf_low", "conf_high", "most_harm")
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


def figures_of(change: ChangeEstimate, rules: ImpactSection, *, within_area: bool, sign: float = 1.0) -> dict[str, float | int | str | None]:
    """An estimate's figures as columns of a table, by the headline's rule of decision.

    CR2 with Satterthwaite degrees of freedom, or, where the design has too few schools or degrees of freedom and mentors (or what stands for them)
    were dealt to whole schools, randomisation inference by school. Where some schools hold both sides, there is nothing to deal again, and CR2 stays.

    Parameters
    ----------
    change : ChangeEstimate
    rules : ImpactSection
    within_area : bool
    sign : float
        -1 turns effects on attendance into effects on the outcome itself.

    Returns
    -------
    dict
        ``estimate, std_error, df`` (of CR2), ``conf_low, conf_high`` (infinite where an interval does not end), ``detectable, test`` and counts.
    """
    estimate, ends, test = change.estimate, interval(change, rules.confidence_level), CR2_SATTERTHWAITE
    by_school = change.rows.groupby("school_id")["treated"].nunique().eq(1).all()
    if by_school and (change.df < rules.minimum_df or change.schools_treated < rules.minimum_treated_schools):
        unscaled = "weight_unscaled" if "weight_unscaled" in change.rows else "weight"
        decision = decide(change, within_area=within_area, rules=rules, unscaled=unscaled)
        estimate, ends, test = decision.estimate, (decision.conf_low, decision.conf_high), decision.test
    low, high = ends if sign > 0 else (-ends[1], -ends[0])
    detectable = smallest_detectable_effect(change.std_error, change.df, confidence_level=rules.confidence_level, power=rules.power)
    return {"estimate": sign * estimate, "std_error": change.std_error, "df": change.df, "conf_low": low, "conf_high": high,
            "detectable": detectable, "test": test, **{name: getattr(change, name) for name in COUNTS}}


def ended(table: pd.DataFrame) -> pd.DataFrame:
    """A table of checks with missing limits where an interval does not end."""
    return table.assign(**{name: table[name].astype(float).where(np.isfinite(table[name].astype(float))) for name in LIMITS if name in table})


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
    return {**dict.fromkeys((*FIGURES, "detectable", "test")), "n_treated": int(treated.sum()), "n_comparison": int((~treated).sum()),
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
