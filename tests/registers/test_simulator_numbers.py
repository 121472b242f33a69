"""Numbers that the simulator draws its own way: binomial draws from tables, and streams by purpose."""

import numpy as np
import pytest
from scipy.stats import binom, chi2

from evaluation.registers.simulator.binomial import alias_tables, binomials
from evaluation.registers.simulator.streams import stream, top_choices

DRAWS = 200_000
RARE = 1e-6  # a right table fails once in a million seeds; the seed is fixed


def frequencies(number: int, chance: float) -> np.ndarray:
    drawn = binomials(np.full((1, DRAWS), number, dtype=np.int32), np.full(DRAWS, chance), np.random.default_rng(3))
    return np.bincount(drawn[0], minlength=number + 1)


@pytest.mark.parametrize(("number", "chance"), [(1, 0.2), (7, 0.03), (32, 0.083), (39, 0.5), (39, 0.61), (38, 0.995), (80, 0.3), (96, 0.001)])
def test_draws_have_the_binomial_distribution(number, chance):
    found, expected = frequencies(number, chance), DRAWS * binom.pmf(np.arange(number + 1), number, chance)
    often = expected >= 10
    groups = [np.append(counts[often], counts[~often].sum()) for counts in (found, expected)]
    kept = groups[1] > 0
    statistic = ((groups[0] - groups[1])[kept] ** 2 / groups[1][kept]).sum()
    assert len(found) == number + 1 and statistic < chi2.isf(RARE, kept.sum() - 1)


@pytest.mark.parametrize(("number", "chance", "always"), [(0, 0.3, 0), (35, 0.0, 0), (35, 1.0, 35)])
def test_sure_draws_are_sure(number, chance, always):
    assert frequencies(number, chance)[always] == DRAWS


def test_each_element_is_drawn_with_its_own_number_and_chance():
    number = np.array([[0, 5, 40, 90], [3, 0, 7, 1]], dtype=np.int32)
    drawn = np.mean([binomials(number, np.array([0.5, 0.1, 0.9, 0.02]), np.random.default_rng(seed)) for seed in range(2000)], axis=0)
    expected = number * np.array([0.5, 0.1, 0.9, 0.02])
    assert drawn == pytest.approx(expected, abs=0.25)
    assert binomials(np.zeros((2, 0), dtype=np.int32), np.zeros(0), np.random.default_rng(1)).shape == (2, 0)


def test_alias_tables_hold_the_distribution_exactly():
    mass = np.random.default_rng(2).dirichlet(np.full(9, 0.3), size=20)
    cut, alias = alias_tables(mass)
    back = cut.copy()
    for row in range(len(mass)):
        np.add.at(back[row], alias[row], 1 - cut[row])
    assert back / 9 == pytest.approx(mass, abs=1e-12) and (cut >= 0).all() and (cut <= 1).all()


def test_streams_differ_by_seed_purpose_and_number_and_large_seeds_are_kept_apart():
    first = [stream(*key).random() for key in ((1, "a"), (2, "a"), (1, "b"), (1, "a", 1), (1, "a", 2), (2**32, "a"), (2**32 + 1, "a"), (2**40 + 1, "a"))]
    assert len(set(first)) == len(first) and stream(1, "a", 5).random() == stream(1, "a", 5).random()
    words = np.random.SeedSequence([7, 3904355907, 2])  # crc32 of "a"
    assert stream(7, "a", 2).random() == np.random.Generator(np.random.SFC64(words)).random()


def test_choices_without_replacement_follow_their_odds_in_each_group():
    """Two schools whose candidates stand mixed: the first of each school follows the odds, none is drawn twice, and none of another school."""
    school, weights = np.array([7, 2, 7, 2, 7]), np.log(np.array([1.0, 3.0, 2.0, 1.0, 5.0]))
    first = {2: np.zeros(5), 7: np.zeros(5)}
    for seed in range(4000):
        keys = np.random.default_rng(seed).gumbel(size=5)
        drawn = top_choices(weights, keys, school, 2)
        assert drawn[:2].tolist() in ([1, 3], [3, 1]) and len(set(drawn.tolist())) == 4 and (school[drawn] == [2, 2, 7, 7]).all()
        first[2][drawn[0]] += 1
        first[7][drawn[2]] += 1
    assert first[7] / 4000 == pytest.approx(np.array([1, 0, 2, 0, 5]) / 8, abs=0.03) and first[2] / 4000 == pytest.approx(np.array([0, 0.75, 0, 0.25, 0]), abs=0.03)
    assert len(top_choices(weights, np.zeros(5), school, 9)) == 5 and len(top_choices(weights[:0], weights[:0], school[:0], 3)) == 0
