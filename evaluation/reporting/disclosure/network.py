"""From tables and what their entries say to one system of counts: same counts met in two tables, totals, parts, flows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evaluation.reporting.disclosure.spec import Disclosure, nested
from evaluation.reporting.disclosure.system import CellSystem
from evaluation.reporting.text import is_missing

if TYPE_CHECKING:
    import pandas as pd

class Disagreement(Exception):
    """A table shows a count differently from another, so that nothing is known of what the two together give away."""

    def __init__(self, table: str, message: str):
        self.table, self.message = table, message
        super().__init__(f"{table}: {message}")


SMALLEST_GUESS = 100
"""Counts from which two equal numbers are taken to be one: smaller ones agree by chance too often for an intruder to build on."""

ALIKE = 3
"""Different numbers that two populations must have in common, place by place, to be taken for one."""

Where = dict[tuple[str, int, str], int]
"""Cell of the system by table, row and column."""


def build_system(tables: Mapping[str, tuple[Disclosure, pd.DataFrame]]) -> tuple[CellSystem, Where]:
    """All counts of all tables, tied together.

    Parameters
    ----------
    tables : mapping
        By name, what stands behind a table and its frame (index 0 to n - 1).

    Returns
    -------
    CellSystem, mapping

    Raises
    ------
    Disagreement
        A table shows a count differently from one before it.
    """
    system, where = CellSystem(), {}
    for name, (spec, frame) in tables.items():
        texts = {d: [str(v) for v in frame[d]] for d in spec.dimensions}
        words = [", ".join(row) or "the whole" for row in zip(*texts.values(), strict=True)] if texts else ["the whole"] * len(frame)
        for column, population in spec.counts.items():
            split = [(d, texts[d], None if total is None else str(total)) for d, total in sorted(spec.dimensions.items()) if d in spec.by.get(column, spec.dimensions)]
            for i, (row, value) in enumerate(zip(frame.index, frame[column], strict=True)):
                if is_missing(value):
                    continue
                key = (population, tuple((d, labels[i]) for d, labels, total in split if labels[i] != total))
                try:
                    where[name, row, column] = system.add(key, int(value), name=f"{name}, {words[i]}, {column}")
                except ValueError as error:
                    raise Disagreement(name, f"column `{column}` disagrees with another table about one count: {error}; correct it, or give the populations two names") from error
    _margins(system)
    for name, (spec, frame) in tables.items():
        _parts(system, where, name, spec, frame)
        _near(system, where, name, spec, frame)
        _unnamed_totals(system, where, name, spec, frame)
        _partition(system, where, name, spec, frame)
        _chain(system, where, name, spec, frame)
    printed: dict[Any, list[int]] = {}
    for at, key in enumerate(system.keys):
        if system.printed[at]:
            printed.setdefault(key[0], []).append(at)
    for name, (spec, frame) in tables.items():
        _sums(system, where, printed, name, spec, frame)
    _guesses(system)
    _alike(system, {frozenset((spec.counts[a], spec.counts[b])) for spec, _ in tables.values() for a, b in nested(spec.parts) - nested(spec.certain)})
    return system, where


def coordinates(spec: Disclosure, frame: pd.DataFrame, row: int, column: str) -> tuple[tuple[str, str], ...]:
    """Whom a count is about: the dimensions that split it, other than those summed over in its row."""
    return tuple(sorted((name, str(frame.at[row, name])) for name, total in spec.dimensions.items()
                        if name in spec.by.get(column, spec.dimensions) and not (total is not None and str(frame.at[row, name]) == str(total))))


def row_words(spec: Disclosure, frame: pd.DataFrame, row: int) -> str:
    """A row in words, from its dimensions."""
    return ", ".join(str(frame.at[row, name]) for name in spec.dimensions) or "the whole"


def _margins(system: CellSystem) -> None:
    """Tie each count to those that split it by one more dimension, where they add up: an intruder would try. Where several
    fall short of it, those left over are a group."""
    finer: dict[tuple[Any, tuple, str], list[int]] = {}
    for at, (population, place) in enumerate(list(system.keys)):
        for dimension, _ in place:
            rest = tuple(item for item in place if item[0] != dimension)
            finer.setdefault((population, rest, dimension), []).append(at)
    for (population, rest, _), parts in finer.items():
        total = system.index.get((population, rest))
        if total is None:
            continue
        left = system.values[total] - sum(system.values[p] for p in parts)
        if left == 0:
            system.equate(total, parts)
        elif left > 0 and len(parts) > 1:
            system.rest(total, parts, f"{system.names[total]} without those told apart")


def _parts(system: CellSystem, where: Where, name: str, spec: Disclosure, frame: pd.DataFrame) -> None:
    for part, whole in spec.parts:
        for row in frame.index:
            p, w = where.get((name, row, part)), where.get((name, row, whole))
            if p is not None and w is not None and system.values[p] <= system.values[w]:
                left = system.rest(w, [p], f"{name}, {row_words(spec, frame, row)}, {whole} without {part}")
                if system.values[left] == 0 and system.values[w] > 0 and (part, whole) not in spec.certain and not _certain(spec, frame, row):
                    system.uniform.add(left)


def _certain(spec: Disclosure, frame: pd.DataFrame, row: int) -> bool:
    """Whether a row is one in which all may be in a part without telling of anyone."""
    return any(str(frame.at[row, name]) == str(value) for name, value in spec.certain_rows.items())


def _unnamed_totals(system: CellSystem, where: Where, name: str, spec: Disclosure, frame: pd.DataFrame) -> None:
    """A count that is the sum of all others of its dimension is taken for their total, as an intruder would: a small one may be
    so by chance, and is then protected for nothing."""
    for over, total in spec.dimensions.items():
        if total is not None or spec.chain is not None:
            continue
        others = [d for d in spec.dimensions if d != over]
        groups = [rows.index for _, rows in frame.groupby(others, sort=False, dropna=False)] if others else [frame.index]
        for column in (c for c in spec.counts if over in spec.by.get(c, spec.dimensions)):
            for rows in groups:
                cells = {where[name, r, column] for r in rows if (name, r, column) in where}
                positive = [at for at in cells if system.values[at] > 0]
                whole = max(positive, key=lambda at: system.values[at], default=None)
                if whole is not None and len(positive) > 2 and 2 * system.values[whole] == sum(system.values[at] for at in positive):
                    system.equate(whole, sorted(cells - {whole}))


def _near(system: CellSystem, where: Where, name: str, spec: Disclosure, frame: pd.DataFrame) -> None:
    """Counts of nearly the same pupils: the same where they agree, else the smaller is taken for part of the larger."""
    for pair in spec.near:
        for row in frame.index:
            at = [where[name, row, c] for c in pair if (name, row, c) in where]
            if len(at) == 2:
                small, large = sorted(at, key=lambda a: system.values[a])
                if system.values[small] == system.values[large]:
                    system.equate(large, [small])
                else:
                    system.rest(large, [small], f"{name}, {row_words(spec, frame, row)}, {' or '.join(pair)} and not both")


def _partition(system: CellSystem, where: Where, name: str, spec: Disclosure, frame: pd.DataFrame) -> None:
    """Rows of one group that together are part of a whole which each of them repeats."""
    if spec.partition is None:
        return
    count, over, whole = spec.partition["count"], spec.partition["over"], spec.partition["whole"]
    others = [d for d in spec.dimensions if d != over]
    for group, rows in _without_total(spec, frame, over).groupby(others or (lambda _: 0), sort=False):
        wholes = [where[name, r, whole] for r in rows.index if (name, r, whole) in where]
        parts = [where[name, r, count] for r in rows.index if (name, r, count) in where]
        if not wholes or not parts or sum(system.values[p] for p in parts) > system.values[wholes[0]]:
            continue
        for other in wholes[1:]:
            if other != wholes[0] and system.values[other] == system.values[wholes[0]]:
                system.equate(other, [wholes[0]])
        system.rest(wholes[0], parts, f"{name}, {group}, {whole} without all {count}")


def _chain(system: CellSystem, where: Where, name: str, spec: Disclosure, frame: pd.DataFrame) -> None:
    """A flow: what is kept at one step is what leaves before the next and what is kept there."""
    if spec.chain is None:
        return
    order, kind, count = spec.chain["order"], spec.chain["kind"], spec.chain["count"]
    others = [d for d in spec.dimensions if d not in (order, *spec.chain.get("labels", ()))]
    for _, rows in frame.sort_values(order).groupby(others or (lambda _: 0), sort=False):
        kept, left = None, []
        for row in rows.index:
            at = where.get((name, row, count))
            if at is None:
                continue
            if frame.at[row, kind] == spec.chain["left_out"]:
                left.append(at)
            elif frame.at[row, kind] == spec.chain["kept"]:
                if kept is not None and system.values[kept] == system.values[at] + sum(system.values[x] for x in left):
                    system.equate(kept, [at, *left])
                kept, left = at, []
            elif kept is not None and system.values[at] <= system.values[kept]:
                system.rest(kept, [at], f"{name}, {row_words(spec, frame, row)}, the others")


def _sums(system: CellSystem, where: Where, printed: dict[Any, list[int]], name: str, spec: Disclosure, frame: pd.DataFrame) -> None:
    """Counts of one row that together are a count shown elsewhere: an intruder would set them equal wherever the numbers agree."""
    for given in spec.sums:
        over, only = given.get("over"), given.get("rows", {})
        kept = frame[[all(str(frame.at[r, c]) == str(v) for c, v in only.items()) for r in frame.index]] if only else frame
        others = [d for d in spec.dimensions if d != over]
        groups = [[row] for row in kept.index] if over is None else [list(rows.index) for _, rows in _without_total(spec, kept, over).groupby(others or (lambda _: 0), sort=False)]
        for rows in groups:
            parts = [where[name, row, c] for row in rows for c in given["parts"] if (name, row, c) in where]
            if len(parts) != len(given["parts"]) * len(rows):
                continue
            value = sum(system.values[p] for p in parts)
            whole = system.add(("sum of", *sorted(parts)), value, printed=False, name=f"{name}, {row_words(spec, frame, rows[0])}, {' and '.join(given['parts'])}")
            system.equate(whole, parts)
            _left_over(system, where, printed, name, given, spec, frame, rows, parts)
            _within(system, printed, name, given, spec, frame, rows, whole)
            place = coordinates(spec, frame, rows[0], given["parts"][0])
            same = [at for population in given.get("equals", ()) for at in printed.get(population, ()) if not given.get("here") or system.keys[at][1] == place]
            for at in same:
                if system.values[at] == value:
                    system.equate(at, [whole])
            if over is not None and others:  # groups that leave some pupils out are still part of the whole of their analysis
                mine = str(frame.at[rows[0], others[0]])
                for at in same:
                    if system.values[at] > value and any(str(v).startswith(mine) for _, v in system.keys[at][1]):
                        system.rest(at, [whole], f"{system.names[at]} without the groups of {name}, {row_words(spec, frame, rows[0])}")


def _left_over(system: CellSystem, where: Where, reachable: dict[Any, list[int]], table: str, given: Mapping[str, Any], spec: Disclosure, frame: pd.DataFrame,
               rows: list[int], parts: list[int]) -> None:
    """Those of a whole who are not in the part, as a population of their own that other tables may hold pupils of."""
    whole = given.get("out_of", "")
    if isinstance(whole, Mapping):
        place = {name: str(value) for name, value in whole["at"].items()}.items()
        out_of = next((at for at in reachable.get(whole["population"], ()) if place <= dict(system.keys[at][1]).items()), None)
    else:
        out_of = where.get((table, rows[0], whole))
    if out_of is None:
        return
    left = system.values[out_of] - sum(system.values[p] for p in parts)
    if left >= 0:
        at = system.add((given["leaves"], coordinates(spec, frame, rows[0], given["parts"][0])), left, printed=False, name=f"{table}, {row_words(spec, frame, rows[0])}, {given['leaves']}")
        system.equate(out_of, [*parts, at])
        reachable.setdefault(given["leaves"], []).append(at)
        _within(system, reachable, table, {**given, "within": given.get("left_within", ())}, spec, frame, rows, at)


def _without_total(spec: Disclosure, frame: pd.DataFrame, over: str) -> pd.DataFrame:
    """Rows other than the total over a dimension."""
    total = spec.dimensions.get(over)
    return frame if total is None else frame[frame[over].astype(str) != str(total)]


def _within(system: CellSystem, printed: Mapping[Any, list[int]], table: str, given: Mapping[str, Any], spec: Disclosure, frame: pd.DataFrame, rows: list[int], part: int) -> None:
    """Pupils who are some of those that another row or table counts: what is left of these is a group of its own."""
    for whole in given.get("within", ()):
        same = whole["same"] if isinstance(whole["same"], Mapping) else {name: name for name in whole["same"]}
        place = {theirs: str(frame.at[rows[0], own]) for own, theirs in same.items()}
        summed = {theirs for own, theirs in same.items() if spec.dimensions[own] is not None and place[theirs] == str(spec.dimensions[own])}
        place = {**{name: value for name, value in place.items() if name not in summed}, **{name: str(value) for name, value in whole.get("at", {}).items()}}
        theirs = {at: dict(system.keys[at][1]) for at in printed.get(whole["population"], ())}
        wholes = [at for at, where in theirs.items() if place.items() <= where.items() and not summed & set(where)]
        if wholes and all(system.values[at] < system.values[part] for at in wholes) and not whole.get("perhaps"):
            raise Disagreement(table, f"contradicts its entry: column `{given['parts'][0]}`, row {row_words(spec, frame, rows[0])}: it is larger than every count of `{whole['population']}` within which it "
                                      f"is declared to lie; take `within` out, or correct the stage that writes it")
        for at in wholes:
            if system.values[at] >= system.values[part]:  # as many, too: nobody is left over, and the part is still no larger than the whole
                system.rest(at, [part], f"{system.names[at]} without {system.names[part]}")


def _whole_groups(system: CellSystem) -> set[int]:
    """Parts that are all of their wholes: that they equal another count is what class disclosure is about, and no guess."""
    return {p for _, parts in system.equations if any(at in system.uniform for at in parts) for p in parts if p not in system.uniform}


def _guesses(system: CellSystem) -> None:
    """What is left over here may be printed there: an intruder would take two equal large numbers for the same pupils. What a whole
    group leaves over of another, or is left of it without nobody, is as many as with its whole in its place, which is again what class
    disclosure is about: to guess of both would settle it."""
    printed: dict[int, list[int]] = {}
    whole_groups = _whole_groups(system)
    for at, shown in enumerate(system.printed):
        if shown and at not in whole_groups and system.values[at] >= SMALLEST_GUESS:
            printed.setdefault(system.values[at], []).append(at)
    for at in [i for i, shown in enumerate(system.printed) if not shown and system.keys[i][0] == "rest of"]:
        _, whole, parts = system.keys[at]
        if whole_groups & {*parts} or whole in whole_groups and system.values[at] == system.values[whole]:
            continue
        for same in printed.get(system.values[at], ()):
            system.equate(same, [at])


def _alike(system: CellSystem, apart: set[frozenset[str]]) -> None:
    """Two populations that agree in most places are taken for one under two names, as an intruder would: where they agree,
    the one gives the other away. Those of which the one is declared part of the other (``apart``) are two."""
    places: dict[frozenset[str], dict[Any, int]] = {}
    for at, key in enumerate(system.keys):
        if system.printed[at] and system.values[at] > 0 and key[1]:
            places.setdefault(frozenset(str(v) for _, v in key[1]), {})[key[0]] = at
    met: dict[tuple[Any, Any], list[tuple[int, int]]] = {}
    whole_groups = _whole_groups(system)
    for cells in places.values():
        populations = sorted(cells, key=str)
        for i, one in enumerate(populations):
            for other in populations[i + 1 :]:
                if frozenset((one, other)) in apart:
                    continue
                met.setdefault((one, other), []).append((cells[one], cells[other]))
    for pairs in met.values():
        same = [(a, b) for a, b in pairs if system.values[a] == system.values[b]]
        if len(same) >= ALIKE and 2 * len(same) > len(pairs) and len({system.values[a] for a, _ in same}) >= ALIKE:
            for a, b in same:
                if a not in whole_groups and b not in whole_groups:
                    system.equate(b, [a])
