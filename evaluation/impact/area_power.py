"""The smallest effect on a supported pupil that a study of area averages could have seen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .area_placebo import UNITS, critical_value

if TYPE_CHECKING:
    from evaluation.protocol.area import AreaImpactSection

LARGEST_POSSIBLE = 100.0
"""Percentage points: no pupil can gain more sessions than there are, and no more than all pupils can leave a category."""


def smallest_detectable(placebo_effects: pd.Series, *, level: float, power: float) -> float | None:
    """The smallest fall in an area's outcome that the placebo rank test finds with the given power.

    An effect of -d is found in an authority whose outcome would otherwise have moved by e when e - d lies below minus the
    critical value c. The placebo effects stand for e, without assuming a normal distribution: d is c plus their
    ``power`` quantile (the smallest placebo effect that at least this share does not exceed). It is an estimate itself, and
    a rough one with few placebos.

    Parameters
    ----------
    placebo_effects : Series
        Effects placed in authorities without the programme, percentage points.
    level : float
        Level of the two-sided test.
    power : float
        Share of authorities in which the effect must be found.

    Returns
    -------
    float or None
        Percentage points, as a positive number; None if no effect, however large, could be found.
    """
    critical = critical_value(placebo_effects, level)
    if critical is None:
        return None
    ordered = np.sort(placebo_effects.to_numpy(dtype=float))
    return float(critical + ordered[math.ceil(power * len(ordered) - 1e-9) - 1])


def area_detectability(placebos: pd.DataFrame, gaps: pd.DataFrame, spec: AreaImpactSection) -> pd.DataFrame:
    """Translate the smallest detectable change of the area into one of the supported pupils.

    Supported pupils are a small part of the area's enrolments. For the mean absence rate the dilution is pupils started,
    times the share of the school year with support, over enrolments. For the two shares a pupil is in or out of the category
    for the whole year, so that the dilution is pupils started over enrolments, without the share of the year: this flatters
    the design, as does counting every starter as a secondary pupil supported for the same number of months.

    Parameters
    ----------
    placebos : DataFrame
        ``outcome, pool, role, effect``.
    gaps : DataFrame
        ``outcome, pool, academic_year, enrolments``.
    spec : AreaImpactSection
        Pupils started, months and the plausible effect, with their standing.

    Returns
    -------
    DataFrame
        One row per outcome and pool: ``area_detectable`` and ``pupil_detectable`` (percentage points; for a share, of the
        pupils who started), ``pupil_detectable_best`` under the most favourable values of the parameters, ``attainable`` and
        ``attainable_best`` (false when more than every supported pupil or session would be needed), ``effect_per_starter``
        (the area's estimate as if all of it came from supported pupils) and ``plausible_area_shift`` (what the plausible
        effect would move the area by; mean absence only).
    """
    rows = []
    own = placebos[placebos["role"] == "treated"].set_index(["outcome", "pool"])["effect"]
    for (outcome, pool), effects in placebos[placebos["role"] == "placebo"].groupby(["outcome", "pool"], sort=True)["effect"]:
        chosen = (gaps["outcome"] == outcome) & (gaps["pool"] == pool) & (gaps["academic_year"] == spec.follow_up_year)
        enrolments = int(gaps.loc[chosen, "enrolments"].iloc[0])
        whole_year = outcome != "mean_absence"
        dilution = _dilution(spec, enrolments, whole_year, best=False)
        best = _dilution(spec, enrolments, whole_year, best=True)
        level = 1 - spec.confidence_level
        area = smallest_detectable(effects, level=level, power=spec.power)
        plausible = None if whole_year else spec.plausible_effect
        rows.append({
            "outcome": outcome, "pool": pool, "scale": UNITS[outcome], "n_placebos": len(effects), "test_level": level, "power": spec.power,
            "critical_value": critical_value(effects, level), "area_detectable": area, "pupils_started": spec.pupils_started.value,
            "pupils_started_standing": spec.pupils_started.standing, "months_of_support": spec.months_of_support.value,
            "months_of_support_standing": spec.months_of_support.standing, "months_in_school_year": spec.months_in_school_year.value,
            "enrolments": enrolments, "dilution": dilution,
            "dilution_rule": "pupils started / enrolments" if whole_year else "pupils started x share of the year / enrolments",
            "pupil_detectable": None if area is None else area / dilution, "dilution_best": best,
            "pupil_detectable_best": None if area is None else area / best,
            "attainable": area is not None and area / dilution <= LARGEST_POSSIBLE,
            "attainable_best": area is not None and area / best <= LARGEST_POSSIBLE,
            "effect_per_starter": float(own[outcome, pool]) / dilution,
            "plausible_area_shift": None if plausible is None else plausible.value * dilution,
            "plausible_area_shift_high": None if plausible is None or plausible.high is None else plausible.high * dilution,
        })
    return pd.DataFrame(rows)


def _dilution(spec: AreaImpactSection, enrolments: int, whole_year: bool, *, best: bool) -> float:
    """Share of the area's enrolment-years that had support; ``best`` takes the high value of each parameter that has one."""
    def value(quantity) -> float:
        return quantity.high if best and quantity.high is not None else quantity.value

    share_of_year = 1.0 if whole_year else min(1.0, value(spec.months_of_support) / spec.months_in_school_year.value)
    return value(spec.pupils_started) * share_of_year / enrolments
