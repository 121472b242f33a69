"""An earlier release: what it shows is known for good, and what changed since must not point at a few pupils."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.errors import ContractError
from evaluation.reporting.disclosure.profiles import Profile
from evaluation.reporting.disclosure.system import CellSystem

RELEASE = "release.json"
CHANGED = "differs from the earlier release by fewer than the threshold"
HELD = "is held back in the earlier release"


@dataclass(frozen=True)
class Earlier:
    """Counts of an earlier release by population and place, None where it suppressed them, and to what it rounded."""

    counts: Mapping[tuple[str, tuple[tuple[str, str], ...]], int | None]
    rounding_base: int
    name: str


def read_earlier(folder: Path) -> Earlier:
    """Read the counts of an earlier release from its folder.

    Raises
    ------
    ContractError
        The folder is no release.
    """
    path = Path(folder) / RELEASE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        counts: dict[Any, int | None] = {}
        for table in told["tables"]:
            with (Path(folder) / table["file"]).open(encoding="utf-8", newline="") as handle:
                for row in csv.DictReader(handle):
                    for column, population in table["counts"].items():
                        split = table.get("by", {}).get(column, table["dimensions"])
                        place = tuple(sorted((d, row[d]) for d, total in table["dimensions"].items() if d in split and (total is None or row[d] != str(total))))
                        text = row[column]
                        if text == "c":
                            counts.setdefault((population, place), None)
                        elif text not in ("x", "z", ""):
                            counts[population, place] = int(float(text))
        return Earlier(counts, int(told["profile"]["rounding_base"]), str(told["run_id"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ContractError(f"not a release of this project ({type(error).__name__})", where=str(path.name), mend="name the folder `release` of an earlier run") from error


def tie_earlier(system: CellSystem, earlier: Earlier, profile: Profile) -> tuple[dict[int, str], dict[int, str]]:
    """Add to the system what the earlier release shows: what is the same is known for good, what differs is a group of its own.

    It can be read only where neither release rounds. Groups that nobody prints are looked at too: what is left between two
    counts of the earlier release is known as soon as both are. Parts that are new (an area that joined) are tied to the change
    of their total where the numbers agree, as an intruder would tie them.

    Returns
    -------
    dict
        Changes by fewer than the threshold: groups that must not be known.
    dict
        Counts to hold back with them, with the reason: those that changed so little; those that sums tie to others and that the
        earlier release holds back; totals that would show a part which is there no longer and was held back.
    """
    if earlier.rounding_base > 1 or profile.rounding_base > 1:
        return {}, {}
    before, printed = _known_before(system, earlier), list(system.printed)
    tied = {at for total, parts in system.equations for at in (total, *parts)}
    small: dict[int, str] = {}
    kept = {at: HELD for at in sorted(tied) if printed[at] and system.keys[at] in earlier.counts and earlier.counts[system.keys[at]] is None}
    for at, was in before.items():
        change = system.values[at] - was
        if change == 0:
            system.structural[at] = True
        elif abs(change) < profile.threshold:
            small[_changed(system, at, was)] = CHANGED
            if printed[at]:
                kept[at] = CHANGED
    old, new = _parts(earlier.counts), _parts({key: at for at, key in enumerate(system.keys[: len(printed)]) if printed[at]})
    for (population, place, dimension), gone in old.items():
        total, was = system.index.get((population, place)), earlier.counts.get((population, place))
        here = new.get((population, place, dimension), {})
        if total is None or was is None or system.structural[total]:
            continue
        joined, left = [here[v] for v in here if v not in gone], [gone[v] for v in gone if v not in here]
        if joined and not left and system.values[total] - was == sum(system.values[at] for at in joined):
            system.equate(_changed(system, total, was), joined)
        elif left and None in left:
            kept[total] = CHANGED
    return small, {at: reason for at, reason in kept.items() if not system.structural[at]}


def _changed(system: CellSystem, at: int, was: int) -> int:
    """The cell of what a count differs by from the earlier one, which everybody knows."""
    change = system.values[at] - was
    then = system.add(("earlier", at), was, name=f"{system.names[at]} in the earlier release", structural=True)
    cell = system.add(("change of", at), abs(change), printed=False, name=f"change of {system.names[at]} since the earlier release")
    more, less = (at, then) if change > 0 else (then, at)
    system.equate(more, [less, cell])
    return cell


def _parts(keyed: Mapping[Any, Any]) -> dict[tuple[Any, tuple, str], dict[str, Any]]:
    """What is kept under each key, by population, place of the total and dimension summed over, then by value of that dimension."""
    found: dict[tuple[Any, tuple, str], dict[str, Any]] = {}
    for key, value in keyed.items():
        if isinstance(key, tuple) and len(key) == 2 and isinstance(key[1], tuple):
            for dimension, label in key[1]:
                found.setdefault((key[0], tuple(item for item in key[1] if item[0] != dimension), dimension), {})[label] = value
    return found


def _known_before(system: CellSystem, earlier: Earlier) -> dict[int, int]:
    """Earlier counts by cell, printed then or worked out from those that were, through the sums of today."""
    known = {at: was for at, key in enumerate(system.keys) if system.printed[at] and (was := earlier.counts.get(key)) is not None}
    waiting = list(system.equations)
    while waiting:
        later = []
        for total, parts in waiting:
            missing = [at for at in (total, *parts) if at not in known]
            if len(missing) == 1 and not system.printed[missing[0]]:
                value = sum(known[p] for p in parts) if missing[0] == total else known[total] - sum(known[p] for p in parts if p != missing[0])
                if value >= 0:
                    known[missing[0]] = value
            elif missing:
                later.append((total, parts))
        if len(later) == len(waiting):
            return known
        waiting = later
    return known
