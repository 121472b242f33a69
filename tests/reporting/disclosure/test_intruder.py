"""The intruder: from the published table alone, with linear programmes and differencing, no suppressed count is recovered.

The attack is written here from the published table and shares no code with the defence.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import eye, kron

from evaluation.reporting.disclosure import suppress_cells, table_system
from evaluation.reporting.disclosure.system import CellSystem, hierarchy


def published_table(counts: np.ndarray, threshold: int, base: int = 1) -> tuple[dict, dict, set]:
    """Counts with all totals, suppressed and rounded: what is printed, what is true, and which counts were small."""
    system = table_system(counts)
    values = system.numbers()
    primary = (values > 0) & (values < threshold)
    result = suppress_cells(system, primary, threshold=threshold, rounding_base=base)
    assert result.unsafe == ()
    true = {key: int(v) for key, v in zip(system.keys, values, strict=True)}
    gone = {key for key, lost in zip(system.keys, result.suppressed, strict=True) if lost}
    near = {key: v if base == 1 or v == 0 else max(base, int(np.floor(v / base + 0.5)) * base) for key, v in true.items()}
    return {key: None if key in gone else near[key] for key in true}, true, {k for k, small in zip(system.keys, primary, strict=True) if small}


class Attack:
    """All that can be said of a table from what is printed: each total is the sum of what it totals."""

    def __init__(self, printed: dict, shape: tuple[int, ...], base: int = 1):
        self.keys = list(printed)
        at = {key: i for i, key in enumerate(self.keys)}
        rows = []
        for key in self.keys:
            for axis, size in enumerate(shape):
                if key[axis] == "total":
                    row = np.zeros(len(self.keys))
                    row[at[key]] = 1
                    for position in range(size):
                        row[at[(*key[:axis], position, *key[axis + 1 :])]] = -1
                    rows.append(row)
        self.sums = np.array(rows)
        half = base // 2
        self.low = np.array([0 if v is None or v == 0 else v if base == 1 else max(1, v - half) for v in printed.values()], dtype=float)
        self.high = np.array([1e6 if v is None else 0 if v == 0 else v if base == 1 else v + half for v in printed.values()], dtype=float)
        self.at = at

    def ranges(self, keys: list, *, whole: bool) -> list[tuple[float, float]]:
        """Lowest and highest value of each count: one problem for all of them, each with a copy of the table to itself."""
        size, copies = len(self.keys), 2 * len(keys)
        aim = np.zeros(size * copies)
        for i, key in enumerate(keys):
            aim[2 * i * size + self.at[key]], aim[(2 * i + 1) * size + self.at[key]] = 1, -1
        sums = kron(eye(copies), self.sums).tocsr()
        low, high = np.tile(self.low, copies), np.tile(self.high, copies)
        if whole:
            found = milp(aim, integrality=np.ones(len(aim)), bounds=Bounds(low, high), constraints=LinearConstraint(sums, 0, 0))
        else:
            found = linprog(aim, A_eq=sums, b_eq=np.zeros(sums.shape[0]), bounds=np.column_stack([low, high]))
        assert found.x is not None, "the true table fits what is printed, so some table must"
        ends = found.x.reshape(copies, size)
        return [(ends[2 * i][self.at[key]], ends[2 * i + 1][self.at[key]]) for i, key in enumerate(keys)]


def difference_everything(printed: dict, shape: tuple[int, ...]) -> dict:
    """Fill in by subtraction, again and again, each count that is the only unknown of a sum."""
    known = dict(printed)
    while True:
        found = {}
        for key, axis in itertools.product(known, range(len(shape))):
            if key[axis] != "total":
                continue
            sum_of = [(*key[:axis], position, *key[axis + 1 :]) for position in range(shape[axis])]
            unknown = [k for k in (key, *sum_of) if known[k] is None]
            if len(unknown) == 1:
                rest = sum(known[k] for k in sum_of if known[k] is not None)
                found[unknown[0]] = rest if unknown[0] == key else known[key] - rest
        if not found:
            return known
        known |= found


def draw(seed: int) -> tuple[np.ndarray, int, int]:
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(2, 6, size=2)) if seed % 4 else tuple(random.integers(2, 4, size=3))
    counts = random.poisson(random.gamma(0.8, 14.0, size=shape))
    threshold, base = [(10, 1), (3, 5), (3, 1), (5, 1)][seed % 3 if seed % 7 else 3]
    return counts, threshold, base


@pytest.mark.parametrize("block", range(4))
def test_the_intruder_recovers_nothing_from_200_random_tables_with_totals(block):
    attacked = 0
    for seed in range(block * 50, block * 50 + 50):
        counts, threshold, base = draw(seed)
        printed, true, small = published_table(counts, threshold, base)
        if base == 1:
            filled = difference_everything(printed, counts.shape)
            assert not [k for k, v in filled.items() if v is not None and printed[k] is None], f"seed {seed}: subtraction gives a count away"
        attack = Attack(printed, counts.shape, base)
        hidden = [k for k, v in printed.items() if v is None]
        for key, (low, high) in zip(hidden, attack.ranges(hidden, whole=counts.ndim > 2) if hidden else [], strict=True):
            if key in small:
                assert low <= 1e-6 and high >= threshold - 1e-6, f"seed {seed}: {key} is {true[key]}, known to lie in {low} to {high}"
            else:
                assert high - low > 0.5, f"seed {seed}: {key} is known to be {true[key]}"
            attacked += 1
    assert attacked > 200, "too few suppressed counts to have attacked anything"


def test_the_attack_would_find_a_count_that_only_primary_suppression_hides():
    counts = np.array([[4, 30], [25, 40]])
    true = {**{(i, j): int(counts[i, j]) for i in range(2) for j in range(2)}, **{(i, "total"): int(counts[i].sum()) for i in range(2)},
            **{("total", j): int(counts[:, j].sum()) for j in range(2)}, ("total", "total"): int(counts.sum())}
    printed = {k: None if v == 4 else v for k, v in true.items()}
    assert difference_everything(printed, (2, 2))[0, 0] == 4
    assert Attack(printed, (2, 2)).ranges([(0, 0)], whole=False) == [(4, 4)]


def test_row_order_does_not_change_how_well_it_is_protected():
    counts = np.array([[4, 30, 12], [25, 40, 2], [18, 9, 33]])
    for order in itertools.permutations(range(3)):
        printed, _, small = published_table(counts[list(order)], 10)
        assert all(high >= 10 for _, high in Attack(printed, (3, 3)).ranges(sorted(small, key=str), whole=False))


@pytest.mark.parametrize("seed", range(12))
def test_totals_within_totals_are_safe_in_whole_numbers(seed):
    """Schools in areas in a nation, by three needs: every level printed, attacked in whole numbers."""
    random = np.random.default_rng(seed)
    counts = random.poisson(random.gamma(1.0, 18.0, size=(6, 3)))
    areas = {"A": (0, 1), "B": (2, 3, 4), "C": (5,)}
    system = CellSystem()
    sums: list[tuple[tuple, list[tuple]]] = []
    for need in range(3):
        for school in range(6):
            system.add((school, need), int(counts[school, need]))
        sums += [((area, need), [(s, need) for s in schools]) for area, schools in areas.items() if len(schools) > 1]
    for area, schools in areas.items():
        for need in range(3):
            system.add((area, need), int(counts[list(schools), need].sum()))
        sums += [((area, "all"), [(area, n) for n in range(3)])]
        system.add((area, "all"), int(counts[list(schools)].sum()))
    sums += [(("nation", n), [(a, n) for a in areas]) for n in (0, 1, 2, "all")]
    for need in (0, 1, 2, "all"):
        system.add(("nation", need), int(counts[:, need].sum() if need != "all" else counts.sum()))
    sums += [(("nation", "all"), [("nation", n) for n in range(3)]), *((("C", n), [(5, n)]) for n in range(3))]
    for total, parts in sums:
        hierarchy(system, total, parts)
    values = system.numbers()
    small = (values > 0) & (values < 10)
    result = suppress_cells(system, small, threshold=10)
    assert result.unsafe == ()
    at, hidden = {k: i for i, k in enumerate(system.keys)}, result.suppressed
    matrix = np.zeros((len(sums), len(at)))
    for row, (total, parts) in enumerate(sums):
        matrix[row, at[total]] = 1
        matrix[row, [at[p] for p in parts]] = -1
    low, high = np.where(hidden, 0, values), np.where(hidden, 1e6, values)
    for cell in np.flatnonzero(small):
        ends = [milp(sign * np.eye(len(at))[cell], integrality=np.ones(len(at)), bounds=Bounds(low, high), constraints=LinearConstraint(matrix, 0, 0)).x[cell] for sign in (1, -1)]
        assert ends[0] <= 1e-6 and ends[1] >= 10 - 1e-6, f"{system.keys[cell]} is {values[cell]:.0f}, known to lie in {ends}"
