"""The largest absorbed factor as a covariance by clusters needs it, without a column for every level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from evaluation.inference.design_matrix import Design

# A lone level that stretches the identity by less than this counts as evenly weighted: what that leaves out of the covariance
# is of this order, and the direction could no longer be told from rounding.
EVEN = 1e-12


@dataclass(frozen=True, eq=False)
class AbsorbedEffects:
    """Arrays over the factor's L levels; d is a level's indicator divided by the root of its weight, W the weights.

    A level is lone if all its rows lie in one cluster. Taking a lone level out turns the identity into
    (I - d d'W)(I - d d'W)': eigenvalue 0 along W d, `stretch` along what of d is not along W d, 1 elsewhere. Residual
    columns X have no share in W d, for d'WX = 0. So lone levels need no column of their own: those with rows of one weight
    leave no trace, the others one direction each.

    Attributes
    ----------
    codes : ndarray of int, shape (n,)
        Level of each row.
    scale : ndarray, shape (L,)
        1 / root of the level's weight.
    lone, uneven : ndarray of bool, shape (L,)
        Uneven: lone, and of several weights.
    own : ndarray, shape (L,)
        d'W^2 d.
    cross : ndarray, shape (z, L)
        X'W^2 d, X the orthonormal columns.
    stretch : ndarray, shape (L,)
        d'd times d'W^2 d.
    """

    codes: np.ndarray
    scale: np.ndarray
    lone: np.ndarray
    uneven: np.ndarray
    own: np.ndarray
    cross: np.ndarray
    stretch: np.ndarray

    def tilt(self, rows: slice) -> np.ndarray:
        """d d'W^2 X of lone levels: what taking them out takes from the rows' weighted columns W X, shape (rows, z)."""
        codes = self.codes[rows]
        return self.cross[:, codes].T * (self.scale * self.lone)[codes, None]

    def bends(self, rows: slice, weights: np.ndarray) -> tuple[csr_array, np.ndarray] | None:
        """Orthonormal directions, shape (directions, rows), along which uneven levels stretch the identity, and how far.

        None where the rows have no uneven level.
        """
        codes = self.codes[rows]
        bent = np.flatnonzero(self.uneven[codes])
        if not len(bent):
            return None
        levels, where = np.unique(codes[bent], return_inverse=True)
        values = self.scale[codes[bent]] * (1 - weights[bent] / self.own[codes[bent]])
        length = np.sqrt(np.bincount(where, values**2, len(levels)))
        return csr_array((values / length[where], (where, bent)), shape=(len(levels), len(codes))), self.stretch[levels]


def absorbed_effects(design: Design) -> AbsorbedEffects | None:
    """The largest absorbed factor of a design, None where nothing is absorbed."""
    if design.levels is None:
        return None
    codes, weights = design.levels, design.weights
    total, rows = np.bincount(codes, weights), np.bincount(codes)
    first = np.full(len(total), design.clusters[-1] + 1)
    last = np.zeros(len(total), dtype=first.dtype)
    np.minimum.at(first, codes, design.clusters)
    np.maximum.at(last, codes, design.clusters)
    scale, own = 1 / np.sqrt(total), np.bincount(codes, weights**2) / total
    cross = np.array([np.bincount(codes, weights**2 * column) * scale for column in design.orthonormal.T])
    stretch = rows / total * own
    return AbsorbedEffects(codes=codes, scale=scale, lone=first == last, uneven=(first == last) & (stretch - 1 > EVEN), own=own,
                           cross=cross.reshape(-1, len(total)), stretch=stretch)  # fmt: skip
