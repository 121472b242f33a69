"""Which authorities an area is compared with: every authority present throughout, and those like it.

Two pools are registered and always shown side by side. "all" holds every authority with enrolments in every year of the
study. "matched" holds the authorities nearest to the treated one on characteristics that a year of the programme cannot
have moved, measured before it began. The treated authority, the areas that joined later and any further registered
exclusion are in neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evaluation.protocol.area import AreaComparisonSection

POOLS = ("all", "matched")


@dataclass(frozen=True)
class AreaComparison:
    """Pools, matched sets and their balance.

    Attributes
    ----------
    pools : DataFrame
        ``pool, authority_code, authority_name, role`` ("treated" or "comparison"), ``region_name, enrolments, fsm_share,
        sen_share, distance`` (to the treated authority, standard deviations). The treated authority has a row in each pool.
    matches : DataFrame
        ``authority_code, match_rank, match_code, distance, same_region``: the matched set of the treated authority and of
        every authority of the pool "all", drawn by the same rule.
    exclusions : DataFrame
        ``authority_code, authority_name, reason``: every authority of the table that is in no pool.
    balance : DataFrame
        ``pool, characteristic, treated, pool_mean, pool_low, pool_high, difference, difference_sd, treated_rank, pool_size``.
    """

    pools: pd.DataFrame
    matches: pd.DataFrame
    exclusions: pd.DataFrame
    balance: pd.DataFrame


def compare_areas(panel: pd.DataFrame, authorities: pd.DataFrame, spec: AreaComparisonSection) -> AreaComparison:
    """Draw both pools.

    Parameters
    ----------
    panel : DataFrame
        ``authority_code, academic_year, record, enrolments, fsm_eligible, fsm_known, sen_any, sen_known``: counts.
    authorities : DataFrame
        ``authority_code, authority_name, region_name, years_present, in_every_year``.
    spec : AreaComparisonSection
        The registered choices.

    Raises
    ------
    DataError
        A named authority is not in the table, or the treated one lacks a year.
    UnidentifiedError
        Fewer authorities are left than a matched set needs.
    """
    exclusions = area_exclusions(authorities, spec)
    treated = spec.treated_authority.code
    candidates = sorted(set(authorities["authority_code"]) - set(exclusions["authority_code"]))
    if len(candidates) < spec.matches + 1:
        raise UnidentifiedError(
            f"{len(candidates)} authorities are left after exclusions; matched sets of {spec.matches} need {spec.matches + 1}",
            where="area_comparison.matches", mend="register fewer matches or fewer exclusions")
    measured = area_characteristics(panel, authorities, [treated, *candidates], spec.characteristic_years)
    matches = matched_sets(measured, treated, spec)
    matched = set(matches.loc[matches["authority_code"] == treated, "match_code"])
    distance = area_distances(measured, treated, spec).loc[treated]
    listed = measured.reset_index().assign(distance=lambda rows: rows["authority_code"].map(distance))
    listed["role"] = np.where(listed["authority_code"] == treated, "treated", "comparison")
    columns = ["pool", "authority_code", "authority_name", "role", "region_name", "enrolments", "fsm_share", "sen_share", "distance"]
    near = listed["authority_code"].isin({treated, *matched})
    pools = pd.concat([listed.assign(pool="all"), listed[near].assign(pool="matched")], ignore_index=True)[columns]
    return AreaComparison(pools=pools, matches=matches, exclusions=exclusions, balance=_balance(measured, treated, matched, spec))


def area_exclusions(authorities: pd.DataFrame, spec: AreaComparisonSection) -> pd.DataFrame:
    """List every authority that is in no pool, with one reason each: ``authority_code, authority_name, reason``."""
    treated = spec.treated_authority
    known = authorities.set_index("authority_code")
    for key, named in (("treated_authority", [treated]), ("later_areas", spec.later_areas), ("further_exclusions", spec.further_exclusions)):
        for authority in named:
            if authority.code not in known.index:
                raise DataError(f"authority {authority.code} ({authority.name}) is not in the table", where=f"area_comparison.{key}",
                                mend="correct the three-digit number, or supply bands that hold this authority")
            found = known.loc[authority.code, "authority_name"]
            if found != authority.name:
                raise DataError(f"authority {authority.code} is {found!r} in the table and {authority.name!r} in the protocol",
                                where=f"area_comparison.{key}", mend="correct the number or the name")
    if not known.loc[treated.code, "in_every_year"]:
        raise DataError(f"{treated.name} has enrolments in {known.loc[treated.code, 'years_present']} years only",
                        where="area_comparison.treated_authority", mend="register only years in which it has enrolments")
    reasons = {code: f"years present: {years} only" for code, years in known.loc[~known["in_every_year"], "years_present"].items()}
    reasons |= {authority.code: authority.reason for authority in (*spec.further_exclusions, *spec.later_areas)}
    reasons[treated.code] = "the treated authority"
    rows = [(code, known.loc[code, "authority_name"], reason) for code, reason in sorted(reasons.items())]
    return pd.DataFrame(rows, columns=["authority_code", "authority_name", "reason"])


def area_characteristics(panel: pd.DataFrame, authorities: pd.DataFrame, codes: Sequence[str], years: Sequence[str]) -> pd.DataFrame:
    """Measure stable characteristics, pooled over the enrolments of the given years.

    Unclassified enrolments count in the size and not in the shares.

    Returns
    -------
    DataFrame
        Indexed by ``authority_code``: ``authority_name, region_name, enrolments`` (mean a year), ``fsm_share, sen_share``
        (percent of enrolments with known eligibility or need) and ``log_enrolments``.
    """
    chosen = panel[panel["academic_year"].isin(years) & panel["authority_code"].isin(codes)]
    sums = chosen.groupby("authority_code")[["enrolments", "fsm_eligible", "fsm_known", "sen_any", "sen_known"]].sum()
    lacking = sorted(set(codes) - set(sums.index[(sums[["fsm_known", "sen_known"]] > 0).all(axis=1)]))
    if lacking:
        raise DataError("no enrolment with known characteristics in the years they are measured", where=f"authority {lacking[0]}",
                        mend="register other characteristic_years, or exclude the authority")
    names = authorities.set_index("authority_code")[["authority_name", "region_name"]]
    measured = names.loc[sorted(codes)].copy()
    measured["enrolments"] = sums["enrolments"] / len(years)
    measured["fsm_share"] = 100 * sums["fsm_eligible"] / sums["fsm_known"]
    measured["sen_share"] = 100 * sums["sen_any"] / sums["sen_known"]
    measured["log_enrolments"] = np.log(measured["enrolments"])
    return measured


def area_distances(measured: pd.DataFrame, treated: str, spec: AreaComparisonSection) -> pd.DataFrame:
    """Euclidean distances between authorities on standardised characteristics.

    Each characteristic is divided by its standard deviation over the comparison authorities (divisor n - 1; the treated
    one is left out, so that it cannot stretch the scale it is measured on). Two authorities of different regions are
    ``spec.region_penalty`` further apart, as one more coordinate.

    Returns
    -------
    DataFrame
        Square, indexed and named by authority code; standard deviations.
    """
    values = measured[list(spec.characteristics)]
    spread = values.drop(index=treated).std(ddof=1)
    if (spread == 0).any():
        raise UnidentifiedError(f"every comparison authority has the same {spread.index[spread == 0][0]}", where="area_comparison.characteristics",
                                mend="leave this characteristic out")
    scaled = (values / spread).to_numpy()
    squares = ((scaled[:, None, :] - scaled[None, :, :]) ** 2).sum(axis=2)
    region = measured["region_name"].to_numpy()
    squares = squares + spec.region_penalty**2 * (region[:, None] != region[None, :])
    return pd.DataFrame(np.sqrt(squares), index=measured.index, columns=measured.index)


def matched_sets(measured: pd.DataFrame, treated: str, spec: AreaComparisonSection) -> pd.DataFrame:
    """The nearest authorities of every authority, by one rule for all.

    A set never holds the authority itself nor the treated one: the latter, so that an effect of the programme cannot reach
    the placebo distribution that it is judged by. Equal distances are settled by the lower code.

    Returns
    -------
    DataFrame
        ``authority_code, match_rank`` (1 is nearest), ``match_code, distance, same_region``.
    """
    distances = area_distances(measured, treated, spec)
    region = measured["region_name"]
    rows = []
    for code in distances.index:
        others = distances.loc[code].drop(index=list({code, treated}))
        nearest = others.sort_index().sort_values(kind="stable").head(spec.matches)
        rows += [(code, rank, match, float(distance), bool(region[match] == region[code]))
                 for rank, (match, distance) in enumerate(nearest.items(), 1)]
    return pd.DataFrame(rows, columns=["authority_code", "match_rank", "match_code", "distance", "same_region"])


def _balance(measured: pd.DataFrame, treated: str, matched: set[str], spec: AreaComparisonSection) -> pd.DataFrame:
    shown = measured.assign(same_region=100.0 * (measured["region_name"] == measured.loc[treated, "region_name"]))
    everyone = shown.drop(index=treated)
    rows = []
    for pool, members in (("all", everyone), ("matched", everyone.loc[sorted(matched)])):
        for name in ("fsm_share", "sen_share", "enrolments", "same_region"):
            own, values, spread = float(shown.loc[treated, name]), members[name], everyone[name].std(ddof=1)
            difference = own - values.mean()
            rows.append((pool, name, own, values.mean(), values.min(), values.max(), difference, difference / spread if spread > 0 else None,
                         1 + int((values > own).sum()), len(members)))
    names = ["pool", "characteristic", "treated", "pool_mean", "pool_low", "pool_high", "difference", "difference_sd", "treated_rank", "pool_size"]
    return pd.DataFrame(rows, columns=names)
