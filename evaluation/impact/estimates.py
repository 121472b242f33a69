"""The estimates of the trial: every registered comparison, in points and in days, with what supports it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import pandas as pd

from evaluation.design.registered import KEY, PRE_MEANS, design_rows, outside_design
from evaluation.errors import ContractError, UnidentifiedError
from evaluation.impact.change import ChangeEstimate, days_over_window, estimate_change
from evaluation.protocol.trial import ImpactSection

POINTS, DAYS = "percentage points of sessions", "days over the measured window"
MATCHED, SAME_RULE, PRE_MEANS_MATCHED, BEFORE_AFTER = "matched", "same rule, no matching", "matched with baseline mean", "before-after, not an effect"
PER_REFERRED = "offer effect divided by share referred"
PER_STARTED = "effect on referred divided by share started"

FRAGILE = "inference is fragile"
INHERITS = ("derived: inherits the bias of the effect on referred pupils, because starting was not random; its interval takes the share who started as "
            "known")
NOBODY_ELSE = "derived: assumes no effect on eligible pupils who were not referred; its interval takes the share referred as known"
NO_AREA_SHOCKS = "area shocks are not in the interval, so it is never the sole basis of a claim"

ABOUT = {("A", "eligible"): "all eligible pupils of schools with mentors, referred or not",
         ("A", "referred"): "pupils referred by the end of the follow-up",
         ("B", "referred"): "pupils referred in the half-term after the window",
         ("B", "started"): "pupils referred in the half-term after the window who started"}
"""By estimand and level: the pupils whom an effect is stated per. The two kinds of referred pupils are not the same."""
COUNTED_BY = {("B", "started"): "started", ("A", "referred"): "referred_by_followup"}
"""By estimand and level: the cohort's column that marks these pupils among the treated; all treated where none is given."""


@dataclass(frozen=True)
class Comparison:
    """One registered comparison: which pupils, against whom, by which method."""

    estimand: str
    level: str
    design: str
    method: str
    headline: bool

    @property
    def key(self) -> str:
        """Stem of its rows' identifiers."""
        words = {MATCHED: "matched", SAME_RULE: "same_rule", PRE_MEANS_MATCHED: "pre_means", PER_REFERRED: "per_referred", PER_STARTED: "matched"}
        return f"{self.estimand}_{self.level}_{self.design}_{words[self.method]}"


@dataclass(frozen=True)
class Estimated:
    """A comparison with its estimate; ``share`` is what a derived one was divided by, else 1, ``entries`` which windows were used."""

    comparison: Comparison
    change: ChangeEstimate
    share: float
    unmatched: int
    warnings: tuple[str, ...]
    entries: str

    @property
    def about(self) -> pd.DataFrame:
        """The treated rows whom the effect is stated per."""
        treated = self.change.rows.loc[self.change.rows["treated"] == 1]
        column = COUNTED_BY.get((self.comparison.estimand, self.comparison.level))
        return treated if column is None else treated.loc[treated[column]]

    @property
    def estimate(self) -> float:
        """Effect in points of sessions attended."""
        return self.change.estimate / self.share

    @property
    def std_error(self) -> float:
        """Its standard error; the share it was divided by is taken as known."""
        return self.change.std_error / self.share


def trial_estimates(cohort: pd.DataFrame, match_weights: pd.DataFrame, unmatched: pd.DataFrame, *, rules: ImpactSection) -> list[Estimated]:
    """Estimate every registered comparison.

    Estimand B: referred against same-rule pupils. Estimand A, the offer: all eligible pupils of schools with mentors, referred
    or not, against all eligible pupils of schools without, in its plainest form. Effects per referred pupil (from A) and on
    pupils who started (from B) are derived by division and say so.

    Parameters
    ----------
    cohort, match_weights, unmatched : DataFrame
        The tables of those names. Comparisons without matching use the same windows of pupils, first or all, as the matches.
    rules : ImpactSection

    Returns
    -------
    list of Estimated
        Headline comparisons first. A secondary comparison that cannot be estimated is absent.

    Raises
    ------
    ContractError
        The headline design was not matched.
    UnidentifiedError
        A headline comparison cannot be estimated.
    """
    lead = rules.headline_design
    if not (match_weights["design"] == lead).any():
        raise ContractError(f"the headline design `{lead}` has no matches", where="impact.headline_design",
                            mend="register it among the designs of the matching stage")
    entries = match_weights["entries"].iloc[0]
    other = "between_areas" if lead == "within_area" else "within_area"
    found = []
    for design in (lead, other):
        leads = design == lead
        referred = _matched(cohort, match_weights, unmatched, Comparison("B", "referred", design, MATCHED, leads), design, rules)
        if referred is not None:
            found += [referred, _per_started(referred)]
        offer = _same_rule(cohort, Comparison("A", "eligible", design, SAME_RULE, leads), rules, entries)
        if offer is not None:
            found += [offer, *_per_referred(offer)]
        same = _same_rule(cohort, Comparison("B", "referred", design, SAME_RULE, False), rules, entries)
        found += [same] if same is not None else []
    pre_means = _matched(cohort, match_weights, unmatched, Comparison("B", "referred", "within_area", PRE_MEANS_MATCHED, False), PRE_MEANS, rules)
    return found + ([pre_means] if pre_means is not None else [])


