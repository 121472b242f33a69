"""The registered decision test of one comparison, and the interval that inverts that same test.

CR2 with Satterthwaite degrees of freedom decides by school; where the design has too few schools with mentors or degrees of
freedom, randomisation inference by school does, within areas where areas are compared within themselves. Which of the two is
settled by the design alone (:func:`evaluation.inference.decision_test`), so that it is known before outcomes are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.impact.change import ChangeEstimate
from evaluation.impact.estimate import figures
from evaluation.inference import count_clusters, decision_test, randomisation_test
from evaluation.inference.decision import CR2_SATTERTHWAITE, RANDOMISATION
from evaluation.protocol.trial import ImpactSection

FRAGILE = "inference is fragile"
SAME_WEIGHTS = ("the estimate is that of the randomisation test, whose weights do not depend on who had mentors: it is not scaled to the pupils with "
                "mentors of each stack")
OPEN_ENDED = "the interval does not end: no shift in that direction, however large, is rejected by so few possible assignments"


@dataclass(frozen=True)
class Decision:
    """What the decision test says, in the unit of the comparison.

    Attributes
    ----------
    test : {"cr2_satterthwaite", "randomisation"}
    reason : str
        Why this test, from the design.
    fragile : bool
    estimate, statistic, p_value : float
    floor : float or None
        Smallest p-value that the randomisation test could have; None for CR2.
    assignments : int
        Ways in which as many schools of each area could have had mentors.
    conf_low, conf_high : float
        Infinite where the interval does not end.
    warnings : tuple of str
    """

    test: str
    reason: str
    fragile: bool
    estimate: float
    statistic: float
    p_value: float
    floor: float | None
    assignments: int
    conf_low: float
    conf_high: float
    warnings: tuple[str, ...]


def decide(change: ChangeEstimate, *, within_area: bool, rules: ImpactSection, unscaled: str | None = None, seed: int = 0) -> Decision:
    """Test a change by the protocol's rule.

    Parameters
    ----------
    change : ChangeEstimate
    within_area : bool
        Whether schools are compared inside their area: mentors are then dealt again inside areas only.
    rules : ImpactSection
    unscaled : str, optional
        Column of ``change.rows`` with weights that do not depend on who had mentors, for randomisation inference; None: equal weights.
    seed : int

    Raises
    ------
    UnidentifiedError
        An area has no school without mentors, or the randomisation test has nothing to stand on.
    """
    block = "area_code" if within_area else None
    # Rows of equal school and arm count alike, so that one of each is enough; all of them have a weight.
    schools = change.rows[["school_id", "treated", "area_code"]].drop_duplicates()
    counts = count_clusters(schools, "treated", cluster="school_id", block=block)
    named = decision_test(counts, df=change.df, minimum_treated=rules.minimum_treated_schools, minimum_df=rules.minimum_df)
    reason = _in_schools(named.reason)
    if named.test == CR2_SATTERTHWAITE:
        own = figures(change.estimate, change.std_error, change.df, conf_level=rules.confidence_level)
        return Decision(CR2_SATTERTHWAITE, reason, False, own["estimate"], own["statistic"], own["p_value"], None, named.assignments,
                        own["conf_low"], own["conf_high"], ())
    data, cells = _with_cells(change.rows, within_area)
    found = randomisation_test(data, change.outcome, "treated", cluster="school_id", block=block, covariates=cells, weights=unscaled,
                               draws=rules.draws, seed=seed, conf_level=rules.confidence_level)
    low, high = sorted((change.sign * found.conf_low, change.sign * found.conf_high))
    said = [f"{FRAGILE}: {reason}", *(_in_schools(line) for line in named.warnings[1:])]
    said += [SAME_WEIGHTS] if not np.isclose(found.estimate, change.sign * change.estimate, rtol=1e-9, atol=1e-12) else []
    said += [OPEN_ENDED] if not np.isfinite([low, high]).all() else []
    return Decision(RANDOMISATION, reason, True, change.sign * found.estimate, change.sign * found.statistic, found.p_value, found.floor, found.assignments,
                    low, high, tuple(said))


def _with_cells(rows: pd.DataFrame, within_area: bool) -> tuple[pd.DataFrame, list[str]]:
    """The rows with a 0/1 column for each cell (stack, or area and stack) but the first of each block, whose effect the test takes out itself."""
    cells = rows.drop_duplicates("cell").sort_values("cell")
    later = cells.loc[cells.duplicated("area_code"), "cell"] if within_area else cells["cell"].iloc[1:]
    columns = {f"cell {name}": (rows["cell"] == name).astype(float) for name in later}
    return rows.assign(**columns), list(columns)


def _in_schools(sentence: str) -> str:
    """The sentence in the words of this study: clusters are schools, blocks areas."""
    for word, own in (("clusters", "schools"), ("cluster", "school"), ("blocks", "areas"), ("treated schools", "schools with mentors")):
        sentence = sentence.replace(word, own)
    return sentence
