"""The registered comparisons of the trial: which pupils, against whom, with which weights, in which stacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from evaluation.design.registered import KEY, PRE_MEANS, design_rows, outside_design
from evaluation.errors import ContractError, UnidentifiedError
from evaluation.impact.change import ChangeEstimate, estimate_change
from evaluation.impact.decision import Decision, decide
from evaluation.protocol.trial import HALF_TERMS_A_YEAR, ImpactSection

MATCHED, SAME_RULE, PRE_MEANS_MATCHED, BEFORE_AFTER = "matched", "same rule, no matching", "matched with baseline mean", "before-after, not an effect"
RISK_WEIGHTED = "weighted by referral risk"
PER_REFERRED = "offer effect divided by share referred"
PER_STARTED = "effect on referred divided by share started"
STEMS = {MATCHED: "matched", SAME_RULE: "same_rule", PRE_MEANS_MATCHED: "pre_means", RISK_WEIGHTED: "risk_weighted", PER_REFERRED: "per_referred",
         PER_STARTED: "matched"}

ALL_STACKS, FIRST_YEAR, LATER_YEARS = "all stacks", "programme's first year", "later years"
PUPILS, SESSIONS = "pupils", "sessions"

INHERITS = ("derived: inherits the bias of the effect on referred pupils, because starting was not random; its interval takes the share who started as "
            "known")
NOBODY_ELSE = "derived: assumes no effect on eligible pupils who were not referred; its interval takes the share referred as known"
NO_AREA_SHOCKS = "area shocks are not in the interval, so it is never the sole basis of a claim"
BY_SESSIONS = "pupils weigh as many sessions as they could attend in the baseline"

FEWEST_REFERRED = 5  # an offer effect divided by the share of fewer pupils says nothing

NEEDED = (*KEY, "treated", "area_code", "school_id", "followup_possible", "baseline_possible", "started", "referred", "referred_by_followup", "change")

COUNTED_BY = {("B", "started"): "started", ("A", "referred"): "referred_by_followup"}
"""By estimand and level: the cohort's column that marks these pupils among the treated; all treated where none is given."""


@dataclass(frozen=True)
class Comparison:
    """One registered comparison: which pupils, against whom, by which method, on which outcome and stacks, weighted by what."""

    estimand: str
    level: str
    design: str
    method: str
    headline: bool
    outcome: str = "absence_rate"
    part: str = ALL_STACKS
    weighting: str = PUPILS

    @property
    def within_area(self) -> bool:
        """Whether schools are compared inside their area."""
        return self.design == "within_area"

    @property
    def key(self) -> str:
        """Stem of its rows' identifiers."""
        own = f"{self.estimand}_{self.level}_{self.design}_{STEMS[self.method]}"
        part = "" if self.part == ALL_STACKS else "_" + self.part.replace("'s", "").replace(" ", "_")
        weighting = "_by_sessions" if self.weighting == SESSIONS else ""
        return f"{own}{part}{weighting}"


@dataclass(frozen=True)
class Prepared:
    """The rows of a comparison before anything is estimated: ``weight`` and ``unscaled`` name columns, None for equal weights."""

    comparison: Comparison
    rows: pd.DataFrame
    weight: str | None
    unscaled: str | None
    unmatched: pd.Series
    entries: str

    @property
    def slim(self) -> Prepared:
        """The same with the columns alone that an estimate needs, for the many estimates that are made of it."""
        wanted = [name for name in (*NEEDED, self.weight, self.unscaled) if name is not None]
        return replace(self, rows=self.rows[list(dict.fromkeys(wanted))])


@dataclass(frozen=True)
class Estimated:
    """A comparison with its estimate; ``share`` is what a derived one was divided by, else 1, ``entries`` which windows were used."""

    comparison: Comparison
    change: ChangeEstimate
    decision: Decision
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
        """Effect in the unit of the outcome: points of sessions attended for the primary one."""
        return self.decision.estimate / self.share

    @property
    def std_error(self) -> float:
        """Its CR2 standard error; the share it was divided by is taken as known."""
        return self.change.std_error / self.share

    @property
    def interval(self) -> tuple[float, float]:
        """Interval that inverts the decision test."""
        return self.decision.conf_low / self.share, self.decision.conf_high / self.share


