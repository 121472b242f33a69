"""Weighted linear regression with absorbed effects and cluster-robust inference: the estimator behind a headline.

Bell, R. & McCaffrey, D. (2002). Bias reduction in standard errors for linear regression with multi-stage samples.
Survey Methodology 28(2), 169-181. Pustejovsky, J. & Tipton, E. (2018). Small-sample methods for cluster-robust variance
estimation and hypothesis testing in fixed effects models. Journal of Business & Economic Statistics 36(4), 672-683.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference.cluster_robust import KINDS, SCALED, ClusterRobust, cluster_robust
from evaluation.inference.columns import INTERCEPT, Columns, check_request, named, read_columns, refuse_repeated
from evaluation.inference.design_matrix import ROUNDING, Solution, solve
from evaluation.inference.leverage import Leverage, cluster_leverage
from evaluation.inference.two_way import positive_semi_definite, two_way_robust
from evaluation.inference.wald import FRAGILE_DF, WaldTest, wald_test
from evaluation.inference.wild import WildTest, wild_test

CONF_LEVEL = 0.95
# "Few" clusters begin somewhere from 20 to 50 (Cameron & Miller 2015, Journal of Human Resources 50(2), section VI); counted
# as effective clusters, where 20 is already the strict end.
FEW_CLUSTERS = 20
# Effective clusters below which the wild bootstrap does not keep its size: in tests/simulation/RESULTS.md it rejects a true
# hypothesis at 5% in 9 to 22% of replications where there are about 4 to 8 of them, and in 5 to 7% where there are 16 or more.
TOO_FEW_CLUSTERS = 10
# Share of a term's variation above which one cluster outweighs all others together.
MOST_OF_A_TERM = 0.5


@dataclass(frozen=True, eq=False, repr=False)
class LinearFit:
    """A fitted linear model.

    Attributes
    ----------
    frame : DataFrame
        One row per term in the order given, then the intercept if there is one: term, estimate, std_error, df,
        statistic, p_value (two-sided), conf_low, conf_high. Estimates are in units of the outcome per unit of the term.
    vcov : DataFrame
        Covariance of the estimates, labelled by term on both sides. A two-way one may not be positive semi-definite.
    n : int
        Rows used.
    clusters : int or tuple of int
        Clusters used; two numbers where there are two groupings.
    zero_weight_rows : int
        Rows left out because their weight is zero.
    outcome, kind : str
    cluster : str or tuple of str
        Of two groupings, the one with fewer clusters first.
    conf_level : float
        Level of conf_low to conf_high.
    leverage : Leverage
        Effective clusters, leverage and partial leverage; of two groupings, by the one with fewer clusters.
    warnings : tuple of str
        Sentences for the reader of the result.
    """

    frame: pd.DataFrame
    vcov: pd.DataFrame
    n: int
    clusters: int | tuple[int, int]
    zero_weight_rows: int
    outcome: str
    cluster: str | tuple[str, str]
    kind: str
    conf_level: float
    leverage: Leverage
    warnings: tuple[str, ...]
    _solution: Solution
    _robust: ClusterRobust
    _labels: Sequence

    def wald(self, terms: Sequence[str]) -> WaldTest:
        """Test that the effects of these terms are all zero.

        Under CR2 the approximate Hotelling's T-squared test with degrees of freedom of its own (HTZ, clubSandwich's
        default, Pustejovsky & Tipton 2018); under other kinds the F test with clusters less one in the denominator,
        which rejects true nulls too often where clusters are few.

        Raises
        ------
        DataError
            A term is not in the fit, is named twice, or none is named.
        UnidentifiedError
            Clusters are too few for so many terms, or the covariance is not positive definite.
        """
        terms = named("terms", terms)
        if not terms:
            raise DataError("no term is named", where="terms", mend="name at least one term of the fit.")
        refuse_repeated("term", terms)
        chosen = [self._position(term) for term in terms]
        estimates, vcov = self.frame["estimate"].to_numpy()[chosen], self.vcov.to_numpy()[np.ix_(chosen, chosen)]
        return wald_test(terms, estimates, vcov, df=float(self._robust.df[chosen[0]]), parts=self._robust.parts, chosen=chosen)

    def wild_test(self, term: str, *, null: float = 0.0, draws: int = 9999, weights: str = "auto", seed: int = 0) -> WildTest:
        """Test one effect by the restricted wild cluster bootstrap, with an interval by inversion.

        Weights of the bootstrap: "rademacher" enumerates all sign vectors when 2^G <= draws; "webb"; "auto" takes
        Rademacher where it can be enumerated, else Webb below 12 clusters, else Rademacher. It is the same for every kind
        of the fit, for the statistic's scale cancels. Below ten effective clusters the result warns: with few treated
        clusters the bootstrap does not keep its size (MacKinnon & Webb 2017).

        Raises
        ------
        DataError
            The term is not in the fit, or the fit is clustered two ways.
        """
        position = self._position(term)
        if isinstance(self.cluster, tuple):
            raise DataError("the wild cluster bootstrap draws by one grouping", where="cluster", mend="fit again with one cluster column.")
        test = wild_test(self._solution, position, name=term, labels=self._labels, null=null, draws=draws, weights=weights, seed=seed,
                         conf_level=self.conf_level)  # fmt: skip
        held = self.leverage.frame.loc[position, ["effective_clusters", "effective_clusters_independent"]].max()
        if held >= TOO_FEW_CLUSTERS:
            return test
        sentence = (f"{term} rests on {held:.1f} effective clusters, fewer than {TOO_FEW_CLUSTERS}: there the wild bootstrap rejects too often, or "
                    "hardly ever. Let CR2, or below 5 of its degrees of freedom a randomisation test, decide.")  # fmt: skip
        return replace(test, warnings=(*test.warnings, sentence))

    def _position(self, term: str) -> int:
        names = self.frame["term"].tolist()
        if term not in names:
            raise DataError("the fit has no such term", where=f"term {term!r}", mend=f"name one of {', '.join(names)}.")
        return names.index(term)

    @property
    def _heading(self) -> str:
        pairs = zip(_several(self.clusters), _several(self.cluster), strict=True)
        counts = " and ".join(f"{count:,} clusters by {name}" for count, name in pairs)
        return f"{self.outcome}: {self.n:,} rows, {counts}, {self.kind}, {self.conf_level:.0%} intervals"

    def __repr__(self) -> str:
        return "\n".join([self._heading, self.frame.to_string(index=False), *self.leverage.summary, *self.warnings])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(sentence)}</p>" for sentence in (*self.leverage.summary, *self.warnings))
        return f"<p>{escape(self._heading)}</p>{self.frame.to_html(index=False, border=0)}{notes}"


def _several(value: object) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def linear(
    data: pd.DataFrame,
    outcome: str,
    terms: Sequence[str],
    *,
    weights: str | None = None,
    absorb: Sequence[str] = (),
    cluster: str | Sequence[str] | None = None,
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
    cluster : str or pair of str
        Column of the groups whose rows share shocks, as a rule the school. Rows that are independent may be given a
        column with a value of its own in each row. Two columns: two-way clustering (Cameron, Gelbach & Miller 2011), for
        kinds CR0, CR1 and CR1S, with the smaller number of clusters less one as degrees of freedom; a covariance that is
        not positive semi-definite is kept and said, a term with a negative variance refused.
    kind : {"CR2", "CR0", "CR1", "CR1p", "CR1S", "CR3"}
        CR2: bias-reduced under a working model of independent errors of one variance, also where the fit is weighted,
        with Satterthwaite degrees of freedom per term (Bell & McCaffrey 2002; Pustejovsky & Tipton 2018). CR0: no
        correction; CR1: CR0 times G / (G - 1); CR1p: CR0 times G / (G - p); CR1S: CR0 times G (n - 1) / ((G - 1)(n - p)),
        what Stata and others call CR1; absorbed effects count among the p parameters. CR3: leave-one-cluster-out form.
        All but CR2 take G - 1 degrees of freedom. All six as the R package clubSandwich has them for `lm`.

    Raises
    ------
    DataError
        A column is absent, not numeric, missing or infinite in some row; a weight is negative; no row is left; a term
        is named twice.
    UnidentifiedError
        One cluster; collinear terms; a term that does not vary once effects are taken out, or that rests on one
        cluster alone; an exact fit; CR3 where the other clusters cannot fit one of them; CR1p with as many parameters as
        clusters; a two-way variance that is not positive.
    """
    terms, absorb = named("terms", terms), named("absorb", absorb)
    if outcome is None:
        raise DataError("no outcome is named", where="outcome", mend="name a numeric column.")
    if kind not in KINDS:
        raise DataError(f"kind {kind!r} is not known", mend=f"use one of {', '.join(KINDS)}.")
    groups = check_request(outcome, terms, absorb, cluster)
    if absorb and not terms:
        raise DataError("there is no term to report once effects are absorbed", mend="name at least one term.")
    columns = read_columns(data, outcome, terms, weights, absorb, groups)
    return _fit(columns, outcome, terms, kind)


