"""Registered alternatives to the leading match: each is matched anew, before anyone looks at an outcome.

A specification curve asks whether the answer hangs on choices that could as well have been made otherwise [Simonsohn, Simmons and
Nelson 2020]. Its branches must differ in who is compared with whom, not only in the last regression, so every alternative
here repeats the matching from the cohort on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import product

import numpy as np
import pandas as pd

from evaluation.design.balance import effective_sample_size
from evaluation.design.matching import match
from evaluation.design.registered import KEY, design_rows, exact_columns, outside_design, score_data, usable_rows
from evaluation.design.weighting import propensity_weights
from evaluation.errors import UnidentifiedError
from evaluation.protocol.trial import MatchingSection

REGISTERED_COVARIATES = "registered"
"""Name of the protocol's own list of covariates."""

REUSE_CAP = 5
"""Sets that a comparison pupil may be in where matching is with replacement."""

WEIGHTINGS = {"att_weights": "ATT", "overlap_weights": "ATO"}
USES = {"nearest": ("distance", "caliper", "ratio"), "nearest_reuse": ("distance", "caliper", "ratio"), "optimal": ("distance", "caliper", "ratio"),
        "full": ("distance", "caliper"), "entropy": (), "att_weights": (), "overlap_weights": (), "same_rule": ()}  # fmt: skip
"""By method: the choices that change anything for it."""

FEW = 30
"""Alternatives up to which a second process costs more time than it saves."""


@dataclass(frozen=True, order=True)
class Alternative:
    """One way to choose and weight comparison pupils; choices that its method does not use are None.

    Attributes
    ----------
    design, entries : str
        As in the matching section.
    method : str
        "nearest", "nearest_reuse" (a comparison pupil serves up to five), "optimal", "full", "entropy", "att_weights", "overlap_weights",
        or "same_rule" (everyone who met the same rule in the same window, scaled to the referred of the stack).
    distance : str or None
        "logit", "propensity" or "mahalanobis" (over the covariates, within the caliper on the logit score).
    caliper : float or None
        In standard deviations of the score; None for none.
    ratio : int or None
    covariates : str
        Name of the list of covariates.
    """

    design: str
    entries: str
    method: str
    distance: str | None
    caliper: float | None
    ratio: int | None
    covariates: str

    @property
    def match_id(self) -> str:
        """A name made of the choices, so that it does not hang on the order in which alternatives are listed."""
        words = [self.design, self.entries, self.method]
        words += [self.distance, "no caliper" if self.caliper is None else f"caliper {self.caliper:g}"] if self.distance is not None else []
        words += [f"{self.ratio} each"] if self.ratio is not None else []
        return "; ".join([*words, f"{self.covariates} covariates"]).replace("_", " ")

    def only_used(self) -> Alternative:
        """The same without choices that its method does not use."""
        return replace(self, **{name: None for name in ("distance", "caliper", "ratio") if name not in USES[self.method]})


def registered_alternative(rules: MatchingSection) -> Alternative:
    """The match behind the headline."""
    return Alternative(rules.designs[0], rules.entries, "nearest_reuse" if rules.replace else "nearest", rules.distance, rules.caliper, rules.ratio,
                       REGISTERED_COVARIATES).only_used()  # fmt: skip


def registered_alternatives(rules: MatchingSection) -> list[Alternative]:
    """The registered match first, then every alternative: choices listed as crossed in all combinations, the others one at a time.

    Returns
    -------
    list of Alternative
        Without repeats; the registered one first, the others sorted by their names.
    """
    own, listed = registered_alternative(rules), rules.alternatives
    choices = {f.name: list(getattr(listed, f.name)) for f in fields(Alternative)}
    crossed = [[getattr(own, name), *choices[name]] if name in listed.crossed else [getattr(own, name)] for name in choices]
    found = {Alternative(*values).only_used() for values in product(*crossed)}
    found |= {replace(own, **{name: value}).only_used() for name, values in choices.items() if name not in listed.crossed for value in values}
    return [own, *sorted(found - {own}, key=lambda alternative: alternative.match_id)]