def prepared(cohort: pd.DataFrame, match_weights: pd.DataFrame, unmatched: pd.DataFrame, offer_weights: pd.DataFrame, *,
             rules: ImpactSection) -> list[Prepared]:
    """The pooled comparisons on the primary outcome, headline design first; a design that was not matched gives none.

    Estimand B: referred against same-rule pupils. Estimand A, the offer: all eligible pupils of schools with mentors, referred or not,
    against all eligible pupils of schools without, both arms weighted by the predicted risk of referral; unweighted beside it.

    Parameters
    ----------
    cohort, match_weights, unmatched, offer_weights : DataFrame
        The tables of those names. Comparisons without matching use the same windows of pupils, first or all, as the matches.
    rules : ImpactSection

    Raises
    ------
    ContractError
        The headline design was not matched.
    """
    lead = rules.headline_design
    if not (match_weights["design"] == lead).any():
        raise ContractError(f"the headline design `{lead}` has no matches", where="impact.headline_design",
                            mend="register it among the designs of the matching stage")
    entries = match_weights["entries"].iloc[0]
    listed = []
    for design in (lead, "between_areas" if lead == "within_area" else "within_area"):
        leads = design == lead
        listed += [_matched(cohort, match_weights, unmatched, Comparison("B", "referred", design, MATCHED, leads), design),
                   _offer(cohort, offer_weights, Comparison("A", "eligible", design, RISK_WEIGHTED, leads), entries),
                   _same_rule(cohort, Comparison("A", "eligible", design, SAME_RULE, False), entries),
                   _same_rule(cohort, Comparison("B", "referred", design, SAME_RULE, False), entries)]
    listed.append(_matched(cohort, match_weights, unmatched, Comparison("B", "referred", "within_area", PRE_MEANS_MATCHED, False), PRE_MEANS))
    return [item for item in listed if item is not None]


def _matched(cohort: pd.DataFrame, match_weights: pd.DataFrame, unmatched: pd.DataFrame, comparison: Comparison, design: str) -> Prepared | None:
    weights = match_weights.loc[match_weights["design"] == design]
    if weights.empty:
        return None
    rows = weights.merge(cohort, on=KEY, how="left", validate="one_to_one").assign(treated=lambda f: f["treated"].astype("int64"))
    lost = unmatched.loc[unmatched["design"] == design].groupby("stack")["pupils"].sum()
    return Prepared(comparison, rows, "weight", "weight", lost, weights["entries"].iloc[0])


def _offer(cohort: pd.DataFrame, offer_weights: pd.DataFrame, comparison: Comparison, entries: str) -> Prepared | None:
    weights = offer_weights.loc[offer_weights["design"] == comparison.design]
    if weights.empty:
        return None
    columns = [*KEY, "treated", "weight", "weight_unscaled"]
    rows = weights[columns].merge(cohort, on=KEY, how="left", validate="one_to_one").assign(treated=lambda f: f["treated"].astype("int64"))
    outside = outside_design(cohort, comparison.design, entries=entries, referred_only=False)
    lost = outside.groupby("stack").size()
    lacking = rows.loc[(rows["treated"] == 1) & ~(rows["weight"] > 0)].groupby("stack").size()
    return Prepared(comparison, rows.loc[rows["weight"] > 0], "weight", "weight_unscaled", lost.add(lacking, fill_value=0), entries)


def _same_rule(cohort: pd.DataFrame, comparison: Comparison, entries: str) -> Prepared | None:
    which = {"entries": entries, "referred_only": comparison.estimand == "B"}
    rows, lost = design_rows(cohort, comparison.design, **which), outside_design(cohort, comparison.design, **which).groupby("stack").size()
    if entries != "matched_history" or comparison.estimand == "A":
        return Prepared(comparison, rows, None, None, lost, entries)
    # Pupils of one history are compared with one another, as they are where they are matched.
    arms = rows.groupby([*(["area_code"] if comparison.within_area else []), "stack", "qualified_before"])["treated"]
    share = arms.transform("mean")
    rows = rows.assign(by_history=np.where(rows["treated"] == 1, 1.0, share / (1.0 - share).where(share < 1, 1.0)))
    lacking = rows.loc[share == 1].groupby("stack").size()
    return Prepared(comparison, rows.loc[(share > 0) & (share < 1)], "by_history", None, lost.add(lacking, fill_value=0), entries)


