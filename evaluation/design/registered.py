"""The registered designs: matching the cohort within areas and between areas, and what it leaves."""

from __future__ import annotations

from collections.abc import Sequence
import difflib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.design.balance import STANDARDISED_BY, balance, effective_sample_size, pupils_with
from evaluation.design.covariates import numeric_columns
from evaluation.design.matching import NO_STRATUM, Matching, match
from evaluation.design.propensity import redundant_columns
from evaluation.errors import DataError, ParameterError, UnidentifiedError
from evaluation.protocol.trial import MatchingSection

PRE_MEANS = "within_area_pre_means"
"""The leading design matched on the baseline mean too: shown beside the headline, never in its place."""

LEFT_OUT = "whole design left out"
OUTSIDE = {"within_area": "area without enough schools of both kinds", "between_pool": "area opened at another time than the comparison pool"}
"""By the cohort's column: why a referred pupil's school is in no comparison of a design, whatever the matching."""

KEY = ["stack", "pupil_id"]
WHOLE_BASELINE = "whole baseline"


@dataclass(frozen=True)
class MatchedCohort:
    """Matches of every registered design.

    Attributes
    ----------
    matches, match_weights, unmatched, balance : DataFrame
        The tables of those names.
    matchings : dict of str to Matching
        By design; units are row numbers of the design's rows of the cohort.
    calipers : DataFrame
        ``design, caliper`` (in the score's units; missing for none), ``sd_score`` (over all rows, the caliper's unit as in MatchIt),
        ``sd_within_strata`` (pooled inside exact strata, where pairs are formed).
    """

    matches: pd.DataFrame
    match_weights: pd.DataFrame
    unmatched: pd.DataFrame
    balance: pd.DataFrame
    matchings: dict[str, Matching]
    calipers: pd.DataFrame


def design_rows(cohort: pd.DataFrame, design: str, *, entries: str = "first", referred_only: bool = True) -> pd.DataFrame:
    """The analysed rows of one design with the column ``treated``.

    Parameters
    ----------
    cohort : DataFrame
        Table ``cohort``.
    design : str
        "within_area": areas with enough schools of both kinds. "between_areas": schools with mentors of areas that opened when
        the areas without mentors did, against comparison schools of those areas; others are on another clock
        (:func:`outside_design`).
    entries : {"first", "matched_history", "risk_set"}
        Referred pupils and their comparison at the first qualifying window; at every one, pupils of a set equal on how many they had met
        before (which the matching sees to); or at every one, whatever came before. None is free of bias. First entrants were below the
        threshold in every earlier window since the area opened, which is part of the baseline of all but the first stacks: where
        referral follows lasting absence, the effect is understated. A matched history is biased alike, a little less, and keeps the pupils
        who had met the rule before. In a risk set, pupils referred before are missing from one arm alone. Sizes by how pupils are chosen:
        ``tests/simulation/RESULTS.md``, part entries.
    referred_only : bool
        Treated are the referred pupils (estimand B), else all eligible in schools with mentors (estimand A), who always enter at their
        first qualifying window: at later ones, pupils referred before are missing from one arm alone.
    """
    rows, treated = _arms(cohort, entries, referred_only)
    inside = (treated | ~rows["mentor_school"]) & rows[_belongs(design)]
    rows = rows.loc[inside].assign(treated=treated.loc[inside].astype("int64"))
    return rows.sort_values(KEY, kind="stable", ignore_index=True)


def outside_design(cohort: pd.DataFrame, design: str, *, entries: str = "first", referred_only: bool = True) -> pd.DataFrame:
    """Analysed treated rows whose school is in no comparison of a design; parameters as :func:`design_rows`."""
    rows, treated = _arms(cohort, entries, referred_only)
    return rows.loc[treated & ~rows[_belongs(design)]]


def _arms(cohort: pd.DataFrame, entries: str, referred_only: bool) -> tuple[pd.DataFrame, pd.Series]:
    rows = cohort.loc[cohort["analysed"] & ((cohort["entry"] == "first") | (referred_only and entries != "first"))]
    return rows, rows["mentor_school"] & (rows["referred"] if referred_only else True)


