"""Overlap: how alike the arms are in the chance of being referred, before and after matching or weighting."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.design.registered import KEY, MatchedCohort, design_rows

BINS = 16


def score_overlap(matched: MatchedCohort, cohort: pd.DataFrame, design: str, *, entries: str) -> pd.DataFrame:
    """Referred pupils, comparison pupils and matched comparison pupils by their propensity score.

    Parameters
    ----------
    matched : MatchedCohort
    cohort : DataFrame
        Table ``cohort``, from which ``matched`` was made.
    design : str
        A design that was matched.
    entries : str
        As matched.

    Returns
    -------
    DataFrame
        ``score_from, score_to`` (log odds) and, for ``referred, comparison, matched``, the share of the group's pupils (%; of its weight for
        matched pupils) and the number of pupils in the bin (``..._pupils``). Pupils whom no score could be given are not in it.
    """
    score = matched.matchings[design].score
    rows = design_rows(cohort, design, entries=entries).loc[score.index, [*KEY, "treated"]].assign(score=score)
    own = matched.match_weights.loc[matched.match_weights["design"] == design, [*KEY, "weight"]]
    rows = rows.merge(own, on=KEY, how="left", validate="one_to_one")
    treated = rows["treated"] == 1
    groups = {"referred": rows.loc[treated, "score"], "comparison": rows.loc[~treated, "score"]}
    used = rows.loc[~treated & rows["weight"].gt(0)]
    return _binned("score", {**{name: (values, np.ones(len(values))) for name, values in groups.items()}, "matched": (used["score"], used["weight"])})


def risk_overlap(offer: pd.DataFrame, design: str) -> pd.DataFrame:
    """Eligible pupils of both arms by their fitted risk of referral, comparison pupils also as weighted.

    Parameters
    ----------
    offer : DataFrame
        Table ``offer_weights``.
    design : str

    Returns
    -------
    DataFrame
        ``risk_from, risk_to`` and, for ``mentored, comparison``, the share of the arm's pupils (%) and their number (``..._pupils``).
    """
    rows = offer.loc[(offer["design"] == design) & offer["referral_risk"].notna()]
    arms = {"mentored": rows.loc[rows["treated"], "referral_risk"], "comparison": rows.loc[~rows["treated"], "referral_risk"]}
    return _binned("risk", {name: (values, np.ones(len(values))) for name, values in arms.items()})


def _binned(name: str, groups: dict[str, tuple[pd.Series, np.ndarray | pd.Series]]) -> pd.DataFrame:
    together = np.concatenate([values.to_numpy() for values, _ in groups.values()])
    edges = np.linspace(together.min(), together.max(), BINS + 1)
    table = pd.DataFrame({f"{name}_from": edges[:-1], f"{name}_to": edges[1:]})
    for group, (values, weights) in groups.items():
        held = np.histogram(values, edges, weights=np.asarray(weights, dtype=float))[0]
        table[group] = 100.0 * held / held.sum() if held.sum() > 0 else np.nan
        table[f"{group}_pupils"] = np.histogram(values, edges)[0]
    return table
