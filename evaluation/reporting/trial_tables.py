"""Small tables of the trial's report, put together from result tables for the reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.impact.estimates import BEFORE_AFTER, DAYS, POINTS
from evaluation.impact.judge import IMPRECISE
from evaluation.impact.views import pooled

if TYPE_CHECKING:
    import pandas as pd

LEVELS = {"eligible": "All eligible pupils", "referred": "Pupils referred", "started": "Pupils who started"}
DESIGNS = {"within_area": "within areas", "between_areas": "between areas"}
METHODS = {
    "matched": "Matched with similar pupils",
    "weighted by referral risk": "All eligible, weighted by how likely they were to be referred",
    "matched with baseline mean": "Matched on earlier absence too",
    "same rule, no matching": "All who met the same rule, no matching",
    "offer effect divided by share referred": "Derived from the effect on all eligible",
    "effect on referred divided by share started": "Derived from the effect on pupils referred",
}
CHECK_WORDS = {
    "between_areas_agrees": "Compared with schools in other areas, the effect points the same way",
    "same_rule_agrees": "Compared with all who met the same rule, without matching, the effect points the same way",
    "offer_does_not_contradict": "The effect on all eligible pupils is not clearly below zero",
    "placebo_start": "Before support began, the same sum finds nothing",
    "placebo_cohort": "A year earlier, before there were mentors, the same sum finds nothing",
    "placebo_referral": "Among pupils like those referred, in schools without mentors, the same sum finds nothing",
    "negative_controls": "What mentoring cannot change moved by less than the registered tolerance, if at all",
    "no_single_area_carries_it": "Without any one area, the effect points the same way",
    "no_single_school_carries_it": "Without any one school, the effect points the same way",
}
"""The registered checks by name, in words for the Department's readers; the rules themselves are those of the verdict."""


def check_words(name: str, said: str = "") -> str:
    """Return a check in words: those of this project, else what the stage that made it says."""
    return CHECK_WORDS.get(name) or said or name.replace("_", " ")


HOLDS, FAILS, UNCLEAR = "holds", "does not hold", IMPRECISE


def registered_checks(checks: pd.DataFrame) -> pd.DataFrame:
    """Return the registered checks, each with what it says: a check too imprecise to say anything is not one that holds.

    Parameters
    ----------
    checks : pandas.DataFrame
        Table ``robustness_checks``.

    Returns
    -------
    pandas.DataFrame
        ``name, words, outcome`` ("holds", "does not hold", "too imprecise to say"), ``value, unit``; those that do not hold first.
    """
    own = checks.loc[checks["registered"].astype(bool)]
    outcomes = [HOLDS if passed else UNCLEAR if IMPRECISE in str(text) else FAILS for passed, text in zip(own["passed"].astype(bool), own["text"], strict=True)]
    words = [check_words(name, str(text)) for name, text in zip(own["name"], own["text"], strict=True)]
    order = own.assign(words=words, outcome=outcomes)["outcome"].map({FAILS: 0, UNCLEAR: 1, HOLDS: 2})
    return own.assign(words=words, outcome=outcomes).loc[order.sort_values(kind="stable").index, ["name", "words", "outcome", "value", "unit"]].reset_index(drop=True)


def leading_effects(estimates: pd.DataFrame) -> pd.DataFrame:
    """Return the leading effects by level, in days and in points.

    Parameters
    ----------
    estimates : pandas.DataFrame
        Table ``estimates``.

    Returns
    -------
    pandas.DataFrame
        ``pupils, method, days, days_low, days_high, points, points_low, points_high``; of no rows when none leads.
    """
    leading = estimates.loc[estimates["headline"].astype(bool)].copy()
    leading["pupils"] = leading["level"].map(LEVELS)
    leading["order"] = leading["level"].map({level: place for place, level in enumerate(("referred", "eligible", "started"))})
    leading["rank"] = _rank(leading["method"])
    leading["method"] = _method(leading["method"])
    keys = ["order", "rank", "pupils", "method"]
    parts = []
    for scale, name in ((DAYS, "days"), (POINTS, "points")):
        part = leading.loc[leading["scale"].eq(scale)].set_index(keys)[["estimate", "conf_low", "conf_high"]]
        parts.append(part.set_axis([name, f"{name}_low", f"{name}_high"], axis=1))
    return parts[0].join(parts[1]).reset_index().sort_values(["order", "rank"], ignore_index=True).drop(columns=["order", "rank"])


def side_by_side(estimates: pd.DataFrame, diagnostics: pd.DataFrame) -> pd.DataFrame:
    """Return every answer to the same question: all methods and designs on referred pupils, and the before-and-after figure.

    Parameters
    ----------
    estimates, diagnostics : pandas.DataFrame
        Tables ``estimates`` and ``impact_diagnostics``.

    Returns
    -------
    pandas.DataFrame
        ``method, design, primary, points, conf_low, conf_high``. The before-and-after figure, labelled as no effect, has no interval.
    """
    import pandas as pd

    rows = pooled(estimates)
    rows = rows.loc[rows["level"].eq("referred")]
    table = pd.DataFrame({
        "method": _method(rows["method"]), "design": rows["design"].map(DESIGNS), "primary": rows["headline"].astype(bool), "points": rows["estimate"],
        "conf_low": rows["conf_low"], "conf_high": rows["conf_high"], "rank": _rank(rows["method"]),
    })  # fmt: skip
    leading = rows.loc[rows["headline"].astype(bool) & rows["estimand"].eq("B"), "estimate_id"].str.removesuffix("_points")
    change = diagnostics.loc[diagnostics["item"].eq("change_treated") & diagnostics["analysis"].isin(leading)]
    before = pd.DataFrame({
        "method": [BEFORE_AFTER.capitalize()] * len(change), "design": ["none"] * len(change), "primary": [False] * len(change), "points": change["value"],
        "conf_low": [float("nan")] * len(change), "conf_high": [float("nan")] * len(change),
    })  # fmt: skip
    order = table.sort_values(["primary", "design", "rank"], ascending=[False, False, True]).drop(columns="rank")
    return pd.concat([part for part in (order, before) if len(part)] or [order], ignore_index=True)


def costs_by_view(costs: pd.DataFrame) -> pd.DataFrame:
    """Return total cost and cost per pupil by whose costs are counted.

    Parameters
    ----------
    costs : pandas.DataFrame
        Table ``costs_by_perspective``.

    Returns
    -------
    pandas.DataFrame
        ``view, amount, per_pupil_eligible, per_pupil_referred, per_pupil_started, per_pupil_completed``.
    """
    totals = costs.loc[costs["breakdown"].eq("total")]
    table = totals.assign(view=_sentence_case(totals["perspective"].str.replace("_", " ")))
    return table[["view", "amount", "per_pupil_eligible", "per_pupil_referred", "per_pupil_started", "per_pupil_completed"]]


def _method(methods: pd.Series) -> pd.Series:
    return methods.map(METHODS).fillna(_sentence_case(methods))


def _rank(methods: pd.Series) -> pd.Series:
    """Return the place of each method in the order in which they are shown; those without a place come last."""
    places = {method: place for place, method in enumerate(METHODS)}
    return methods.map(places).fillna(len(places))


def _sentence_case(words: pd.Series) -> pd.Series:
    return words.str[:1].str.upper() + words.str[1:]