def _belongs(design: str) -> str:
    """The cohort's column that says whether a school belongs to a design."""
    return "within_area" if design.startswith("within_area") else "between_pool"


def match_cohort(cohort: pd.DataFrame, trajectories: pd.DataFrame, *, rules: MatchingSection, seed: int) -> MatchedCohort:
    """Match referred to comparison pupils in every registered design.

    Parameters
    ----------
    cohort, trajectories : DataFrame
        Tables ``cohort`` and ``cohort_trajectories``.
    rules : MatchingSection
    seed : int

    Raises
    ------
    ParameterError
        The rules name a column that the cohort has not.
    DataError
        A pupil stands twice in a stack.
    UnidentifiedError
        In the leading design: no referred pupil is left, no score exists, or more are without a match than the protocol
        tolerates. A later design that fails is left out, and the table ``unmatched`` says why.
    """
    check_columns(cohort, rules)
    matchings, tables, lost, balances, calipers = {}, [], [], [], []
    for design, on in _specifications(rules):
        rows = design_rows(cohort, design, entries=rules.entries)
        outside = outside_design(cohort, design, entries=rules.entries)
        lost.append(_tally(outside, design, np.full(len(outside), OUTSIDE[_belongs(design)])))
        try:
            usable, unmatched = usable_rows(rows, design, on, rules)
            matching = _match(usable, design, on, rules, seed)
            unmatched = pd.concat([unmatched, _tally(usable.loc[matching.dropped.index], design, matching.dropped.to_numpy())], ignore_index=True)
            _check_tolerance(unmatched, rows, design, rules)
        except UnidentifiedError as error:
            if design == rules.designs[0]:
                raise
            treated = rows.loc[rows["treated"] == 1]
            lost.append(_tally(treated, design, np.full(len(treated), f"{LEFT_OUT}: {error.message}")))
            continue
        matchings[design] = matching
        tables.append(_matches(usable, design, matching))
        lost.append(unmatched)
        calipers.append(_caliper(usable, design, matching, rules))
        own = _balance(usable, trajectories, design, matching, rules.score_covariates)
        balances.append(own.assign(leading=design == rules.designs[0]))
    matches = pd.concat(tables, ignore_index=True)
    weights = matches.groupby(["design", *KEY], as_index=False, sort=False).agg(treated=("treated", "first"), weight=("weight", "sum"))
    weights["entries"] = rules.entries
    return MatchedCohort(matches=matches, match_weights=weights, unmatched=pd.concat(lost, ignore_index=True),
                         balance=pd.concat(balances, ignore_index=True), matchings=matchings, calipers=pd.DataFrame(calipers))


def check_columns(cohort: pd.DataFrame, rules: MatchingSection) -> None:
    """Refuse rules that name a column which the cohort has not, and a cohort that holds a pupil's stack twice."""
    for field in ("score_covariates", "exact_columns"):
        for name in getattr(rules, field):
            if name not in cohort.columns:
                near = difflib.get_close_matches(name, [str(c) for c in cohort.columns], n=1, cutoff=0.6)
                raise ParameterError(f"`{name}` is no column of the cohort", where=f"matching.{field}",
                                     mend=f"did you mean `{near[0]}`?" if near else f"choose from {', '.join(map(str, cohort.columns))}")
    if cohort.duplicated(KEY).any():
        row = cohort.loc[cohort.duplicated(KEY)].iloc[0]
        raise DataError(f"a pupil stands twice in stack {row['stack']}", where="table `cohort`", mend="keep one row a stack and pupil")


def _specifications(rules: MatchingSection) -> list[tuple[str, list[str]]]:
    listed = [(design, list(rules.score_covariates)) for design in rules.designs]
    if rules.pre_means_check and "within_area" in rules.designs and "baseline_rate" not in rules.score_covariates:
        listed.append((PRE_MEANS, [*rules.score_covariates, "baseline_rate"]))
    return listed


def exact_columns(design: str, rules: MatchingSection) -> list[str]:
    """Columns on which pupils of a design are equal: the registered ones, the area within areas, and the history where the protocol says so."""
    own = [*(["area_code"] if design.startswith("within_area") else []), *(["qualified_before"] if rules.entries == "matched_history" else [])]
    return [*own, *(c for c in rules.exact_columns if c not in own)]


