"""p-values over every null hypothesis, and intervals by inverting them, from statistics whose parts are linear in the null.

Roodman, D., MacKinnon, J., Nielsen, M. & Webb, M. (2019). Fast and wild: bootstrap inference in Stata using boottest.
Stata Journal 19(1), 4-60: numerators of resampled t statistics are linear in the null, their squared denominators
quadratic, so that five numbers a draw give the p-value of any null.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.inference.arguments import check_draws, check_level, check_null, check_seed

# Statistics this close, relative to the observed one, are ties. Rounding leaves about 1e-12; the sample itself, which is
# among the draws when all are enumerated, must tie with itself.
TIE = 1e-9
# Share of the largest squared standard error below which a draw's own is nothing but rounding: it counts as extreme.
NO_SPREAD = 1e-24
# How far out nulls are tried, in standard errors; an interval that has not ended there is reported as unbounded.
FARTHEST = 1e6
# Nulls are tried at this step, in standard errors, up to EVEN of them, and from there on at steps that grow by GROWTH.
STEP, EVEN, GROWTH = 0.05, 5.0, 1.1
# Halvings of the bracket of one step that holds an end: 2^-50 of it is below rounding.
HALVINGS = 50
# Cells of one block of nulls by draws: small enough for a processor's cache.
BLOCK_CELLS = 100_000


@dataclass(frozen=True, eq=False)
class Resampled:
    """Resampled statistics as functions of d, the estimate less the null.

    A draw's statistic is (numerator0 + d numerator1) / sqrt(square0 + 2 d square1 + d^2 square2), the observed one
    d / sqrt(variance). p-values are two-sided and symmetric: sizes are compared.

    Attributes
    ----------
    estimate, variance : float
    numerator0, numerator1, square0, square1, square2 : ndarray, shape (R,)
    copies : int
        Statistics of equal size that each entry stands for.
    itself : int
        1 where the sample itself is no draw, 0 where the draws hold it.
    ties : bool
        Whether the p-value counts draws that tie with the observed statistic, and the sample itself.
    """

    estimate: float
    variance: float
    numerator0: np.ndarray
    numerator1: np.ndarray
    square0: np.ndarray
    square1: np.ndarray
    square2: np.ndarray
    copies: int
    itself: int
    ties: bool

    @property
    def draws(self) -> int:
        """Draws, the sample itself among them only where they hold it."""
        return self.copies * len(self.numerator0)

    @property
    def floor(self) -> float:
        """The smallest p-value that counts the sample itself."""
        return max(self.copies, self.itself) / (self.draws + self.itself)

    def counts(self, null: float) -> tuple[int, int]:
        """Draws whose statistic is larger in size than the observed one, and draws that tie with it."""
        distance = self.estimate - null
        at_least = self._at_least(np.array([distance]), -TIE)[0]
        greater = self._at_least(np.array([distance]), TIE)[0]
        return int(greater) * self.copies, int(at_least - greater) * self.copies

    def p_value(self, null: float) -> float:
        """With ties as :meth:`p_value_with_ties`, else larger draws / draws."""
        return self.p_value_with_ties(null) if self.ties else self.counts(null)[0] / self.draws

    def p_value_with_ties(self, null: float) -> float:
        """(itself + draws at least as large) / (itself + draws)."""
        return (self.itself + sum(self.counts(null))) / (self.itself + self.draws)

    def statistics(self, null: float) -> np.ndarray:
        """The draws' statistics at a null, shape (R,); infinite where a draw has no spread."""
        distance = self.estimate - null
        square = self._squares(distance)
        with np.errstate(divide="ignore", invalid="ignore"):
            values = (self.numerator0 + distance * self.numerator1) / np.sqrt(square)
        return np.where(square > self._no_spread(distance), values, np.inf)

    def _squares(self, distance: np.ndarray | float) -> np.ndarray:
        return np.maximum(self.square0 + distance * (2 * self.square1 + distance * self.square2), 0.0)

    def _no_spread(self, distance: np.ndarray | float) -> np.ndarray:
        moving = np.where(self.square2 > 0, NO_SPREAD * self.square2.max(), 0.0)
        return NO_SPREAD * self.square0.max() + distance * distance * moving

    def _at_least(self, distances: np.ndarray, slack: float) -> np.ndarray:
        """For each distance the number of entries whose size is at least (1 + slack) times that of the observed."""
        found = np.empty(len(distances), dtype=int)
        step = max(1, BLOCK_CELLS // len(self.numerator0))
        for start in range(0, len(distances), step):
            d = distances[start : start + step, None]
            squares = self._squares(d)
            large = self.variance * (self.numerator0 + d * self.numerator1) ** 2 >= (d * (1 + slack)) ** 2 * squares
            found[start : start + step] = (large | (squares <= self._no_spread(d))).sum(axis=1)
        return found

    def _kept(self, distances: np.ndarray, level: float) -> np.ndarray:
        """Which nulls the p-value does not reject at 1 - level."""
        itself = self.itself if self.ties else 0
        rejected = (1 - level) * (self.draws + itself) * (1 + TIE)
        return itself + self.copies * self._at_least(distances, -TIE if self.ties else TIE) > rejected


def without_rounding(numbers: np.ndarray) -> np.ndarray:
    """The five numbers of each draw with the squares' slopes zero where they are nothing but rounding.

    The sample itself and its mirror image have none: multiplied by a distant null, what rounding leaves of them would make
    them larger, or smaller, than the observed statistic that they are.

    Parameters
    ----------
    numbers : ndarray, shape (5, R)
        numerator0, numerator1, square0, square1, square2.
    """
    moving = numbers[4] > NO_SPREAD * numbers[4].max()
    return np.concatenate([numbers[:3], np.where(moving, numbers[3:], 0.0)])


@dataclass(frozen=True)
class Inverted:
    """The nulls that a test does not reject.

    Attributes
    ----------
    low, high : float
        Ends of the smallest interval that holds them all; infinite where none of the nulls tried on that side ends it.
    pieces : tuple of pairs of float
        The set itself; more than one piece where nulls in between are rejected.
    """

    low: float
    high: float
    pieces: tuple[tuple[float, float], ...]


def invert(resampled: Resampled, level: float) -> Inverted:
    """The nulls not rejected at 1 - level, ends found by bisection.

    Nulls are tried out to a million standard errors on each side; a piece or a gap narrower than the step between two
    nulls tried (a twentieth of a standard error near the estimate, a tenth of the distance farther out) can be missed.
    """
    even = np.arange(STEP, EVEN, STEP)
    growing = EVEN * GROWTH ** np.arange(1 + int(np.log(FARTHEST / EVEN) / np.log(GROWTH)))
    sizes = np.concatenate([even, growing])
    distances = np.sqrt(resampled.variance) * np.concatenate([-sizes[::-1], [0.0], sizes])
    kept = resampled._kept(distances, level)
    ends = [_end(resampled, level, distances[i], distances[i + 1]) for i in np.flatnonzero(kept[1:] != kept[:-1])]
    ends = [-np.inf] * int(kept[0]) + ends + [np.inf] * int(kept[-1])
    # A distance is the estimate less the null: the largest distance is the lowest null.
    pieces = tuple((resampled.estimate - high, resampled.estimate - low) for low, high in zip(ends[::2], ends[1::2], strict=True))[::-1]
    return Inverted(pieces[0][0], pieces[-1][1], pieces)


def _end(resampled: Resampled, level: float, one: float, other: float) -> float:
    """Between a distance kept and one rejected, where the first ends."""
    kept, rejected = (one, other) if resampled._kept(np.array([one]), level)[0] else (other, one)
    for _ in range(HALVINGS):
        middle = (kept + rejected) / 2
        if resampled._kept(np.array([middle]), level)[0]:
            kept = middle
        else:
            rejected = middle
    return kept


def sentences(inverted: Inverted, level: float) -> tuple[str, ...]:
    """What a reader of an interval by inversion must be told: that it does not end, or has gaps."""
    said = []
    sides = [side for side, end in (("below", inverted.low), ("above", inverted.high)) if np.isinf(end)]
    if sides:
        said.append(f"The {level:.0%} interval has no end {' or '.join(sides)}: no value there, however far out, is rejected.")
    if len(inverted.pieces) > 1:
        listed = ", ".join(f"[{low:.6g}, {high:.6g}]" for low, high in inverted.pieces)
        said.append(f"The values not rejected are no interval: they are {listed}; conf_low and conf_high enclose them all.")
    return tuple(said)


def check_request(null: float, draws: int, seed: int, conf_level: float) -> None:
    """Refuse a null, a number of draws, a seed or a level that is no such thing.

    Raises
    ------
    DataError
    """
    check_draws(draws)
    check_seed(seed)
    check_null(null)
    check_level(conf_level)
