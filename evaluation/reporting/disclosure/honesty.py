"""What an entry declares, held against the data: a table that contradicts its entry is not released.

The gate proves what follows from the entries. So that nothing rests on a wrong word, each thing declared is looked for in
the rows: shares are their part over their whole, parts lie within their wholes, totals are there and are the largest, and
what is called plain counts nobody. Where a rule needs the rows to be told apart, differences by rounding are allowed for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from evaluation.registers.entries import Column, Table
from evaluation.reporting.disclosure.profiles import Profile
from evaluation.reporting.disclosure.spec import Disclosure, nested
from evaluation.reporting.disclosure.wording import names_people, people_counts

if TYPE_CHECKING:
    import pandas as pd

TOTALS = re.compile(r"^(?:all|total|totals|overall|programme|whole|entire|combined|everyone|everything|together|both|any|sum|grand total|subtotal|england|national)(?:\b.*)?$", re.I)
"""Values of a dimension that read like a total over it."""

_PERCENT = re.compile(r"^(?:%|percent\b|per cent\b|percentage\b)", re.I)
SURELY = 100
"""Numbers from which a row that equals the sum of the others is taken for their total: smaller ones agree by chance."""


@dataclass(frozen=True)
class Contradiction:
    """Where a table and its entry disagree, by which rule, and the mend."""

    row: str
    column: str
    rule: str
    mend: str

    @property
    def reason(self) -> str:
        """In one sentence, as the log has it."""
        place = f", row {self.row}" if self.row else ""
        return f"contradicts its entry: column `{self.column}`{place}: {self.rule}; {self.mend}"


def contradiction(table: Table, spec: Disclosure, frame: pd.DataFrame, profile: Profile) -> Contradiction | None:
    """The first thing in which a table's rows contradict its entry; None where they bear it out.

    Parameters
    ----------
    table : Table
        The dictionary's entry.
    spec : Disclosure
        What it says under ``x-disclosure``.
    frame : DataFrame
        The rows that are to leave.
    profile : Profile
        Its threshold says which numbers are small.

    Returns
    -------
    Contradiction or None
    """
    if not len(frame):
        return None
    checks = (_same_rows, _shares, _parts, _partition, _chain, _totals, _hidden_totals, _undeclared_shares, _not_counts, _words) if spec.about == "pupils" else (_same_rows, _no_people)
    for check in checks:
        found = next(check(table, spec, frame, profile), None)
        if found is not None:
            return found
    return None


def share_scale(unit: str | None, share: np.ndarray, ratio: np.ndarray) -> float:
    """1 for fractions and 100 for percentages: by the column's unit, or where it says nothing by what fits the rows better."""
    if unit and _PERCENT.match(unit):
        return 100.0
    if unit and unit.lower() in ("share", "fraction", "proportion"):
        return 1.0
    there = np.isfinite(share) & np.isfinite(ratio)
    return 100.0 if np.abs(share[there] - 100 * ratio[there]).sum() < np.abs(share[there] - ratio[there]).sum() else 1.0


def _same_rows(table: Table, spec: Disclosure, frame: pd.DataFrame, profile: Profile) -> Iterator[Contradiction]:
    """Two rows stand for one thing."""
    for columns, what in ((list(table.primary_key), "primary key"), (list(spec.dimensions), "dimensions")):
        if columns and set(columns) <= set(frame.columns):
            twice = frame.duplicated(columns)
            if twice.any():
                row = frame.index[twice][0]
                yield Contradiction(_said(spec, frame, row), columns[0], f"another row has the same {what} ({', '.join(columns)})", f"give every row its own {what}")


def _shares(table: Table, spec: Disclosure, frame: pd.DataFrame, profile: Profile) -> Iterator[Contradiction]:
    """A share is its part over its whole."""
    for column, (part, whole) in spec.shares.items():
        share, over = numbers(frame, column), ratio_of(frame, part, whole)
        scale = share_scale(_unit(table, column), share, over)
        wrong = np.isfinite(share) & ~(np.abs(share - scale * over) <= rounding_of(share, scale))
        wrong &= ~((share == 0) & (numbers(frame, whole) == 0))
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            yield Contradiction(_said(spec, frame, frame.index[at]), column, f"it is not `{part}` over `{whole}`", "name the counts of which it is the share, or correct the stage that writes it")