def usable_rows(rows: pd.DataFrame, design: str, on: list[str], rules: MatchingSection) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of strata and characteristics that both arms have, and the referred pupils of the others, who cannot be matched.

    A level that only one arm has (no referred pupil with a care plan, say) has no propensity score. Nobody could stand
    beside these pupils, so they leave before the score is fitted.
    """
    for arm, said in ((1, "no referred pupil"), (0, "no comparison pupil")):
        if not (rows["treated"] == arm).any():
            raise UnidentifiedError(f"{said} is left in the design `{design}`", where="matching",
                                    mend="see the flow table, and how many schools of both kinds each area has")
    levels = [c for c in on if not pd.api.types.is_float_dtype(rows[c].dtype)]
    groupings = [(exact_columns(design, rules), NO_STRATUM), *(([c], f"no comparison unit with the same {c}") for c in levels)]
    usable, unmatched = rows, []
    while True:
        before = len(usable)
        for columns, reason in groupings:
            arms = usable.groupby(columns)["treated"]
            both = (arms.transform("max") == 1) & (arms.transform("min") == 0)
            alone = usable.loc[~both & (usable["treated"] == 1)]
            unmatched.append(_tally(alone, design, np.full(len(alone), reason)))
            usable = usable.loc[both]
        if usable.empty:
            _check_tolerance(pd.concat(unmatched, ignore_index=True), rows, design, rules)
            raise UnidentifiedError(f"no stratum of the design `{design}` holds both arms", where="matching", mend="match exactly on fewer columns")
        if len(usable) == before:
            return usable, pd.concat(unmatched, ignore_index=True)


def score_data(rows: pd.DataFrame, on: Sequence[str], exact: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """The rows with effects of the stacks and areas among the exact columns, and the columns of the score.

    The score knows stacks and areas, so that it tells pupils of one stratum apart.
    """
    data = rows.assign(year_group=rows["year_group"].astype("category"))
    varying = [c for c in on if data[c].nunique() > 1]  # a characteristic that all share is matched as it stands
    if not varying:
        raise UnidentifiedError(f"none of {', '.join(on)} varies among the pupils of the design, so there is nothing to match on",
                                where="matching.score_covariates", mend="name characteristics that differ between pupils; the same-rule comparison needs none")
    effects = pd.get_dummies(rows[[c for c in ("area_code", "stack") if c in exact and c not in on]].astype(str), drop_first=True, dtype=float)
    together = pd.concat([numeric_columns(data, varying, drop_first=True), effects], axis=1)
    # Stacks and areas may coincide with one another or with year groups; such an effect is in the score already.
    effects = effects.drop(columns=[c for c in redundant_columns(together) if c in effects])
    return pd.concat([data, effects], axis=1), [*varying, *effects]


def _match(rows: pd.DataFrame, design: str, on: list[str], rules: MatchingSection, seed: int) -> Matching:
    """Match inside strata."""
    exact = exact_columns(design, rules)
    data, columns = score_data(rows, on, exact)
    return match(data, "treated", on=columns, exact=exact, distance=rules.distance, caliper=rules.caliper, ratio=rules.ratio, replace=rules.replace,
                 order=rules.order, ties="random", seed=seed)


def _caliper(rows: pd.DataFrame, design: str, matching: Matching, rules: MatchingSection) -> dict:
    """The caliper beside both spreads of the score: over all rows, which is its unit, and inside the strata where pairs are formed.

    The score knows stacks and areas, which are matched exactly, so that it varies more over all rows than inside a stratum.
    """
    strata = matching.score.groupby([rows[c] for c in exact_columns(design, rules)])
    freedom = len(rows) - strata.ngroups
    within = ((matching.score - strata.transform("mean")) ** 2).sum()
    return {"design": design, "caliper": np.nan if matching.caliper is None else matching.caliper, "sd_score": float(matching.score.std(ddof=1)),
            "sd_within_strata": float(np.sqrt(within / freedom)) if freedom > 0 else np.nan}


def _matches(rows: pd.DataFrame, design: str, matching: Matching) -> pd.DataFrame:
    """The long pair table with the cohort's keys; set numbers are unique within a design."""
    pairs = matching.pairs
    keys = rows.loc[pairs["unit"], KEY].reset_index(drop=True)
    return pd.concat([pd.Series(design, index=keys.index, name="design"), keys, pairs[["set_id", "treated", "weight", "distance"]].reset_index(drop=True)],
                     axis=1)


