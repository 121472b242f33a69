"""What a bound on departures from parallel trends restricts: differences of first and second order, per elapsed time.

Rambachan, A. & Roth, J. (2023). A more credible approach to parallel trends. Review of Economic Studies 90(5), 2555-2591.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class EventStudy:
    """Estimates of an event study that passed every check, and the effect asked for.

    Attributes
    ----------
    estimates : ndarray (n_pre + n_post,)
        In order of time, without the reference period, whose effect is zero.
    vcov : ndarray (n_pre + n_post, n_pre + n_post)
    n_pre : int
    target : ndarray (n_post,)
        Weights of the effects after the start.
    gaps : ndarray (n_pre + n_post,)
        Elapsed time between neighbouring periods, the reference period among them.
    """

    estimates: np.ndarray
    vcov: np.ndarray
    n_pre: int
    target: np.ndarray
    gaps: np.ndarray

    @cached_property
    def slopes(self) -> np.ndarray:
        """Matrix that takes the estimates to their change per unit of time; the first ``n_pre`` rows lie before the start."""
        count = len(self.estimates)
        steps = np.eye(count, count + 1, 1) - np.eye(count, count + 1)
        return np.delete(steps, self.n_pre, axis=1) / self.gaps[:, None]

    @cached_property
    def bends(self) -> np.ndarray:
        """Matrix that takes the estimates to changes of slope per unit of time; the first ``n_pre - 1`` rows lie before the start.

        A slope is placed at the middle of its gap, so that bends are second derivatives; with gaps of one they are second
        differences.
        """
        between = (self.gaps[1:] + self.gaps[:-1]) / 2
        return (self.slopes[1:] - self.slopes[:-1]) / between[:, None]

    @property
    def effect(self) -> float:
        """The effect asked for, under parallel trends."""
        return float(self.target @ self.estimates[self.n_pre :])

    @property
    def std_error(self) -> float:
        """Its standard error."""
        return float(np.sqrt(self.target @ self.vcov[self.n_pre :, self.n_pre :] @ self.target))

    def carried(self, rows: np.ndarray) -> np.ndarray:
        """Weights with which the last ``n_post`` rows of a matrix of differences add up to the target's weights after the start."""
        late = rows[-len(self.target) :, self.n_pre :]
        return np.linalg.solve(late.T, self.target)
