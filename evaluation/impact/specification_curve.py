"""Specification curve: the leading effect under every registered choice that could as well have been made otherwise.

Simonsohn, U., Simmons, J. & Nelson, L. (2020). Specification curve analysis. Nature Human Behaviour 4, 1208-1214. Each branch
rests on a match of its own, made before outcomes were read (:mod:`evaluation.design.alternatives`); here the matches meet the
registered outcomes, windows, weightings and intervals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from evaluation.design.outcomes import OUTCOMES, outcome_rows
from evaluation.errors import ContractError, UnidentifiedError
from evaluation.impact.change import ChangeEstimate, estimate_change
from evaluation.inference import linear
from evaluation.protocol.trial import HALF_TERMS_A_YEAR, ImpactSection

KEY = ["stack", "pupil_id"]
PUPILS, SESSIONS = "pupils", "sessions"
REGISTERED_INTERVAL = "CR2"
CHOICES = ("outcome", "windows", "weighting", "interval")
MATCH_CHOICES = ["design", "entries", "method", "distance", "caliper", "ratio", "covariates"]


@dataclass(frozen=True)
class Branch:
    """One way through the registered choices, and its estimate.

    Attributes
    ----------
    match_id : str
    choices : Mapping
        ``outcome, windows, weighting, interval``.
    change : ChangeEstimate or None
        None where it could not be estimated.
    failed : str or None
        Why not.
    """

    match_id: str
    choices: Mapping[str, str]
    change: ChangeEstimate | None
    failed: str | None

    @property
    def branch_id(self) -> str:
        """A name made of the choices, whatever the order in which branches are listed."""
        return "; ".join([self.match_id, *(f"{name} {self.choices[name]}".replace("_", " ") for name in CHOICES)])


@dataclass(frozen=True)
class SpecificationCurve:
    """Every branch with its estimate.

    Attributes
    ----------
    frame : DataFrame
        Table ``specification_curve``, by size of the estimate; branches that could not be estimated last.
    branches : tuple of Branch
        In the same order.
    """

    frame: pd.DataFrame
    branches: tuple[Branch, ...]

    @property
    def sentence(self) -> str:
        """How many branches there are and where their estimates lie, in words."""
        done = self.frame.loc[self.frame["estimate"].notna()]
        own = done.loc[done["registered"], "estimate"].iloc[0]
        low, high, middle = done["estimate"].min(), done["estimate"].max(), done["estimate"].median()
        lost = len(self.frame) - len(done)
        without = f" {lost} more could not be estimated." if lost else ""
        return (f"{len(done)} branches over {done['match_id'].nunique()} matches: from {low:.2f} to {high:.2f} points, in the middle {middle:.2f}; the registered one "
                f"{own:.2f}. {int((done['estimate'] > 0).sum())} are above zero, {int((done['conf_low'] > 0).sum())} with an interval above zero.{without}")  # fmt: skip


def specification_curve(cohort: pd.DataFrame, trajectories: pd.DataFrame, cohort_outcomes: pd.DataFrame, match_alternatives: pd.DataFrame,
                        alternative_weights: pd.DataFrame, *, rules: ImpactSection) -> SpecificationCurve:
    """Estimate the effect on referred pupils in every registered branch.

    Parameters
    ----------
    cohort, trajectories, cohort_outcomes, match_alternatives, alternative_weights : DataFrame
        The tables of those names (``trajectories``: ``cohort_trajectories``).
    rules : ImpactSection

    Returns
    -------
    SpecificationCurve
        Above zero is better. A branch that cannot be estimated is kept with its reason.

    Raises
    ------
    ContractError
        Not exactly one match is the registered one.
    """
    if match_alternatives["registered"].sum() != 1:
        raise ContractError("not exactly one match is the registered one", where="table `match_alternatives`", mend="run the matching stage again")
    weights = dict(iter(alternative_weights.groupby("match_id", sort=False)))
    own_windows = _registered_windows(trajectories)
    changes: dict[tuple[str, str], pd.DataFrame | str] = {}
    branches = []
    for line in match_alternatives.itertuples():
        for choices in _choices(rules, own_windows, registered=bool(line.registered)):
            key = (choices["outcome"], choices["windows"])
            if key not in changes:
                changes[key] = _changes(cohort, trajectories, cohort_outcomes, *key, own=key == (rules.outcome, own_windows))
            branches.append(_estimate(line, weights.get(line.match_id), changes[key], choices))
    frame = _table(branches, match_alternatives, rules, own_windows)
    order = frame.assign(missing=frame["estimate"].isna()).sort_values(["missing", "estimate", "branch_id"], kind="stable").index
    frame = frame.loc[order].reset_index(drop=True)
    frame.insert(0, "position", np.arange(1, len(frame) + 1))
    return SpecificationCurve(frame, tuple(branches[i] for i in order))


def _choices(rules: ImpactSection, own_windows: str, *, registered: bool) -> list[dict[str, str]]:
    """Choices that are combined with every match, and for the registered match also the others, one at a time."""
    listed = rules.specification_curve
    own = {"outcome": rules.outcome, "windows": own_windows, "weighting": PUPILS, "interval": REGISTERED_INTERVAL}
    others = {"outcome": listed.outcome, "windows": [_windows_text(gap, length) for gap, length in listed.windows], "weighting": listed.weighting,
              "interval": listed.interval}  # fmt: skip
    options = [[own[name], *others[name]] if name in listed.crossed else [own[name]] for name in CHOICES]
    found = [dict(zip(CHOICES, values, strict=True)) for values in product(*options)]
    if registered:
        found += [own | {name: value} for name in CHOICES if name not in listed.crossed for value in others[name]]
    # One change of windows or outcome at a time: an outcome is counted over the registered windows alone.
    kept = [c for c in found if c["windows"] == own["windows"] or c["outcome"] == own["outcome"]]
    return list({tuple(c.values()): c for c in kept}.values())


def _windows_text(gap: int, length: int) -> str:
    return f"{-gap - length} to {-gap - 1}, {gap + 1} to {gap + length}"


def _registered_windows(trajectories: pd.DataFrame) -> str:
    spans = [trajectories.loc[trajectories["role"] == role, "event_time"] for role in ("baseline", "follow-up")]
    return ", ".join(f"{times.min()} to {times.max()}" for times in spans)


def _changes(cohort: pd.DataFrame, trajectories: pd.DataFrame, cohort_outcomes: pd.DataFrame, outcome: str, windows: str, *, own: bool) -> pd.DataFrame | str:
    """The cohort's rows with the change in one outcome over one pair of windows, lower being better; or why there are none."""
    if own:
        return cohort.loc[cohort["analysed"]]
    if windows != _registered_windows(trajectories):
        return _other_windows(cohort, trajectories, windows)
    if not (cohort_outcomes["outcome"] == outcome).any():
        return f"the registers do not hold what `{outcome}` is counted from"
    rows = outcome_rows(cohort, cohort_outcomes, outcome)
    return rows.assign(change=-rows["change"]) if OUTCOMES[outcome].better == "higher" else rows


