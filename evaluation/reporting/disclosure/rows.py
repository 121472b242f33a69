"""One table of counts made safe row by row: what must go is blanked, what stays is rounded and stated, and each is noted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evaluation.registers.entries import Table
from evaluation.reporting.disclosure.bounds import round_counts
from evaluation.reporting.disclosure.honesty import ratio_of, share_scale
from evaluation.reporting.disclosure.network import Where, row_words
from evaluation.reporting.disclosure.profiles import Profile
from evaluation.reporting.disclosure.result import SUPPRESSED, ClearedTable, LogEntry
from evaluation.reporting.disclosure.secondary import Suppression
from evaluation.reporting.disclosure.spec import Disclosure
from evaluation.reporting.disclosure.stated import SESSIONS_BASE, state_frame, sums_of_sessions
from evaluation.reporting.disclosure.system import CellSystem
from evaluation.reporting.disclosure.wording import people_counts
from evaluation.reporting.text import is_missing

if TYPE_CHECKING:
    import pandas as pd

SECONDARY = "would let a suppressed count be worked out"
IN_WORDS = "its words state a number of people below the threshold"
COMPLEMENT = "with the result of all, it would give that of the few who are held back"


@dataclass(frozen=True)
class Proof:
    """The system of a release and what must go: a count is found in it by table, row and column (``where``)."""

    system: CellSystem
    where: Where
    risky: Mapping[int, str]
    suppression: Suppression | None

    @property
    def gone(self) -> np.ndarray:
        """By cell, whether it is suppressed."""
        return self.suppression.suppressed if self.suppression is not None else np.zeros(0, dtype=bool)


def clear_counts(table: Table, spec: Disclosure, frame: pd.DataFrame, profile: Profile, proof: Proof, log: list[LogEntry]) -> ClearedTable:
    """Blank what must go, round what stays, and note each in ``log``.

    Parameters
    ----------
    table : Table
    spec : Disclosure
        Says what stands behind each column.
    frame : DataFrame
        Index 0 to n - 1.
    profile : Profile
    proof : Proof
    log : list of LogEntry
        Grows by an entry for each value held back.

    Returns
    -------
    ClearedTable
    """
    rows = _Rows(table, spec, frame, profile, proof, log)
    for row in frame.index:
        rows.counts(row)
        rows.measures(row)
        rows.schools(row)
        rows.texts(row)
    rows.complements()
    kept = frame[[c for c in frame.columns if c not in spec.withheld]].copy()
    _round(kept, table, spec, profile)
    kept = state_frame(table, spec, kept)
    return ClearedTable(table, spec, kept.where(~rows.hidden), rows.hidden, rows.smallest, "pupils")


class _Rows:
    """The rows of one table while they are cleared."""

    def __init__(self, table: Table, spec: Disclosure, frame: pd.DataFrame, profile: Profile, proof: Proof, log: list[LogEntry]):
        self.table, self.spec, self.frame, self.profile, self.proof, self.log = table, spec, frame, profile, proof, log
        self.hidden = frame[[c for c in frame.columns if c not in spec.withheld]].isna() & False
        self.smallest: int | None = None
        self.sums = sums_of_sessions(table, spec)
        self.gone, self.values = proof.gone, proof.system.values

    def at(self, row: int, column: str) -> int | None:
        """Cell of the system, where there is a count."""
        return self.proof.where.get((self.table.name, row, column))

    def hide(self, row: int, column: str, reason: str, count: int | None) -> None:
        """Blank a value that is there, and note it."""
        if column in self.hidden and not is_missing(self.frame.at[row, column]) and not self.hidden.at[row, column]:
            self.hidden.at[row, column] = True
            self.log.append(LogEntry(self.table.name, row_words(self.spec, self.frame, row), column, SUPPRESSED, reason, count))

    def lost(self, row: int, columns: tuple[str, ...]) -> int | None:
        """The first suppressed count among some, by its place among them."""
        return next((i for i, c in enumerate(columns) if (at := self.at(row, c)) is not None and self.gone[at]), None)

    def counts(self, row: int) -> None:
        """Counts that are suppressed, and what is told by them."""
        for column in self.spec.counts:
            at = self.at(row, column)
            if at is None:
                continue
            if self.gone[at]:
                self.hide(row, column, _said(self.proof.risky.get(at, SECONDARY), self.profile), self.values[at])
            elif self.values[at] > 0:
                self.smallest = self.values[at] if self.smallest is None else min(self.smallest, self.values[at])
        for listed in self.spec.together:
            if (lost := self.lost(row, listed)) is not None:
                for column in listed:
                    at = self.at(row, column)
                    self.hide(row, column, f"goes with the suppressed count `{listed[lost]}`", None if at is None else self.values[at])

    def measures(self, row: int) -> None:
        """Shares and statistics built on counts that are suppressed or too small."""
        for column, behind in {**self.spec.shares, **self.spec.reveals}.items():
            if (lost := self.lost(row, behind)) is not None:
                self.hide(row, column, f"built on the suppressed count `{behind[lost]}`", self.values[self.at(row, behind[lost]) or 0])
        for column, behind in self.spec.based_on.items():
            for name in behind:
                at = self.at(row, name)
                if at is not None and self.values[at] < self.profile.threshold:
                    self.hide(row, column, f"rests on fewer than {self.profile.threshold} ({name})", self.values[at])
        if self.spec.residual is not None:
            rest = [self.values[at] for c in self.spec.residual["counts"] if (at := self.at(row, c)) is not None]
            if rest and sum(rest) - int(self.spec.residual["parameters"]) < self.profile.residual_df:
                for column in self.spec.based_on:
                    self.hide(row, column, f"fewer than {self.profile.residual_df} residual degrees of freedom", None)
        for column in self.sums:
            value = self.frame.at[row, column]
            if not is_missing(value) and 0 < value < SESSIONS_BASE:
                self.hide(row, column, f"fewer than {SESSIONS_BASE:,} sessions, which may be those of a few pupils", None)

    def schools(self, row: int) -> None:
        """Measures of so few schools that one learns another's."""
        few = next((c for c in self.spec.schools if not is_missing(self.frame.at[row, c]) and 0 < self.frame.at[row, c] < self.profile.schools_minimum), None)
        for column in {**self.spec.shares, **self.spec.based_on, **self.spec.reveals} if few is not None else ():
            if column not in self.spec.schools:
                self.hide(row, column, f"rests on fewer than {self.profile.schools_minimum} schools ({few})", None)

    def texts(self, row: int) -> None:
        """Sentences about the row that rest on small or suppressed counts, or state a small number."""
        for column, behind in self.spec.texts.items():
            lost = next((c for c in behind if (at := self.at(row, c)) is not None and (self.gone[at] or 0 < self.values[at] < self.profile.threshold)), None)
            if lost is not None:
                self.hide(row, column, f"its words rest on `{lost}`, which is small or suppressed", None)
            elif any(0 < c.value < self.profile.threshold for c in people_counts(str(self.frame.at[row, column]))):
                self.hide(row, column, IN_WORDS, None)

    def complements(self) -> None:
        """Where the results of all groups but a few pupils are shown, the result of all gives theirs: the next smallest group goes too."""
        over = self.spec.pooled
        if over is None:
            return
        others = [d for d in self.spec.dimensions if d != over]
        for _, rows in self.frame.groupby(others, sort=False, dropna=False) if others else [((), self.frame)]:
            size = {r: min((self.values[at] for behind in self.spec.based_on.values() for c in behind if (at := self.at(r, c)) is not None), default=0) for r in rows.index}
            shown = sorted((r for r in rows.index if size[r] > 0 and self._shows(r)), key=lambda r: size[r])
            held = [r for r in rows.index if size[r] > 0 and r not in shown]
            while held and shown and (len(held) == 1 and size[held[0]] < self.profile.threshold or sum(size[r] for r in held) < self.profile.threshold):
                row = shown.pop(0)
                held.append(row)
                for column in self.spec.based_on:
                    self.hide(row, column, COMPLEMENT, None)

    def _shows(self, row: int) -> bool:
        return any(c in self.hidden and not self.hidden.at[row, c] and not is_missing(self.frame.at[row, c]) for c in self.spec.based_on)


def _round(kept: pd.DataFrame, table: Table, spec: Disclosure, profile: Profile) -> None:
    """Round counts, and work shares out anew from rounded counts, which would otherwise give the counts away."""
    if profile.rounding_base == 1:
        return
    scales = {c: share_scale(table.column(c).unit, kept[c].to_numpy(dtype=float, na_value=np.nan), ratio_of(kept, *of)) for c, of in spec.shares.items() if c in kept and {*of} <= set(kept)}
    for column in spec.counts:
        if column in kept:
            kept[column] = kept[column].where(kept[column].isna(), round_counts(kept[column].astype(float).to_numpy(), profile.rounding_base)).astype(kept[column].dtype)
    for column, (part, whole) in spec.shares.items():
        if column in kept:
            ratio = kept[part].astype(float) / kept[whole].astype(float).where(kept[whole].astype(float) != 0)
            kept[column] = (ratio.clip(upper=1.0) * scales[column]).where(kept[column].notna())


def _said(reason: str, profile: Profile) -> str:
    return f"{reason} ({profile.threshold})" if reason.endswith("threshold") else reason
