"""Tests beside the decision test, and the fixed sentence for when they disagree with it.

They replace nothing: the protocol named the test that decides before outcomes were seen. With few treated schools the wild bootstrap
may reject hardly ever or far too often (MacKinnon, J. & Webb, M. 2017, Journal of Applied Econometrics 32(2), 233-254).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from evaluation.design.registered import KEY
from evaluation.errors import UnidentifiedError
from evaluation.impact.comparisons import MATCHED, RISK_WEIGHTED, Estimated
from evaluation.impact.decision import FRAGILE
from evaluation.impact.estimate import figures
from evaluation.inference import linear
from evaluation.inference.decision import RANDOMISATION, USUAL_LEVEL
from evaluation.protocol.trial import ImpactSection

WILD, TWO_WAY = "restricted wild cluster bootstrap, by school", "two-way, by pair and school"
DISAGREE = ("The decision test and the tests beside it do not agree at 5%: read the result as uncertain. The registered decision test stands, because it was "
            "named before outcomes were seen.")
AGREE = "The tests beside the decision test agree with it at 5%."
ALONE = "No test could be set beside the decision test."
COLUMNS = ["estimate_id", "test", "estimate", "std_error", "df", "p_value", "conf_low", "conf_high", "draws", "agrees", "text"]


def robustness_tests(found: list[Estimated], matches: pd.DataFrame, *, rules: ImpactSection, seed: int) -> pd.DataFrame:
    """Wild cluster bootstrap by school and two-way clustering by pair and school, for the registered comparisons of both designs.

    Parameters
    ----------
    found : list of Estimated
    matches : DataFrame
        Table ``matches``, the long pair table.
    rules : ImpactSection
    seed : int

    Returns
    -------
    DataFrame
        Table ``robustness_tests``: one row a comparison and test. ``agrees``: whether it stands on the decision test's side of 5%. A test
        that cannot be made has missing numbers and its reason in ``text``.
    """
    lines = []
    for item in (item for item in found if item.comparison.method in (MATCHED, RISK_WEIGHTED)):
        lines.append(_wild(item, rules, seed))
        if item.comparison.method == MATCHED:
            lines.append(_two_way(item, matches, rules))
    return pd.DataFrame(lines, columns=COLUMNS)


def _wild(item: Estimated, rules: ImpactSection, seed: int) -> dict:
    change = item.change
    test = replace(change.fit, conf_level=rules.confidence_level).wild_test("treated", draws=rules.draws, seed=seed)
    low, high = sorted((change.sign * test.conf_low, change.sign * test.conf_high))
    ends = {"conf_low": low if np.isfinite(low) else np.nan, "conf_high": high if np.isfinite(high) else np.nan}
    said = [f"{test.weights} weights{', all of them' if test.enumerated else ''}", *test.warnings]
    return {"estimate_id": f"{item.comparison.key}_points", "test": WILD, "estimate": change.sign * test.estimate, "std_error": None, "df": None,
            "p_value": test.p_value, **ends, "draws": test.draws, "agrees": _agrees(item, test.p_value), "text": " ".join(said)}


def _two_way(item: Estimated, matches: pd.DataFrame, rules: ImpactSection) -> dict:
    own = matches.loc[matches["design"] == item.comparison.design, [*KEY, "set_id", "weight"]]
    rows = own.merge(item.change.rows.drop(columns="weight"), on=KEY, how="inner", validate="many_to_one")
    line = {"estimate_id": f"{item.comparison.key}_points", "test": TWO_WAY, "draws": None}
    try:
        fit = linear(rows, item.change.outcome, ["treated"], weights="weight", absorb=["cell"], cluster=("set_id", "school_id"), kind="CR1")
    except UnidentifiedError as error:
        return line | {"agrees": None, "text": f"not made: {error.message}"}
    term = fit.frame.set_index("term").loc["treated"]
    numbers = figures(item.change.sign * term["estimate"], term["std_error"], term["df"], conf_level=rules.confidence_level)
    kept = {name: numbers[name] for name in ("estimate", "std_error", "df", "p_value", "conf_low", "conf_high")}
    return line | kept | {"agrees": _agrees(item, kept["p_value"]), "text": " ".join(fit.warnings) or None}


def _agrees(item: Estimated, p_value: float) -> bool:
    return bool((p_value < USUAL_LEVEL) == (item.decision.p_value < USUAL_LEVEL))


def test_lines(item: Estimated, tests: pd.DataFrame) -> list[tuple]:
    """Rows of table ``impact_diagnostics`` (item, value, unit, text) on the decision test of a comparison and what stands beside it."""
    decision, own = item.decision, tests.loc[tests["estimate_id"] == f"{item.comparison.key}_points"]
    held = item.change.fit.leverage.frame.set_index("term").loc["treated"]
    effective = held["effective_clusters"] if np.isfinite(held["effective_clusters"]) else held["effective_clusters_independent"]
    made = own["agrees"].dropna()
    disagrees = float(not made.all()) if len(made) else np.nan
    said = ALONE if not len(made) else AGREE if made.all() else DISAGREE
    reason = decision.reason if not decision.fragile else f"{FRAGILE}: {decision.reason}"
    lines = [("decision_test", float(decision.test == RANDOMISATION), "0 CR2 with Satterthwaite degrees of freedom, 1 randomisation inference by school", reason),
             ("tests_disagree", disagrees, "1 yes, 0 no", said),
             ("effective_clusters", effective, "schools", f"of {item.change.schools_treated + item.change.schools_comparison} schools, allowing for their sizes"),
             ("largest_partial_leverage", held["largest_partial_leverage"], "share",
              "of what tells the effect, held by the school that weighs most")]
    if decision.floor is not None:
        lines.append(("p_value_floor", decision.floor, "p-value", f"{decision.assignments:,} possible assignments of mentors to schools"))
    return lines
