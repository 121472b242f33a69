"""The Kolmogorov-Smirnov distance of weighted arms: equal to brute force whatever the column looks like."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.design.distributions import CELLS, largest_gaps

ROUNDING = 1e-12
COLUMNS = {
    "normal": lambda draw, n: draw.normal(size=n), "heavy tails": lambda draw, n: np.exp(4 * draw.normal(size=n)), "few values": lambda draw, n: draw.integers(0, 5, n) * 0.3,
    "mostly zero": lambda draw, n: np.where(draw.random(n) < 0.995, 0.0, draw.normal(size=n)), "constant": lambda draw, n: np.full(n, 7.0),
    "nearly constant": lambda draw, n: 1.0 + draw.integers(0, 3, n) * np.finfo(float).eps, "extreme": lambda draw, n: draw.choice([-1e300, -1.0, 0.0, 1.0, 1e300], n),
    "denormal": lambda draw, n: draw.integers(-3, 3, n) * 5e-324, "rounded": lambda draw, n: draw.normal(size=n).round(1),
}  # fmt: skip


def brute_force(x, first, second) -> float:
    """The distance at every distinct value, from the definition."""
    return max(abs(first[x <= value].sum() - second[x <= value].sum()) for value in np.unique(x))


def shares(draw, n, weighted):
    treated = draw.random(n) < 0.3
    treated[:2] = True, False
    weight = np.where(draw.random(n) < 0.3, 0.0, draw.exponential(size=n)) if weighted else np.ones(n)
    weight[:2] = 1.0
    return tuple(np.where(arm, weight, 0.0) / weight[arm].sum() for arm in (treated, ~treated))


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 160), kind=st.sampled_from(sorted(COLUMNS)))
def test_equal_to_brute_force_for_every_kind_of_column(seed, n, kind):
    draw = np.random.default_rng(seed)
    x = COLUMNS[kind](draw, n)
    arms = [shares(draw, n, False), shares(draw, n, True)]
    assert largest_gaps(x, arms) == pytest.approx([brute_force(x, *pair) for pair in arms], abs=ROUNDING)


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "mostly zero", "rounded"])
def test_equal_to_a_full_sort_where_there_are_many_more_rows_than_cells(kind):
    draw = np.random.default_rng(2)
    x = COLUMNS[kind](draw, 20 * CELLS)
    first, second = shares(draw, len(x), True)
    order = np.argsort(x, kind="stable")
    last = np.append(x[order][1:] != x[order][:-1], True)
    assert largest_gaps(x, [(first, second)])[0] == pytest.approx(np.abs(np.cumsum((first - second)[order]))[last].max(), abs=ROUNDING)