def _parts(table: Table, spec: Disclosure, frame: pd.DataFrame, profile: Profile) -> Iterator[Contradiction]:
    """Parts are no larger than their wholes, and a difference that small says which it is."""
    for part, whole in spec.parts:
        wrong = numbers(frame, part) > numbers(frame, whole)
        if wrong.any():
            yield Contradiction(_said(spec, frame, frame.index[wrong][0]), part, f"it is larger than `{whole}`, of which it is declared a part", "take the pair out of `parts`, or correct the stage that writes it")
    settled = settled_pairs(spec)
    columns = [c for c in spec.counts if c in frame]
    for i, first in enumerate(columns):
        for second in columns[i + 1 :]:
            if frozenset((first, second)) in settled:
                continue
            gap = numbers(frame, second) - numbers(frame, first)
            for small, large, apart in ((first, second, gap), (second, first, -gap)):
                if (apart[np.isfinite(apart)] >= 0).all() and ((apart > 0) & (apart < profile.threshold)).any():
                    row = frame.index[(apart > 0) & (apart < profile.threshold)][0]
                    yield Contradiction(_said(spec, frame, row), small, f"it is below `{large}` in every row and here by fewer than {profile.threshold}",
                                        f"declare [{small}, {large}] under `parts`, or under `not_parts` if the ones are not among the others")


def settled_pairs(spec: Disclosure) -> set[frozenset[str]]:
    """Pairs of counts of which the entry says whether the one is part of the other, however many steps apart."""
    return {frozenset(pair) for pair in (*nested(spec.parts), *spec.near, *(p for listed in spec.not_parts for p in combinations(listed, 2)))}


def _partition(table: Table, spec: Disclosure, frame: pd.DataFrame, profile: Profile) -> Iterator[Contradiction]:
    """What is summed over a dimension stays within the whole, which each row repeats."""
    if spec.partition is None:
        return
    count, over, whole = spec.partition["count"], spec.partition["over"], spec.partition["whole"]
    others = [d for d in spec.dimensions if d != over]
    groups = frame.groupby(others, sort=False, dropna=False) if others else [((), frame)]
    for _, rows in groups:
        wholes = rows[whole].dropna()
        if wholes.nunique() > 1:
            yield Contradiction(_said(spec, frame, rows.index[0]), whole, f"it differs between the values of `{over}`, although it is declared their whole", "take `partition` out, or correct the stage that writes it")
        if len(wholes) and rows[count].sum() > wholes.iloc[0]:
            yield Contradiction(_said(spec, frame, rows.index[0]), count, f"summed over `{over}` it is larger than `{whole}`", "take `partition` out, or correct the stage that writes it")


def _chain(table: Table, spec: Disclosure, frame: pd.DataFrame, profile: Profile) -> Iterator[Contradiction]:
    """In a flow, what is kept and what left since are what was kept before."""
    if spec.chain is None:
        return
    order, kind, count = spec.chain["order"], spec.chain["kind"], spec.chain["count"]
    others = [d for d in spec.dimensions if d not in (order, *spec.chain.get("labels", ()))]
    ordered = frame.sort_values(order)
    for _, rows in ordered.groupby(others, sort=False, dropna=False) if others else [((), ordered)]:
        kept, left = None, 0.0
        for row, what, value in zip(rows.index, rows[kind], numbers(rows, count), strict=True):
            if what == spec.chain["left_out"]:
                left += value
            elif what == spec.chain["kept"]:
                if kept is not None and np.isfinite(kept - value - left) and kept != value + left:
                    yield Contradiction(_said(spec, frame, row), count, f"{int(value)} kept and {int(left)} left out are not the {int(kept)} kept before", "correct the flow, or take `chain` out")
                kept, left = value, 0.0
            elif kept is not None and value > kept:
                yield Contradiction(_said(spec, frame, row), count, "more than were kept at the step of which it is a part", "correct the flow, or take `chain` out")