def estimate(item: Prepared, *, rules: ImpactSection, seed: int, outcome: str = "change", sign: int = -1, scale: bool | None = None,
             beside: tuple[str, ...] = ()) -> Estimated:
    """Estimate a prepared comparison and test it by the protocol's rule.

    Parameters
    ----------
    item : Prepared
    rules : ImpactSection
    seed : int
    outcome, sign, scale
        As in :func:`evaluation.impact.estimate_change`.
    beside : tuple of str
        Further sentences for the reader of the number.

    Raises
    ------
    UnidentifiedError
        The comparison cannot be estimated or tested.
    """
    comparison = item.comparison
    change = estimate_change(item.rows, within_area=comparison.within_area, weight=item.weight, outcome=outcome, sign=sign, scale=scale)
    decision = decide(change, within_area=comparison.within_area, rules=rules, unscaled=item.unscaled, seed=seed)
    said = [*decision.warnings, *beside]
    if comparison.design == "between_areas":
        said.append(NO_AREA_SHOCKS)
    left = int(item.unmatched.sum()) + change.left_out
    if left and comparison.method in (MATCHED, PRE_MEANS_MATCHED):
        said.append(f"about matched pupils only: {left} referred pupils have no comparison pupil")
    elif left:
        said.append(f"not about {left} pupils of schools with mentors whose area or stack is outside this comparison or holds no comparison pupil")
    return Estimated(comparison, change, decision, 1.0, left, tuple(said), item.entries)


def derived(item: Estimated) -> list[Estimated]:
    """What follows from an estimate by division: from B the effect on pupils who started, from A the effect per pupil referred.

    Raises
    ------
    UnidentifiedError
        No analysed referred pupil started, or too few eligible ones were referred.
    """
    comparison = item.comparison
    treated = item.change.rows.loc[item.change.rows["treated"] == 1]
    if comparison.estimand == "B":
        share = float(np.average(treated["started"], weights=treated["weight"]))
        if not share > 0:
            raise UnidentifiedError("no analysed referred pupil started", where="trial_estimates", mend="report the effect on referred pupils alone")
        started = replace(comparison, level="started", method=PER_STARTED)
        return [replace(item, comparison=started, share=share, warnings=(*item.warnings, INHERITS))]
    share = float(np.average(treated["referred_by_followup"], weights=treated["weight"]))
    if treated["referred_by_followup"].sum() < FEWEST_REFERRED:
        if comparison.headline:
            return []
        raise UnidentifiedError(f"{int(treated['referred_by_followup'].sum())} of its {len(treated)} pupils were referred, too few to divide by their share",
                                where="derived", mend="read the effect per eligible pupil")
    whose = (f"per pupil referred by the end of the follow-up ({int(treated['referred_by_followup'].sum())}), where the effect on referred pupils is about "
             f"those referred in the half-term after the window ({int(treated['referred'].sum())} here)")
    referred = replace(comparison, level="referred", method=PER_REFERRED)
    return [replace(item, comparison=referred, share=share, warnings=(*item.warnings, NOBODY_ELSE, whose))]


def parts_of(item: Prepared, *, opened: int) -> list[Prepared]:
    """The programme's first year, later years, and each stack with treated pupils, of one comparison.

    Parameters
    ----------
    item : Prepared
    opened : int
        Half-term in which the first school of the study had a mentor: its academic year is the programme's first, in which it was tested
        and refined. A stack belongs to the year in which its support began, the half-term after its window.
    """
    year = (opened - 1) // HALF_TERMS_A_YEAR
    began = item.rows["stack"] // HALF_TERMS_A_YEAR  # of the half-term after the window, counted from 0
    listed = [(FIRST_YEAR, lambda stack: stack // HALF_TERMS_A_YEAR == year), (LATER_YEARS, lambda stack: stack // HALF_TERMS_A_YEAR > year)]
    if began.nunique() == 1:
        listed = []
    treated = item.rows.loc[item.rows["treated"] == 1, "stack"]
    listed += [(f"stack {number}", lambda stack, number=number: stack == number) for number in sorted(treated.unique())]
    return [_part(item, name, inside) for name, inside in listed]


def _part(item: Prepared, name: str, inside: Callable) -> Prepared:
    comparison = replace(item.comparison, part=name, headline=False)
    lost = item.unmatched
    return replace(item, comparison=comparison, rows=item.rows.loc[inside(item.rows["stack"])], unmatched=lost.loc[inside(lost.index)])


def by_sessions(item: Prepared) -> Prepared:
    """The comparison with pupils weighted by their possible sessions in the baseline, never by those of the follow-up, which mentoring may change."""
    sessions = item.rows["baseline_possible"].astype(float)
    rows = item.rows.assign(by_sessions=sessions * (1.0 if item.weight is None else item.rows[item.weight]),
                            by_sessions_unscaled=sessions * (1.0 if item.unscaled is None else item.rows[item.unscaled]))
    return replace(item, comparison=replace(item.comparison, weighting=SESSIONS, headline=False), rows=rows, weight="by_sessions",
                   unscaled="by_sessions_unscaled")
