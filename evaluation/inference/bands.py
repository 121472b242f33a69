"""Simultaneous confidence bands: intervals for several estimates that hold all of them at once at the level named.

Montiel Olea, J. L. & Plagborg-Moller, M. (2019). Simultaneous confidence bands: theory, implementation, and an application
to SVARs. Journal of Applied Econometrics 34(1), 1-17 (the sup-t band). Callaway, B. & Sant'Anna, P. (2021). Difference-in-
differences with multiple time periods. Journal of Econometrics 225(2), 200-230 (the multiplier bootstrap).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference.arguments import check_level, check_seed, is_number, named_numbers, table_of_numbers

CONF_LEVEL = 0.95
# A variance below this share of the largest is a normalisation, such as a reference period, not an estimate.
NO_VARIANCE = 1e-20
# Rounding that a covariance may show against symmetry and positive eigenvalues, on the scale of correlations.
ROUNDING = 1e-8
# Cells of one block of draws by estimates or clusters (32 MB).
BLOCK_CELLS = 4_000_000
# Mammen's (1993) two points and the probability of the first: mean 0, variance 1, third moment 1.
MAMMEN = ((1 - 5**0.5) / 2, (1 + 5**0.5) / 2, (5**0.5 + 1) / (2 * 5**0.5))


@dataclass(frozen=True, eq=False, repr=False)
class SimultaneousBand:
    """A sup-t band.

    Attributes
    ----------
    frame : DataFrame
        term, estimate, std_error, conf_low, conf_high (pointwise), band_low, band_high, in units of the estimates.
    critical : float
        Standard errors from an estimate to its band.
    pointwise_critical : float
        Those to its pointwise interval; never more than `critical`.
    conf_level : float
    method : {"gaussian", "multiplier"}
    df : float or None
    draws, seed : int
    clusters : int or None
        Clusters (or rows) whose influence was drawn.
    warnings : tuple of str
    """

    frame: pd.DataFrame
    critical: float
    pointwise_critical: float
    conf_level: float
    method: str
    df: float | None
    draws: int
    seed: int
    clusters: int | None
    warnings: tuple[str, ...]

    @property
    def _heading(self) -> str:
        return (f"{self.conf_level:.0%} band, {self.method}, {self.draws:,} draws, seed {self.seed}: {self.critical:.3f} standard errors, "
                f"pointwise {self.pointwise_critical:.3f}")  # fmt: skip

    def __repr__(self) -> str:
        return "\n".join([self._heading, self.frame.to_string(index=False), *self.warnings])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.warnings)
        return f"<p>{escape(self._heading)}</p>{self.frame.to_html(index=False, border=0)}{notes}"


def simultaneous_band(
    estimates: pd.Series | Mapping | Sequence[float],
    vcov: pd.DataFrame | np.ndarray | None = None,
    *,
    influence: pd.DataFrame | np.ndarray | None = None,
    clusters: Sequence | None = None,
    df: float | None = None,
    conf_level: float = CONF_LEVEL,
    draws: int = 9999,
    seed: int = 0,
) -> SimultaneousBand:
    """The band estimate +- c standard errors, c the quantile of the largest of the estimates' errors in standard errors.

    With `vcov` errors are drawn from a normal distribution with that covariance. With `influence` the influence functions
    are multiplied by Mammen weights, one a cluster; standard errors are then the analytic ones of the clusters' sums. `c`
    is never below the pointwise critical value, and with `vcov` and no `df` never above Bonferroni's. An estimate without
    variance, such as a reference period, takes no part: its band is the estimate itself. From 9,999 draws c has a standard
    error of about 0.02.

    Parameters
    ----------
    estimates : Series, mapping or sequence of float, length k
        A Series' index or a mapping's keys name the estimates.
    vcov : DataFrame or ndarray, shape (k, k), optional
    influence : DataFrame or ndarray, shape (n, k), optional
        Influence functions whose mean over the n rows is an estimate's error, as R's did has them.
    clusters : sequence of length n, optional
        The cluster of each row of `influence`; without it rows are independent.
    df : float, optional
        Degrees of freedom of the standard errors, for few clusters: errors are then drawn from a multivariate t. Infinity
        is the normal distribution, as None is.
    conf_level, draws, seed

    Raises
    ------
    DataError
        Arguments that are no numbers, shapes or labels that do not fit, missing values, a covariance not symmetric or not positive semi-definite.
    UnidentifiedError
        No estimate has a variance; fewer than two clusters.
    """
    names, values = named_numbers(estimates, "an estimate", "estimate", "leave it out, and say so.")
    _check_request(vcov, influence, clusters, draws, conf_level)
    check_seed(seed)
    df = _degrees_of_freedom(df)
    if vcov is not None:
        matrix, count = _covariance(vcov, names, estimates), None
    else:
        _check_labels(estimates, names, influence, "influence")
        sums = _summed(influence, clusters, len(values))
        matrix, count = sums.T @ sums, len(sums)
    variance = np.diag(matrix)
    moving = variance > NO_VARIANCE * variance.max()
    if not moving.any():
        raise UnidentifiedError("no estimate has a variance, so there is no band", mend="look at the fit that gave the estimates.")
    std_error = np.where(moving, np.sqrt(np.abs(variance)), 0.0)
    pointwise = float(ndtri((1 + conf_level) / 2) if df is None else stdtrit(df, (1 + conf_level) / 2))
    root = _root(matrix, moving, std_error, names) if vcov is not None else sums[:, moving] / std_error[moving]
    critical = pointwise
    if moving.sum() > 1:
        critical = _quantile(_largest(root, vcov is not None, df, draws, np.random.default_rng(seed)), conf_level, pointwise)
        if vcov is not None and df is None:
            critical = min(critical, float(-ndtri((1 - conf_level) / 2 / moving.sum())))
    still = [str(name) for name, flag in zip(names, moving, strict=True) if not flag]
    warnings = (f"Without variance, so left out of the band's making: {', '.join(still)}.",) if still else ()
    return SimultaneousBand(frame=_frame(names, values, std_error, pointwise, critical), critical=critical, pointwise_critical=pointwise,
                            conf_level=conf_level, method="multiplier" if vcov is None else "gaussian", df=df, draws=draws, seed=seed,
                            clusters=count, warnings=warnings)  # fmt: skip


def _frame(names: list, values: np.ndarray, std_error: np.ndarray, pointwise: float, critical: float) -> pd.DataFrame:
    return pd.DataFrame({
        "term": names,
        "estimate": values,
        "std_error": std_error,
        "conf_low": values - pointwise * std_error,
        "conf_high": values + pointwise * std_error,
        "band_low": values - critical * std_error,
        "band_high": values + critical * std_error,
    })  # fmt: skip


def critical_of_draws(deviations: np.ndarray, std_error: np.ndarray, *, conf_level: float = CONF_LEVEL) -> float:
    """Standard errors from an estimate to its band, from errors that have been drawn already, as by a bootstrap of many estimates at once.

    Parameters
    ----------
    deviations : ndarray, shape (draws, k)
        Drawn errors of the estimates, around zero.
    std_error : ndarray, shape (k,)
        Positive.
    conf_level : float

    Raises
    ------
    DataError
        Shapes that do not fit, missing values, a standard error that is not positive, or too few draws for the level.
    """
    _, std_error = named_numbers(std_error, "a standard error", "std_error", "leave estimates without variance out.")
    drawn = _numbers(deviations, len(std_error), "table of drawn errors")
    _check_request(drawn, None, None, len(drawn), conf_level)
    if not (std_error > 0).all():
        raise DataError("a standard error is not positive", where="std_error", mend="leave estimates without variance out.")
    return _quantile((np.abs(drawn) / std_error).max(axis=1), conf_level, float(ndtri((1 + conf_level) / 2)))


def _quantile(largest: np.ndarray, conf_level: float, pointwise: float) -> float:
    """The order statistic that covers at the level; never below the pointwise critical value."""
    place = int(np.ceil(conf_level * (len(largest) + 1))) - 1
    critical = max(float(np.partition(largest, place)[place]), pointwise)  # NaN, which sorts last, stays
    if not np.isfinite(critical):
        raise DataError("the draws have no finite quantile", where="df", mend="so few degrees of freedom give no band; show pointwise intervals.")
    return critical


def _check_request(vcov, influence, clusters, draws: int, conf_level: float) -> None:
    if (vcov is None) == (influence is None):
        raise DataError("the band needs a covariance or influence functions, one of the two", mend="pass vcov= or influence=.")
    if clusters is not None and influence is None:
        raise DataError("clusters belong to influence functions", where="clusters", mend="pass influence=, or a clustered covariance.")
    check_level(conf_level)
    if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws * (1 - conf_level) < 1:
        raise DataError(f"{draws!r} draws cannot give a {conf_level:.0%} quantile", where="draws", mend="ask for some thousands.")


def _degrees_of_freedom(df: float | None) -> float | None:
    """None for the normal distribution, which infinitely many are."""
    if df is None:
        return None
    if not is_number(df) or not df > 0:
        raise DataError(f"{df!r} degrees of freedom", where="df", mend="use a positive number, or None for the normal distribution.")
    return None if df == np.inf else float(df)


def _numbers(values, width: int, what: str, height: int | None = None) -> np.ndarray:
    matrix = table_of_numbers(values, width, what, height=height)
    if not np.isfinite(matrix).all():
        raise DataError(f"the {what} holds missing or infinite values", where=what, mend="look at the fit that gave it.")
    return matrix


def _check_labels(estimates, names: list, table, where: str) -> None:
    """Refuse a table whose labels are other than the estimates', where both have some."""
    if not isinstance(table, pd.DataFrame) or not isinstance(estimates, (pd.Series, Mapping)):
        return
    if list(table.columns) != names or (where == "vcov" and list(table.index) != names):
        what = "covariance has" if where == "vcov" else "influence functions have"
        raise DataError(f"the {what} other labels than the estimates, or another order", where=where,
                        mend="take both from one fit, or reindex one by the other.")  # fmt: skip