def _totals(table: Table, spec: Disclosure, frame: pd.DataFrame, profile: Profile) -> Iterator[Contradiction]:
    """A total that is declared is there and is the largest; a value that reads like a total is declared."""
    for dimension, total in spec.dimensions.items():
        labels = frame[dimension].astype(str)
        if total is not None and not (labels == str(total)).any():
            yield Contradiction("", dimension, f"`{total}`, declared its total, never occurs", "name the label of the total as it is written, or null if there is none")
        for label in labels.unique():
            if TOTALS.match(label) and label != str(total) and label not in spec.no_totals:
                yield Contradiction(label, dimension, f"`{label}` reads like a total and is not declared as one", f"name it as the total of `{dimension}`, or under `no_totals` if it is a group like the others")
        if total is None:
            continue
        group, is_total = _groups(spec, frame, dimension), labels.to_numpy() == str(total)
        for column in (c for c in spec.counts if dimension in spec.by.get(c, spec.dimensions)):
            values = numbers(frame, column)
            largest = np.full(group.max(initial=0) + 1, -np.inf)
            np.maximum.at(largest, group[~is_total], np.nan_to_num(values[~is_total], nan=-np.inf))
            wrong = is_total & (values < largest[group])
            if wrong.any():
                yield Contradiction(_said(spec, frame, frame.index[wrong][0]), column, f"the total over `{dimension}` is smaller than one of its groups", f"correct the label of the total of `{dimension}`")


def _groups(spec: Disclosure, frame: pd.DataFrame, dimension: str) -> np.ndarray:
    """For each row, the number of the group of rows that differ in one dimension alone."""
    others = [d for d in spec.dimensions if d != dimension]
    return frame.groupby(others, sort=False, dropna=False).ngroup().to_numpy() if others else np.zeros(len(frame), dtype=int)


def _hidden_totals(table: Table, spec: Disclosure, frame: pd.DataFrame, profile: Profile) -> Iterator[Contradiction]:
    """A row that is the sum of all others is a total, whatever it is called."""
    if spec.chain is not None:
        return
    for dimension, total in spec.dimensions.items():
        if total is not None:
            continue
        group = _groups(spec, frame, dimension)
        for column in (c for c in spec.counts if dimension in spec.by.get(c, spec.dimensions)):
            values = np.nan_to_num(numbers(frame, column))
            whole, several = np.bincount(group, values)[group], np.bincount(group, values > 0)[group]
            is_sum = (values >= SURELY) & (2 * values == whole) & (several >= 3)
            if is_sum.any():
                row = frame.index[is_sum][0]
                yield Contradiction(_said(spec, frame, row), column, f"it is the sum of all other rows of `{dimension}`", f"declare `{frame.at[row, dimension]}` as the total of `{dimension}`")


def _undeclared_shares(table: Table, spec: Disclosure, frame: pd.DataFrame, profile: Profile) -> Iterator[Contradiction]:
    """A statistic that is one count over another in every row is a share, and goes when either does."""
    counts = {c: numbers(frame, c) for c in spec.counts if c in frame}
    for column in (c for c in (*spec.based_on, *spec.plain, *spec.apart) if c in frame and _type(table, c) == "number"):
        values = numbers(frame, column)
        told = np.isfinite(values) & ~np.isin(values, (0.0, 1.0, 100.0))
        telling = len(np.unique(values[told]))
        if telling < 2:
            continue
        for part in counts:
            for whole in counts:
                if part == whole:
                    continue
                with np.errstate(divide="ignore", invalid="ignore"):
                    ratio = counts[part] / counts[whole]
                there = np.isfinite(values) & np.isfinite(ratio)
                if not (there & told).any():  # where there is a ratio, it is nothing or all: that agrees by chance
                    continue
                for scale in (1.0, 100.0):
                    slack = rounding_of(values, scale) if telling >= 3 else 1e-9 * scale
                    if there.sum() >= 2 and (np.abs(values[there] - scale * ratio[there]) <= slack).all():
                        yield Contradiction("", column, f"it is `{part}` over `{whole}` in every row", f"declare it under `shares` as [{part}, {whole}]")


