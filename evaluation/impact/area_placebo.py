"""What an area's outcome did that its comparison did not, judged by placing the effect in authorities without the programme.

The effect is a difference-in-differences: the treated authority's gap to a pool in the follow-up year, less its gap in
the base years. No standard error exists for one treated authority, so that the effect is placed in every authority of the
pool in turn, with its own comparison drawn by the same rule, and ranked among these placebo effects [1]_. The same is done
for every earlier year, so that a movement that began before the programme is seen.

Comparison of a placebo authority. Pool "all": the pool without the authority itself. Pool "matched": the authority's own
matched set, drawn as the treated one's is; comparing it with the rest of the fixed pool instead would ask how it differs
from authorities like the treated one, a different and noisier question, and would tie the placebos to each other. The
treated authority is in no placebo comparison.

The test assumes that, without the programme, the treated authority would have moved as a typical authority of the pool.
Authorities differ in size, and small ones move more by chance [2]_: the pool "all" holds mostly larger authorities than
Middlesbrough, so that its p-values lean towards too small; the matched pool holds authorities nearer in size.

References
----------
.. [1] Abadie, A., Diamond, A. & Hainmueller, J. (2010). Synthetic control methods for comparative case studies. Journal of
   the American Statistical Association 105(490), 493-505.
.. [2] Ferman, B. & Pinto, C. (2019). Inference in differences-in-differences with few treated groups and
   heteroskedasticity. Review of Economics and Statistics 101(3), 452-467.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference import placebo_rank_test

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evaluation.protocol.area import AreaImpactSection

UNITS = {
    "persistent_absence": "percentage points of enrolments",
    "severe_absence": "percentage points of enrolments",
    "mean_absence": "percentage points of sessions",
}
REGISTERED = "registered"
# Slack in counting how many placebos a level allows, so that 0.05 * 20 counts as one whatever its last bit.
ROUNDING = 1e-9


class Specification(NamedTuple):
    """One way of estimating: what differs from the registered way is in its name."""

    variant: str
    measure: str
    base_years: tuple[str, ...]
    weighting: str
    placebos: str  # "own sets, pool" | "own sets, every authority" | "rest of the pool"
    parallel: str  # "points": by as many points as the comparison; "proportion": by the same proportion


@dataclass(frozen=True)
class AreaImpact:
    """Effects, gaps by year, drift and the placebo effects behind them; see :func:`estimate_area_impact`."""

    estimates: pd.DataFrame
    gaps: pd.DataFrame
    drift: pd.DataFrame
    placebos: pd.DataFrame


def estimate_area_impact(outcomes: pd.DataFrame, pools: pd.DataFrame, matches: pd.DataFrame, spec: AreaImpactSection) -> AreaImpact:
    """Estimate every registered outcome against both pools, with the registered alternatives beside it.

    Parameters
    ----------
    outcomes : DataFrame
        ``outcome, measure, authority_code, academic_year, enrolments, value``.
    pools : DataFrame
        ``pool, authority_code, role``.
    matches : DataFrame
        ``authority_code, match_code``: matched sets of the treated authority and of all of the pool "all".
    spec : AreaImpactSection
        The registered choices.

    Returns
    -------
    AreaImpact
        ``estimates``: one row per outcome, pool and variant. An effect below zero means less absence. ``conf_low`` and
        ``conf_high`` hold the constant effects that the rank test does not reject; they and ``critical_value`` are missing
        where the pool is too small to reject anything.
        ``gaps``: one row per outcome, pool and year. ``gap_from_base`` is the gap less its base years' mean; ``step`` is the
        gap less that of the previous year listed, so that it does not depend on the base; both with placebo p-values.
        ``drift``: one row per outcome and pool: what moved before the programme.
        ``placebos``: the registered placebo effects, and the treated authority's own.

    Raises
    ------
    DataError
        An authority of a pool lacks an outcome in a year, or the pools name no single treated authority.
    """
    treated, members = _pool_members(pools)
    years = sorted(outcomes["academic_year"].unique())
    estimates, gap_rows, drift_rows, placebo_rows = [], [], [], []
    for outcome in spec.outcomes:
        for pool in members:
            for way in specifications(outcome, pool, spec):
                values, means = _values_and_means(outcomes, outcome, pool, way, treated, members, matches, years)
                gaps = values - means
                changes = gap_changes(gaps, spec.follow_up_year, way.base_years)
                if way.parallel == "proportion":
                    changes = proportional_changes(values, means, spec.follow_up_year, way.base_years)
                estimates.append(_estimate_row(outcome, pool, way, changes, treated, spec))
                if way.variant != REGISTERED:
                    continue
                levels = _levels(outcomes, outcome, way, treated, gaps)
                rows = _gap_rows(outcome, pool, gaps, levels, treated, spec)
                gap_rows += rows
                drift_rows.append(_drift_row(outcome, pool, rows, gaps, treated, spec))
                ratios = (changes.abs() / _pre_rms(gaps, spec)).where(_pre_rms(gaps, spec) > 0)
                placebo_rows += [(outcome, pool, code, "treated" if code == treated else "placebo", float(change), ratios[code])
                                 for code, change in changes.items()]
    placebos = pd.DataFrame(placebo_rows, columns=["outcome", "pool", "authority_code", "role", "effect", "effect_over_earlier"])
    return AreaImpact(pd.DataFrame(estimates), pd.DataFrame(gap_rows), pd.DataFrame(drift_rows), placebos)


def specifications(outcome: str, pool: str, spec: AreaImpactSection) -> list[Specification]:
    """The registered way first, then each registered alternative, which differs from it in one respect."""
    own = "own sets, pool" if pool == "matched" else "rest of the pool"
    first = Specification(REGISTERED, "registered", spec.base_years, spec.pool_weighting, own, "points")
    ways = [first]
    ways += [first._replace(variant=f"base: {choice.name}", base_years=choice.years) for choice in spec.other_bases]
    other = "authorities" if spec.pool_weighting == "enrolments" else "enrolments"
    ways.append(first._replace(variant=f"pool mean over {other}", weighting=other))
    ways.append(first._replace(variant="other rule for unclassified enrolments", measure="other_unclassified"))
    ways.append(first._replace(variant="change in proportion to the level", parallel="proportion"))
    if outcome == "mean_absence":
        ways += [first._replace(variant=f"mean absence of the last band: {end} value", measure=f"last_band_{end}") for end in ("low", "high")]
    if pool == "matched":
        ways.append(first._replace(variant="placebos: every authority, own matched sets", placebos="own sets, every authority"))
        ways.append(first._replace(variant="placebos: rest of the fixed pool", placebos="rest of the pool"))
    return ways


def _pool_members(pools: pd.DataFrame) -> tuple[str, dict[str, list[str]]]:
    treated = set(pools.loc[pools["role"] == "treated", "authority_code"])
    if len(treated) != 1:
        raise DataError(f"{len(treated)} treated authorities where one is wanted", where="table `area_pools`, column `role`",
                        mend="run area_comparison again")
    comparison = pools[pools["role"] == "comparison"]
    members = {pool: sorted(rows["authority_code"]) for pool, rows in comparison.groupby("pool", sort=True)}
    return treated.pop(), members


def _values_and_means(outcomes, outcome, pool, way: Specification, treated: str, members: dict, matches: pd.DataFrame,
                      years: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    everyone = members["all"]
    placebo_units = everyone if way.placebos == "own sets, every authority" else members[pool]
    if len(placebo_units) < 2:
        raise UnidentifiedError(f"pool `{pool}` holds {len(placebo_units)} authorities", where="table `area_pools`",
                                mend="register more matches or fewer exclusions")
    units = [treated, *placebo_units]
    if way.placebos == "rest of the pool":
        sets = {unit: [code for code in members[pool] if code != unit] for unit in units}
    else:
        drawn = matches.groupby("authority_code")["match_code"].agg(list)
        sets = {unit: sorted(drawn[unit]) for unit in units}
    codes = sorted({*units, *(code for chosen in sets.values() for code in chosen)})
    values, enrolments = outcome_matrix(outcomes, outcome, way.measure, codes, years)
    return values.loc[units], comparison_means(values, enrolments if way.weighting == "enrolments" else None, sets)


def outcome_matrix(outcomes: pd.DataFrame, outcome: str, measure: str, codes: Sequence[str], years: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Values and enrolments as authority by year matrices, complete or refused."""
    chosen = outcomes[(outcomes["outcome"] == outcome) & (outcomes["measure"] == measure)]
    matrices = [chosen.pivot(index="authority_code", columns="academic_year", values=name).reindex(index=codes, columns=years)
                for name in ("value", "enrolments")]
    missing = matrices[0].isna()
    if missing.to_numpy().any():
        code = missing.any(axis=1).idxmax()
        raise DataError(f"authority {code} has no {outcome} ({measure}) in {missing.loc[code].idxmax()}", where="table `area_outcomes`",
                        mend="exclude the authority from both pools, or leave the year out")
    return matrices[0], matrices[1]