def _covariance(vcov: pd.DataFrame | np.ndarray, names: list, estimates: pd.Series | Mapping | Sequence[float]) -> np.ndarray:
    _check_labels(estimates, names, vcov, "vcov")
    matrix = _numbers(vcov, len(names), "covariance", len(names))
    scale = np.abs(np.diag(matrix)).max()
    if np.abs(matrix - matrix.T).max() > ROUNDING * scale:
        raise DataError("the covariance is not symmetric", where="vcov", mend="look at the fit that gave it.")
    if np.diag(matrix).min() < -NO_VARIANCE * scale:
        raise DataError("a variance is negative", where=f"estimate {names[int(np.diag(matrix).argmin())]}", mend="look at the fit that gave it.")
    return (matrix + matrix.T) / 2


def _root(matrix: np.ndarray, moving: np.ndarray, std_error: np.ndarray, names: list) -> np.ndarray:
    """A matrix whose cross-product is the correlation of the estimates that have a variance."""
    if (~moving).any() and np.abs(matrix[~moving]).max() > ROUNDING * matrix.max():
        raise DataError("an estimate without variance has covariances, so the covariance is not positive semi-definite",
                        where=f"estimate {names[int(np.flatnonzero(~moving)[0])]}", mend="look at the fit that gave it.")  # fmt: skip
    correlation = matrix[np.ix_(moving, moving)] / np.outer(std_error[moving], std_error[moving])
    values, vectors = np.linalg.eigh(correlation)
    if values[0] < -ROUNDING:
        raise DataError(f"the covariance is not positive semi-definite: its correlations have an eigenvalue of {values[0]:.2g}", where="vcov",
                        mend="use a covariance from one fit; covariances put together pair by pair need not be one.")  # fmt: skip
    return np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T