def _matched(cohort: pd.DataFrame, match_weights: pd.DataFrame, unmatched: pd.DataFrame, comparison: Comparison, design: str,
             rules: ImpactSection) -> Estimated | None:
    weights = match_weights.loc[match_weights["design"] == design]
    if weights.empty:
        return None
    rows = weights.merge(cohort, on=KEY, how="left", validate="one_to_one").assign(treated=lambda f: f["treated"].astype("int64"))
    lost = int(unmatched.loc[unmatched["design"] == design, "pupils"].sum())
    return _estimate(rows, comparison, rules, weights["entries"].iloc[0], weight="weight", unmatched=lost)


def _same_rule(cohort: pd.DataFrame, comparison: Comparison, rules: ImpactSection, entries: str) -> Estimated | None:
    which = {"entries": entries, "referred_only": comparison.estimand == "B"}
    outside = len(outside_design(cohort, comparison.design, **which))
    return _estimate(design_rows(cohort, comparison.design, **which), comparison, rules, entries, unmatched=outside)


def _estimate(rows: pd.DataFrame, comparison: Comparison, rules: ImpactSection, entries: str, *, weight: str | None = None,
              unmatched: int = 0) -> Estimated | None:
    try:
        change = estimate_change(rows, within_area=comparison.design == "within_area", weight=weight)
    except UnidentifiedError:
        if comparison.headline:
            raise
        return None
    fragile = fragile_because(change, rules)
    warnings = [f"{FRAGILE}: {fragile}"] if fragile else []
    if comparison.design == "between_areas":
        warnings.append(NO_AREA_SHOCKS)
    left = unmatched + change.left_out
    if left and weight is not None:
        warnings.append(f"about matched pupils only: {left} referred pupils have no comparison pupil")
    elif left:
        warnings.append(f"not about {left} pupils of schools with mentors whose area or stack is outside this comparison or holds no comparison pupil")
    return Estimated(comparison, change, 1.0, left, tuple(warnings), entries)


def _per_started(referred: Estimated) -> Estimated:
    rows = referred.change.rows
    share = float(rows.loc[rows["treated"] == 1, "started"].mean())
    if not share > 0:
        raise UnidentifiedError("no analysed referred pupil started", where="trial_estimates", mend="report the effect on referred pupils alone")
    comparison = Comparison("B", "started", referred.comparison.design, PER_STARTED, referred.comparison.headline)
    return Estimated(comparison, referred.change, share, referred.unmatched, (*referred.warnings, INHERITS), referred.entries)


def _per_referred(offer: Estimated) -> list[Estimated]:
    rows = offer.change.rows
    treated = rows.loc[rows["treated"] == 1]
    share = float(treated["referred_by_followup"].mean())
    if not share > 0:
        return []
    whose = (f"per pupil referred by the end of the follow-up ({int(treated['referred_by_followup'].sum())}), where the effect on referred pupils is about "
             f"those referred in the half-term after the window ({int(treated['referred'].sum())} here)")
    comparison = Comparison("A", "referred", offer.comparison.design, PER_REFERRED, offer.comparison.headline)
    return [Estimated(comparison, offer.change, share, offer.unmatched, (*offer.warnings, NOBODY_ELSE, whose), offer.entries)]


def fragile_because(change: ChangeEstimate, rules: ImpactSection) -> str | None:
    """Which of the decision test's design criteria fails, in words; None when both hold.

    The criteria look at the design alone, never at the outcome: schools with mentors and Satterthwaite degrees of freedom.
    """
    faults = []
    if change.schools_treated < rules.minimum_treated_schools:
        faults.append(f"{change.schools_treated} schools with mentors where at least {rules.minimum_treated_schools} are needed")
    if change.df < rules.minimum_df:
        faults.append(f"{change.df:.1f} degrees of freedom where at least {rules.minimum_df:g} are needed")
    return " and ".join(faults) or None


def estimates_table(found: list[Estimated], *, rules: ImpactSection) -> pd.DataFrame:
    """Table ``estimates``: two rows a comparison, in points of sessions attended and in days over the measured window."""
    from scipy.stats import t

    digest = specification_digest(rules)
    lines = []
    for item in found:
        c, change = item.comparison, item.change
        reach = float(t.ppf(0.5 + rules.confidence_level / 2.0, change.df)) * item.std_error
        statistic = item.estimate / item.std_error
        for scale, word, factor in ((POINTS, "points", 1.0), (DAYS, "days", days_over_window(1.0, change.followup_sessions))):
            lines.append({
                "estimate_id": f"{c.key}_{word}", "estimand": c.estimand, "level": c.level, "about": ABOUT[c.estimand, c.level],
                "pupils": len(item.about), "design": c.design, "outcome": rules.outcome, "scale": scale,
                "direction": "attendance", "term": "treated", "estimate": factor * item.estimate, "std_error": factor * item.std_error, "df": change.df,
                "statistic": statistic, "p_value": float(2.0 * t.sf(abs(statistic), change.df)), "conf_low": factor * (item.estimate - reach),
                "conf_high": factor * (item.estimate + reach), "conf_level": rules.confidence_level, "n_treated": change.n_treated,
                "n_comparison": change.n_comparison, "schools_treated": change.schools_treated, "schools_comparison": change.schools_comparison,
                "areas": change.areas, "effective_n": change.effective_n, "unmatched": item.unmatched, "method": c.method,
                "decision_test": c.headline, "headline": c.headline, "specification_digest": digest,
                "warnings": "; ".join((*item.warnings, *change.warnings)) or None,
            })
    return pd.DataFrame(lines)


def specification_digest(rules: ImpactSection) -> str:
    """Twelve characters that change when the registered specification of the impact stage does."""
    return hashlib.sha256(json.dumps(rules.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:12]