def _fit(columns: Columns, outcome: str, terms: tuple[str, ...], kind: str) -> LinearFit:
    solution, labels, two_way = solve(columns, terms), columns.cluster_labels, columns.crossed is not None
    if two_way:
        robust = two_way_robust(solution, kind, terms, labels, columns.crossed, columns.crossed_labels)
    else:
        robust = cluster_robust(solution, kind, terms, labels)
    names = list(terms) if columns.effects else [*terms, INTERCEPT]
    frame = _frame(names, solution.estimates, robust, two_way)
    leverage = cluster_leverage(solution, names, labels, cluster=columns.cluster_names[0], terms=len(terms))
    warnings = [*_warnings(frame[: len(terms)], kind, columns.zero_weight_rows), *_cluster_warnings(robust, leverage, kind, len(terms))]
    return LinearFit(
        frame=frame,
        vcov=pd.DataFrame(robust.vcov, index=names, columns=names),
        n=len(columns.outcome),
        clusters=(len(labels), len(columns.crossed_labels)) if two_way else len(labels),
        zero_weight_rows=columns.zero_weight_rows,
        outcome=outcome,
        cluster=columns.cluster_names if two_way else columns.cluster_names[0],
        kind=kind,
        conf_level=CONF_LEVEL,
        leverage=leverage,
        warnings=tuple(warnings),
        _solution=solution,
        _robust=robust,
        _labels=labels,
    )


