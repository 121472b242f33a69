"""Goodman-Bacon's decomposition: which comparisons of two groups a two-way effect is made of, and how much of each.

References
----------
.. [1] Goodman-Bacon, A. (2021). Difference-in-differences with variation in treatment timing. Journal of Econometrics 225(2), 254-277.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact.two_way_panel import Panel, read_panel, read_starts

NEVER, ALWAYS = "never treated", "always treated"
KINDS = ("treated v never treated", "earlier v later treated", "later v earlier treated", "later v always treated")


@dataclass(frozen=True, eq=False, repr=False)
class BaconDecomposition:
    """A two-way effect as a weighted mean of comparisons of two groups.

    Attributes
    ----------
    frame : DataFrame
        One row per comparison: kind, treated (first treated period of the group that changes), comparison (that of the group that does not,
        or "never treated", "always treated"), estimate (units of the outcome), weight. Weights sum to one; "later v earlier treated"
        takes units already treated as the comparison, so that it is biased where their effect changes with time.
    by_kind : DataFrame
        kind, estimate (weighted mean within the kind), weight.
    effect : float
        Sum of weight times estimate: the two-way fixed-effects estimate.
    n, units, periods : int
    outcome : str
    """

    frame: pd.DataFrame
    by_kind: pd.DataFrame
    effect: float
    n: int
    units: int
    periods: int
    outcome: str

    @property
    def _heading(self) -> str:
        return f"{self.outcome}: two-way effect {self.effect:.6g} of {self.units:,} units in {self.periods} periods, by comparison"

    def __repr__(self) -> str:
        return "\n".join([self._heading, self.by_kind.to_string(index=False), self.frame.to_string(index=False)])

    def _repr_html_(self) -> str:
        tables = (self.by_kind.to_html(index=False, border=0), self.frame.to_html(index=False, border=0))
        return f"<p>{escape(self._heading)}</p>{''.join(tables)}"


def bacon_decomposition(panel: pd.DataFrame, outcome: str, *, unit: str, time: str, start: str) -> BaconDecomposition:
    """Decompose the unweighted two-way effect without covariates of a balanced panel [1]_.

    A diagnostic: a large weight on "later v earlier treated" says that the two-way effect leans on comparisons with treated units. With
    covariates or weights the two-way effect has no such decomposition into raw comparisons, so that none is offered.

    Parameters
    ----------
    panel : DataFrame
        One row per unit and period, every unit in every period. Never changed.
    outcome, unit, time : str
    start : str
        First treated period; 0 or missing is never treated. Units that start after the last period count as never treated, those that start
        in the first period or before it as always treated. Only the order of periods matters, so that gaps do no harm.

    Raises
    ------
    DataError
        See :func:`evaluation.impact.two_way_panel.read_panel`; the panel is not balanced.
    UnidentifiedError
        All units have one start: nothing is compared.
    """
    read = read_panel(panel, outcome, unit=unit, time=time)
    if not read.balanced:
        short = int((np.diff(read.first) < len(read.periods)).sum())
        raise DataError(f"{short:,} of {read.count:,} units lack a period, so that the decomposition does not hold", where=f"column {time!r}",
                        mend="keep units with a row in every period, and count the others.")  # fmt: skip
    starts = np.clip(read_starts(read, panel, unit=unit, time=time, start=start, steps=False), 0, len(read.periods))
    rows = _comparisons(read, starts)
    if not rows:
        raise UnidentifiedError("all units have the same start, or none starts inside the panel, so there is nothing to compare",
                                where=f"column {start!r}", mend="add units that are never treated, or that start at another period.")  # fmt: skip
    frame = pd.DataFrame(rows, columns=["kind", "treated", "comparison", "estimate", "weight"])
    frame["weight"] /= frame["weight"].sum()
    by_kind = pd.DataFrame([(kind, float(np.average(part["estimate"], weights=part["weight"])), float(part["weight"].sum()))
                            for kind, part in ((kind, frame[frame["kind"] == kind]) for kind in KINDS) if len(part)],
                           columns=["kind", "estimate", "weight"])  # fmt: skip
    effect = float(frame["weight"] @ frame["estimate"])
    return BaconDecomposition(frame, by_kind, effect, len(read.units), read.count, len(read.periods), outcome)


def _comparisons(read: Panel, starts: np.ndarray) -> list[tuple]:
    """Each group that changes against each that does not, over the periods in which that holds, with weights up to their sum."""
    count = len(read.periods)
    outcome = read.outcome.reshape(read.count, count)
    groups, sizes = np.unique(starts, return_counts=True)
    means = np.array([(outcome[starts == group]).mean(axis=0) for group in groups])
    share = (count - groups) / count
    rows = []
    for i, treated in enumerate(groups):
        if not 0 < treated < count:
            continue
        for j, other in enumerate(groups):
            if other == treated:
                continue
            ahead = treated < other
            # Before the other starts, or from then on: there the other group does not change.
            window = slice(0, other) if ahead else slice(other, count)
            after = slice(treated, other) if ahead else slice(treated, count)
            before = slice(window.start, treated)
            change = means[:, after].mean(axis=1) - means[:, before].mean(axis=1)
            weight = sizes[i] * sizes[j] * ((share[i] - share[j]) * (1 - share[i]) if ahead else share[i] * (share[j] - share[i]))
            rows.append((_kind(treated, other, count), read.periods[treated], _label(other, read), float(change[i] - change[j]), float(weight)))
    return rows


def _kind(treated: int, other: int, count: int) -> str:
    if other >= count:
        return KINDS[0]
    if other <= 0:
        return KINDS[3]
    return KINDS[1] if treated < other else KINDS[2]


def _label(group: int, read: Panel) -> object:
    if group >= len(read.periods):
        return NEVER
    return ALWAYS if group <= 0 else read.periods[group]
