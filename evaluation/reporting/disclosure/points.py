"""How many pupils stand behind the points of a figure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.reporting.disclosure.matching import HeldBack, Record, Sources, clear_record, find_value, is_number, match_record
from evaluation.reporting.text import WITHHELD


def judge_points(record: Record, named: Sequence[str], sources: Sources) -> int | None:
    """Fewest pupils behind a point of a figure, None where it is about no pupils.

    Parameters
    ----------
    record : Record
        The numbers plotted.
    named : sequence of str
        Tables that they are made from.
    sources : Sources

    Raises
    ------
    HeldBack
        A value plotted is withheld, a point stands for too few pupils, or the profile rounds what is drawn.
    """
    profile = sources.clearance.profile
    matched, cleared = match_record(record, named, sources), clear_record(record, named, sources)
    if cleared.hidden or cleared.left_out or cleared.rows_left_out:
        held = [*cleared.left_out, *(c["head"] for c in cleared.record["columns"] if WITHHELD in c["values"])]
        heads = dict.fromkeys(re.sub(r" \([^()]*\)$", "", head) for head in held)  # without units, for a sentence
        raise HeldBack(f"some of the numbers that it plots are withheld ({'; '.join(heads) or 'whole rows'})")
    counts: list[int] = []
    for place, column in enumerate(record["columns"]):
        for value, found in zip(column["values"], matched.rows, strict=True):
            if not is_number(value):
                continue
            counts += _pupils(value, column["name"], matched.owner.get(place), found, sources)
    few = [n for n in counts if n < profile.point_minimum]
    if few:
        raise HeldBack(f"points of it stand for fewer than {profile.point_minimum} pupils")
    return min(counts, default=None)


def _pupils(value: Any, name: str, owner: str | None, found: Mapping[str, list[int]], sources: Sources) -> list[int]:
    """Pupils behind one plotted number; a count of none is no point."""
    pairs = [(sources.tables[n], row) for n, rows in found.items() for row in rows]
    at = find_value(value, pairs) if owner is None else (sources.tables[owner], found[owner][0], name)
    if at is None:
        return [int(s.raw[c][row]) for s, row in pairs for c in s.cleared.spec.counts if s.raw[c][row]]
    source, row, column = at
    spec = source.cleared.spec
    if sources.clearance.profile.rounding_base > 1 and column in {**spec.counts, **spec.shares}:
        raise HeldBack("it draws counts, which the rules of this study round")
    return [n for n in source.behind(row, column) if n or column not in spec.counts]