def alternative_of(line: pd.Series) -> Alternative:
    """The alternative behind a row of the tables ``match_alternatives`` or ``specification_curve``."""
    values = {f.name: None if pd.isna(line[f.name]) else line[f.name] for f in fields(Alternative)}
    values["ratio"] = None if values["ratio"] is None else int(values["ratio"])
    return Alternative(**values)


@dataclass(frozen=True)
class AlternativeMatches:
    """Every alternative with its weights.

    Attributes
    ----------
    alternatives : DataFrame
        Table ``match_alternatives``.
    weights : DataFrame
        Table ``alternative_weights``: ``match_id, stack, pupil_id, treated, weight``.
    """

    alternatives: pd.DataFrame
    weights: pd.DataFrame


def match_alternatives(cohort: pd.DataFrame, *, rules: MatchingSection, seed: int, alternatives: Sequence[Alternative] | None = None,
                       processes: int | None = None) -> AlternativeMatches:
    """Match anew for every alternative.

    Parameters
    ----------
    cohort : DataFrame
        Table ``cohort``. Outcomes are in it; none is read.
    rules : MatchingSection
    seed : int
        That of the registered match, so that the registered alternative repeats it exactly.
    alternatives : sequence of Alternative, optional
        By default :func:`registered_alternatives`.
    processes : int, optional
        By default one for a few alternatives and two for more; the result does not depend on it.

    Returns
    -------
    AlternativeMatches
        An alternative that cannot be matched has its reason in the column ``failed`` and no weights.
    """
    from joblib import Parallel, delayed

    asked = registered_alternatives(rules) if alternatives is None else list(alternatives)
    prepared: dict[tuple, tuple] = {}
    for one in asked:
        key = (one.design, one.entries, one.covariates)
        if key not in prepared:
            prepared[key] = _prepare(cohort, one, rules)
    tasks = [(one, *prepared[one.design, one.entries, one.covariates]) for one in asked]
    workers = (1 if len(asked) <= FEW else 2) if processes is None else processes
    found = Parallel(workers)(delayed(_match_one)(one, usable, lost, rules, seed) for one, usable, lost in tasks)
    own = registered_alternative(rules)
    lines = pd.DataFrame([{**line, "registered": one == own} for one, (line, _) in zip(asked, found, strict=True)])
    order = ["match_id", *(f.name for f in fields(Alternative)), "registered", "referred", "comparison", "effective_n", "unmatched", "failed"]
    weights = pd.concat([frame for _, frame in found], ignore_index=True)
    return AlternativeMatches(lines[order].astype({"ratio": "Int64", "caliper": "float64"}), weights)


def covariates_of(alternative: Alternative, rules: MatchingSection) -> list[str]:
    """The columns behind the name of a list of covariates."""
    return list(rules.score_covariates if alternative.covariates == REGISTERED_COVARIATES else rules.alternatives.covariates[alternative.covariates])


def _with_entries(rules: MatchingSection, one: Alternative) -> MatchingSection:
    """The section with the alternative's windows of entry, on which the exact columns hang too."""
    return rules.model_copy(update={"entries": one.entries})


def _prepare(cohort: pd.DataFrame, one: Alternative, rules: MatchingSection) -> tuple[pd.DataFrame | str, int]:
    """The rows that can be matched (or why there are none), and how many referred pupils are lost before matching."""
    rows = design_rows(cohort, one.design, entries=one.entries)
    outside = len(outside_design(cohort, one.design, entries=one.entries))
    try:
        usable, unmatched = usable_rows(rows, one.design, covariates_of(one, rules), _with_entries(rules, one))
    except UnidentifiedError as error:
        return error.message, outside + int(rows["treated"].sum())
    return usable, outside + int(unmatched["pupils"].sum())


