"""Weighted linear regression with absorbed effects and cluster-robust inference: the estimator behind a headline.

Bell, R. & McCaffrey, D. (2002). Bias reduction in standard errors for linear regression with multi-stage samples.
Survey Methodology 28(2), 169-181. Pustejovsky, J. & Tipton, E. (2018). Small-sample methods for cluster-robust variance
estimation and hypothesis testing in fixed effects models. Journal of Business & Economic Statistics 36(4), 672-683.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference.cluster_robust import KINDS, ClusterRobust, cluster_robust
from evaluation.inference.columns import read_columns
from evaluation.inference.design_matrix import ROUNDING, solve

INTERCEPT = "intercept"
CONF_LEVEL = 0.95
# Below this many degrees of freedom the Satterthwaite approximation itself is unreliable (Pustejovsky & Tipton 2018).
FRAGILE_DF = 5.0


@dataclass(frozen=True, eq=False, repr=False)
class LinearFit:
    """A fitted linear model.

    Attributes
    ----------
    frame : DataFrame
        One row per term in the order given, then the intercept if there is one: term, estimate, std_error, df,
        statistic, p_value (two-sided), conf_low, conf_high. Estimates are in units of the outcome per unit of the term.
    vcov : DataFrame
        Covariance of the estimates, labelled by term on both sides.
    n, clusters : int
        Rows and clusters used.
    zero_weight_rows : int
        Rows left out because their weight is zero.
    outcome, cluster, kind : str
    conf_level : float
        Level of conf_low to conf_high.
    warnings : tuple of str
        Sentences for the reader of the result.
    """

    frame: pd.DataFrame
    vcov: pd.DataFrame
    n: int
    clusters: int
    zero_weight_rows: int
    outcome: str
    cluster: str
    kind: str
    conf_level: float
    warnings: tuple[str, ...]

    @property
    def _heading(self) -> str:
        counts = f"{self.n:,} rows, {self.clusters:,} clusters by {self.cluster}"
        return f"{self.outcome}: {counts}, {self.kind}, {self.conf_level:.0%} intervals"

    def __repr__(self) -> str:
        return "\n".join([self._heading, self.frame.to_string(index=False), *self.warnings])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.warnings)
        return f"<p>{escape(self._heading)}</p>{self.frame.to_html(index=False, border=0)}{notes}"


def linear(
    data: pd.DataFrame,
    outcome: str,
    terms: Sequence[str],
    *,
    weights: str | None = None,
    absorb: Sequence[str] = (),
    cluster: str | None = None,
    kind: str = "CR2",
) -> LinearFit:
    """Weighted least squares with cluster-robust standard errors fit for few clusters.

    An intercept is fitted unless effects are absorbed. Absorbed effects are those of categorical columns: the column
    with most levels is taken out by weighted group means, the others enter as indicator columns that are not reported;
    estimates, standard errors and degrees of freedom are those of the model with every indicator written out.

    Parameters
    ----------
    data : DataFrame
        One row per observation; any index. Never changed.
    outcome : str
        Numeric column.
    terms : sequence of str
        Numeric or boolean columns whose effects are reported.
    weights : str, optional
        Column of weights, zero or more; only their ratios matter. Rows of weight zero are left out and counted.
    absorb : sequence of str
        Columns whose levels' effects are taken out.
    cluster : str
        Column of the groups whose rows share shocks, as a rule the school. Rows that are independent may be given a
        column with a value of its own in each row.
    kind : {"CR2", "CR0", "CR1", "CR3"}
        CR2: bias-reduced under a working model of independent errors of one variance, also where the fit is weighted,
        with Satterthwaite degrees of freedom per term (Bell & McCaffrey 2002; Pustejovsky & Tipton 2018). CR0: no
        correction; CR1: CR0 times G / (G - 1); CR3: leave-one-cluster-out form; these take G - 1 degrees of freedom.
        All four as the R package clubSandwich has them for `lm`; elsewhere CR1 may hold (n - 1) / (n - p) as well.

    Raises
    ------
    DataError
        A column is absent, not numeric, missing or infinite in some row; a weight is negative; no row is left; a term
        is named twice.
    UnidentifiedError
        One cluster; collinear terms; a term that does not vary once effects are taken out, or that rests on one
        cluster alone; an exact fit; CR3 where the other clusters cannot fit one of them.
    """
    terms = (terms,) if isinstance(terms, str) else tuple(terms)
    absorb = (absorb,) if isinstance(absorb, str) else tuple(absorb)
    _check_request(outcome, terms, absorb, cluster, kind)
    columns = read_columns(data, outcome, terms, weights, absorb, cluster)
    count = len(columns.cluster_labels)
    if count < 2:
        raise UnidentifiedError(f"all rows belong to one cluster ({columns.cluster_labels[0]})", where=f"column {cluster!r}",
                                mend="cluster by a column with at least two groups; few groups give few degrees of freedom.")  # fmt: skip
    solution = solve(columns, terms)
    robust = cluster_robust(solution, kind, terms, columns.cluster_labels)
    names = list(terms) if absorb else [*terms, INTERCEPT]
    frame = _frame(names, solution.estimates, robust)
    vcov = pd.DataFrame(robust.vcov, index=names, columns=names)
    warnings = _warnings(frame[: len(terms)], kind, columns.zero_weight_rows)
    return LinearFit(frame=frame, vcov=vcov, n=len(columns.outcome), clusters=count, zero_weight_rows=columns.zero_weight_rows,
                     outcome=outcome, cluster=cluster, kind=kind, conf_level=CONF_LEVEL, warnings=warnings)  # fmt: skip


def _check_request(outcome: str, terms: tuple[str, ...], absorb: tuple[str, ...], cluster: str | None, kind: str) -> None:
    if kind not in KINDS:
        raise DataError(f"kind {kind!r} is not known", mend=f"use one of {', '.join(KINDS)}.")
    if cluster is None:
        raise DataError("no cluster column is named", mend="name the column of groups whose rows share shocks, as a rule the school.")
    for role, names in (("term", terms), ("absorbed column", absorb)):
        repeated = sorted({str(name) for name in names if names.count(name) > 1})
        if repeated:
            raise DataError(f"the {role} is named more than once", where=", ".join(repeated), mend="name each once.")
    if outcome in terms:
        raise DataError("the outcome is also a term", where=f"column {outcome!r}", mend="leave it out of the terms.")
    if INTERCEPT in terms:
        raise DataError(f"{INTERCEPT!r} is the name of the fitted constant", where="terms", mend="rename the column.")
    if absorb and not terms:
        raise DataError("there is no term to report once effects are absorbed", mend="name at least one term.")


def _frame(names: list[str], estimate: np.ndarray, robust: ClusterRobust) -> pd.DataFrame:
    std_error, df = np.sqrt(np.diag(robust.vcov)), robust.df
    sound = std_error > ROUNDING * np.abs(estimate)
    if not sound.all():
        listed = ", ".join(name for name, flag in zip(names, sound, strict=True) if not flag)
        raise UnidentifiedError("the clusters that tell this term leave no residual variation, so its standard error would be zero",
                                where=f"term {listed}", mend="use more clusters, or fewer terms and effects.")  # fmt: skip
    statistic = estimate / std_error
    reach = stdtrit(df, (1 + CONF_LEVEL) / 2) * std_error
    return pd.DataFrame({
        "term": names,
        "estimate": estimate,
        "std_error": std_error,
        "df": df,
        "statistic": statistic,
        "p_value": 2 * stdtr(df, -np.abs(statistic)),
        "conf_low": estimate - reach,
        "conf_high": estimate + reach,
    })  # fmt: skip


def _warnings(frame: pd.DataFrame, kind: str, zero_weight_rows: int) -> tuple[str, ...]:
    sentences = []
    if zero_weight_rows:
        number = "1 row has" if zero_weight_rows == 1 else f"{zero_weight_rows:,} rows have"
        sentences.append(f"{number} a weight of zero and took no part.")
    if kind == "CR2":
        low = frame[frame["df"] < FRAGILE_DF]
        sentences += [
            f"{term} has {df:.1f} Satterthwaite degrees of freedom, fewer than {FRAGILE_DF:.0f}: inference is fragile."
            for term, df in zip(low["term"], low["df"], strict=True)
        ]
    return tuple(sentences)