def _tally(rows: pd.DataFrame, design: str, reason: np.ndarray) -> pd.DataFrame:
    columns = ["design", "area_code", "stack", "stratum", "reason"]
    table = rows.assign(design=design, reason=reason)
    return table.groupby(columns, as_index=False).agg(pupils=("pupil_id", "size"))[[*columns, "pupils"]]


def _check_tolerance(unmatched: pd.DataFrame, rows: pd.DataFrame, design: str, rules: MatchingSection) -> None:
    lost, of = int(unmatched["pupils"].sum()), int(rows["treated"].sum())
    if lost > rules.unmatched_tolerance * of:
        worst = unmatched.groupby("reason")["pupils"].sum().sort_values(ascending=False)
        said = "; ".join(f"{n} with {reason}" for reason, n in worst.items())
        strata = unmatched.groupby(["area_code", "stack", "stratum"]).ngroups
        raise UnidentifiedError(
            f"{lost} of {of} referred pupils in {strata} strata are without comparison pupils ({said}), above the tolerance of "
            f"{rules.unmatched_tolerance:.0%}: the estimate would be about other pupils", where=f"matching, design `{design}`",
            mend="widen the caliper, match exactly on fewer columns, add comparison schools, or register a higher tolerance with its reason")


def _balance(rows: pd.DataFrame, trajectories: pd.DataFrame, design: str, matching: Matching, covariates: list[str]) -> pd.DataFrame:
    """Covariates, the window apart, and the baseline by half-term, which nothing was matched on."""
    before = trajectories.loc[trajectories["role"] == "baseline"].pivot(index=KEY, columns="event_time", values="rate")
    before = before.reindex(pd.MultiIndex.from_frame(rows[KEY])).set_axis(rows.index)
    before.columns = [f"absence rate, half-term {e}" for e in before.columns]
    data = pd.concat([rows, before], axis=1).assign(year_group=rows["year_group"].astype("category"))
    parts = [balance(data, "treated", covariates, matching.weights).frame.assign(role="matched on")]
    for name in before.columns:
        seen = data[name].notna()
        if (data.loc[seen, "treated"].nunique() == 2) and seen.any():
            parts.append(balance(data.loc[seen], "treated", [name], matching.weights.loc[seen]).frame.assign(role="baseline, not matched on"))
    table = pd.concat(parts, ignore_index=True).assign(design=design, standardised_by=STANDARDISED_BY)
    table.loc[table["covariate"] == "window_absence_rate", "role"] = "eligibility window, not a target"
    table.insert(0, "position", np.arange(1, len(table) + 1))
    treated, used = data["treated"].to_numpy() == 1, matching.weights.to_numpy() > 0
    groups = {"treated": treated & used, "treated_left": treated & ~used, "comparison": ~treated & used, "comparison_left": ~treated & ~used}
    counts = pupils_with(data, covariates, groups)
    table = table.assign(**{name: int(inside.sum()) for name, inside in groups.items()})
    return table.merge(counts, left_on="covariate", right_index=True, how="left", validate="one_to_one").fillna({"trait": "baseline"})


def weighted_trajectories(trajectories: pd.DataFrame, match_weights: pd.DataFrame) -> pd.DataFrame:
    """Mean absence of matched pupils by event half-term, arm and design.

    Returns
    -------
    DataFrame
        Table ``trajectories``: ``design, event_time, role, arm, mean_absence_rate`` (weighted mean of pupil rates), ``pupils``.
    """
    joined = match_weights.merge(trajectories, on=KEY, how="left", validate="many_to_many")
    joined = joined.loc[joined["rate"].notna()]
    joined["arm"] = np.where(joined["treated"], "mentored", "comparison")
    joined["weighted"] = joined["weight"] * joined["rate"]
    columns = ["design", "event_time", "role", "arm"]
    table = joined.groupby(columns, as_index=False).agg(weighted=("weighted", "sum"), weight=("weight", "sum"), pupils=("pupil_id", "size"))
    table["mean_absence_rate"] = table["weighted"] / table["weight"]
    return table[[*columns, "mean_absence_rate", "pupils"]]


