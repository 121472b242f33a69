"""Views of the stage's own tables for its notebook: which rows are shown together, in words."""

from __future__ import annotations

import pandas as pd

from evaluation.design import OUTCOMES
from evaluation.impact.estimates import ALL_STACKS, DAYS, POINTS, PRIMARY, PUPILS, estimate_title
from evaluation.impact.outcomes import ANNUAL
from evaluation.impact.robustness import DISAGREE
from evaluation.inference.decision import CR2_SATTERTHWAITE

PLACES = {"within_area": "within areas", "between_areas": "between areas"}
TESTS = {CR2_SATTERTHWAITE: "CR2, Satterthwaite degrees of freedom", "randomisation": "Randomisation inference"}
BETTER = {"attendance": "more is better", "absence": "less is better", "neither": "should not move"}


def pooled(estimates: pd.DataFrame, *, scale: str = POINTS) -> pd.DataFrame:
    """Rows of table ``estimates`` on the primary outcome over all stacks, pupils alike, on one scale."""
    return estimates.loc[estimates["scale"].eq(scale) & estimates["outcome"].eq(PRIMARY) & estimates["part"].eq(ALL_STACKS)
                         & estimates["weighting"].eq(PUPILS)]


def headline_days(estimates: pd.DataFrame) -> pd.DataFrame:
    """Headline rows in days over the measured window."""
    return estimates.loc[estimates["scale"].eq(DAYS) & estimates["headline"]]


def decision_view(estimates: pd.DataFrame, tests: pd.DataFrame) -> pd.DataFrame:
    """The decision test of the registered comparisons, and the tests beside it, a row a test.

    Returns
    -------
    DataFrame
        ``comparison, test, estimate, conf_low, conf_high, p_value, agrees`` ("decides", "yes", "no", "not made").
    """
    own = estimates.loc[estimates["estimate_id"].isin(tests["estimate_id"])]
    lines = []
    for row in own.to_dict("records"):
        name = {"comparison": estimate_title(row)}
        lines.append(name | {"test": TESTS[row["test"]], "agrees": "decides", **{c: row[c] for c in ("estimate", "conf_low", "conf_high", "p_value")}})
        for other in tests.loc[tests["estimate_id"] == row["estimate_id"]].to_dict("records"):
            said = "not made" if pd.isna(other["agrees"]) else "yes" if other["agrees"] else "no"
            lines.append(name | {"test": other["test"].capitalize(), "agrees": said, **{c: other[c] for c in ("estimate", "conf_low", "conf_high", "p_value")}})
    return pd.DataFrame(lines, columns=["comparison", "test", "estimate", "conf_low", "conf_high", "p_value", "agrees"])


def disagreement(diagnostics: pd.DataFrame) -> str:
    """Whether the tests beside the decision test agree with it, for every registered comparison: the fixed sentences."""
    said = diagnostics.loc[diagnostics["item"].eq("tests_disagree")]
    apart = said.loc[said["value"].eq(1.0), "analysis"]
    if apart.empty:
        return said["text"].iloc[0]
    named = " and ".join(key.replace("_", " ") for key in apart)
    return f"{DISAGREE} This is so for {named}{'' if len(apart) == len(said) else '; elsewhere they agree'}."


def parts_view(estimates: pd.DataFrame, *, design: str) -> pd.DataFrame:
    """Points by stack and year of one design, for the registered effects on referred and on eligible pupils, pooled ones first.

    Returns
    -------
    DataFrame
        ``pupils, part, estimate, conf_low, conf_high, n_treated, n_comparison, test``.
    """
    level = {"A": "eligible", "B": "referred"}
    rows = estimates.loc[estimates["scale"].eq(POINTS) & estimates["outcome"].eq(PRIMARY) & estimates["design"].eq(design) & estimates["weighting"].eq(PUPILS)
                         & estimates["level"].eq(estimates["estimand"].map(level)) & estimates["method"].isin(["matched", "weighted by referral risk"])]
    rows = rows.assign(pupils=rows["estimand"].map({"A": "All eligible", "B": "Referred"}), test=rows["test"].map(TESTS))
    rows = rows.sort_values("estimand", ascending=False, kind="stable")
    return rows[["pupils", "part", "estimate", "conf_low", "conf_high", "n_treated", "n_comparison", "test"]].reset_index(drop=True)


def outcomes_view(estimates: pd.DataFrame, *, design: str) -> pd.DataFrame:
    """The primary outcome, the same weighted by sessions, and every other outcome of one design, for referred and for eligible pupils.

    Returns
    -------
    DataFrame
        ``pupils, outcome, better, estimate, conf_low, conf_high, scale, n_treated``.
    """
    level = {"A": "eligible", "B": "referred"}
    rows = estimates.loc[estimates["design"].eq(design) & estimates["scale"].ne(DAYS) & estimates["part"].eq(ALL_STACKS)
                         & estimates["level"].eq(estimates["estimand"].map(level)) & estimates["method"].isin(["matched", "weighted by referral risk"])]
    title = [_outcome_title(name) + (", weighted by baseline sessions" if weighting != PUPILS else "")
             for name, weighting in zip(rows["outcome"], rows["weighting"], strict=True)]
    better = ["more attendance is better" if name.startswith("absence_rate") else BETTER[direction]
              for name, direction in zip(rows["outcome"], rows["direction"], strict=True)]
    rows = rows.assign(pupils=rows["estimand"].map({"A": "All eligible", "B": "Referred"}), outcome=title, better=better)
    return rows.sort_values("estimand", ascending=False, kind="stable")[
        ["pupils", "outcome", "better", "estimate", "conf_low", "conf_high", "scale", "n_treated"]].reset_index(drop=True)


def _outcome_title(name: str) -> str:
    if name == ANNUAL:
        return "Persistent absence over a full academic year"
    title = OUTCOMES[name].title
    return f"Attendance, as one less {title[:1].lower()}{title[1:]}" if name.startswith("absence_rate") else title


def annual_sentence(estimates: pd.DataFrame, refused: dict[str, str], *, design: str) -> str:
    """What may be said of pupils brought out of persistent absence over a full academic year, or why nothing may be."""
    rows = estimates.loc[estimates["outcome"].eq(ANNUAL) & estimates["design"].eq(design) & estimates["estimand"].eq("B")]
    if rows.empty:
        why = next((said for key, said in refused.items() if key.startswith("B") and design in key and key.endswith(ANNUAL)), "there are no such matches")
        return f"How many pupils were brought out of persistent absence over a full academic year cannot be said: {why}."
    row = rows.iloc[0]
    word, shown = ("fewer", -1.0) if row["estimate"] <= 0 else ("more", 1.0)
    ends = "an interval that does not end" if rows[["conf_low", "conf_high"]].isna().any(axis=None) else \
        f"interval {_points(-row['conf_high'])} to {_points(-row['conf_low'])} brought out"
    return (f"Over a full academic year {_points(shown * row['estimate'])} percentage points {word} of the referred pupils were persistently absent than would "
            f"have been, {ends}. This is about the {row['n_treated']} referred pupils with two full academic years on either side, in "
            f"{row['schools_treated']} schools; {TESTS[row['test']]}.{'' if row['conf_low'] > 0 or row['conf_high'] < 0 else ' No clear evidence either way.'}")


def _points(value: float) -> str:
    return f"{value:.1f}".replace("-", "\N{MINUS SIGN}")