def _frame(names: list[str], estimate: np.ndarray, robust: ClusterRobust, two_way: bool) -> pd.DataFrame:
    variance, df = np.diag(robust.vcov), robust.df
    std_error = np.sqrt(np.where(variance > 0, variance, np.nan))
    # Of a two-way fit only the constant's variance can be missing here; that is said in the warnings.
    sound = (std_error > ROUNDING * np.abs(estimate)) | (np.isnan(std_error) & two_way)
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


def _cluster_warnings(robust: ClusterRobust, leverage: Leverage, kind: str, terms: int) -> tuple[str, ...]:
    """What a reader must know of clusters that are few or that weigh too much, and of a covariance that is none."""
    sentences = []
    if not positive_semi_definite(robust.vcov):
        sentences.append("The two-way covariance is not positive semi-definite and is given as it comes, without a standard error where the "
                         "variance is negative: read it beside one-way clustering.")  # fmt: skip
    few = []
    columns = (leverage.frame[name].tolist()[:terms] for name in (
        "term", "effective_clusters", "effective_clusters_independent", "largest_partial_leverage", "largest_cluster"))  # fmt: skip
    for term, shared, independent, largest, label in zip(*columns, strict=True):
        effective = independent if np.isnan(shared) else shared
        if effective < FEW_CLUSTERS:
            few.append(f"{term} {effective:.1f}")
        if largest > MOST_OF_A_TERM:
            sentences.append(f"Cluster {label} holds {largest:.0%} of what tells {term}: show the estimate without it.")
    if few and kind in SCALED:
        sentences.append(f"Fewer than {FEW_CLUSTERS} effective clusters ({', '.join(few)}), where {kind} standard errors tend to be too small: "
                         'use kind="CR2" by one column, and from ten effective clusters on a wild bootstrap test.')  # fmt: skip
    return tuple(sentences)
