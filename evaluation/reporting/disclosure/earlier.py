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


def narrow_changes(system: CellSystem, earlier: Earlier, profile: Profile) -> dict[int, str]:
    """Counts that must go because the earlier release shows them a little differently: the difference is a group of its own.

    A difference below the threshold points at the pupils who joined or left. It can be read only where neither release rounds.
    """
    found = {}
    for at, before in _exact(system, earlier, profile):
        if 0 < abs(system.values[at] - before) < profile.threshold:
            found[at] = CHANGED
    return found


def mark_known(system: CellSystem, earlier: Earlier, profile: Profile) -> None:
    """Counts that the earlier release shows and that have not changed are known for good: suppressing them now protects nothing."""
    for at, before in _exact(system, earlier, profile):
        if system.values[at] == before:
            system.structural[at] = True


def _exact(system: CellSystem, earlier: Earlier, profile: Profile) -> list[tuple[int, int]]:
    """Cells that both releases print without rounding, with the earlier count."""
    if earlier.rounding_base > 1 or profile.rounding_base > 1:
        return []
    printed = [(at, earlier.counts.get(key)) for at, key in enumerate(system.keys) if system.printed[at]]
    return [(at, before) for at, before in printed if before is not None]
