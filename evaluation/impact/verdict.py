"""The verdict: fixed wordings by a registered rule, so that nobody chooses words after seeing numbers."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from evaluation.errors import ContractError
from evaluation.impact.estimates import FRAGILE, POINTS, SAME_RULE
from evaluation.protocol.trial import ImpactSection

IMPROVED = "Attendance improved"
PROMISING = "Promising, not secure"
UNCLEAR = "No clear evidence either way"
WORSENED = "Attendance worsened"
NOT_ESTIMATED = "Cannot be estimated"

WORDINGS = (IMPROVED, PROMISING, UNCLEAR, WORSENED, NOT_ESTIMATED)

CHECKS = {
    "between_areas_agrees": "the comparison between areas points the same way",
    "same_rule_agrees": "the same rule without matching points the same way",
    "offer_does_not_contradict": "the interval of the offer's effect is not wholly below zero",
}


@dataclass(frozen=True)
class Verdict:
    """A fixed wording, the reason for it, and each registered check (name, passed, what it says)."""

    wording: str
    reason: str
    checks: tuple[tuple[str, bool, str], ...]


def verdict(estimates: pd.DataFrame, diagnostics: pd.DataFrame, *, rules: ImpactSection) -> Verdict:
    """Put the leading estimate into one of five wordings.

    An interval that includes zero is "no clear evidence either way", never "no effect". Where the decision test's design criteria
    fail, the number is not secure whatever it says: the verdict is that the effect cannot be estimated.

    Parameters
    ----------
    estimates, diagnostics : DataFrame
        Tables ``estimates`` and ``impact_diagnostics`` (without its verdict rows).
    rules : ImpactSection

    Raises
    ------
    ContractError
        There is not exactly one leading row.
    """
    offer_leads = diagnostics.loc[diagnostics["item"] == "lead_estimand", "value"].iloc[0] == 1.0
    row = _one(estimates, "A" if offer_leads else "B")
    checks = tuple((name, *_check(name, estimates, row)) for name in rules.robustness_checks)
    key = row["estimate_id"].removesuffix("_points")
    criteria = diagnostics.loc[(diagnostics["analysis"] == key) & (diagnostics["item"] == "design_criteria_hold")].iloc[0]
    if criteria["value"] != 1.0:
        return Verdict(NOT_ESTIMATED, str(criteria["text"] or FRAGILE), checks)
    if row["conf_low"] > 0:
        failed = [said for _, passed, said in checks if not passed]
        if failed:
            return Verdict(PROMISING, f"the interval is above zero, but not: {'; '.join(failed)}", checks)
        return Verdict(IMPROVED, "the interval is above zero and every registered check passes", checks)
    if row["conf_high"] < 0:
        return Verdict(WORSENED, "the interval is below zero", checks)
    return Verdict(UNCLEAR, "the interval includes zero", checks)


def verdict_rows(found: Verdict) -> pd.DataFrame:
    """The verdict as rows of table ``impact_diagnostics``."""
    lines = [("study", "verdict", float(WORDINGS.index(found.wording) + 1), "wording 1 to 5", found.wording),
             ("study", "verdict_reason", None, None, found.reason)]
    lines += [("study", f"check_{name}", float(passed), "1 passed, 0 failed", said) for name, passed, said in found.checks]
    return pd.DataFrame(lines, columns=["analysis", "item", "value", "unit", "text"])


def _one(estimates: pd.DataFrame, estimand: str) -> pd.Series:
    rows = estimates.loc[estimates["headline"].astype(bool) & (estimates["scale"] == POINTS) & (estimates["estimand"] == estimand)
                         & (estimates["level"] == "referred")]
    if len(rows) != 1:
        raise ContractError(f"{len(rows)} leading estimates of estimand {estimand} where one is needed", where="table `estimates`",
                            mend="mark exactly one comparison as headline")
    return rows.iloc[0]


def _check(name: str, estimates: pd.DataFrame, lead: pd.Series) -> tuple[bool, str]:
    """Whether a registered check passes; one whose estimate does not exist has not passed."""
    points = estimates.loc[estimates["scale"] == POINTS]
    if name == "between_areas_agrees":
        rows = points.loc[(points["design"] != lead["design"]) & (points["estimand"] == lead["estimand"]) & (points["level"] == lead["level"])
                          & (points["method"] == lead["method"])]
    elif name == "same_rule_agrees":
        rows = points.loc[(points["design"] == lead["design"]) & (points["estimand"] == "B") & (points["method"] == SAME_RULE)]
    else:
        rows = points.loc[points["headline"].astype(bool) & (points["estimand"] == "A") & (points["level"] == "eligible")]
        return (len(rows) == 1 and bool(rows["conf_high"].iloc[0] >= 0)), CHECKS[name]
    return (len(rows) == 1 and bool(rows["estimate"].iloc[0] * lead["estimate"] > 0)), CHECKS[name]
