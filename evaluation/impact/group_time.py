"""Effects by cohort and period where units start at different times, without comparing anyone with units already treated.

Callaway, B. & Sant'Anna, P. (2021). Difference-in-differences with multiple time periods. Journal of Econometrics 225(2), 200-230.
Sant'Anna, P. & Zhao, J. (2020). Doubly robust difference-in-differences estimators. Journal of Econometrics 219(1), 101-122.

Conventions, where packages differ. They are those of the R package did 2.5.1 unless said.

Estimators. "dr", "ipw" and "reg" are drdid_panel, std_ipw_did_panel and reg_did_panel of the R package DRDID; where rows are cross-sections,
drdid_rc (the locally efficient form), std_ipw_did_rc and reg_did_rc, with influence functions that are exact where DRDID 1.2.3's are not. The
"improved" doubly robust estimator, with other nuisance fits, is not offered. Comparison units with a propensity score of 0.995 or more get no
weight (column ``trimmed``); a cell with a score of 0.999 or more is refused.

Periods. With anticipation, every cell from the start less the anticipation on has the last period before that as its base. Event time counts
periods: with periods 2001, 2003, 2005 the first after a start in 2003 is 1 (did counts 2). Units treated, or anticipating, in the first period
are left out; units that start after the last period count as never treated, unless they may anticipate it within the data, when they are left
out. Where nobody is never treated, "not_yet" takes the last cohort as comparison only and leaves out the periods from its start on.

Weights. Where a unit's weight changes over time in a balanced panel, a cell takes that of the earlier of its two periods ("earlier", did's
default), of the cohort's last period before the start ("base"), of the first period ("first"), or each row its own by the cross-section
estimators ("varying"). Elsewhere each row has its own. Averages over cohorts weight units by their weight in the first period, or by their
mean weight where some periods are missing.

Errors. Analytic ones are sums of squared influence functions over units, or over clusters' sums, without a small-sample factor. The bootstrap
multiplies units or clusters by random signs; its errors are the interquartile range of the draws over that of the normal. The joint test before
the start leaves out the periods of anticipation, where did tests them too.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from evaluation.errors import ParameterError, UnidentifiedError
from evaluation.impact.group_time_errors import make_errors
from evaluation.impact.group_time_estimate import Estimated, estimate_cells
from evaluation.impact.group_time_panel import Request, read_sample
from evaluation.impact.group_time_periods import NEVER
from evaluation.impact.group_time_plan import plan_cells
from evaluation.impact.group_time_result import GroupTimeEffects, make_result

CHOICES = {
    "comparison": ("never", "not_yet"),
    "method": ("dr", "ipw", "reg"),
    "base_period": ("varying", "universal"),
    "unbalanced": ("drop", "keep"),
    "weights_from": (None, "earlier", "base", "first", "varying"),
}
FEWEST_DRAWS = 99


def group_time_effects(panel: pd.DataFrame, outcome: str, *, unit: str | None, time: str, start: str, covariates: Sequence[str] = (),
                       comparison: str = "never", method: str = "dr", base_period: str = "varying", anticipation: int = 0,
                       cluster: str | None = None, weights: str | None = None, weights_from: str | None = None, unbalanced: str = "drop",
                       draws: int = 0, seed: int = 0, conf_level: float = 0.95) -> GroupTimeEffects:  # fmt: skip
    """Average effect on the treated of every cohort in every period, by difference-in-differences against clean comparisons.

    A cohort is the units with one start. Each cell compares the cohort's change between a base period and its period with that of
    comparison units, under parallel trends given the covariates. The module's text says more on conventions.

    Parameters
    ----------
    panel : DataFrame
        One row a unit and period (a row an observation with ``unit=None``), in any order and with any index. Never changed.
    outcome : str
        Numeric column without missing values.
    unit : str or None
        Column of units; None for repeated cross-sections, whose rows are units of their own.
    time : str
        Periods on an even scale: numbers, pandas periods or an ordered categorical. A gap in the scale is refused.
    start : str
        First treated period; 0, missing or infinite for the never treated.
    covariates : sequence of str
        Numbers, or categories (0/1 columns without their first level), of the earlier of a cell's two periods.
    comparison : {"never", "not_yet"}
        The never treated; or also the units whose start, less ``anticipation``, is after both of the cell's periods.
    method : {"dr", "ipw", "reg"}
        Doubly robust; weighting by the odds of treatment, normalised; outcome regression.
    base_period : {"varying", "universal"}
        Base of the cells before the start: the period before; or, as for later cells, the last before the start and its anticipation.
    anticipation : int
        Periods before the start in which the effect may already show.
    cluster : str, optional
        Column that is constant within a unit, as a rule the school.
    weights : str, optional
        Sampling weights, zero or more; rows of weight zero are left out first, and counted.
    weights_from : {None, "earlier", "base", "first", "varying"}
        Which of a unit's weights a cell uses where they change over time; None is "earlier" in a balanced panel.
    unbalanced : {"drop", "keep"}
        Units that lack a period: left out, with a count; or kept, by the cross-section estimators with errors by unit.
    draws : int
        Multiplier-bootstrap draws for errors and bands; 0 for analytic errors and a Gaussian band.
    seed : int
        Of the draws and of the band.
    conf_level : float

    Raises
    ------
    ParameterError
        An option that does not exist.
    DataError
        A column is absent, missing or infinite in some row; a unit has two rows in a period; a start or a cluster changes within a unit;
        periods are unordered or have a gap.
    UnidentifiedError
        No never-treated units for "never"; no treated cohort; a covariate is constant or a combination of others; or not one cell can be
        estimated. A cell that alone cannot be estimated has a missing estimate and its reason in ``frame``.
    """
    covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    _check_options(comparison, method, base_period, unbalanced, weights_from, anticipation, draws, seed, conf_level)
    if unit is not None and cluster == unit:
        cluster = None  # units are what is independent without clusters
    ask = Request(outcome, unit, time, start, covariates, comparison, int(anticipation), cluster, weights, weights_from, unbalanced)
    sample = read_sample(panel, ask)
    never = any(cohort == NEVER for cohort, _, _ in sample.blocks.values())
    cells = plan_cells(sample.cohorts, len(sample.labels), never=never, comparison=comparison, base_period=base_period, anticipation=int(anticipation))
    found = estimate_cells(sample, cells, method, weights_from)
    _refuse_nothing(found)
    errors = make_errors(found.influence, sample.clusters, cluster, draws=int(draws), seed=seed, conf_level=conf_level)
    notes = (*sample.notes, *_warnings(found))
    return make_result(found, sample.labels, sample.units, sample.blocks, errors, outcome=outcome, method=method, comparison=comparison,
                       base_period=base_period, notes=notes)  # fmt: skip


def _check_options(comparison, method, base_period, unbalanced, weights_from, anticipation, draws, seed, conf_level) -> None:
    given = {"comparison": comparison, "method": method, "base_period": base_period, "unbalanced": unbalanced, "weights_from": weights_from}
    for name, value in given.items():
        if value not in CHOICES[name]:
            raise ParameterError(f"{name}={value!r} does not exist", where=name, mend=f"choose from {', '.join(map(str, CHOICES[name]))}.")
    for name, value in (("anticipation", anticipation), ("draws", draws), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
            raise ParameterError(f"{name}={value!r} is not a whole number of at least 0", where=name, mend="give a whole number.")
    if 0 < draws < FEWEST_DRAWS:
        raise ParameterError(f"{draws} draws cannot give a 95% band", where="draws", mend="ask for 999 or more, or 0 for analytic errors.")
    if not 0 < conf_level < 1:
        raise ParameterError(f"a confidence level of {conf_level!r}", where="conf_level", mend="give a share such as 0.95.")


def _refuse_nothing(found: Estimated) -> None:
    if any(reason is None and not cell.reference for cell, reason in zip(found.cells, found.reason, strict=True)):
        return
    reasons = list(dict.fromkeys(reason for reason in found.reason if reason))
    raise UnidentifiedError(f"not one of {len(found.cells)} cohorts and periods can be estimated: {'; '.join(reasons[:3])}", where="group_time_effects",
                            mend="use fewer covariates, larger cohorts, or other comparison units.")  # fmt: skip


def _warnings(found: Estimated) -> list[str]:
    refused = sum(reason is not None for reason in found.reason)
    sentences = [f"{refused} of {len(found.cells)} group-time effects could not be estimated: see `reason`."] if refused else []
    if found.trimmed.any():
        sentences.append("Some comparison units look so like the treated that they get no weight: see `trimmed`.")
    return sentences
