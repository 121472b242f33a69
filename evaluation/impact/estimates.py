"""The estimates of the trial: every registered comparison, part and outcome, in points and in days, with what supports it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pandas as pd

from evaluation.errors import UnidentifiedError
from evaluation.impact.change import days_over_window
from evaluation.impact.comparisons import (
    ALL_STACKS, BEFORE_AFTER, BY_SESSIONS, FIRST_YEAR, INHERITS, LATER_YEARS, MATCHED, NO_AREA_SHOCKS, NOBODY_ELSE, PER_REFERRED, PER_STARTED,
    PRE_MEANS_MATCHED, PUPILS, RISK_WEIGHTED, SAME_RULE, SESSIONS, Comparison, Estimated, Prepared, by_sessions, derived, estimate, parts_of, prepared,
)
from evaluation.impact.decision import FRAGILE
from evaluation.protocol.trial import ImpactSection

__all__ = ["ALL_STACKS", "BEFORE_AFTER", "DAYS", "FIRST_YEAR", "FRAGILE", "INHERITS", "LATER_YEARS", "MATCHED", "NOBODY_ELSE", "NO_AREA_SHOCKS",
           "PER_REFERRED", "PER_STARTED", "POINTS", "PRE_MEANS_MATCHED", "PUPILS", "RISK_WEIGHTED", "SAME_RULE", "SESSIONS", "Comparison", "Estimated",
           "NotEstimated", "estimate_line", "estimate_title", "estimates_table", "part_estimates", "specification_digest", "trial_estimates"]

POINTS, DAYS = "percentage points of sessions", "days over the measured window"
PRIMARY = "absence_rate"

ABOUT = {("A", "eligible"): "all eligible pupils of schools with mentors, referred or not",
         ("A", "referred"): "pupils referred by the end of the follow-up",
         ("B", "referred"): "pupils referred in the half-term after the window",
         ("B", "started"): "pupils referred in the half-term after the window who started"}
"""By estimand and level: the pupils whom an effect is stated per. The two kinds of referred pupils are not the same."""
BY_RISK = ", weighted by their risk of referral"


class NotEstimated(dict):
    """Why comparisons that are not headlines have no row: stem of the estimate's name to reason."""

    def add(self, key: str, error: UnidentifiedError) -> None:
        """Note a refusal."""
        self[key] = error.message


def trial_estimates(cohort: pd.DataFrame, match_weights: pd.DataFrame, unmatched: pd.DataFrame, *, offer_weights: pd.DataFrame, rules: ImpactSection,
                    seed: int = 0, refused: NotEstimated | None = None) -> list[Estimated]:
    """Estimate every registered comparison on the primary outcome, over all stacks.

    Estimand B: referred against same-rule pupils. Estimand A, the offer: all eligible pupils of schools with mentors, referred
    or not, against all eligible pupils of schools without, weighted in both arms by predicted risk of referral. Effects per referred
    pupil (from A, divided by the weighted share referred) and on pupils who started (from B) are derived by division and say so.

    Parameters
    ----------
    cohort, match_weights, unmatched, offer_weights : DataFrame
        The tables of those names.
    rules : ImpactSection
    seed : int
        Of randomisation inference, where that decides.
    refused : NotEstimated, optional
        Takes the reasons of secondary comparisons that cannot be estimated.

    Returns
    -------
    list of Estimated
        Headline design first. A secondary comparison that cannot be estimated is absent.

    Raises
    ------
    ContractError
        The headline design was not matched.
    UnidentifiedError
        A headline comparison cannot be estimated.
    """
    found, refused = [], NotEstimated() if refused is None else refused
    for item in prepared(cohort, match_weights, unmatched, offer_weights, rules=rules):
        own = _attempt(item, refused, rules=rules, seed=seed)
        if own is not None:
            divided = item.comparison.method in (MATCHED, RISK_WEIGHTED)
            found += [own, *(() if not divided else derived(own) if item.comparison.headline else _derived(own, refused))]
    return found