def comparison_means(values: pd.DataFrame, weights: pd.DataFrame | None, sets: dict[str, list[str]]) -> pd.DataFrame:
    """The mean of each unit's comparison set, by year.

    Parameters
    ----------
    values : DataFrame, authorities by years
        Outcome, percentage points.
    weights : DataFrame of the same shape, or None
        Enrolments: the set's mean is then what its enrolments taken together have, year by year. None weighs authorities alike.
    sets : dict
        Comparison authorities of each unit.

    Returns
    -------
    DataFrame, units by years
    """
    codes = list(values.index)
    position = {code: i for i, code in enumerate(codes)}
    inside = np.zeros((len(sets), len(codes), 1))
    for row, chosen in enumerate(sets.values()):
        inside[row, [position[code] for code in chosen], 0] = 1.0
    weight = np.ones(values.shape) if weights is None else weights.to_numpy(dtype=float)
    total = (inside * (weight * values.to_numpy(dtype=float))[None]).sum(axis=1)
    means = total / (inside * weight[None]).sum(axis=1)
    return pd.DataFrame(means, index=list(sets), columns=values.columns)


def gap_changes(gaps: pd.DataFrame, year: str, base_years: Sequence[str]) -> pd.Series:
    """The gap in one year less the mean gap of the base years, by unit: the difference-in-differences."""
    return gaps[year] - gaps[list(base_years)].mean(axis=1)


