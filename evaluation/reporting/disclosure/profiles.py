"""Named sets of disclosure rules: thresholds as data, each with its source, never one number for every study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from evaluation.errors import ParameterError


@dataclass(frozen=True)
class Profile:
    """The rules that a table must pass before it leaves.

    Parameters
    ----------
    name : str
    threshold : int
        Smallest number of pupils that may be shown; counts from 1 to ``threshold - 1`` are suppressed.
    zeros_disclosive : bool
        Whether a count of 0 is suppressed too (outside structural zeros).
    class_disclosure : bool
        Whether a group whose members all fall into one category is suppressed.
    rounding_base : int
        Counts that are shown are rounded to this; 1 leaves them as they are.
    residual_df : int
        Fewest residual degrees of freedom of a regression that may be shown.
    point_minimum : int
        Fewest pupils behind one plotted point.
    schools_minimum : int
        Fewest schools behind a measure. With two, each learns the other's result from its own; the counts of pupils, which
        have a threshold of their own, stay.
    dominance_n, dominance_share : int, float
        A sum is unsafe where its largest ``dominance_n`` contributors hold more than this share.
    p_ratio : float
        A sum is unsafe where all but its two largest contributors hold less than this share of the largest.
    source : str
        Where the thresholds come from, and how far that was checked.
    """

    name: str
    threshold: int
    zeros_disclosive: bool
    class_disclosure: bool
    rounding_base: int
    residual_df: int
    point_minimum: int
    schools_minimum: int
    dominance_n: int
    dominance_share: float
    p_ratio: float
    source: str


_DOMINANCE = {"dominance_n": 2, "dominance_share": 0.90, "p_ratio": 0.10}

_SCHOOLS = "; at least three schools behind a measure is this project's judgement"

PROFILES: dict[str, Profile] = {
    profile.name: profile for profile in (
        Profile("srs", threshold=10, zeros_disclosive=False, class_disclosure=True, rounding_base=1, residual_df=10, point_minimum=10, schools_minimum=3, **_DOMINANCE,
                source="Office for National Statistics Secure Research Service, output rules: counts below 10, class disclosure, secondary suppression; "
                       "degrees of freedom, dominance and p-ratio are the defaults of ACRO 1.0.2" + _SCHOOLS),
        Profile("dfe_absence", threshold=3, zeros_disclosive=False, class_disclosure=False, rounding_base=5, residual_df=10, point_minimum=3, schools_minimum=3, **_DOMINANCE,
                source="Department for Education absence releases (older methodology): counts of 1 or 2 and percentages built on them suppressed, published "
                       "counts rounded to the nearest 5, a shown 0 is a true 0; degrees of freedom, dominance and p-ratio are the defaults of ACRO 1.0.2" + _SCHOOLS),
        Profile("acro", threshold=10, zeros_disclosive=True, class_disclosure=True, rounding_base=1, residual_df=10, point_minimum=10, schools_minimum=3, **_DOMINANCE,
                source="Defaults of ACRO 1.0.2, zeros included" + _SCHOOLS),
    )
}


def find_profile(name: str, changes: Mapping[str, Any] | None = None) -> Profile:
    """The profile called ``name``, or a study's own: that profile with the thresholds that its protocol changes.

    Parameters
    ----------
    name : str
        One of ``PROFILES``.
    changes : mapping, optional
        Fields of :class:`Profile` that the protocol registers; ``source`` must then be given.

    Raises
    ------
    ParameterError
        There is no such profile or field, or a change has no source.
    """
    if name not in PROFILES:
        raise ParameterError(f"there is no disclosure profile `{name}`", where="report.disclosure_profile", mend=f"use one of {', '.join(PROFILES)}")
    changes = dict(changes or {})
    if not changes:
        return PROFILES[name]
    unknown = sorted(set(changes) - {f.name for f in fields(Profile)} - {"name"})
    if unknown or not changes.get("source"):
        raise ParameterError(f"a study's own thresholds need a `source`; unknown keys: {', '.join(unknown) or 'none'}", where="report.disclosure_changes",
                             mend=f"use {', '.join(f.name for f in fields(Profile) if f.name != 'name')}")
    own = replace(PROFILES[name], **{**changes, "name": f"{name}, changed by the protocol"})
    if own.threshold < 1 or own.rounding_base < 1 or own.residual_df < 1 or own.point_minimum < 1 or own.schools_minimum < 1:
        raise ParameterError("thresholds and the rounding base are at least 1", where="report.disclosure_changes")
    return own
