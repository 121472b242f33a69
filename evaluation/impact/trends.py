"""Trends before the window: the slope that could have been seen, and bounds that hold where trends were not parallel.

Roth, J. (2022). Pretest with caution. American Economic Review: Insights 4(3), 305-322: no pre-trend test decides whether an estimate is
shown. Rambachan, A. & Roth, J. (2023). A more credible approach to parallel trends. Review of Economic Studies 90(5), 2555-2591.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from evaluation.design.windows import HALF_TERMS_A_YEAR
from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact.change import smallest_detectable_effect
from evaluation.impact.event_study import BASELINE, FOLLOW_UP, EventStudyFit
from evaluation.impact.honest import FEW_SCHOOLS, honest_bounds
from evaluation.protocol.trial import ImpactSection

KINDS = ("relative_magnitude", "smoothness")
UNITS = {"relative_magnitude": "multiple of the largest step before the window, per half-term",
         "smoothness": "percentage points of sessions per half-term, per half-term"}
COLUMNS = ["design", "kind", "m", "unit", "conf_low", "conf_high", "excludes_zero", "breakdown", "reference_time", "illustrative", "text"]


@dataclass(frozen=True)
class Trends:
    """Bounds and diagnostics of one or more designs: ``bounds`` is table ``honest_bounds``, ``lines`` rows of ``impact_diagnostics``."""

    bounds: pd.DataFrame
    lines: pd.DataFrame


def trends(studies: dict[str, EventStudyFit], analyses: dict[str, str], *, rules: ImpactSection) -> Trends:
    """Bounds and the detectable slope of each design's event study.

    The half-terms of baseline and follow-up alone enter, which are the same ones a year apart; the window, which pupils were chosen on, and
    its neighbours do not. Departures are scaled by elapsed half-terms. The effect is the mean over the follow-up, in attendance, measured
    from the last half-term of the baseline.

    Parameters
    ----------
    studies : dict of str to EventStudyFit
        By design.
    analyses : dict of str to str
        By design, the analysis under which diagnostics stand; designs that are absent are left out.
    rules : ImpactSection
    """
    bounds, lines = [], []
    for design, analysis in analyses.items():
        study = studies.get(design)
        if study is None or not len(study.estimates):
            continue
        lines += [(analysis, *line) for line in _slope(study, rules)]
        for kind in KINDS:
            rows, own = _bounds(study, design, kind, rules)
            bounds += rows
            lines += [(analysis, *line) for line in own]
    return Trends(pd.DataFrame(bounds, columns=COLUMNS), pd.DataFrame(lines, columns=["analysis", "item", "value", "unit", "text"]))


def _slope(study: EventStudyFit, rules: ImpactSection) -> list[tuple]:
    """The slope of the baseline's gaps in attendance, and the one that would have been seen with the registered power."""
    times = [time for time in study.estimates.index if study.roles[time] == BASELINE]
    if len(times) < 2:
        return []
    centred = np.array(times, dtype=float) - np.mean(times)
    weights = centred / (centred @ centred)
    slope = -float(weights @ study.estimates.loc[times])
    std_error = float(np.sqrt(weights @ study.vcov.loc[times, times].to_numpy() @ weights))
    df = float(study.df.loc[times].min())
    reach = stdtrit(df, 0.5 + rules.confidence_level / 2.0) * std_error
    seen = smallest_detectable_effect(std_error, df, confidence_level=rules.confidence_level, power=rules.power)
    unit = "percentage points of sessions attended per half-term"
    return [
        ("pre_trend_slope", slope, unit, f"interval {slope - reach:.2f} to {slope + reach:.2f}; it decides nothing"),
        ("pre_trend_detectable", seen, unit, f"slope before the window that would have been seen at {rules.power:.0%} power"),
        ("pre_trend_detectable_bias", seen * HALF_TERMS_A_YEAR, "percentage points of sessions",
         f"what such a slope would add to the effect, carried on over the {HALF_TERMS_A_YEAR} half-terms from baseline to follow-up"),
    ]


def _bounds(study: EventStudyFit, design: str, kind: str, rules: ImpactSection) -> tuple[list[dict], list[tuple]]:
    values = rules.honest_relative_magnitudes if kind == "relative_magnitude" else rules.honest_smoothness
    try:
        estimates, vcov, times, reference, n_pre = _from_last_baseline(study)
        found = honest_bounds(estimates, vcov, n_pre=n_pre, n_post=len(times) - n_pre, kind=kind, m=sorted(values),
                              target=[1.0 / (len(times) - n_pre)] * (len(times) - n_pre), conf_level=rules.confidence_level, event_times=times,
                              reference_time=reference, effective_treated_schools=study.effective_treated_schools)
    except (UnidentifiedError, DataError) as error:
        return [], [(f"honest_{kind}_refused", None, None, f"no bounds: {error.message}")]
    illustrative = not study.effective_treated_schools >= FEW_SCHOOLS
    said = " ".join(found.warnings) or None
    rows = [{"design": design, "kind": kind, "m": row.m, "unit": UNITS[kind], "conf_low": row.conf_low, "conf_high": row.conf_high,
             "excludes_zero": bool(row.excludes_zero), "breakdown": found.breakdown if np.isfinite(found.breakdown) else np.nan,
             "reference_time": reference, "illustrative": illustrative, "text": said} for row in found.frame.itertuples()]
    text = ("the interval holds zero even if trends were parallel" if found.breakdown == 0 else
            "least departure from parallel trends at which the bounds hold zero") + (f"; {said}" if said else "")
    breakdown = found.breakdown if np.isfinite(found.breakdown) else None
    return rows, [(f"honest_{kind}_breakdown", breakdown, UNITS[kind], text),
                  (f"honest_{kind}_parallel", found.original.estimate, "percentage points of sessions attended",
                   f"the effect if trends were parallel, measured from half-term {reference}, with interval {found.original.conf_low:.2f} to "
                   f"{found.original.conf_high:.2f}")]


def _from_last_baseline(study: EventStudyFit) -> tuple[np.ndarray, np.ndarray, list[int], int, int]:
    """Gaps in attendance of baseline and follow-up, measured from the last half-term of the baseline, with their covariance."""
    before = [time for time in study.estimates.index if study.roles[time] == BASELINE]
    after = [time for time in study.estimates.index if study.roles[time] == FOLLOW_UP]
    if len(before) < 2 or not after:
        raise UnidentifiedError("bounds need two half-terms of baseline and one of follow-up", where="event study", mend="measure longer windows")
    reference, times = before[-1], [*before[:-1], *after]
    kept = [*times, reference]
    change = np.column_stack([-np.eye(len(times)), np.ones(len(times))])
    vcov = change @ study.vcov.loc[kept, kept].to_numpy() @ change.T
    return change @ study.estimates.loc[kept].to_numpy(), (vcov + vcov.T) / 2, times, int(reference), len(before) - 1
