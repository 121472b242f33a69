"""The intruder against a run's release: all its tables at once, read from the files that leave, and nothing else of the package.

The checker's counts are used only to judge what was found.
"""

from __future__ import annotations

import csv
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml
from scipy.optimize import linprog
from scipy.sparse import lil_matrix

MOST = 1e9  # rows of marks are counted in tens of millions


@dataclass
class Knowledge:
    """Counts by population and place, printed (a number) or not (None), and sums that the intruder believes in."""

    printed: dict[tuple, int | None] = field(default_factory=dict)
    true: dict[tuple, int] = field(default_factory=dict)
    sums: list[tuple[tuple, list[tuple]]] = field(default_factory=list)
    small: set[tuple] = field(default_factory=set)


def read(release: Path, checker: Path, dictionary: Path, threshold: int) -> Knowledge:
    """Everything that the released tables show, with the sums and parts that a careful reader would try."""
    told, known = json.loads((release / "release.json").read_text(encoding="utf-8")), Knowledge()
    for table in told["tables"]:
        if not table["counts"]:
            continue
        shown, true = rows(release / table["file"]), rows(checker / "counts" / f"{table['name']}.csv")
        spec = yaml.safe_load((dictionary / f"{table['name']}.yaml").read_text(encoding="utf-8"))["x-disclosure"]
        keys = []
        for one, behind in zip(shown, true, strict=True):
            at = {}
            for column, population in table["counts"].items():
                split = table["by"].get(column, table["dimensions"])
                place = tuple(sorted((d, one[d]) for d, total in table["dimensions"].items() if d in split and (total is None or one[d] != str(total))))
                if one[column] == "x":
                    continue
                key = at[column] = (population, place)
                known.true[key] = int(behind[column])
                if one[column] != "c":
                    assert int(one[column]) == known.true[key]
                known.printed[key] = known.printed.get(key) if one[column] == "c" else int(one[column])
            keys.append(at)
            for part, whole in spec.get("parts", []):
                if part in at and whole in at and known.true[at[part]] <= known.true[at[whole]]:
                    left(known, at[whole], [at[part]])
        if over := spec.get("partition"):
            group = [d for d in table["dimensions"] if d != over["over"]]
            for _, members in itertools.groupby(sorted(zip(shown, keys, strict=True), key=lambda m: [m[0][d] for d in group]), key=lambda m: [m[0][d] for d in group]):
                members = list(members)
                left(known, members[0][1][over["whole"]], [m[1][over["count"]] for m in members])
    margins(known)
    same_numbers(known)
    known.small |= {k for k, v in known.true.items() if 0 < v < threshold}
    return known


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def left(known: Knowledge, whole: tuple, parts: list[tuple]) -> None:
    """The pupils of a whole who are in none of its parts: printed nowhere, and a group all the same."""
    rest = ("left of", whole, *parts)
    known.true[rest] = known.true[whole] - sum(known.true[p] for p in parts)
    known.printed[rest] = None
    known.sums.append((whole, [*parts, rest]))


def margins(known: Knowledge) -> None:
    """Totals over one dimension, wherever the parts are there and really add up."""
    finer: dict[tuple, list[tuple]] = {}
    for population, *rest in list(known.printed):
        if population == "left of":
            continue
        place = rest[0]
        for dimension, _ in place:
            finer.setdefault((population, tuple(i for i in place if i[0] != dimension), dimension), []).append((population, place))
    for (population, place, _), parts in finer.items():
        whole = (population, place)
        if whole in known.true and known.true[whole] == sum(known.true[p] for p in parts):
            known.sums.append((whole, parts))


def same_numbers(known: Knowledge) -> None:
    """What is left here and printed there under the same large number is taken for the same pupils."""
    for rest in [k for k in known.printed if k[0] == "left of"]:
        known.sums += [(k, [rest]) for k, v in known.printed.items() if v is not None and v == known.true[rest] >= 100]


def bounds(known: Knowledge, wanted: list[tuple]) -> dict[tuple, tuple[float, float]]:
    """Lowest and highest possible value of each count."""
    keys = list(known.printed)
    at = {key: i for i, key in enumerate(keys)}
    matrix = lil_matrix((len(known.sums), len(keys)))
    for row, (whole, parts) in enumerate(known.sums):
        matrix[row, at[whole]] += 1
        for part in parts:
            matrix[row, at[part]] -= 1
    matrix = matrix.tocsr()
    limits = [(0, MOST) if v is None else (v, v) for v in known.printed.values()]
    found = {}
    for key in wanted:
        ends = []
        for sign in (1, -1):
            aim = np.zeros(len(keys))
            aim[at[key]] = sign
            ends.append(linprog(aim, A_eq=matrix, b_eq=np.zeros(len(known.sums)), bounds=limits).x[at[key]])
        found[key] = (ends[0], ends[1])
    return found


def attack(release: Path, checker: Path, dictionary: Path, threshold: int) -> tuple[int, list[str]]:
    """How many counts were attacked, and what was learned of them."""
    known = read(release, checker, dictionary, threshold)
    hidden = [k for k, v in known.printed.items() if v is None and (k in known.small or k[0] != "left of")]
    learned = []
    for key, (low, high) in bounds(known, hidden).items():
        if key in known.small and (low > 0.5 or high < threshold - 1e-6):
            learned.append(f"{key}: {known.true[key]} lies in {low:.1f} to {high:.1f}")
        elif key not in known.small and high - low < 0.5:
            learned.append(f"{key} is {known.true[key]}")
    return len(hidden), learned