def proportional_changes(values: pd.DataFrame, means: pd.DataFrame, year: str, base_years: Sequence[str]) -> pd.Series:
    """The value in one year less what it would be had the base value grown in proportion to the comparison's, by unit.

    Parallel movement in points and in proportion cannot both hold where levels differ, as they do here [1]_.

    References
    ----------
    .. [1] Roth, J. & Sant'Anna, P. H. C. (2023). When is parallel trends sensitive to functional form? Econometrica 91(2), 737-747.
    """
    base = list(base_years)
    return values[year] - values[base].mean(axis=1) * means[year] / means[base].mean(axis=1)


def critical_value(placebo_effects: pd.Series, level: float) -> float | None:
    """The size that an effect must exceed for a two-sided rank p-value of at most ``level``; None if no size suffices."""
    sizes = np.sort(np.abs(placebo_effects.to_numpy(dtype=float)))[::-1]
    allowed = math.floor(level * (len(sizes) + 1) + ROUNDING) - 1
    return None if allowed < 0 else float(sizes[min(allowed, len(sizes) - 1)])


def _estimate_row(outcome: str, pool: str, way: Specification, changes: pd.Series, treated: str, spec: AreaImpactSection) -> dict:
    effect, placebos = float(changes[treated]), changes.drop(index=treated)
    test = placebo_rank_test(effect, placebos)
    critical = critical_value(placebos, 1 - spec.confidence_level)
    return {
        "estimate_id": f"{outcome}: {pool}: {way.variant}", "outcome": outcome, "pool": pool, "variant": way.variant,
        "registered": way.variant == REGISTERED, "level": "authority", "design": "difference-in-differences, placebo ranks",
        "base_years": ", ".join(way.base_years), "follow_up_year": spec.follow_up_year, "measure": way.measure, "weighting": way.weighting,
        "placebo_comparison": way.placebos, "parallel": way.parallel, "direction": "absence", "scale": UNITS[outcome], "estimate": effect,
        "placebo_mean": float(placebos.mean()), "placebo_sd": float(placebos.std(ddof=1)), "n_placebos": test.n,
        "rank_from_lowest": 1 + int((placebos < effect).sum()), "rank_by_size": test.rank, "p_two_sided": test.p_two_sided,
        "p_less": test.p_less, "p_greater": test.p_greater, "p_floor": test.floor, "critical_value": critical,
        "conf_low": None if critical is None else effect - critical, "conf_high": None if critical is None else effect + critical,
        "conf_level": spec.confidence_level, "warnings": " ".join(test.warnings),
    }


def _levels(outcomes: pd.DataFrame, outcome: str, way: Specification, treated: str, gaps: pd.DataFrame) -> pd.DataFrame:
    own, enrolments = outcome_matrix(outcomes, outcome, way.measure, [treated], list(gaps.columns))
    return pd.DataFrame({"treated_value": own.loc[treated], "comparison_value": own.loc[treated] - gaps.loc[treated],
                         "enrolments": enrolments.loc[treated]})


