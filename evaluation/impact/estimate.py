"""One estimated number with its uncertainty and with what it is an estimate of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from html import escape

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from evaluation.errors import DataError

CONF_LEVEL = 0.95
FIGURES = ("estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high")


@dataclass(frozen=True, kw_only=True, repr=False)
class Estimate:
    """An estimate, its uncertainty and its context; the context is optional, and None where it is not known.

    Attributes
    ----------
    estimate, std_error : float
        In the units of ``scale``.
    df : float
        Degrees of freedom of the reference t distribution; infinite for the normal.
    statistic, p_value : float
        Estimate over standard error, and its two-sided p-value against zero.
    conf_low, conf_high : float
        Limits of the interval at ``conf_level``.
    conf_level : float
    term : str
        What is estimated, as it is named in a table of results.
    method, kind : str, optional
        Estimator, and form of its standard error ("CR1", "CR2", "analytic", ...).
    level : str, optional
        Whose effect: "eligible", "referred" or "started".
    design, estimand, scale : str, optional
        Design of the study, what the estimate is about, and its units.
    n : int, optional
        Rows used.
    n_treated, n_comparison : int, optional
        Units by arm.
    clusters, schools_treated, schools_comparison, areas_treated, areas_comparison : int, optional
    effective_n : float, optional
        Effective number of comparison units.
    unmatched : int, optional
        Treated units left without a comparison.
    specification_digest : str, optional
    warnings : tuple of str
        Sentences for the reader of the number.
    """

    estimate: float
    std_error: float
    df: float
    statistic: float
    p_value: float
    conf_low: float
    conf_high: float
    conf_level: float = CONF_LEVEL
    term: str = "effect"
    method: str | None = None
    kind: str | None = None
    level: str | None = None
    design: str | None = None
    estimand: str | None = None
    scale: str | None = None
    n: int | None = None
    n_treated: int | None = None
    n_comparison: int | None = None
    clusters: int | None = None
    schools_treated: int | None = None
    schools_comparison: int | None = None
    areas_treated: int | None = None
    areas_comparison: int | None = None
    effective_n: float | None = None
    unmatched: int | None = None
    specification_digest: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:
        """One row: term, estimate, std_error, df, statistic, p_value, conf_low, conf_high."""
        return pd.DataFrame([{"term": self.term, **{name: getattr(self, name) for name in FIGURES}}])

    @property
    def context(self) -> dict[str, object]:
        """Everything known beside the figures, without what is None."""
        skipped = {*FIGURES, "term", "warnings"}
        pairs = ((field.name, getattr(self, field.name)) for field in fields(Estimate) if field.name not in skipped)
        return {name: value for name, value in pairs if value is not None}

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences shown below the figures."""
        return self.warnings

    def __repr__(self) -> str:
        said = ", ".join(f"{name}: {value}" for name, value in self.context.items())
        return "\n".join([self.frame.to_string(index=False), said, *self.notes])

    def _repr_html_(self) -> str:
        said = escape(", ".join(f"{name}: {value}" for name, value in self.context.items()))
        sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.notes)
        return f"{self.frame.to_html(index=False, border=0)}<p>{said}</p>{sentences}"


def figures(estimate: float, std_error: float, df: float = np.inf, *, conf_level: float = CONF_LEVEL) -> dict[str, float]:
    """The seven figures of an :class:`Estimate` and its level, from an estimate, its standard error and degrees of freedom.

    Use as ``Estimate(**figures(...), term=..., method=...)``. Infinite degrees of freedom are the normal distribution.

    Raises
    ------
    DataError
        The confidence level is not between 0 and 1.
    """
    reach = critical_value(df, conf_level) * std_error
    statistic = estimate / std_error if std_error > 0 else np.nan
    return {
        "estimate": float(estimate), "std_error": float(std_error), "df": float(df), "statistic": float(statistic),
        "p_value": float(2 * stdtr(df, -abs(statistic))), "conf_low": float(estimate - reach), "conf_high": float(estimate + reach),
        "conf_level": conf_level,
    }  # fmt: skip


def critical_value(df: float, conf_level: float = CONF_LEVEL) -> float:
    """Two-sided critical value of t; of the normal where df is infinite."""
    if not 0 < conf_level < 1:
        raise DataError(f"confidence level {conf_level} is not between 0 and 1", where="conf_level", mend="give a share such as 0.95.")
    return float(stdtrit(df, (1 + conf_level) / 2))


def tidy(term: list[str], estimate: np.ndarray, std_error: np.ndarray, df: float | np.ndarray = np.inf, *,
         conf_level: float = CONF_LEVEL) -> pd.DataFrame:
    """A table of estimates: term, estimate, std_error, df, statistic, p_value, conf_low, conf_high, one row per term.

    A standard error that is missing or zero leaves the statistic and the p-value missing.
    """
    estimate, std_error = np.asarray(estimate, dtype=float), np.asarray(std_error, dtype=float)
    df = np.broadcast_to(np.asarray(df, dtype=float), estimate.shape)
    statistic = np.divide(estimate, std_error, out=np.full(estimate.shape, np.nan), where=std_error > 0)
    reach = np.array([critical_value(value, conf_level) for value in df]) * std_error
    return pd.DataFrame({
        "term": term, "estimate": estimate, "std_error": std_error, "df": df, "statistic": statistic,
        "p_value": 2 * stdtr(df, -np.abs(statistic)), "conf_low": estimate - reach, "conf_high": estimate + reach,
    })  # fmt: skip
