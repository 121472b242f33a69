"""A patient reader of a release: every difference of two printed counts of which the one is part of the other, and every share times its whole.

It reads the files that leave and what the dictionary says of parts and places, follows no chain of equations, and needs no solver:
what it pins, anybody could pin with a pencil. The checker's counts are not looked at.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import yaml


@dataclass
class Printed:
    """Counts by population and place with where they stand, pairs of part and whole, and shares: (part, whole, stated, half a unit of it)."""

    counts: dict[tuple, int] = field(default_factory=dict)
    names: dict[tuple, str] = field(default_factory=dict)
    pairs: set[tuple[tuple, tuple]] = field(default_factory=set)
    shares: list[tuple[tuple, tuple, float, float]] = field(default_factory=list)
    hidden: set[tuple] = field(default_factory=set)


def read(release: Path, dictionary: Path) -> Printed:
    """Every count, share and pair of the released tables."""
    told, seen = json.loads((release / "release.json").read_text(encoding="utf-8")), Printed()
    within = []
    for table in told["tables"]:
        entry = yaml.safe_load((dictionary / f"{table['name']}.yaml").read_text(encoding="utf-8"))
        spec, units = entry.get("x-disclosure", {}), {f["name"]: f.get("x-unit") for f in entry["fields"]}
        if not table["counts"]:
            continue
        with (release / table["file"]).open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
        parts = closed({tuple(p) for p in spec.get("parts", [])})
        for row in rows:
            at = {}
            for column, population in table["counts"].items():
                split = table.get("by", {}).get(column, table["dimensions"])
                at[column] = (population, tuple(sorted((d, row[d]) for d, total in table["dimensions"].items() if d in split and (total is None or row[d] != str(total)))))
                seen.names.setdefault(at[column], f"{table['name']}.{column} ({', '.join(row[d] for d in table['dimensions'])})")
                if row[column] in ("c", ""):
                    seen.hidden.add(at[column])
                elif row[column] not in ("x", "z"):
                    value = seen.counts.setdefault(at[column], int(row[column]))
                    assert value == int(row[column]), f"{seen.names[at[column]]} is {value} in one table and {row[column]} in another"
            seen.pairs |= {(at[a], at[b]) for a, b in parts}
            seen.pairs |= {pair for a, b in spec.get("near", []) for pair in ((at[a], at[b]), (at[b], at[a]))}
            for column, (part, whole) in spec.get("shares", {}).items():
                if row.get(column) not in (None, "", "c", "x", "z"):
                    stated = float(row[column])
                    scale = 100.0 if str(units[column]).startswith("%") else 1.0
                    half = 0.005 if abs(stated) >= 1 or stated == 0 else 0.5 * 10.0 ** (math.floor(math.log10(abs(stated))) - 2)
                    seen.shares.append((at[part], at[whole], stated / scale, half / scale))
            for given in spec.get("sums", []):
                if given.get("over") is None and len(given["parts"]) == 1 and all(row[c] == str(v) for c, v in given.get("rows", {}).items()):
                    within += [(at[given["parts"][0]], row, whole) for whole in given.get("within", []) if isinstance(whole["same"], list)]
    for part, row, whole in within:
        place = {**{d: row[d] for d in whole["same"]}, **{d: str(v) for d, v in whole.get("at", {}).items()}}
        seen.pairs |= {(part, key) for key in seen.names if key[0] == whole["population"] and place.items() <= dict(key[1]).items()}
    return seen


def closed(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Pairs of part and whole, however many steps apart."""
    while more := {(a, d) for a, b in pairs for c, d in pairs if b == c} - pairs:
        pairs = pairs | more
    return pairs


def margins(seen: Printed) -> set[tuple[tuple, tuple]]:
    """Each count is part of the same population without one of the dimensions that split it."""
    found = set()
    for population, place in seen.names:
        for dimension in place:
            whole = (population, tuple(d for d in place if d != dimension))
            if whole in seen.names:
                found.add(((population, place), whole))
    return found


def pinned(release: Path, dictionary: Path, threshold: int) -> tuple[int, list[str]]:
    """How many differences and shares were tried, and each group below the threshold that one of them pins."""
    seen, found, tried = read(release, dictionary), [], 0
    pairs = seen.pairs | margins(seen)
    nested = closed_keys(pairs, seen)
    for part, whole in sorted(nested, key=str):
        if part in seen.counts and whole in seen.counts:
            tried += 1
            if 0 < seen.counts[whole] - seen.counts[part] < threshold:
                found.append(f"{seen.names[whole]} {seen.counts[whole]} less {seen.names[part]} {seen.counts[part]} leaves {seen.counts[whole] - seen.counts[part]}")
    for part, whole, stated, half in seen.shares:
        tried += 1
        if part in seen.counts and whole in seen.counts:
            continue
        if whole in seen.counts:
            n = seen.counts[whole]
            could = [k for k in range(math.ceil((stated - half) * n - 1e-9), math.floor((stated + half) * n + 1e-9) + 1) if 0 <= k <= n]
            if could and (max(could) < threshold and max(could) > 0 or 0 < n - min(could) < threshold):
                found.append(f"{seen.names[whole]} {n} at {stated:g} makes {seen.names[part]} {could[0]} to {could[-1]}")
        elif part in seen.counts and stated > half:
            k = seen.counts[part]
            could = [n for n in range(math.ceil(k / (stated + half) - 1e-9), math.floor(k / (stated - half) + 1e-9) + 1) if n >= k]
            if could and 0 < max(could) - k < threshold:
                found.append(f"{seen.names[part]} {k} at {stated:g} makes {seen.names[whole]} {could[0]} to {could[-1]}")
        else:
            found.append(f"{seen.names[part]} and its whole are held back and their share, {stated:g}, is printed")
    return tried, found


def closed_keys(pairs: set[tuple[tuple, tuple]], seen: Printed) -> set[tuple[tuple, tuple]]:
    """The same for counts: parts of parts are parts."""
    above: dict[tuple, set[tuple]] = {}
    for part, whole in pairs:
        above.setdefault(part, set()).add(whole)
    found = set()
    for part in seen.counts:
        reached, ahead = set(), [part]
        while ahead:
            for whole in above.get(ahead.pop(), ()):
                if whole not in reached and whole != part:
                    reached.add(whole)
                    ahead.append(whole)
        found |= set(itertools.product([part], reached))
    return found