def _gap_rows(outcome: str, pool: str, gaps: pd.DataFrame, levels: pd.DataFrame, treated: str, spec: AreaImpactSection) -> list[dict]:
    rows, previous = [], None
    for year in gaps.columns:
        moved = gap_changes(gaps, year, spec.base_years)
        only_base = spec.base_years == (year,)
        tail = (1 - spec.envelope_level) / 2
        low, high = (0.0, 0.0) if only_base else moved.drop(index=treated).quantile([tail, 1 - tail])
        row = {
            "outcome": outcome, "pool": pool, "academic_year": year, "period": _period(year, spec), "enrolments": int(levels.loc[year, "enrolments"]),
            "treated_value": levels.loc[year, "treated_value"], "comparison_value": levels.loc[year, "comparison_value"],
            "gap": gaps.loc[treated, year], "gap_from_base": moved[treated], "placebo_low": low, "placebo_high": high,
            **_p_values("gap", None if only_base else moved, treated),
            "step": None if previous is None else gaps.loc[treated, year] - gaps.loc[treated, previous],
            "years_stepped": None if previous is None else int(year[:4]) - int(previous[:4]),
            **_p_values("step", None if previous is None else gaps[year] - gaps[previous], treated),
            "n_placebos": len(gaps) - 1,
        }
        rows.append(row)
        previous = year
    return rows


def _period(year: str, spec: AreaImpactSection) -> str:
    return "base" if year in spec.base_years else "after" if year >= spec.follow_up_year else "before"


def _p_values(name: str, moved: pd.Series | None, treated: str) -> dict:
    if moved is None:
        return {f"{name}_p_two_sided": None, f"{name}_p_less": None, f"{name}_p_greater": None}
    test = placebo_rank_test(float(moved[treated]), moved.drop(index=treated))
    return {f"{name}_p_two_sided": test.p_two_sided, f"{name}_p_less": test.p_less, f"{name}_p_greater": test.p_greater}


def _pre_rms(gaps: pd.DataFrame, spec: AreaImpactSection) -> pd.Series:
    """Root mean square of the earlier years' gaps from base, by unit: how much a unit moved before the programme."""
    earlier = [year for year in gaps.columns if _period(year, spec) == "before"]
    base = gaps[list(spec.base_years)].mean(axis=1)
    return np.sqrt((gaps[earlier].sub(base, axis=0) ** 2).mean(axis=1))


def _drift_row(outcome: str, pool: str, rows: list[dict], gaps: pd.DataFrame, treated: str, spec: AreaImpactSection) -> dict:
    """What moved before the programme, in one row; a movement is named when any of its placebo p-values is small."""
    earlier = [row for row in rows if row["period"] == "before"]
    if not earlier:
        raise UnidentifiedError("there is no year before the base years, so that an earlier movement cannot be seen",
                                where="area_impact.base_years", mend="register an earlier year among area_panel.academic_years")
    steps = [row for row in rows if row["period"] != "after" and row["step"] is not None]
    rms = _pre_rms(gaps, spec)
    rms_test = placebo_rank_test(float(rms[treated]), rms.drop(index=treated))
    changes = gap_changes(gaps, spec.follow_up_year, spec.base_years)
    ratio = changes.abs() / rms.where(rms > 0)
    ratio_test = placebo_rank_test(float(ratio[treated]), ratio.drop(index=treated).dropna()) if ratio.notna()[treated] else None
    farthest = min(earlier, key=lambda row: (row["gap_p_two_sided"], -abs(row["gap_from_base"])))
    largest = min(steps, key=lambda row: (row["step_p_two_sided"], -abs(row["step"])))
    level = spec.drift_level
    named_gaps = [row["academic_year"] for row in earlier if row["gap_p_two_sided"] <= level]
    named_steps = [row["academic_year"] for row in steps if row["step_p_two_sided"] <= level]
    return {
        "outcome": outcome, "pool": pool, "n_placebos": rms_test.n, "p_floor": rms_test.floor, "drift_level": level,
        "looks": len(earlier) + len(steps) + 1,
        "earlier_rms": float(rms[treated]), "earlier_rms_p": rms_test.p_greater,
        "farthest_year": farthest["academic_year"], "farthest_gap_from_base": farthest["gap_from_base"], "farthest_p": farthest["gap_p_two_sided"],
        "largest_step_year": largest["academic_year"], "largest_step": largest["step"], "largest_step_p": largest["step_p_two_sided"],
        "years_named": ", ".join(named_gaps), "steps_named": ", ".join(named_steps),
        "named": bool(named_gaps or named_steps or rms_test.p_greater <= level),
        "effect": float(changes[treated]), "effect_over_earlier": None if ratio_test is None else float(ratio[treated]),
        "effect_over_earlier_p": None if ratio_test is None else ratio_test.p_greater,
        "effect_reverses": bool(changes[treated] * -farthest["gap_from_base"] < 0),
    }
