"""What an intruder knows: counts, the sums that tie them together, and which of them are shown.

One system holds all tables of a release. A count that two tables show is one cell; a total is an equation; the pupils
left between a group and a part of it that is shown are a cell of their own, which nobody prints and anybody can compute.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Key = Hashable


@dataclass
class CellSystem:
    """Counts under their keys, with the equations between them.

    ``total = sum(parts)`` holds for each equation, whichever cells are shown.
    """

    keys: list[Key] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    printed: list[bool] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    structural: list[bool] = field(default_factory=list)
    equations: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    uniform: set[int] = field(default_factory=set)
    """Cells of nobody left over: all of a group are in the part that is shown of it."""

    def __post_init__(self) -> None:
        self.index: dict[Key, int] = {key: i for i, key in enumerate(self.keys)}
        self._known: set[tuple[int, tuple[int, ...]]] = set(self.equations)
        self._first: dict[int, int] = {}

    def add(self, key: Key, value: int, *, printed: bool = True, name: str = "", structural: bool = False) -> int:
        """Add a count, or meet it again: two tables that show one count must agree. A structural 0 is one that everybody knows.

        Returns
        -------
        int
            Position of the cell.

        Raises
        ------
        ValueError
            The key is there with another value.
        """
        at = self.index.get(key)
        if at is None:
            at = self.index[key] = len(self.keys)
            self.keys.append(key)
            self.values.append(int(value))
            self.printed.append(printed)
            self.names.append(name or str(key))
            self.structural.append(structural)
            return at
        if self.values[at] != int(value):
            raise ValueError(f"{self.names[at]} is {self.values[at]} in one table and {int(value)} in another ({name or key})")
        if printed and not self.printed[at]:
            self.printed[at], self.names[at] = True, name or self.names[at]
        return at

    def equate(self, total: int, parts: Sequence[int]) -> None:
        """Say that ``total`` is the sum of ``parts``; an equation that the counts do not keep is refused. Two counts that are
        equal by others already need no equation of their own."""
        parts = tuple(sorted(parts))
        if (total, parts) in self._known or parts == (total,):
            return
        if self.values[total] != sum(self.values[p] for p in parts):
            raise ValueError(f"{self.names[total]} is not the sum of its parts")
        self._known.add((total, parts))
        if len(parts) == 1:
            one, other = self._root(total), self._root(parts[0])
            if one == other:
                return
            self._first[max(one, other)] = min(one, other)
        self.equations.append((total, parts))

    def _root(self, at: int) -> int:
        """The first of the cells that equal one by single equations."""
        while (above := self._first.get(at, at)) != at:
            self._first[at] = self._first.get(above, above)
            at = above
        return at

    def rest(self, whole: int, parts: Sequence[int], name: str) -> int:
        """The cell of what is left between a whole and parts of it, printed by nobody."""
        left = self.values[whole] - sum(self.values[p] for p in parts)
        at = self.add(("rest of", whole, tuple(sorted(parts))), left, printed=False, name=name)
        self.equate(whole, [*parts, at])
        return at

    @property
    def size(self) -> int:
        """Number of cells."""
        return len(self.keys)

    def matrix(self) -> Any:
        """The equations as a sparse matrix of 1 (total) and -1 (parts): matrix @ counts = 0."""
        from scipy.sparse import csr_matrix

        rows, columns, entries = [], [], []
        for row, (total, parts) in enumerate(self.equations):
            rows += [row] * (1 + len(parts))
            columns += [total, *parts]
            entries += [1.0] + [-1.0] * len(parts)
        return csr_matrix((entries, (rows, columns)), shape=(len(self.equations), self.size))

    def numbers(self) -> np.ndarray:
        """The true counts as an array."""
        return np.asarray(self.values, dtype=float)


def table_system(counts: np.ndarray, *, totals: bool = True, name: str = "cell") -> CellSystem:
    """The system of one table of counts in up to any number of dimensions, with the totals over every set of its dimensions.

    Parameters
    ----------
    counts : array of int
        Inner counts, one axis a dimension.
    totals : bool
        Whether totals are shown; without them nothing ties the counts together.

    Returns
    -------
    CellSystem
        Keys are tuples of positions, ``"total"`` in place of those summed over.
    """
    counts = np.asarray(counts)
    system = CellSystem()
    for position in np.ndindex(counts.shape):
        system.add(position, int(counts[position]), name=f"{name} {position}")
    if not totals:
        return system
    done = {position: position for position in np.ndindex(counts.shape)}
    for axis in range(counts.ndim):
        margins: dict[tuple, list[tuple]] = {}
        for key in list(done):
            margins.setdefault((*key[:axis], "total", *key[axis + 1 :]), []).append(key)
        for margin, parts in margins.items():
            at = [system.index[p] for p in parts]
            system.equate(system.add(margin, sum(system.values[p] for p in at), name=f"{name} {margin}"), at)
            done[margin] = margin
    return system


def hierarchy(system: CellSystem, total: Key, parts: Iterable[Key]) -> None:
    """Tie a total of a hierarchy to its parts by their keys."""
    system.equate(system.index[total], [system.index[p] for p in parts])
