"""What every matching keeps to, whatever the method: one helper for all tests."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from evaluation.design import Matching

ROUNDING = 1e-9
"""Sums of weights, relative."""


def pair_set(matching: Matching) -> set[tuple]:
    """(unit that was to be matched, partner) of every pair of a matching by pairs."""
    lead = matching.pairs.groupby("set_id", sort=False)["unit"].transform("first")
    later = matching.pairs.groupby("set_id", sort=False).cumcount() > 0
    return set(zip(lead[later], matching.pairs.loc[later, "unit"], strict=True))


def check_matching(result: Matching, data: pd.DataFrame, treatment: str, *, exact: Sequence[str] = (), capacity: int | None = 1, ratio: int | None = None,
                   calipers: Mapping[str, tuple[pd.Series, float]] | None = None, estimand: str = "ATT") -> None:
    """Assert every invariant.

    Sets hold both arms and are equal on exact columns; no pair breaks a caliper; nobody is in a set twice, a partner in no more sets
    than it may be, a unit that was matched in one; weights are what the pairs say and 1 for the arm that the estimand is about;
    everybody is in a set or counted as dropped.
    """
    pairs = result.pairs.join(data[[treatment, *exact]].rename(columns={treatment: "given"}), on="unit")
    sets = pairs.groupby("set_id")
    assert (pairs["treated"] == pairs["given"].eq(1)).all()
    assert not pairs.duplicated(["set_id", "unit"]).any()
    assert (sets["treated"].nunique() == 2).all()
    for column in exact:
        assert (sets[column].nunique() == 1).all()
    about = pairs["treated"] if estimand == "ATT" else ~pairs["treated"] if estimand == "ATC" else pd.Series(True, index=pairs.index)
    assert pairs.loc[about, "unit"].is_unique
    if capacity is not None:
        assert pairs.loc[~about, "unit"].value_counts().max() <= capacity if (~about).any() else True
    if ratio is not None:
        assert sets.size().between(2, ratio + 1).all()
    _check_calipers(pairs, about, calipers or {})
    _check_weights(result, pairs, about, data, treatment, estimand)
    wanted = set(data.index[{"ATT": data[treatment] == 1, "ATC": data[treatment] == 0, "ATE": data[treatment].notna()}[estimand]])
    matched = set(pairs.loc[about, "unit"])
    assert matched | set(result.dropped.index) == wanted and not matched & set(result.dropped.index)
    assert result.dropped.notna().all() and result.dropped.str.len().gt(0).all()


def _check_calipers(pairs: pd.DataFrame, about: pd.Series, calipers: Mapping[str, tuple[pd.Series, float]]) -> None:
    """Every unit against the one that its set stands around: the single unit of its arm."""
    for values, most in calipers.values():
        own = pairs["unit"].map(values)
        arm = pairs["treated"]
        single = pairs.groupby(["set_id", arm])["unit"].transform("size") == 1
        centre = own.where(single & (about | ~pairs["set_id"].isin(pairs.loc[about & single, "set_id"]))).groupby(pairs["set_id"]).transform("max")
        assert ((own - centre).abs() <= most + 1e-12).all()


def _check_weights(result: Matching, pairs: pd.DataFrame, about: pd.Series, data: pd.DataFrame, treatment: str, estimand: str) -> None:
    summed = pairs.groupby("unit")["weight"].sum().reindex(data.index, fill_value=0.0)
    np.testing.assert_allclose(result.weights, summed, rtol=ROUNDING)
    assert result.weights.index.equals(data.index)
    by_arm = pairs.groupby(["set_id", "treated"])["weight"].sum().unstack()
    np.testing.assert_allclose(by_arm[True], by_arm[False], rtol=ROUNDING)
    if estimand != "ATE":
        assert (pairs.loc[about, "weight"] == 1.0).all()
    for arm, inside in (("treated", data[treatment] == 1), ("comparison", data[treatment] == 0)):
        w = result.weights[inside]
        assert result.effective_n[arm] == pytest.approx(w.sum() ** 2 / (w**2).sum())
