"""p-values adjusted for several hypotheses, so that one false rejection among them is no likelier than the level.

Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6(2), 65-70.
Romano, J. & Wolf, M. (2005). Exact and approximate stepdown methods for multiple hypothesis testing. Journal of the American
Statistical Association 100(469), 94-108. Romano, J. & Wolf, M. (2016). Efficient computation of adjusted p-values for
resampling-based stepdown multiple testing. Statistics & Probability Letters 113, 38-40.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.inference.arguments import named_numbers, table_of_numbers

METHODS = ("holm", "romano_wolf")
# Statistics this close, relative to the observed one, are ties, so at least as extreme.
TIE = 1e-9

Values = pd.Series | Mapping | Sequence[float]


@dataclass(frozen=True, eq=False, repr=False)
class AdjustedPValues:
    """Adjusted p-values of one family of hypotheses.

    Attributes
    ----------
    frame : DataFrame
        In the order given: term, p_value, p_adjusted; with Romano-Wolf the statistic too. p_adjusted is never below
        p_value and keeps the order of the p-values (of the statistics' sizes).
    method : {"holm", "romano_wolf"}
    draws : int or None
    """

    frame: pd.DataFrame
    method: str
    draws: int | None

    @property
    def _heading(self) -> str:
        drawn = "" if self.draws is None else f", {self.draws:,} draws"
        return f"{len(self.frame)} hypotheses, adjusted by {self.method.replace('_', '-')}{drawn}"

    def __repr__(self) -> str:
        return f"{self._heading}\n{self.frame.to_string(index=False)}"

    def _repr_html_(self) -> str:
        return f"<p>{self._heading}</p>{self.frame.to_html(index=False, border=0)}"


def adjust_p_values(
    p_values: Values | None = None,
    *,
    method: str = "holm",
    statistics: Values | None = None,
    resampled: pd.DataFrame | np.ndarray | None = None,
) -> AdjustedPValues:
    """Adjust p-values for the number of hypotheses.

    "holm" takes p-values and holds whatever their dependence. "romano_wolf" takes statistics and their resampled values
    under the null and uses their dependence: hypotheses in order of size, each against the largest statistic of those not
    yet passed, p = (1 + draws at least as large) / (1 + draws), made monotone. It needs draws that the statistics share:
    one row is one draw for all of them.

    Parameters
    ----------
    p_values : Series, mapping or sequence of float, length m
        For "holm". A Series' index or a mapping's keys name the hypotheses.
    method : {"holm", "romano_wolf"}
    statistics : Series, mapping or sequence of float, length m
        For "romano_wolf"; two-sided, so size counts and statistics should be on one scale, as t statistics are.
    resampled : DataFrame or ndarray, shape (draws, m)
        For "romano_wolf": each draw's statistics with the nulls imposed, or less the estimates; columns in the order of
        `statistics`. For example the `resampled` of wild tests on the same rows with one seed, side by side.

    Raises
    ------
    DataError
        A p-value or statistic is missing, no number or out of range; a name given twice; shapes that do not fit; arguments of the other method.
    """
    if method not in METHODS:
        raise DataError(f"method {method!r} is not known", mend=f"use one of {', '.join(METHODS)}.")
    wanted, beside = ("p_values",), ("statistics", "resampled")
    if method == "romano_wolf":
        wanted, beside = beside, wanted
    given = {"p_values": p_values, "statistics": statistics, "resampled": resampled}
    for name in (*wanted, *beside):
        if (given[name] is None) == (name in wanted):
            raise DataError(f"{method} takes {' and '.join(wanted)}", where=name, mend="pass those, and nothing of the other method.")
    if method == "holm":
        names, values = _read(p_values, "a p-value")
        if ((values < 0) | (values > 1)).any():
            raise DataError("a p-value is below 0 or above 1", where=f"hypothesis {names[int(((values < 0) | (values > 1)).argmax())]}",
                            mend="pass p-values, not statistics.")  # fmt: skip
        return AdjustedPValues(pd.DataFrame({"term": names, "p_value": values, "p_adjusted": _holm(values)}), method, None)
    names, values = _read(statistics, "a statistic")
    draws = _resampled(resampled, names, statistics)
    plain, adjusted = _romano_wolf(np.abs(values), np.abs(draws))
    frame = pd.DataFrame({"term": names, "statistic": values, "p_value": plain, "p_adjusted": adjusted})
    return AdjustedPValues(frame, method, len(draws))


def _read(values: Values, noun: str) -> tuple[list, np.ndarray]:
    return named_numbers(values, noun, "hypothesis",
                         "a hypothesis that was not tested leaves the family only by a rule of the protocol, and is named.")  # fmt: skip


def _resampled(resampled: pd.DataFrame | np.ndarray, names: list, statistics: Values) -> np.ndarray:
    if isinstance(resampled, pd.DataFrame) and isinstance(statistics, (pd.Series, Mapping)) and list(resampled.columns) != names:
        raise DataError("the resampled statistics have other columns than the statistics, or another order", where="resampled",
                        mend="reorder the columns.")  # fmt: skip
    draws = table_of_numbers(resampled, len(names), "table of resampled statistics")
    if np.isnan(draws).any():
        raise DataError("a resampled statistic is missing", where=f"draw {int(np.isnan(draws).any(axis=1).argmax()) + 1}",
                        mend="leave the whole draw out for every hypothesis, and count such draws.")  # fmt: skip
    return draws


def _holm(values: np.ndarray) -> np.ndarray:
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _romano_wolf(sizes: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unadjusted and adjusted p-values."""
    order = np.argsort(-sizes, kind="stable")
    # Largest draw among a hypothesis and all with smaller statistics.
    largest = np.maximum.accumulate(draws[:, order[::-1]], axis=1)[:, ::-1]
    bar = sizes * (1 - TIE)
    plain = (1 + (draws >= bar).sum(axis=0)) / (1 + len(draws))
    stepped = np.maximum.accumulate((1 + (largest >= bar[order]).sum(axis=0)) / (1 + len(draws)))
    adjusted = np.empty(len(sizes))
    adjusted[order] = stepped
    return plain, adjusted
