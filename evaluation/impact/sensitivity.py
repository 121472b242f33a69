"""The sensitivity bracket: what other registered ways of asking the same question say, side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.errors import UnidentifiedError
from evaluation.impact.comparisons import BEFORE_AFTER, MATCHED, PRE_MEANS_MATCHED, RISK_WEIGHTED, SAME_RULE, Estimated
from evaluation.impact.cross_checks import group_time_check

COLUMNS = ["position", "name", "estimate", "conf_low", "conf_high", "is_effect", "text"]
WORDS = {
    MATCHED: ("matched", "referred pupils against matched pupils"),
    SAME_RULE: ("same rule, no matching", "referred pupils against all who met the same rule, without matching or weights other than the count of each stack"),
    PRE_MEANS_MATCHED: ("matched with baseline mean", "matching on the baseline mean brings regression to the mean back in: it shows how much"),
    RISK_WEIGHTED: ("offer, weighted by referral risk", "all eligible pupils of schools with mentors, per eligible pupil: no other estimate depends less on how pupils were chosen"),
}
PLACES = {"within_area": "within areas", "between_areas": "between areas"}
GROUP_TIME = ("group-time effects", "another estimator of the same comparison, with errors from influence functions and the normal distribution")
NOT_AN_EFFECT = "the change of referred pupils alone: pupils are chosen for a bad half-term, and much of that passes by itself"


def sensitivity_bracket(found: list[Estimated]) -> pd.DataFrame:
    """Headline, the same rule unweighted, matched with the baseline mean, other designs, group-time effects, and before and after.

    Parameters
    ----------
    found : list of Estimated
        The pooled comparisons on the primary outcome.

    Returns
    -------
    DataFrame
        Table ``sensitivity``: ``position, name, estimate, conf_low, conf_high`` (percentage points of sessions attended), ``is_effect, text``.
        Before and after is no effect and has no interval.
    """
    own = [item for item in found if item.share == 1.0]
    lead = next(item for item in own if item.comparison.headline and item.comparison.method == MATCHED)
    order = sorted(own, key=lambda item: (item is not lead, item.comparison.design != lead.comparison.design, item.comparison.estimand == "A"))
    lines = []
    for item in order:
        name, said = WORDS[item.comparison.method]
        if item.comparison.estimand == "A" and item.comparison.method == SAME_RULE:
            name, said = "offer, same rule, no weights", "all eligible pupils of schools with mentors, per eligible pupil, unweighted"
        low, high = (end if np.isfinite(end) else np.nan for end in item.interval)
        lines.append({"name": f"{name}, {PLACES[item.comparison.design]}", "estimate": item.estimate, "conf_low": low, "conf_high": high, "is_effect": True,
                      "text": said})
    try:
        cross = group_time_check(lead.change)
        lines.insert(1, {"name": f"{GROUP_TIME[0]}, {PLACES[lead.comparison.design]}", "estimate": cross.estimate, "conf_low": cross.conf_low,
                         "conf_high": cross.conf_high, "is_effect": True, "text": GROUP_TIME[1]})
    except UnidentifiedError:
        pass  # a cross-check that cannot be made is absent, as every secondary estimate is
    lines.append({"name": BEFORE_AFTER, "estimate": lead.change.change_treated, "conf_low": np.nan, "conf_high": np.nan, "is_effect": False,
                  "text": NOT_AN_EFFECT})
    return pd.DataFrame(lines).assign(position=np.arange(1, len(lines) + 1))[COLUMNS]