def _not_counts(table: Table, spec: Disclosure, frame: pd.DataFrame, profile: Profile) -> Iterator[Contradiction]:
    """What is called plain, a code or wording counts nobody."""
    for column in (*spec.plain, *spec.codes, *spec.words, *spec.apart):
        if column in frame and _counts_people(table, column, frame):
            yield Contradiction("", column, "it holds whole numbers of people and is not declared as a count", "declare it under `counts` with the population that it counts, or under `withheld`")


def _words(table: Table, spec: Disclosure, frame: pd.DataFrame, profile: Profile) -> Iterator[Contradiction]:
    """Registered wording tells of no number of people below the threshold."""
    for column in (c for c in (*spec.words, *spec.plain) if c in frame and _type(table, c) == "string"):
        texts = frame[column].dropna()
        for text in texts.unique():
            if any(0 < c.value < profile.threshold for c in people_counts(str(text))):
                row = texts.index[texts == text][0]
                yield Contradiction(_said(spec, frame, row), column, "its words state a number of people below the threshold", "declare it under `withheld`, or let the stage write no number into it")


def _no_people(table: Table, spec: Disclosure, frame: pd.DataFrame, profile: Profile) -> Iterator[Contradiction]:
    """A table that is about no pupils of the study counts none of them."""
    if spec.about not in ("no pupils", "published statistics"):
        return
    for column in (c for c in frame.columns if c not in spec.withheld):
        if _type(table, column) not in ("integer", "number") or not names_people(table.column(column)):
            continue
        values = numbers(frame, column)
        small = np.isfinite(values) & (values > 0) & (values < profile.threshold) & (values == np.floor(values))
        if small.any():
            yield Contradiction(_said(spec, frame, frame.index[small][0]), column, "it holds a whole number of people below the threshold", f"declare the table `about: pupils`, or put `{column}` under `withheld`")


def _counts_people(table: Table, column: str, frame: pd.DataFrame) -> bool:
    if _type(table, column) not in ("integer", "number"):
        return False
    declared = table.column(column)
    if not (names_people(declared) or re.fullmatch(r"n|n_(?:pupils|treated|comparison|children|referred|eligible|started)", column)):
        return False
    values = numbers(frame, column)
    values = values[np.isfinite(values)]
    return bool(len(values)) and bool((values == np.floor(values)).all())


def numbers(frame: pd.DataFrame, column: str) -> np.ndarray:
    """A column as floats; missing values as NaN."""
    import pandas as pd

    return pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)


def ratio_of(frame: pd.DataFrame, part: str, whole: str) -> np.ndarray:
    """One count over another; NaN where the whole is 0 or missing."""
    over = numbers(frame, whole)
    return np.divide(numbers(frame, part), over, out=np.full(len(over), np.nan), where=over != 0)


def rounding_of(values: np.ndarray, scale: float) -> float:
    """By how much values may be off because they were rounded: half a unit of their last decimal, and no more than half a percentage point."""
    there = values[np.isfinite(values)]
    for decimals in range(0 if scale == 100.0 else 2, 9):
        if np.abs(there - np.round(there, decimals)).max(initial=0.0) <= 1e-9 * scale:
            return 0.5 * 10.0**-decimals * (1 + 1e-9) if len(there) > 2 or decimals > 1 else 1e-6 * scale
    return 1e-6 * scale


def _unit(table: Table, column: str) -> str | None:
    declared = _column(table, column)
    return None if declared is None else declared.unit


def _type(table: Table, column: str) -> str:
    declared = _column(table, column)
    return "" if declared is None else declared.type


def _column(table: Table, column: str) -> Column | None:
    return next((c for c in table.columns if c.name == column), None)


def _said(spec: Disclosure, frame: pd.DataFrame, row: int) -> str:
    """A row in words, from its dimensions, or by its number."""
    return ", ".join(str(frame.at[row, name]) for name in spec.dimensions if name in frame) or str(int(row) + 1)