def part_estimates(cohort: pd.DataFrame, match_weights: pd.DataFrame, unmatched: pd.DataFrame, *, offer_weights: pd.DataFrame, opened: int,
                   rules: ImpactSection, seed: int = 0, refused: NotEstimated | None = None) -> list[Estimated]:
    """The registered comparisons by stack, in the programme's first year and later, and weighted by baseline sessions.

    Parameters
    ----------
    cohort, match_weights, unmatched, offer_weights, rules, seed, refused
        As :func:`trial_estimates`.
    opened : int
        Half-term in which the first school of the study had a mentor.
    """
    found, refused = [], NotEstimated() if refused is None else refused
    for item in registered(prepared(cohort, match_weights, unmatched, offer_weights, rules=rules)):
        weighted = _attempt(by_sessions(item), refused, rules=rules, seed=seed, scale=True, beside=(BY_SESSIONS,))
        parts = [_attempt(part, refused, rules=rules, seed=seed) for part in parts_of(item, opened=opened)]
        for own in (weighted, *parts):
            if own is not None:
                found += [own, *_derived(own, refused)]
    return found


def registered(items: list[Prepared]) -> list[Prepared]:
    """The comparisons by which the registered estimands are estimated: matched for B, weighted by risk for A."""
    return [item.slim for item in items if item.comparison.method in (MATCHED, RISK_WEIGHTED)]


def _attempt(item: Prepared, refused: NotEstimated, **options) -> Estimated | None:
    try:
        return estimate(item, **options)
    except UnidentifiedError as error:
        if item.comparison.headline:
            raise
        refused.add(item.comparison.key, error)
        return None


def _derived(own: Estimated, refused: NotEstimated) -> list[Estimated]:
    try:
        return derived(own)
    except UnidentifiedError as error:
        level, method = ("started", PER_STARTED) if own.comparison.estimand == "B" else ("referred", PER_REFERRED)
        refused.add(replace(own.comparison, level=level, method=method).key, error)
        return []


def estimates_table(found: list[Estimated], *, rules: ImpactSection) -> pd.DataFrame:
    """Table ``estimates``: a comparison on the primary outcome has two rows, in points of sessions attended and in days over the measured window.

    ``conf_low`` and ``conf_high`` are missing where the interval of a randomisation test does not end.
    """
    digest, lines = specification_digest(rules), []
    for item in found:
        per_point = days_over_window(1.0, item.change.followup_sessions)
        lines += [estimate_line(item, f"{item.comparison.key}_{word}", scale, factor, digest, rules)
                  for scale, word, factor in ((POINTS, "points", 1.0), (DAYS, "days", per_point))]
    return pd.DataFrame(lines)


def estimate_line(item: Estimated, name: str, scale: str, factor: float, digest: str, rules: ImpactSection, direction: str = "attendance") -> dict:
    """One row of table ``estimates``: an estimate by ``factor``, with its test and everything it rests on."""
    c, change, decision = item.comparison, item.change, item.decision
    low, high = (factor * end if np.isfinite(end) else np.nan for end in item.interval)
    about = ABOUT[c.estimand, c.level] + (BY_RISK if c.method in (RISK_WEIGHTED, PER_REFERRED) else "")
    return {
        "estimate_id": name, "estimand": c.estimand, "level": c.level, "about": about,
        "pupils": len(item.about), "design": c.design, "outcome": c.outcome, "part": c.part, "weighting": c.weighting, "scale": scale,
        "direction": direction, "term": "treated", "estimate": factor * item.estimate, "std_error": factor * item.std_error, "df": change.df,
        "statistic": decision.statistic, "p_value": decision.p_value, "conf_low": low,
        "conf_high": high, "conf_level": rules.confidence_level, "n": change.n_treated + change.n_comparison, "n_treated": change.n_treated,
        "n_comparison": change.n_comparison, "schools_treated": change.schools_treated, "schools_comparison": change.schools_comparison,
        "areas": change.areas, "areas_treated": change.areas_treated, "areas_comparison": change.areas_comparison,
        "effective_n": change.effective_n, "unmatched": item.unmatched, "method": c.method, "test": decision.test, "p_floor": decision.floor,
        "test_reason": decision.reason, "decision_test": c.headline, "headline": c.headline, "specification_digest": digest,
        "warnings": "; ".join(dict.fromkeys((*item.warnings, *change.warnings))) or None,
    }


def estimate_title(row: dict) -> str:
    """A comparison in words, from its row: whose effect, where, by which method."""
    place = {"within_area": "within areas", "between_areas": "between areas"}[row["design"]]
    who = {"eligible": "All eligible", "referred": "Referred", "started": "Started"}[row["level"]]
    return f"{who}, {place}, {row['method']}"


def specification_digest(rules: ImpactSection) -> str:
    """Twelve characters that change when the registered specification of the impact stage does."""
    return hashlib.sha256(json.dumps(rules.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:12]