def _summed(influence: pd.DataFrame | np.ndarray, clusters: Sequence | None, width: int) -> np.ndarray:
    """Each cluster's share of the estimates' errors, shape (G, k)."""
    rows = _numbers(influence, width, "table of influence functions")
    if clusters is not None:
        given = np.asarray(clusters, dtype=object)
        if given.shape != (len(rows),):
            count = f"{len(given):,} clusters" if given.ndim == 1 else f"one {type(clusters).__name__} stands"
            raise DataError(f"{count} for {len(rows):,} rows", where="clusters", mend="give every row its cluster.")
        codes, _ = pd.factorize(given, use_na_sentinel=True)
        if (codes < 0).any():
            raise DataError("a row has no cluster", where=f"row {int(np.flatnonzero(codes < 0)[0]) + 1}", mend="give every row its cluster.")
        sums = np.array([np.bincount(codes, column) for column in rows.T]).T
    else:
        sums = rows
    if len(sums) < 2:
        raise UnidentifiedError("there are fewer than two clusters", where="clusters", mend="use a covariance that allows for few clusters.")
    return sums / len(rows)


def _largest(root: np.ndarray, gaussian: bool, df: float | None, draws: int, rng: np.random.Generator) -> np.ndarray:
    """The largest size of each draw of errors in standard errors, shape (draws,)."""
    largest = []
    step = max(1, BLOCK_CELLS // max(root.shape))
    for start in range(0, draws, step):
        shape = (min(step, draws - start), len(root))
        weights = rng.standard_normal(shape) if gaussian else np.where(rng.random(shape) < MAMMEN[2], *MAMMEN[:2])
        sizes = np.abs(weights @ root).max(axis=1)
        with np.errstate(divide="ignore", over="ignore"):  # few degrees of freedom draw a standard error of zero
            largest.append(sizes if df is None else sizes * np.sqrt(df / rng.chisquare(df, len(sizes))))
    return np.concatenate(largest)
