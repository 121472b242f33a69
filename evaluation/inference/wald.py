"""Tests whether several effects are zero together, fit for few clusters.

Pustejovsky, J. & Tipton, E. (2018). Small-sample methods for cluster-robust variance estimation and hypothesis testing
in fixed effects models. Journal of Business & Economic Statistics 36(4), 672-683.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from scipy.special import fdtrc

from evaluation.errors import UnidentifiedError
from evaluation.inference.satterthwaite import ClusterPart, hotelling_df

HOTELLING, PLAIN = "approximate Hotelling's T-squared", "F with clusters less one"
# Below this many degrees of freedom the approximation itself is unreliable (Pustejovsky & Tipton 2018).
FRAGILE_DF = 5.0
# Smallest eigenvalue of the terms' correlation matrix, as a share of the largest, that still counts as positive.
SINGULAR = 1e-10


@dataclass(frozen=True, repr=False)
class WaldTest:
    """A test that the effects of several terms are all zero.

    Attributes
    ----------
    terms : tuple of str
    statistic : float
        Refers to the F distribution with `df_num` and `df_denom` degrees of freedom. Under CR2 the Wald statistic is
        divided by the number of terms and multiplied by df_denom / (df_denom + number of terms - 1).
    df_num, df_denom, p_value : float
    method : str
    warnings : tuple of str
    """

    terms: tuple[str, ...]
    statistic: float
    df_num: float
    df_denom: float
    p_value: float
    method: str
    warnings: tuple[str, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:
        """One row: terms, statistic, df_num, df_denom, p_value, method."""
        return pd.DataFrame([{
            "terms": ", ".join(self.terms), "statistic": self.statistic, "df_num": self.df_num, "df_denom": self.df_denom,
            "p_value": self.p_value, "method": self.method,
        }])  # fmt: skip

    def __repr__(self) -> str:
        first = (f"{', '.join(self.terms)} all zero: F({self.df_num:.0f}, {self.df_denom:.2f}) = {self.statistic:.4g}, "
                 f"p = {self.p_value:.4g} ({self.method})")  # fmt: skip
        return "\n".join([first, *self.warnings])

    def _repr_html_(self) -> str:
        return "".join(f"<p>{escape(line)}</p>" for line in repr(self).splitlines())


def wald_test(
    terms: Sequence[str], estimates: np.ndarray, vcov: np.ndarray, *, df: float, parts: Sequence[ClusterPart] = (), chosen: Sequence[int] = ()
) -> WaldTest:
    """Test that q effects are all zero.

    Parameters
    ----------
    terms : sequence of str, length q
    estimates : ndarray, shape (q,)
    vcov : ndarray, shape (q, q)
    df : float
        Denominator's degrees of freedom where there are no parts.
    parts : sequence of ClusterPart, optional
        CR2's parts; with them the test is HTZ of Pustejovsky & Tipton, clubSandwich's default.
    chosen : sequence of int
        Positions of the terms in the parts.

    Raises
    ------
    UnidentifiedError
        The covariance is singular, or so uncertain that the test has no degrees of freedom.
    """
    q = len(terms)
    where = f"terms {', '.join(terms)}"
    scale = np.sqrt(np.abs(np.diag(vcov)))
    values, vectors = np.linalg.eigh(vcov / np.outer(scale, scale))
    if not values[0] > SINGULAR * values[-1]:
        raise UnidentifiedError("the terms' covariance is singular or not positive definite, so no joint test exists: clusters are too few "
                                "for so many terms, or two groupings share more than either holds", where=where,
                                mend="test fewer terms at once, use more clusters, or cluster by one column.")  # fmt: skip
    wald = float((((estimates / scale) @ vectors) ** 2 / values).sum())
    if not len(parts):
        return WaldTest(tuple(terms), wald / q, float(q), float(df), float(fdtrc(q, df, wald / q)), PLAIN)
    eta = hotelling_df(parts, chosen)
    left = eta - q + 1
    if not left > 0:
        raise UnidentifiedError(f"{q} terms at once leave {left:.2f} degrees of freedom: clusters are too few for the joint test",
                                where=where, mend="test fewer terms at once, or read each term's own test.")  # fmt: skip
    statistic = left / eta * wald / q
    few = f"The joint test has {left:.1f} degrees of freedom, fewer than {FRAGILE_DF:.0f}: inference is fragile."
    return WaldTest(tuple(terms), statistic, float(q), left, float(fdtrc(q, left, statistic)), HOTELLING, (few,) if left < FRAGILE_DF else ())
