"""Sets by classes of the score, and by coarsened or exact covariates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from evaluation.errors import DataError, ParameterError, UnidentifiedError

Coarsening = int | str | Sequence


def classes_of_score(score: np.ndarray, leading: np.ndarray, treated: np.ndarray, number: int) -> np.ndarray:
    """Classes between quantiles of the score [Cochran 1968; Rosenbaum and Rubin 1984].

    Parameters
    ----------
    score : ndarray of float, shape (n,)
    leading, treated : ndarray of bool, shape (n,)
        Units whose quantiles bound the classes (the arm the estimand is about, or all); the treated.
    number : int
        Classes.

    Returns
    -------
    ndarray of int, shape (n,)
        0 upwards. Quantiles are interpolated linearly; a class holds its lower bound, the last one its upper bound too; scores
        beyond all bounds belong to the outer classes.

    Raises
    ------
    UnidentifiedError
        A class lacks an arm. (MatchIt moves units into it from elsewhere; that is not done here.)
    """
    bounds = np.quantile(score[leading], np.linspace(0.0, 1.0, number + 1))
    own = np.clip(np.searchsorted(bounds, score, side="right") - 1, 0, number - 1)
    for arm, inside in (("treated", treated), ("comparison", ~treated)):
        empty = np.flatnonzero(np.bincount(own[inside], minlength=number) == 0)
        if len(empty):
            raise UnidentifiedError(f"{len(empty)} of {number} classes of the score have no {arm} unit", where="subclasses", mend="ask for fewer classes")
    return own


def classes_of_covariates(data: pd.DataFrame, on: Sequence[str], coarsen: Mapping[str, Coarsening] | None, treated: np.ndarray) -> np.ndarray:
    """Sets of units that agree on all coarsened covariates [Iacus, King and Porro 2012].

    Parameters
    ----------
    data : DataFrame
    on : sequence of str
    coarsen : mapping, optional
        By column: a whole number of bins of equal width; ``"q4"`` for bins between quantiles; a list of cutpoints (a bin
        holds its lower bound); for text and categories, a list of lists of levels that count as one; ``"exact"`` for no
        coarsening. Numeric columns not named get as many bins as Sturges' rule says, ceiling(log2(n) + 1), over their
        range; others stay as they are. As MatchIt.
    treated : ndarray of bool, shape (n,)

    Returns
    -------
    ndarray of int, shape (n,)
        The set's number; -1 where a set lacks an arm.

    Raises
    ------
    DataError
        A column is absent, missing or infinite somewhere.
    ParameterError
        A coarsening that cannot be read.
    """
    rules = dict(coarsen or {})
    unknown = [name for name in rules if name not in on]
    if unknown:
        raise ParameterError(f"coarsening of {', '.join(unknown)}, which is not among the covariates", where="coarsen", mend="name it in `on` too")
    columns = {name: _classes(data, name, rules.get(name)) for name in on}
    own = pd.DataFrame(columns).groupby(list(columns), sort=True).ngroup().to_numpy()
    both = (np.bincount(own[treated], minlength=own.max() + 1) > 0) & (np.bincount(own[~treated], minlength=own.max() + 1) > 0)
    return np.where(both[own], own, -1)


def _classes(data: pd.DataFrame, name: str, rule: Coarsening | None) -> np.ndarray:
    if name not in data.columns:
        raise DataError(f"there is no column `{name}`", where="on", mend=f"columns are {', '.join(map(str, data.columns))}")
    values = data[name]
    if values.isna().any():
        raise DataError(f"covariate `{name}` has {int(values.isna().sum())} missing value(s)", where=f"column `{name}`",
                        mend="give missing values a level of their own, or leave these rows out and count them")
    numeric = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
    if isinstance(rule, str) and rule == "exact":
        return pd.factorize(values, sort=False)[0]
    if not numeric:
        return _grouped_levels(values, name, rule)
    numbers = values.to_numpy(dtype=float)
    if not np.isfinite(numbers).all():
        raise DataError(f"covariate `{name}` has infinite values", where=f"column `{name}`", mend="correct them: every covariate must be a finite number")
    return np.searchsorted(_cutpoints(numbers, name, rule), numbers, side="right")


def _cutpoints(numbers: np.ndarray, name: str, rule: Coarsening | None) -> np.ndarray:
    """The inner bounds of a numeric column's bins."""
    if rule is None:
        rule = int(np.ceil(np.log2(len(numbers)) + 1))
    if isinstance(rule, str) and rule[:1] == "q" and rule[1:].isdigit() and int(rule[1:]) > 1:
        return np.unique(np.quantile(numbers, np.arange(1, int(rule[1:])) / int(rule[1:])))
    if isinstance(rule, (int, np.integer)) and not isinstance(rule, bool) and rule >= 1:
        return np.linspace(numbers.min(), numbers.max(), int(rule) + 1)[1:-1]
    if isinstance(rule, Sequence) and not isinstance(rule, str):
        cuts = np.array(rule, dtype=object)
        if cuts.ndim == 1 and all(isinstance(c, (int, float, np.number)) and np.isfinite(c) for c in cuts):
            return np.unique(cuts.astype(float))
    raise ParameterError(f"the coarsening {rule!r} of the numeric column `{name}` cannot be read", where="coarsen",
                         mend='give a number of bins, "q4" for quartiles, a list of cutpoints, or "exact"')


def _grouped_levels(values: pd.Series, name: str, rule: Coarsening | None) -> np.ndarray:
    """Levels of text and categories, joined where a rule says so."""
    levels = {level: place for place, level in enumerate(pd.unique(values.astype(object)))}
    if rule is not None:
        readable = isinstance(rule, Sequence) and not isinstance(rule, str) and all(isinstance(part, Sequence) and not isinstance(part, str) for part in rule)
        named = [level for part in rule for level in part] if readable else []
        if not readable or len(set(named)) != len(named) or not set(named) <= set(levels):
            raise ParameterError(f"the coarsening {rule!r} of the column `{name}` cannot be read", where="coarsen",
                                 mend=f"give lists of levels, each level once; levels are {', '.join(map(repr, levels))}")
        for place, part in enumerate(rule):
            levels |= dict.fromkeys(part, -1 - place)
    return values.astype(object).map(levels).to_numpy(dtype=np.int64)
