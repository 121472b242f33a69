"""Regression to the mean: how reliable one half-term's absence is, and how far pupils chosen by it come back without any mentor."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.design.cohort import Cohort
from evaluation.design.windows import Windows
from evaluation.errors import UnidentifiedError
from evaluation.protocol.trial import CohortSection

COLUMNS = ["event_time", "role", "correlation", "pupils_all", "mean_all", "predicted", "seen", "pupils", "seen_first", "pupils_first"]


def regression_to_mean(cohort: Cohort, *, rules: CohortSection, windows: Windows) -> pd.DataFrame:
    """Absence around the window, as its reliability predicts it and as it was, in schools without mentors.

    Among all pupils of comparison schools, whether they met the rule or not, absence in a half-term is regressed on absence in the
    window. The prediction for those who met the rule is that line at their mean absence in the window [Galton 1886; Barnett, van der
    Pols and Dobson 2005]: what one bad window says about other half-terms, and no more. Pupils who met the rule for the first time were below
    the threshold before, which the line does not know: where they lie under it, first entry has lowered their baseline.

    Parameters
    ----------
    cohort : Cohort
    rules : CohortSection
        Half-terms or windows with fewer possible sessions than its minimum are left out.
    windows : Windows

    Returns
    -------
    DataFrame
        Table ``regression_to_mean``: ``event_time, role, correlation`` (with absence in the window: the reliability of one window as a
        measure of that half-term), ``pupils_all`` (pupil-windows it is from), ``mean_all`` (their mean absence), ``predicted, seen``
        (mean absence of those who met the rule, % of possible sessions), ``pupils``, and ``seen_first, pupils_first`` for first entries alone.
        Stacks are weighted by the pupils who met the rule.

    Raises
    ------
    UnidentifiedError
        No stack of comparison schools has pupils enough for a line.
    """
    lines = []
    for stack in range(rules.first_window_half_term, rules.last_window_half_term + 1):
        lines += _stack_lines(cohort, stack, rules.minimum_sessions, windows)
    if not lines:
        raise UnidentifiedError("no stack of comparison schools has pupils enough to see regression to the mean", where="regression_to_mean",
                                mend="see the flow table; supply registers of more comparison pupils")
    table = pd.DataFrame(lines)
    out = []
    for event_time, part in table.groupby("event_time"):
        first = part.loc[part["pupils_first"] > 0]
        met = {name: float(np.average(part[name], weights=part["pupils"])) for name in ("mean_all", "predicted", "seen")}
        out.append({"event_time": int(event_time), "role": windows.role(int(event_time)), **met,
                    "correlation": float(np.average(part["correlation"], weights=part["pupils_all"])), "pupils_all": int(part["pupils_all"].sum()),
                    "pupils": int(part["pupils"].sum()), "pupils_first": int(part["pupils_first"].sum()),
                    "seen_first": float(np.average(first["seen_first"], weights=first["pupils_first"])) if len(first) else np.nan})
    return pd.DataFrame(out)[COLUMNS]


def _stack_lines(cohort: Cohort, stack: int, least: int, windows: Windows) -> list[dict]:
    """Line and means of each event half-term of one stack; half-terms without spread or without pupils who met the rule are left out."""
    grid = cohort.grid
    untouched = np.append(~cohort.places["mentor_school"].to_numpy(dtype=bool) & np.isfinite(cohort.places["area_open"].to_numpy()), False)
    absent, possible = grid.sums(stack, windows.eligibility)
    inside = untouched[grid.school[:, stack]] & (possible >= least)
    window = np.divide(100.0 * absent, possible, out=np.zeros(len(absent)), where=possible > 0)
    met = cohort.qualifies[:, stack]
    first = met & (cohort.qualifies[:, :stack].sum(axis=1) == 0)
    lines = []
    for event_time in windows.event_times:
        at = stack + event_time
        if not 1 <= at <= grid.last_half_term:
            continue
        rows = inside & (grid.possible[:, at] >= least)
        x, y = window[rows], 100.0 * grid.absent[rows, at] / grid.possible[rows, at]
        who, new = met[rows], first[rows]
        if who.sum() == 0 or len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
            continue
        slope = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
        lines.append({"event_time": event_time, "correlation": float(np.corrcoef(x, y)[0, 1]), "pupils_all": len(x), "mean_all": y.mean(),
                      "predicted": y.mean() + slope * (x[who].mean() - x.mean()), "seen": y[who].mean(), "pupils": int(who.sum()),
                      "seen_first": y[new].mean() if new.any() else np.nan, "pupils_first": int(new.sum())})
    return lines