def _other_windows(cohort: pd.DataFrame, trajectories: pd.DataFrame, windows: str) -> pd.DataFrame | str:
    """Absence over other half-terms around the window, of pupils who have possible sessions in each of them."""
    before, after = (range(int(span.split(" to ")[0]), int(span.split(" to ")[1]) + 1) for span in windows.split(", "))
    seen = set(trajectories["event_time"])
    beyond = [e for e in (*before, *after) if e not in seen]
    if beyond:
        return f"half-terms {', '.join(map(str, beyond))} lie outside the registered windows, so the cohort does not hold them"
    rates, kept = [], []
    for times in (before, after):
        own = trajectories.loc[trajectories["event_time"].isin(times) & (trajectories["possible"] > 0)]
        sums = own.groupby(KEY).agg(absent=("absent", "sum"), possible=("possible", "sum"), half_terms=("event_time", "size"))
        rates.append(100.0 * sums["absent"] / sums["possible"])
        kept.append(sums.index[sums["half_terms"] == len(times)])
    change = (rates[1] - rates[0]).loc[kept[0].intersection(kept[1])].rename("other_change").reset_index()
    rows = cohort.loc[cohort["analysed"]].merge(change, on=KEY, how="inner", validate="one_to_one")
    return rows.assign(change=rows["other_change"]).drop(columns="other_change")


