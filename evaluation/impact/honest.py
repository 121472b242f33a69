"""Bounds on an effect that stay valid when trends were not parallel: honest intervals and the departure at which they break down.

Rambachan, A. & Roth, J. (2023). A more credible approach to parallel trends. Review of Economic Studies 90(5), 2555-2591.

Estimates are taken as normal with a known covariance. Relative magnitudes: the conditional least-favourable hybrid test
(Andrews, Roth & Pakes 2023) inverted for each early step and sign, a tenth of its size spent on the first stage; an interval
runs between the ends of the union of all kept values, which need not be connected. Smoothness: the shortest interval of fixed
length (Armstrong & Kolesar 2018); m = 0 carries a linear trend on. Nothing is simulated, so equal input gives equal output.

The R package HonestDiD takes the same tests. It simulates the least-favourable critical value (1,000 draws) and the folded
normal quantile and reports points of a grid, so it differs by about a grid step; here ends are exact. With one period after
the start it also leaves the second stage of the hybrid unbounded by the first, and so is a little wider than the paper's test,
which is the one used here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.estimate import CONF_LEVEL, Estimate, figures
from evaluation.impact.honest_conditional import excess_range, relative_vertices
from evaluation.impact.honest_flci import bend_weights, shortest_interval
from evaluation.impact.honest_input import REFERENCE_TIME, read_bounds, read_event_study
from evaluation.impact.honest_restrictions import EventStudy

KINDS = {"relative_magnitude": "conditional least-favourable hybrid", "smoothness": "shortest interval of fixed length"}
FEW_SCHOOLS = 10  # effective treated schools below which bounds only illustrate
BREAKDOWN_PRECISION = 1e-6  # of the breakdown value itself
DOUBLINGS = 60
SCAN = 16  # values of m looked at before a root is sought, so that the first crossing is found

Interval = Callable[[float], tuple[float, float]]


@dataclass(frozen=True, eq=False, repr=False)
class HonestBounds:
    """Intervals for one effect under larger and larger departures from parallel trends.

    Attributes
    ----------
    frame : DataFrame
        One row per value asked for, in that order: m, conf_low, conf_high (units of the estimates), excludes_zero.
    original : Estimate
        The same effect if trends were parallel, from the normal distribution.
    breakdown : float
        Least m whose interval holds zero, so that every smaller departure leaves the sign established: 0 where already
        the interval at m = 0 holds it, infinite where none does.
    kind, method : str
    target : tuple of float
        Weights of the effects after the start.
    n_pre, n_post : int
    conf_level : float
    warnings : tuple of str
        Sentences for the reader of the result.
    """

    frame: pd.DataFrame
    original: Estimate
    breakdown: float
    kind: str
    method: str
    target: tuple[float, ...]
    n_pre: int
    n_post: int
    conf_level: float
    warnings: tuple[str, ...]

    @property
    def _heading(self) -> str:
        original = f"{self.original.estimate:.4g} [{self.original.conf_low:.4g}, {self.original.conf_high:.4g}] under parallel trends"
        return f"{self.kind.replace('_', ' ')}, {self.conf_level:.0%} intervals by the {self.method}; {original}; breakdown at m = {self.breakdown:.4g}"

    def __repr__(self) -> str:
        return "\n".join([self._heading, self.frame.to_string(index=False), *self.warnings])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.warnings)
        return f"<p>{escape(self._heading)}</p>{self.frame.to_html(index=False, border=0)}{notes}"


def honest_bounds(
    estimates: Sequence[float] | pd.Series,
    vcov: np.ndarray | pd.DataFrame,
    *,
    n_pre: int,
    n_post: int,
    kind: str,
    m: float | Sequence[float],
    target: Sequence[float] | None = None,
    conf_level: float = CONF_LEVEL,
    event_times: Sequence[float] | None = None,
    reference_time: float = REFERENCE_TIME,
    effective_treated_schools: float | None = None,
) -> HonestBounds:
    """Honest intervals for an effect when the trends of the two groups may differ by a bounded amount, and the breakdown value.

    Parameters
    ----------
    estimates, vcov : sequence of float (n_pre + n_post,), matrix (n_pre + n_post, n_pre + n_post)
        Event-study estimates in order of time against one reference period, which is left out; their covariance. Never changed.
    n_pre, n_post : int
        Periods before the reference period, and after it.
    kind : {"relative_magnitude", "smoothness"}
        Whether ``m`` bounds steps of the difference in trends after the reference, as a multiple of the largest step up to
        it (no unit), or by how much its slope changes from one period to the next (units of the estimates).
    m : float or sequence of float
        Bounds, zero or more.
    target : sequence of float (n_post,), optional
        Weights of the effects after the start; the first effect where none is given. An average is ``[1 / n_post] * n_post``.
    event_times : sequence of float (n_pre + n_post,), optional
        Time of each estimate in half-terms, where periods are not equally spaced: steps are then divided by the time they
        took, changes of slope by the time between the middles of the two gaps. Without it periods are one unit apart.
    reference_time : float
        Time of the reference period; used with ``event_times`` only.
    effective_treated_schools : float, optional
        Below 10 the result says that it only illustrates.

    Raises
    ------
    DataError
        Wrong counts, shapes or levels; missing values; labels in another order, or unequally spaced without
        ``event_times``; vcov not symmetric or not positive semi-definite.
    UnidentifiedError
        vcov of short rank.
    """
    if kind not in KINDS:
        raise DataError(f"kind {kind!r} is not known", where="kind", mend=f"use one of {', '.join(KINDS)}.")
    values = read_bounds(m)
    study = read_event_study(estimates, vcov, n_pre, n_post, target, event_times, reference_time)
    original = Estimate(**figures(study.effect, study.std_error, conf_level=conf_level), term="target", method="parallel trends")
    interval, unit = _interval_of(study, kind, conf_level)
    rows = [interval(value) for value in values]
    low, high = np.array(rows).T
    frame = pd.DataFrame({"m": values, "conf_low": low, "conf_high": high, "excludes_zero": (low > 0) | (high < 0)})
    return HonestBounds(frame=frame, original=original, breakdown=_breakdown(interval, unit), kind=kind, method=KINDS[kind],
                        target=tuple(study.target.tolist()), n_pre=study.n_pre, n_post=len(study.target), conf_level=conf_level,
                        warnings=_warnings(study, kind, effective_treated_schools))  # fmt: skip


def _interval_of(study: EventStudy, kind: str, level: float) -> tuple[Interval, float]:
    """The interval as a function of m, and a value of m to start a search with."""
    if kind == "smoothness":
        weights = bend_weights(study)
        return partial(shortest_interval, weights, level=level), study.std_error / weights.fixed_size
    return partial(_relative_interval, study, level), 1.0


def _relative_interval(study: EventStudy, level: float, m: float) -> tuple[float, float]:
    low, high = excess_range(relative_vertices(study, m), level)
    return study.effect - high, study.effect - low


def _breakdown(interval: Interval, unit: float) -> float:
    """Least m whose interval holds zero."""
    from scipy.optimize import brentq

    def distance(m: float) -> float:
        low, high = interval(m)
        return max(low, -high)

    if distance(0.0) <= 0:
        return 0.0
    top = unit
    for _ in range(DOUBLINGS):
        if distance(top) <= 0:
            break
        top *= 2
    else:
        return math.inf
    places = np.linspace(0.0, top, SCAN + 1)
    last = next(index for index in range(1, SCAN + 1) if distance(places[index]) <= 0)
    return float(brentq(distance, places[last - 1], places[last], xtol=BREAKDOWN_PRECISION**2 * unit, rtol=BREAKDOWN_PRECISION))


def _warnings(study: EventStudy, kind: str, effective_treated_schools: float | None) -> tuple[str, ...]:
    sentences = []
    if effective_treated_schools is not None and not effective_treated_schools >= FEW_SCHOOLS:
        sentences.append(f"illustrative: {effective_treated_schools:.1f} effective treated schools, fewer than {FEW_SCHOOLS}, and the bounds take the "
                         "estimates as normal with a known covariance.")  # fmt: skip
    if study.n_pre == 1:
        what = "one step before the start sets the scale of m" if kind == "relative_magnitude" else "one step before the start sets the trend carried on"
        sentences.append(f"{what}: nothing shows how much trends differ from period to period.")
    return tuple(sentences)
