"""The choice of pupils that would explain the effect on referred pupils away, on scales that a reader can judge.

Referred pupils are compared with pupils like them as far as the registers go. Who refers may know more, so the pupils could have
changed differently without a mentor. A difference of so many points would shift estimate and interval alike; what it would take is set
beside how much such changes differ from pupil to pupil, and beside the largest bias that a placebo found (after Rosenbaum, P. R. 2002,
Observational Studies, ch. 4, and Cinelli, C. & Hazlett, C. 2020, Making sense of sensitivity, JRSS B 82(1), 39-67, who ask what would
explain an estimate away and set it beside what has been seen).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from evaluation.impact.comparisons import Estimated

ZERO, INCLUDES_ZERO = "the estimate is zero", "the interval first includes zero"
REACHES = (ZERO, INCLUDES_ZERO)
ALREADY = "the interval includes zero as it stands: nothing need be explained away"
COLUMNS = ["analysis", "reaches", "points", "sd_of_changes", "share_of_sd", "placebo", "placebo_bias", "times_placebo", "text"]


def referral_selection(found: Sequence[Estimated], placebos: pd.DataFrame) -> pd.DataFrame:
    """How differently from similar pupils the referred would have had to change without a mentor, for the effect to be none.

    Parameters
    ----------
    found : sequence of Estimated
        The pooled comparisons on the primary outcome; those on referred pupils that lead in their design, not derived by division, are used.
    placebos : DataFrame
        Table ``placebos``: ``check, analysis, estimate`` in percentage points of sessions attended.

    Returns
    -------
    DataFrame
        Table ``referral_selection``, two rows an analysis (see ``REACHES``): ``points`` (percentage points of sessions attended; above zero, the
        referred would have had to change for the better by so much more; 0 where the interval includes zero as it stands),
        ``sd_of_changes`` (weighted standard deviation of changes among matched comparison pupils, weights as frequencies), ``share_of_sd``,
        ``placebo`` and ``placebo_bias`` (the placebo of any analysis whose estimate lies furthest from zero, whatever its sign),
        ``times_placebo`` (size of ``points`` over that of the bias) and ``text``. Empty scales are missing: nothing to judge by.
    """
    placebo, bias = largest_bias(placebos)
    lines = []
    for item in found:
        if item.comparison.estimand != "B" or not item.comparison.headline or item.share != 1.0:
            continue
        spread = spread_of_changes(item.change.rows, item.change.outcome)
        for reaches, points in zip(REACHES, (item.estimate, _nearest_to_zero(*item.interval)), strict=True):
            lines.append({
                "analysis": item.comparison.key, "reaches": reaches, "points": points, "sd_of_changes": spread,
                "share_of_sd": abs(points) / spread if spread > 0 else np.nan, "placebo": placebo, "placebo_bias": bias,
                "times_placebo": abs(points) / abs(bias) if bias else np.nan, "text": _said(reaches, points)})
    numbers = [name for name in COLUMNS if name in ("points", "sd_of_changes", "share_of_sd", "placebo_bias", "times_placebo")]
    return pd.DataFrame(lines, columns=COLUMNS).astype(dict.fromkeys(numbers, float))


def largest_bias(placebos: pd.DataFrame) -> tuple[str | None, float]:
    """Which placebo's estimate lies furthest from zero, and where; None and a missing number where no placebo has one."""
    sizes = placebos["estimate"].astype(float).abs()
    if not sizes.notna().any():
        return None, np.nan
    row = placebos.loc[sizes.idxmax()]
    return str(row["check"]), float(row["estimate"])


def spread_of_changes(rows: pd.DataFrame, outcome: str) -> float:
    """Weighted standard deviation of changes among comparison pupils; a weight of two counts a pupil twice.

    Parameters
    ----------
    rows : DataFrame
        The estimator's own: ``treated, weight`` and the outcome.
    outcome : str
    """
    own = rows.loc[rows["treated"] == 0]
    mean = np.average(own[outcome], weights=own["weight"])
    return float(np.sqrt(np.average((own[outcome] - mean) ** 2, weights=own["weight"])))


def _nearest_to_zero(low: float, high: float) -> float:
    """The limit that a bias must take to zero; 0 where the interval, perhaps without an end, holds zero."""
    return low if low > 0 else high if high < 0 else 0.0


def _said(reaches: str, points: float) -> str:
    if points == 0.0:
        return ALREADY if reaches == INCLUDES_ZERO else "the estimate is zero as it stands"
    way = "more" if points > 0 else "less"
    return f"without a mentor, attendance of pupils referred would have had to change by {abs(points):.2f} points {way} than that of similar pupils: then {reaches}"
