"""Which test decides, named from the design before outcomes are seen.

The rule: CR2 with Satterthwaite degrees of freedom, by cluster; with fewer than 5 treated clusters or 5 degrees of
freedom, randomisation inference by cluster within blocks, because the approximation behind Satterthwaite fails there
(Bell, R. & McCaffrey, D. 2002, Survey Methodology 28(2), 169-181; Pustejovsky, J. & Tipton, E. 2018, Journal of Business &
Economic Statistics 36(4), 672-683) while a randomisation test keeps its size at any number of clusters (MacKinnon, J. &
Webb, M. 2020, Journal of Econometrics 218(2), 435-450).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from numbers import Real

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference.cluster_robust import design_parts
from evaluation.inference.columns import check_request, named, read_columns
from evaluation.inference.design_matrix import factor
from evaluation.inference.satterthwaite import satterthwaite_df

CR2_SATTERTHWAITE, RANDOMISATION = "cr2_satterthwaite", "randomisation"
MINIMUM_TREATED, MINIMUM_DF = 5, 5.0
USUAL_LEVEL = 0.05
# Assignments from which their number is no longer written out.
MANY = 1_000_000


@dataclass(frozen=True, repr=False)
class DecisionTest:
    """The test that decides, and why.

    Attributes
    ----------
    test : {"cr2_satterthwaite", "randomisation"}
    reason : str
    fragile : bool
        Whether the text must say that inference is fragile.
    treated, comparison, blocks : int
        Clusters of each kind, and the blocks that hold treated ones.
    df : float or None
        Satterthwaite degrees of freedom of the design; None where CR2 does not exist.
    assignments : int
        Ways in which as many clusters of each block could have been treated.
    floor : float
        The smallest p-value that a randomisation test of this design can have. Twice 1 / assignments where every block has
        as many treated as comparison clusters: exchanging the two then turns the sign of the statistic only.
    warnings : tuple of str
    """

    test: str
    reason: str
    fragile: bool
    treated: int
    comparison: int
    blocks: int
    df: float | None
    assignments: int
    floor: float
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join([f"{self.test}: {self.reason}", *self.warnings])

    def _repr_html_(self) -> str:
        return "".join(f"<p>{escape(line)}</p>" for line in repr(self).splitlines())


def decision_test(
    counts: pd.DataFrame, *, df: float | None, minimum_treated: int = MINIMUM_TREATED, minimum_df: float = MINIMUM_DF
) -> DecisionTest:
    """Name the test that decides, from facts of the design only.

    Parameters
    ----------
    counts : DataFrame
        One row per block (area): `block`, `treated` and `comparison`, numbers of clusters; of :func:`count_clusters`.
    df : float or None
        Satterthwaite degrees of freedom of the treatment's coefficient, of :func:`design_df`; None where that refuses
        because the effect rests on one cluster.
    minimum_treated : int
        Treated clusters below which randomisation inference decides.
    minimum_df : float

    Raises
    ------
    DataError
        A column is absent, a block repeated, a count not a whole number of zero or more, df not positive.
    UnidentifiedError
        A block has no comparison cluster, or no cluster is treated.
    """
    given, compared = _read_counts(counts)
    full = compared == 0
    if full.any():
        listed = ", ".join(map(str, counts["block"].to_numpy()[full]))
        raise UnidentifiedError("no untreated cluster, so nothing there can be compared", where=f"block {listed}",
                                mend="leave the block out by a rule made before outcomes are seen, or compare between blocks and say so.")  # fmt: skip
    treated, comparison = int(given.sum()), int(compared.sum())
    if not treated:
        raise UnidentifiedError("no cluster is treated", where="column 'treated'", mend="look at the step that counted the clusters.")
    if df is not None and not (isinstance(df, Real) and math.isfinite(df) and df > 0):
        raise DataError(f"{df!r} is no number of degrees of freedom", where="df", mend="pass that of design_df, or None where it refuses.")
    held = given > 0
    possible = math.prod(math.comb(int(t + c), int(t)) for t, c in zip(given[held], compared[held], strict=True))
    floor = (2 if (given == compared)[held].all() else 1) / possible
    faults = _faults(treated, df, minimum_treated, minimum_df)
    if faults:
        test, reason = RANDOMISATION, f"randomisation inference by cluster within blocks decides, because {' and '.join(faults)}."
    else:
        test = CR2_SATTERTHWAITE
        reason = f"CR2 with Satterthwaite degrees of freedom decides: {treated} treated clusters, {df:.1f} degrees of freedom."
    return DecisionTest(test=test, reason=reason, fragile=bool(faults), treated=treated, comparison=comparison, blocks=int(held.sum()),
                        df=None if df is None else float(df), assignments=possible, floor=floor,
                        warnings=_sentences(possible, floor) if faults else ())  # fmt: skip


def _faults(treated: int, df: float | None, minimum_treated: int, minimum_df: float) -> list[str]:
    """Why CR2 may not decide; empty where it may."""
    faults = []
    if treated < minimum_treated:
        faults.append(f"CR2 needs at least {minimum_treated} treated clusters, not {treated}")
    if df is None:
        faults.append("CR2 does not exist for an effect that rests on one cluster")
    elif df < minimum_df:
        faults.append(f"CR2 needs at least {minimum_df:g} Satterthwaite degrees of freedom, not {math.floor(df * 100) / 100:.2f}")
    return faults


def _read_counts(counts: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(counts, pd.DataFrame):
        raise DataError(f"the counts are a {type(counts).__name__}, not a table", where="counts", mend="take them from count_clusters.")
    absent = [name for name in ("block", "treated", "comparison") if name not in counts]
    if absent:
        raise DataError("the counts have no such column", where=f"column {', '.join(absent)}", mend="take them from count_clusters.")
    if not len(counts):
        raise DataError("there is no block", where="counts", mend="give one row per block.")
    repeated = counts["block"][counts["block"].duplicated()]
    if len(repeated):
        raise DataError("the block has more than one row", where=f"block {repeated.iloc[0]}", mend="give one row per block.")
    arrays = []
    for name in ("treated", "comparison"):
        values = pd.to_numeric(counts[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        bad = np.flatnonzero(~((values >= 0) & (values == np.floor(values)) & np.isfinite(values)))
        if len(bad):
            raise DataError(f"{counts[name].iloc[bad[0]]} is no number of clusters", where=f"block {counts['block'].iloc[bad[0]]}, column {name!r}",
                            mend="give whole numbers, zero or more.")  # fmt: skip
        arrays.append(values.astype(np.int64))
    return arrays[0], arrays[1]


def _sentences(possible: int, floor: float) -> tuple[str, ...]:
    number = f"{possible:,}" if possible < MANY else "more than a million"
    lines = ["Inference is fragile.", f"With {number} possible assignments, randomisation inference cannot reach a p-value below {floor:.2g}."]
    if floor > USUAL_LEVEL:
        lines.append("No effect, however large, could be told from zero at 5%: the design decides nothing.")
    return tuple(lines)


def count_clusters(
    data: pd.DataFrame, treatment: str, *, cluster: str, block: str | None = None, weights: str | None = None
) -> pd.DataFrame:
    """Treated and comparison clusters by block: one row per block, with block, treated, comparison.

    Parameters
    ----------
    data : DataFrame
        One row per observation. Never changed.
    treatment : str
        Column of 0 and 1; a cluster with a treated row is treated (within it, pupils who are not may be among the rows).
    cluster : str
    block : str, optional
        Column of the groups within which clusters are compared, as a rule the area; without it all are one block, "all".
    weights : str, optional
        Those of the fit: a cluster whose rows all have a weight of zero takes no part there, so it is not counted.

    Raises
    ------
    DataError
        A column is absent or has missing values, the treatment is not 0 or 1, or a cluster lies in several blocks.
    """
    columns = read_columns(data, None, (treatment,), weights, () if block is None else (block,), (cluster,), least=1)
    given = columns.terms[:, 0]
    if not np.isin(given, (0, 1)).all():
        raise DataError(f"the treatment takes the value {given[~np.isin(given, (0, 1))][0]:g}", where=f"column {treatment!r}",
                        mend="use 0 and 1: untreated and treated.")  # fmt: skip
    if weights is not None:
        data = data[(data[weights] > 0).to_numpy(dtype=bool)]
    rows = pd.DataFrame({"cluster": data[cluster].to_numpy(), "treated": (data[treatment] == 1).to_numpy(dtype=bool)})
    rows["block"] = "all" if block is None else data[block].to_numpy()
    clusters = rows.groupby("cluster", sort=False).agg(treated=("treated", "max"), blocks=("block", "nunique"), block=("block", "first"))
    several = clusters.index[clusters["blocks"] > 1]
    if len(several):
        raise DataError("the cluster lies in several blocks", where=f"cluster {several[0]} of column {cluster!r}", mend="give each cluster one block.")
    groups = clusters.groupby("block", sort=True)["treated"]
    table = pd.DataFrame({"treated": groups.sum().astype(int), "comparison": (groups.size() - groups.sum()).astype(int)})
    return table.rename_axis("block").reset_index()


def design_df(
    data: pd.DataFrame, terms: Sequence[str], *, weights: str | None = None, absorb: Sequence[str] = (), cluster: str | None = None
) -> pd.Series:
    """Satterthwaite degrees of freedom that `linear` with CR2 will have, from the design alone.

    They depend on terms, weights, effects and clusters, never on the outcome, so that the test can be named before
    outcomes are seen.

    Parameters
    ----------
    data, terms, weights, absorb, cluster
        As for `linear`, one cluster column. The degrees of freedom are those of the rows given: rows whose outcome will be
        missing change them.

    Returns
    -------
    Series
        Named "df", indexed by term, the intercept left out.

    Raises
    ------
    DataError, UnidentifiedError
        As `linear`.
    """
    terms, absorb = named("terms", terms), named("absorb", absorb)
    if not terms:
        raise DataError("no term is named", where="terms", mend="name the term whose effect will be tested.")
    groups = check_request(None, terms, absorb, cluster)
    if len(groups) > 1:
        raise DataError("CR2 is not defined for two-way clustering", where="cluster", mend="name one cluster column.")
    columns = read_columns(data, None, terms, weights, absorb, groups)
    parts = design_parts(factor(columns, terms), terms, columns.cluster_labels)
    return pd.Series(satterthwaite_df(parts)[: len(terms)], index=pd.Index(terms, name="term"), name="df")
