"""Primary suppression: which numbers are unsafe by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.reporting.disclosure.profiles import Profile
from evaluation.reporting.disclosure.system import CellSystem

SMALL, ZERO, CLASS, REST = "below the threshold", "a zero", "class disclosure", "leaves a group below the threshold"


@dataclass(frozen=True)
class SumCheck:
    """What the rules say of one cell of a sum or mean over people: whether it is safe, and the rules it breaks."""

    safe: bool
    broken: tuple[str, ...]


def risky_counts(system: CellSystem, profile: Profile, attributes: Sequence[str] = ()) -> dict[int, str]:
    """Cells that must not be known, with the reason.

    Parameters
    ----------
    attributes : sequence of str
        Dimensions that are traits of pupils; used where the profile asks for class disclosure.

    Returns
    -------
    dict
        Reason by cell. Cells that nobody prints are in it too: a group that is left over must not be worked out either.
    """
    risky: dict[int, str] = {}
    for at, value in enumerate(system.values):
        if system.structural[at]:
            continue
        if 0 < value < profile.threshold:
            risky[at] = SMALL if system.printed[at] else REST
        elif value == 0 and profile.zeros_disclosive and system.printed[at]:
            risky[at] = ZERO
    if profile.class_disclosure:
        risky |= {at: CLASS for at in system.uniform if at not in risky}
        risky |= {at: CLASS for at in _class_cells(system, attributes) if at not in risky}
    return risky


def _class_cells(system: CellSystem, attributes: Sequence[str]) -> set[int]:
    """Cells that hold the whole of a group although other categories of a trait exist."""
    found = set()
    for total, parts in system.equations:
        if len(parts) < 2 or system.values[total] == 0:
            continue
        traits = {d for p in parts for d in _dimensions(system.keys[p])} - _dimensions(system.keys[total])
        if traits & set(attributes):
            found |= {p for p in parts if system.values[p] == system.values[total]}
    return found


def _dimensions(key) -> set[str]:
    try:
        return {name for name, _ in key[1]}
    except (TypeError, ValueError):
        return set()


def check_sum(contributions: Sequence[float], profile: Profile) -> SumCheck:
    """Rules for a sum or a mean over people: enough of them, and none so large that it can be worked out.

    Parameters
    ----------
    contributions : sequence of float
        What each person adds; none below zero. Missing values are left out.

    Returns
    -------
    SumCheck
        Broken rules out of "threshold", "dominance" (the largest n hold more than the share) and "p-ratio" (all but the
        two largest hold less than the share of the largest).
    """
    values = np.sort(np.asarray([v for v in contributions if v == v], dtype=float))[::-1]
    broken = []
    if len(values) < profile.threshold:
        broken.append("threshold")
    total = values.sum()
    if total > 0:
        if values[: profile.dominance_n].sum() > profile.dominance_share * total:
            broken.append("dominance")
        if values[2:].sum() < profile.p_ratio * values[0]:
            broken.append("p-ratio")
    return SumCheck(not broken, tuple(broken))


def check_points(counts: Sequence[float], profile: Profile) -> list[int]:
    """Positions of plotted points that stand for too few pupils (a missing count is too few)."""
    return [i for i, n in enumerate(counts) if not (n == n and n is not None and float(n) >= profile.point_minimum)]