def _estimate(line, weights: pd.DataFrame | None, rows: pd.DataFrame | str, choices: Mapping[str, str]) -> Branch:
    failed = line.failed if isinstance(line.failed, str) else rows if isinstance(rows, str) else None
    if failed is not None or weights is None:
        return Branch(line.match_id, choices, None, failed or "no weights")
    joined = weights.merge(rows, on=KEY, how="inner", validate="one_to_one").assign(treated=lambda f: f["treated"].astype("int64"))
    by_sessions = choices["weighting"] == SESSIONS
    if by_sessions:
        joined["weight"] = joined["weight"] * joined["baseline_possible"]
    try:
        change = estimate_change(joined, within_area=line.design == "within_area", weight="weight", scale=by_sessions)
    except UnidentifiedError as error:
        return Branch(line.match_id, choices, None, error.message)
    return Branch(line.match_id, choices, change, None)


def _table(branches: list[Branch], matches: pd.DataFrame, rules: ImpactSection, own_windows: str) -> pd.DataFrame:
    described = matches.set_index("match_id")
    lines = []
    for branch in branches:
        match = described.loc[branch.match_id]
        registered = bool(match["registered"]) and branch.choices == {"outcome": rules.outcome, "windows": own_windows, "weighting": PUPILS,
                                                                      "interval": REGISTERED_INTERVAL}
        lines.append({"branch_id": branch.branch_id, "match_id": branch.match_id, "registered": registered, **{name: match[name] for name in MATCH_CHOICES},
                      **branch.choices, "season_matched": _season_matched(branch.choices["windows"]), **_numbers(branch, rules, int(match["unmatched"])),
                      "failed": branch.failed})  # fmt: skip
    return pd.DataFrame(lines).astype({"ratio": "Int64", "caliper": "float64"})


def _season_matched(windows: str) -> bool:
    """Whether baseline and follow-up are the same half-terms one year apart."""
    first, second = (span.split(" to ") for span in windows.split(", "))
    return all(int(b) - int(a) == HALF_TERMS_A_YEAR for a, b in zip(first, second, strict=True))


def _numbers(branch: Branch, rules: ImpactSection, unmatched: int) -> dict:
    names = ("estimate", "std_error", "df", "p_value", "conf_low", "conf_high", "n_treated", "n_comparison", "schools_treated", "schools_comparison", "effective_n")
    change = branch.change
    if change is None:
        return {**dict.fromkeys(names, np.nan), **dict.fromkeys(names[6:10], 0), "effective_n": 0.0, "unmatched": unmatched}
    from scipy.stats import t

    std_error, df = change.std_error, change.df
    if branch.choices["interval"] != REGISTERED_INTERVAL:
        fit = linear(change.rows, change.outcome, ["treated"], weights="weight", absorb=["cell"], cluster="school_id", kind=branch.choices["interval"])
        term = fit.frame.set_index("term").loc["treated"]
        std_error, df = float(term["std_error"]), float(term["df"])
    reach = float(t.ppf(0.5 + rules.confidence_level / 2.0, df)) * std_error
    values = (change.estimate, std_error, df, float(2.0 * t.sf(abs(change.estimate) / std_error, df)), change.estimate - reach, change.estimate + reach,
              change.n_treated, change.n_comparison, change.schools_treated, change.schools_comparison, change.effective_n)  # fmt: skip
    return {**dict(zip(names, values, strict=True)), "unmatched": unmatched + change.left_out}