def matched_counts(matched: MatchedCohort) -> pd.DataFrame:
    """Pupils matched and unmatched by design, and how wide the caliper was.

    Returns
    -------
    DataFrame
        Table ``matched_pupils``: ``design, referred, comparison, effective`` (Kish's effective number of comparison pupils), ``unmatched, reason``
        (the most frequent one), ``caliper_all, caliper_within`` (in standard deviations of the score over all rows and inside exact
        strata; missing without a caliper).
    """
    match_weights, unmatched, lines = matched.match_weights, matched.unmatched, []
    calipers = matched.calipers.set_index("design")
    for design in dict.fromkeys([*match_weights["design"], *unmatched["design"]]):
        weights, lost = match_weights.loc[match_weights["design"] == design], unmatched.loc[unmatched["design"] == design]
        comparison = weights.loc[~weights["treated"], "weight"]
        width = calipers.loc[design] if design in calipers.index else dict.fromkeys(calipers.columns, np.nan)
        by_reason = lost.groupby("reason")["pupils"].sum().sort_values(ascending=False, kind="stable")
        lines.append({"design": design.replace("_", " "), "referred": int(weights["treated"].sum()), "comparison": len(comparison),
                      "effective": effective_sample_size(comparison), "unmatched": int(by_reason.sum()), "reason": by_reason.index[0] if len(by_reason) else "",
                      "caliper_all": width["caliper"] / width["sd_score"], "caliper_within": width["caliper"] / width["sd_within_strata"]})
    return pd.DataFrame(lines)


def school_balance(matches: pd.DataFrame, cohort: pd.DataFrame, trajectories: pd.DataFrame) -> pd.DataFrame:
    """Baseline of referred pupils beside that of the pupils matched with them, by school and half-term: nothing was matched on it.

    Parameters
    ----------
    matches, cohort, trajectories : DataFrame
        Tables ``matches``, ``cohort`` and ``cohort_trajectories``.

    Returns
    -------
    DataFrame
        Table ``school_balance``: ``design, school_id, part, event_time`` (missing for the whole baseline), ``referred`` and ``comparison`` (pupils),
        ``referred_rate, comparison_rate`` (mean absence rates, % of possible sessions; comparison pupils by their weight in the sets of that
        school's pupils) and ``difference``. A difference in one school that others offset is invisible in the balance of the whole.
    """
    schools = matches.loc[matches["treated"]].merge(cohort[[*KEY, "school_id"]], on=KEY)[["design", "set_id", "school_id"]]
    rows = matches.merge(schools, on=["design", "set_id"], how="left", validate="many_to_one")
    whole = rows.merge(cohort[[*KEY, "baseline_rate"]], on=KEY).rename(columns={"baseline_rate": "rate"}).assign(event_time=pd.NA)
    by_half_term = rows.merge(trajectories.loc[trajectories["role"] == "baseline", [*KEY, "event_time", "rate"]], on=KEY)
    long = pd.concat([whole.astype({"event_time": "Int64"}), by_half_term.astype({"event_time": "Int64"})], ignore_index=True)
    long = long.loc[long["rate"].notna()]
    long = long.assign(weighted=long["weight"] * long["rate"], arm=np.where(long["treated"], "referred", "comparison"))
    keys = ["design", "school_id", "event_time"]
    sums = long.groupby([*keys, "arm"], dropna=False)[["weighted", "weight"]].sum()
    rate = (sums["weighted"] / sums["weight"]).unstack().rename(columns=lambda arm: f"{arm}_rate")
    counts = long.groupby([*keys, "arm"], dropna=False).size().unstack(fill_value=0)
    table = counts.join(rate).reset_index().rename_axis(columns=None)
    table["difference"] = table["referred_rate"] - table["comparison_rate"]
    table["part"] = [WHOLE_BASELINE if pd.isna(e) else f"half-term {e}" for e in table["event_time"]]
    return table[["design", "school_id", "part", "event_time", "referred", "comparison", "referred_rate", "comparison_rate", "difference"]]