def _match_one(one: Alternative, usable: pd.DataFrame | str, lost: int, rules: MatchingSection, seed: int) -> tuple[dict, pd.DataFrame]:
    line = {"match_id": one.match_id, **{f.name: getattr(one, f.name) for f in fields(one)}}
    empty = pd.DataFrame({"match_id": [], "stack": [], "pupil_id": [], "treated": [], "weight": []})
    try:
        if isinstance(usable, str):
            raise UnidentifiedError(usable)
        weights = weights_of_alternative(usable, one, rules, seed)
    except UnidentifiedError as error:
        lost += 0 if isinstance(usable, str) else int(usable["treated"].sum())
        return {**line, "referred": 0, "comparison": 0, "effective_n": 0.0, "unmatched": lost, "failed": error.message}, empty
    weights = weights[weights > 0]
    treated = usable.loc[weights.index, "treated"] == 1
    counts = {"referred": int(treated.sum()), "comparison": int((~treated).sum()), "effective_n": effective_sample_size(weights[~treated]),
              "unmatched": lost + int(usable["treated"].sum() - treated.sum()), "failed": None}  # fmt: skip
    rows = usable.loc[weights.index, KEY].assign(match_id=one.match_id, treated=treated, weight=weights)
    return {**line, **counts}, rows[["match_id", *KEY, "treated", "weight"]].reset_index(drop=True)


def rematched_weights(rows: pd.DataFrame, one: Alternative, rules: MatchingSection, seed: int) -> pd.Series:
    """Weights of the rows that an alternative keeps, where ``treated`` is given: the same steps from the usable rows on.

    Raises
    ------
    UnidentifiedError
        These rows cannot be matched so.
    """
    usable, _ = usable_rows(rows, one.design, covariates_of(one, rules), _with_entries(rules, one))
    weights = weights_of_alternative(usable, one, rules, seed)
    return weights[weights > 0]


def weights_of_alternative(usable: pd.DataFrame, one: Alternative, rules: MatchingSection, seed: int) -> pd.Series:
    """Weights by row of the usable ones; those of matched sets in the order of the sets, as the registered match has them."""
    exact = exact_columns(one.design, _with_entries(rules, one))
    if one.method == "same_rule":
        return _scaled_to_treated(usable, [c for c in ("area_code", "stack", "qualified_before") if c in (*exact, "stack")])
    data, columns = score_data(usable, covariates_of(one, rules), exact)
    if one.method in WEIGHTINGS:
        return propensity_weights(data, "treated", on=columns, estimand=WEIGHTINGS[one.method]).weights
    if one.method == "entropy":
        return match(data, "treated", on=columns, method="entropy").weights
    options = {"exact": exact, "distance": one.distance, "caliper": one.caliper, "ties": "random", "seed": seed}
    if one.distance == "mahalanobis":
        own = [c for c in columns if c in usable]
        options |= {"caliper": None if one.caliper is None else {"logit": one.caliper}, "distance_on": own}
    if one.method in ("nearest", "nearest_reuse"):
        queue = "closest" if one.distance == "mahalanobis" and one.caliper is None else rules.order
        options |= {"order": queue, "replace": one.method == "nearest_reuse"} | ({"reuse_cap": REUSE_CAP} if one.method == "nearest_reuse" else {})
    if one.ratio is not None:
        options["ratio"] = one.ratio
    matching = match(data, "treated", on=columns, method=one.method.removesuffix("_reuse"), **options)
    return matching.weights.loc[matching.pairs["unit"].drop_duplicates()]


def _scaled_to_treated(usable: pd.DataFrame, cells: list[str]) -> pd.Series:
    """1 for referred pupils; comparison pupils of a cell share its number of referred ones."""
    treated = usable["treated"] == 1
    counts, others = (side.astype(float).groupby([usable[c] for c in cells]).transform("sum") for side in (treated, ~treated))
    return pd.Series(np.where(treated, (others > 0).astype(float), counts / others.replace(0.0, np.nan)), index=usable.index).fillna(0.0)
