"""Influence functions of all cells, stored by blocks of units, and what is made of them: covariances, cluster sums, bootstrap draws.

A block holds the units that enter the same cells, so that nothing is stored for cells that a unit has no part in. Beside the cells, each
treated cohort has one more column, the units' weights: averages over cohorts move with the cohorts' sizes by multiples of it, so that any
average is one linear combination of columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CHUNK = 8192
"""Units whose random signs are held at once."""


@dataclass(frozen=True, eq=False)
class Block:
    """Units begin to end, and their influence on the cells listed: values (cells, units). ``cohort`` counts treated cohorts; -1 for none."""

    cells: np.ndarray
    values: np.ndarray
    begin: int
    end: int
    cohort: int


@dataclass(frozen=True, eq=False)
class Influence:
    """All influence functions, scaled so that the variance of an estimate is the sum of their squares over independent units.

    Attributes
    ----------
    blocks : tuple of Block
    cells, cohorts, units : int
        Counts.
    mass : ndarray, shape (units,)
        Weight of each unit in averages over cohorts.
    own : ndarray of int, shape (cells,)
        Place of each cell's treated cohort.
    """

    blocks: tuple[Block, ...]
    cells: int
    cohorts: int
    units: int
    mass: np.ndarray
    own: np.ndarray

    @property
    def columns(self) -> int:
        """Cells and cohorts."""
        return self.cells + self.cohorts

    def cross_products(self) -> np.ndarray:
        """Sums over units of products of columns, shape (columns, columns): the covariance where units are independent."""
        total = np.zeros((self.columns, self.columns))
        for block in self.blocks:
            total[np.ix_(block.cells, block.cells)] += block.values @ block.values.T
            if block.cohort >= 0:
                mass, column = self.mass[block.begin : block.end], self.cells + block.cohort
                shared = block.values @ mass
                total[block.cells, column] += shared
                total[column, block.cells] += shared
                total[column, column] += mass @ mass
        return total

    def cluster_sums(self, clusters: np.ndarray, count: int) -> np.ndarray:
        """Columns summed over the units of each cluster, shape (count, columns)."""
        sums = np.zeros((self.columns, count))
        for block in self.blocks:
            codes = clusters[block.begin : block.end]
            for cell, values in zip(block.cells, block.values, strict=True):
                sums[cell] += np.bincount(codes, values, minlength=count)
            if block.cohort >= 0:
                sums[self.cells + block.cohort] += np.bincount(codes, self.mass[block.begin : block.end], minlength=count)
        return sums.T

    def presence(self, clusters: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Whether a cell has treated, and comparison, units in each cluster: two arrays of shape (cells, count)."""
        found = np.zeros((2, self.cells, count), dtype=bool)
        for block in self.blocks:
            codes = clusters[block.begin : block.end]
            everyone = np.bincount(codes, minlength=count) > 0
            for cell, values in zip(block.cells, block.values, strict=True):
                whole = np.count_nonzero(values) == len(values)
                found[int(block.cohort != self.own[cell]), cell] |= everyone if whole else np.bincount(codes, values != 0, minlength=count) > 0
        return found[0], found[1]

    def draws(self, count: int, seed: int) -> np.ndarray:
        """Sums of columns with a random sign a unit, shape (count, columns)."""
        generator = np.random.default_rng(seed)
        drawn = np.zeros((count, self.columns))
        for block in self.blocks:
            for begin in range(block.begin, block.end, CHUNK):
                end = min(begin + CHUNK, block.end)
                signs = random_signs(generator, count, end - begin)
                drawn[:, block.cells] += signs @ block.values[:, begin - block.begin : end - block.begin].T
                if block.cohort >= 0:
                    drawn[:, self.cells + block.cohort] += signs @ self.mass[begin:end]
        return drawn

    def dense(self) -> np.ndarray:
        """Influence of every unit on every cell, shape (units, cells)."""
        table = np.zeros((self.units, self.cells))
        for block in self.blocks:
            table[block.begin : block.end, block.cells] = block.values.T
        return table


def random_signs(generator: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Array of shape (rows, columns) of -1 and 1 with equal chance (Rademacher)."""
    wide = -(-columns // 8)
    bits = np.unpackbits(np.frombuffer(generator.bytes(rows * wide), dtype=np.uint8).reshape(rows, wide), axis=1, count=columns)
    return bits * 2.0 - 1.0
