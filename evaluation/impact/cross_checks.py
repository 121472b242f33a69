"""The same question asked of other estimators: group-time effects, and two-way fixed effects with what it compares.

Callaway, B. & Sant'Anna, P. (2021). Difference-in-differences with multiple time periods. Journal of Econometrics 225(2), 200-230.
Goodman-Bacon, A. (2021). Difference-in-differences with variation in treatment timing. Journal of Econometrics 225(2), 254-277.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact.bacon import bacon_decomposition
from evaluation.impact.change import ChangeEstimate
from evaluation.impact.estimate import Estimate
from evaluation.impact.group_time import group_time_effects

TWO_WAY_COLUMNS = ["position", "kind", "treated", "comparison", "estimate", "weight"]
NOT_THE_EFFECT = ("all pupils of each school, whether eligible or not, so that it is diluted, and later starters stand against earlier ones: a diagnostic, "
                  "never an estimate of the effect")


def group_time_check(change: ChangeEstimate) -> Estimate:
    """The group-time effect of a comparison: its own two periods, baseline and follow-up, with its cells as covariates.

    Pupils are compared inside their cell (stack, or area and stack) alone, because those of other stacks had their bad window at another
    time: comparison pupils' changes are regressed on cells and predicted for the treated. The estimate is that of the registered method where
    comparison weights add up to the treated weight of each cell; its errors come from influence functions by school, with the normal
    distribution, so that few schools are not allowed for.

    Parameters
    ----------
    change : ChangeEstimate
        Of the primary outcome: its rows hold ``baseline_rate`` and ``followup_rate``.

    Raises
    ------
    UnidentifiedError
        The effect cannot be estimated.
    """
    rows = change.rows
    base = pd.DataFrame({"unit": np.arange(len(rows)), "start": np.where(rows["treated"] == 1, 2, 0), "cell": rows["cell"].to_numpy(),
                         "school_id": rows["school_id"].to_numpy(), "weight": rows["weight"].to_numpy()})
    panel = pd.concat([base.assign(time=time, rate=change.sign * rows[column].to_numpy()) for time, column in ((1, "baseline_rate"), (2, "followup_rate"))],
                      ignore_index=True)
    found = group_time_effects(panel, "rate", unit="unit", time="time", start="start", covariates=("cell",) if rows["cell"].nunique() > 1 else (),
                               cluster="school_id", weights="weight", method="reg")
    return found.aggregate("simple").overall


def two_way_weights(panel: pd.DataFrame, schools: pd.DataFrame) -> pd.DataFrame:
    """What a two-way fixed-effects regression of schools' absence on mentoring would compare, with which weights.

    Parameters
    ----------
    panel, schools : DataFrame
        Tables ``panel`` and ``school_list``.

    Returns
    -------
    DataFrame
        Table ``two_way_weights``: a row for each comparison of schools that start in one half-term with another group, and one for the
        weighted sum ("two-way effect", weight 1), in percentage points of sessions attended. Of no rows where schools lack half-terms or all
        start together.
    """
    sums = panel.groupby(["school_id", "half_term"], as_index=False)[["harmonised_absent", "harmonised_possible"]].sum()
    sums = sums.loc[sums["harmonised_possible"] > 0]
    sums = sums.assign(attendance=100.0 * (1.0 - sums["harmonised_absent"] / sums["harmonised_possible"]))
    start = schools.set_index("school_id")["first_mentor_half_term"].astype("Float64").fillna(0).astype(int)
    sums = sums.assign(start=sums["school_id"].map(start))
    try:
        found = bacon_decomposition(sums, "attendance", unit="school_id", time="half_term", start="start")
    except (DataError, UnidentifiedError):
        return pd.DataFrame(columns=TWO_WAY_COLUMNS)
    frame = found.frame.assign(treated=found.frame["treated"].astype(str), comparison=found.frame["comparison"].astype(str))
    total = pd.DataFrame([{"kind": "two-way effect", "treated": "all", "comparison": "all", "estimate": found.effect, "weight": 1.0}])
    table = pd.concat([total, frame.sort_values("weight", ascending=False, kind="stable")], ignore_index=True)
    return table.assign(position=np.arange(1, len(table) + 1))[TWO_WAY_COLUMNS]
