"""What the gate hands back: cleared tables, and a reason for each thing held back."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from evaluation.registers.entries import Table
from evaluation.reporting.disclosure.network import Where
from evaluation.reporting.disclosure.profiles import Profile
from evaluation.reporting.disclosure.secondary import Suppression
from evaluation.reporting.disclosure.spec import Disclosure
from evaluation.reporting.disclosure.system import CellSystem

if TYPE_CHECKING:
    import pandas as pd

SUPPRESSED, REFUSED, WITHHELD, RELEASED = "suppressed", "refused", "withheld", "released"


@dataclass(frozen=True)
class LogEntry:
    """One thing that was held back, and why. ``count`` is the unweighted count behind it: for the checker alone."""

    table: str
    row: str
    column: str
    action: str
    reason: str
    count: int | None = None


@dataclass(frozen=True)
class ClearedTable:
    """A table that may leave. ``frame`` holds only columns that may; ``hidden`` marks suppressed values, which are missing."""

    table: Table
    spec: Disclosure
    frame: pd.DataFrame
    hidden: pd.DataFrame
    smallest: int | None
    behind: str

    def whole_numbers(self, column: str, rows: list[int] | None = None) -> set[int]:
        """Values of a column that are shown, to the nearest whole number; in all rows or some."""
        import numpy as np

        values = self.frame[column] if rows is None else self.frame[column].loc[rows]
        found = values.dropna().to_numpy(dtype=float)
        return set(np.rint(found[np.isfinite(found)]).astype(int).tolist())


@dataclass(frozen=True)
class Clearance:
    """What the gate let through and held back, and the system on which that was proved."""

    profile: Profile
    cleared: tuple[ClearedTable, ...]
    refused: tuple[LogEntry, ...]
    log: tuple[LogEntry, ...]
    system: CellSystem
    suppression: Suppression | None
    where: Where = field(default_factory=dict)

    @cached_property
    def tables(self) -> dict[str, ClearedTable]:
        """Cleared tables by name."""
        return {c.table.name: c for c in self.cleared}

    @cached_property
    def public(self) -> bool:
        """Whether every table of the run is made from published statistics, so that nobody is counted who was not before."""
        about = {c.spec.about for c in self.cleared} - {"sentences"}
        return about == {"published statistics"} and not self.refused

    @cached_property
    def shown_counts(self) -> frozenset[int]:
        """Every count that a cleared table shows, as it shows it."""
        return frozenset(n for c in self.cleared if c.spec.about == "pupils" for column in c.spec.counts if column in c.frame for n in c.whole_numbers(column))

    @cached_property
    def hidden_counts(self) -> frozenset[int]:
        """Every count that is suppressed somewhere."""
        if self.suppression is None:
            return frozenset()
        gone = self.suppression.suppressed
        return frozenset(self.system.values[at] for at in self.where.values() if gone[at])
