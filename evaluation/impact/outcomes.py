"""Estimates of every registered outcome beside the primary one, and persistent absence over a full academic year."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from evaluation.design import OUTCOMES, outcome_rows
from evaluation.design.grid import ELIGIBILITY_RULES, LAST_YEAR_GROUP
from evaluation.design.registered import KEY
from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact.comparisons import Estimated, Prepared, estimate, prepared
from evaluation.impact.estimates import POINTS, NotEstimated, estimate_line, registered, specification_digest
from evaluation.protocol.trial import HALF_TERMS_A_YEAR, ImpactSection

SHARE_OF_PUPILS, SHARE_OF_OPEN = "percentage points of pupils", "percentage points of sessions open"
SCALES = {"persistent_absence": SHARE_OF_PUPILS, "severe_absence": SHARE_OF_PUPILS, "attended_of_open": SHARE_OF_OPEN, "possible_of_open": SHARE_OF_OPEN}
"""Units of the outcomes that are not shares of possible sessions."""
DIRECTIONS = {"lower": "absence", "higher": "attendance", "neither": "neither"}

WINDOW_RATE = "window rate: the share of pupils at or above the threshold over the measured half-terms, not the annual measure"
AFTER_ONLY = "compared in the follow-up alone, because the code did not exist before: differences that were there before are in it"
OFFICIAL = "official definition of each date, not harmonised: the change of codes on 19 August 2024 is inside it"
BESIDE = {"persistent_absence": WINDOW_RATE, "severe_absence": WINDOW_RATE, "absence_rate_official": OFFICIAL}

ANNUAL = "annual_persistent_absence"
FULL_YEARS = ("persistently absent over a full academic year, the one after support began against the one before the window; about pupils with possible "
              "sessions in all twelve half-terms who were not in Year 11 in the second")


def outcome_estimates(cohort: pd.DataFrame, match_weights: pd.DataFrame, unmatched: pd.DataFrame, *, offer_weights: pd.DataFrame,
                      outcomes: pd.DataFrame, rules: ImpactSection, seed: int = 0, refused: NotEstimated | None = None) -> list[Estimated]:
    """Estimate every registered secondary outcome for both estimands and designs.

    Parameters
    ----------
    cohort, match_weights, unmatched, offer_weights, rules, seed, refused
        As :func:`evaluation.impact.trial_estimates`.
    outcomes : DataFrame
        Table ``cohort_outcomes``.

    Raises
    ------
    DataError
        The protocol names an outcome that the registers do not hold.
    """
    check_outcomes(rules.secondary_outcomes, outcomes)
    items = registered(prepared(cohort, match_weights, unmatched, offer_weights, rules=rules))
    refused = NotEstimated() if refused is None else refused
    found, rows = [], cohort[[*KEY, "analysed", "baseline_rate", "followup_rate", "change"]]
    for name in rules.secondary_outcomes:
        measured = outcome_rows(rows, outcomes, name)[[*KEY, "change"]].rename(columns={"change": name})
        for item in items:
            own = with_outcome(item, measured, name)
            sign = -1 if name.startswith("absence_rate") else 1
            beside = tuple(said for said in (BESIDE.get(name), AFTER_ONLY if OUTCOMES[name].post_only else None) if said)
            try:
                found.append(estimate(own, rules=rules, seed=seed, outcome=name, sign=sign, scale=True, beside=beside))
            except UnidentifiedError as error:
                refused.add(f"{own.comparison.key}_{name}", error)
    return found


def check_outcomes(names: list[str], outcomes: pd.DataFrame) -> None:
    """Refuse a protocol that names an outcome which the registers do not hold.

    Raises
    ------
    DataError
    """
    held = set(outcomes["outcome"].unique())
    lacking = [name for name in names if name not in held]
    if lacking:
        raise DataError(f"the protocol names outcomes that the registers do not hold: {', '.join(lacking)}", where="impact.secondary_outcomes",
                        mend=f"supply the codes that they are counted from, or register only {', '.join(sorted(held))}")


def with_outcome(item: Prepared, measured: pd.DataFrame, name: str) -> Prepared:
    """The comparison on another outcome: rows without a measure at both ends are left out."""
    rows = item.rows.merge(measured, on=KEY, how="inner", validate="one_to_one")
    return replace(item, comparison=replace(item.comparison, outcome=name, headline=False), rows=rows.loc[rows[name].notna()])


def annual_estimates(cohort: pd.DataFrame, match_weights: pd.DataFrame, unmatched: pd.DataFrame, *, offer_weights: pd.DataFrame, panel: pd.DataFrame,
                     rules: ImpactSection, seed: int = 0, refused: NotEstimated | None = None) -> list[Estimated]:
    """The effect on persistent absence over a full academic year: the only one of which "brought out of persistent absence" may be said.

    The academic year after the one in which support began is set against the year before it. Stacks count whose window and start lie in one
    academic year, so that neither year holds the window; pupils count who had possible sessions in all six half-terms of both years, and
    were not in Year 11 in the second, whose registers end early. Both arms by the same rule. Parameters as :func:`outcome_estimates`;
    ``panel`` is the table of that name.
    """
    refused = NotEstimated() if refused is None else refused
    measured = annual_changes(cohort, panel)
    found = []
    for item in registered(prepared(cohort, match_weights, unmatched, offer_weights, rules=rules)):
        own = with_outcome(item, measured, ANNUAL)
        left = int((item.rows["treated"] == 1).sum() - (own.rows["treated"] == 1).sum())
        try:
            if not len(own.rows):
                raise UnidentifiedError("no pupil can be followed over a full academic year before the window and one after support began",
                                        where="annual_estimates", mend="supply registers of more academic years")
            beside = (FULL_YEARS, f"{left} treated pupils of the comparison have no two such years")
            found.append(estimate(own, rules=rules, seed=seed, outcome=ANNUAL, sign=1, scale=True, beside=beside))
        except UnidentifiedError as error:
            refused.add(f"{own.comparison.key}_{ANNUAL}", error)
    return found


def annual_changes(cohort: pd.DataFrame, panel: pd.DataFrame) -> pd.DataFrame:
    """Persistent absence in the academic year after support began less that in the year before the window's, in percentage points (-100, 0 or 100).

    Returns
    -------
    DataFrame
        ``stack, pupil_id`` and the change, for the rows of the cohort that have two full years.
    """
    years = panel.assign(year=(panel["half_term"] - 1) // HALF_TERMS_A_YEAR, held=panel["harmonised_possible"] > 0)
    years = years.groupby(["pupil_id", "year"], as_index=False).agg(absent=("harmonised_absent", "sum"), possible=("harmonised_possible", "sum"),
                                                                   held=("held", "sum"), year_group=("year_group", "max"))
    years = years.loc[years["held"] == HALF_TERMS_A_YEAR]
    persistent = ELIGIBILITY_RULES["persistent_absence"] * years["absent"] >= years["possible"]
    years = years.assign(persistent=100.0 * persistent)[["pupil_id", "year", "persistent", "year_group"]]
    own = (cohort["stack"] - 1) // HALF_TERMS_A_YEAR
    rows = cohort.loc[cohort["analysed"] & (own == cohort["stack"] // HALF_TERMS_A_YEAR), KEY].assign(own=own)
    before = rows.assign(year=rows["own"] - 1).merge(years, on=["pupil_id", "year"])[[*KEY, "persistent"]]
    after = rows.assign(year=rows["own"] + 1).merge(years.loc[years["year_group"] < LAST_YEAR_GROUP], on=["pupil_id", "year"])[[*KEY, "persistent"]]
    both = before.merge(after, on=KEY, suffixes=("_before", "_after"), validate="one_to_one")
    return both.assign(**{ANNUAL: both["persistent_after"] - both["persistent_before"]})[[*KEY, ANNUAL]]


def outcomes_table(found: list[Estimated], *, rules: ImpactSection) -> pd.DataFrame:
    """Rows of table ``estimates`` for secondary outcomes, one each, in the outcome's own unit and direction."""
    digest, lines = specification_digest(rules), []
    for item in found:
        name = item.comparison.outcome
        better = "lower" if name == ANNUAL else OUTCOMES[name].better
        direction = "attendance" if item.change.sign == -1 else DIRECTIONS[better]
        scale = SHARE_OF_PUPILS if name == ANNUAL else SCALES.get(name, POINTS)
        lines.append(estimate_line(item, f"{item.comparison.key}_{name}", scale, 1.0, digest, rules, direction))
    return pd.DataFrame(lines)

