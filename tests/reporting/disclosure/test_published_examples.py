"""Worked examples that others published of the rules: the numbers are theirs, the words ours.

Handbook: Handbook on Statistical Disclosure Control, second edition, chapters 4 (magnitude tables) and 5 (frequency tables),
sdctools.github.io/HandbookSDC. ACRO: its notebooks test-nursery and test-p-percent-example, AI-SDC/ACRO.
"""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.reporting.disclosure import PROFILES, check_sum, find_profile, prove, risky_counts, suppress_cells, table_system
from evaluation.reporting.disclosure.bounds import cell_bounds, round_counts, shown_as
from evaluation.reporting.disclosure.system import CellSystem

SOURCE = "a published worked example"
CENSUS = find_profile("srs", {"threshold": 3, "source": SOURCE})


def named(system: CellSystem, risky) -> dict:
    return {system.keys[at]: reason for at, reason in risky.items()}


def protected(system: CellSystem, threshold: int, attributes=()) -> np.ndarray:
    """Suppress what is risky and what else is needed; the intruder must find nothing."""
    primary = np.zeros(system.size, dtype=bool)
    primary[list(risky_counts(system, CENSUS, attributes))] = True
    result = suppress_cells(system, primary, threshold=threshold)
    assert result.unsafe == () and prove(system, primary, result.suppressed, threshold=threshold)[1] == []
    return result.suppressed


def test_two_large_firms_pass_the_1_90_rule_and_the_second_knows_the_first_to_2_per_cent():
    """Handbook 4.2.1, example 1: total 100,000; largest 50,000 and 49,000."""
    rest = [100.0] * 10
    one = find_profile("acro", {"dominance_n": 1, "source": SOURCE})
    assert check_sum([50_000, 49_000, *rest], one).broken == ("p-ratio",)
    assert (100_000 - 49_000) / 50_000 - 1 == pytest.approx(0.02)


def test_the_2_k_rule_protects_more_than_the_p_rule_to_which_it_corresponds():
    """Handbook 4.2.1, example 2: p = 10, k = 100 / 1.1; total 110,000; largest 52,000 and 50,000: safe by p, not by (2, k)."""
    pair = find_profile("acro", {"dominance_share": 100 / 110, "source": SOURCE})
    assert check_sum([52_000, 50_000, *[800.0] * 10], pair).broken == ("dominance",)
    assert (110_000 - 50_000 - 52_000) / 52_000 == pytest.approx(0.154, abs=5e-4)


def test_three_firms_of_which_one_holds_nearly_all_break_the_1_85_rule():
    """Handbook 4.2.2, example 4: 300, 20 and 10."""
    assert "dominance" in check_sum([300, 20, 10], find_profile("acro", {"dominance_n": 1, "dominance_share": 0.85, "source": SOURCE})).broken


def test_the_feasibility_interval_of_a_suppressed_cell():
    """Handbook 4.2.2, example 3 (after Geurts 1992): rows that sum to 7 and 3, columns to 6 and 4 without the shown row; cell (1, 1) lies in 3 to 6."""
    system = table_system(np.array([[5, 2], [1, 2], [3, 3]]))
    hidden = np.zeros(system.size, dtype=bool)
    cells = np.array([system.index[key] for key in ((0, 0), (0, 1), (1, 0), (1, 1))])
    hidden[cells] = True
    bounds = cell_bounds(system, shown_as(system, hidden), cells)
    assert bounds.low.round(6).tolist() == [3, 1, 0, 0] and bounds.high.round(6).tolist() == [6, 4, 3, 3]


def test_a_single_woman_is_recognised_and_is_not_worked_out_from_the_totals():
    """Handbook 5.2, marital status by sex: one cell holds 1."""
    system = table_system(np.array([[38, 17], [7, 4], [3, 1]]))
    assert named(system, risky_counts(system, CENSUS)) == {(2, 1): "below the threshold"}
    alone = np.zeros(system.size, dtype=bool)
    alone[system.index[2, 1]] = True
    assert prove(system, alone, alone, threshold=3)[1] == [system.index[2, 1]], "one suppressed cell comes back from its row"
    assert protected(system, 3).sum() >= 4


def test_a_group_of_whom_all_work_full_time_is_a_class_disclosure():
    """Handbook 5.2, marital status by hours worked: all 6 married people work full time; of the divorced, one does not."""
    counts = {"married": (6, 0), "divorced": (5, 1), "single": (2, 2)}
    system = CellSystem()
    for status, (full, part) in counts.items():
        at = [system.add(("people", (("hours", hours), ("status", status))), n) for hours, n in (("full", full), ("part", part))]
        system.equate(system.add(("people", (("status", status),)), full + part), at)
    found = {dict(key[1])["status"]: reason for key, reason in named(system, risky_counts(system, CENSUS, ["hours"])).items()}
    assert found == {"married": "class disclosure", "divorced": "below the threshold", "single": "below the threshold"}
    married = [key for key, reason in named(system, risky_counts(system, CENSUS, ["hours"])).items() if reason == "class disclosure"]
    assert married == [("people", (("hours", "full"), ("status", "married")))]


def test_two_definitions_of_an_area_give_the_small_area_between_them():
    """Handbook 5.2, geographical differencing: 50, 54, 128, 140, 39, 49 in one definition, 52, 55, 130, 140, 39, 49 in the other."""
    system = CellSystem()
    for hours, inner, outer in (("over 30", (50, 54), (52, 55)), ("16-30", (128, 140), (130, 140)), ("15 or less", (39, 49), (39, 49))):
        for sex, small, large in zip(("male", "female"), inner, outer, strict=True):
            system.rest(system.add(("1991", hours, sex), large), [system.add(("2001", hours, sex), small)], f"between, {hours}, {sex}")
    found = [(system.names[at], system.values[at]) for at in risky_counts(system, CENSUS)]
    assert found == [("between, over 30, male", 2), ("between, over 30, female", 1), ("between, 16-30, male", 2)]
    assert all(reason == "leaves a group below the threshold" for reason in risky_counts(system, CENSUS).values())
    assert protected(system, 3).sum() >= 3


def test_tables_linked_by_where_people_work_give_a_woman_who_is_alone():
    """Handbook 5.2, linking: of those who live in the area 85 are employed, 49 people work there, 22 do both; of men 21 do both, 58 and 23 one of the two."""
    system = CellSystem()
    living, working, both = (system.add(name, n) for name, n in (("employed", 85), ("working", 49), ("both", 22)))
    lives_only, works_only = system.rest(living, [both], "living only"), system.rest(working, [both], "working only")
    women = [system.rest(whole, [system.add(("men", name), n)], f"women, {name}") for whole, name, n in ((both, "both", 21), (lives_only, "living only", 58), (works_only, "working only", 23))]
    assert [system.values[at] for at in women] == [1, 5, 4]
    assert list(risky_counts(system, CENSUS)) == [women[0]]
    assert protected(system, 3).any()


def test_bands_cut_in_two_ways_give_the_band_between_the_cuts():
    """Handbook 5.2, sub-populations: 6 men below 20 hours in one table, 7 below 25 in the other."""
    system = CellSystem()
    men = system.rest(system.add(("men", "below 25"), 7), [system.add(("men", "below 20"), 6)], "men, 20 to 24")
    women = system.rest(system.add(("women", "below 25"), 10), [system.add(("women", "below 20"), 10)], "women, 20 to 24")
    assert (system.values[men], system.values[women]) == (1, 0) and list(risky_counts(system, CENSUS)) == [men]


def test_rounding_to_base_5():
    """Handbook 5.5, conventional rounding. Two cells differ: ours never shows a 0 that is none, and its total of 32 is printed as 35, which is not the nearest."""
    counts = [1, 0, 1, 3, 3, 6, 12, 20, 32, 16, 23, 39]
    theirs = [0, 0, 0, 5, 5, 5, 10, 20, 35, 15, 25, 40]
    ours = round_counts(np.array(counts), 5).tolist()
    assert {n: (a, b) for n, a, b in zip(counts, ours, theirs, strict=True) if a != b} == {1: (5, 0), 32: (30, 35)}


NURSERY = np.array([[1440, 1440, 1440], [858, 1484, 1924], [0, 0, 2], [2022, 1264, 758], [0, 132, 196]])


def test_acro_suppresses_four_cells_of_its_nursery_table_which_its_totals_give_back():
    """ACRO, crosstab(recommend, parents): "threshold: 4 cells suppressed". It suppresses no further cells; with totals one comes back at once."""
    bare = table_system(NURSERY, totals=False)
    assert set(named(bare, risky_counts(bare, PROFILES["acro"]))) == {(2, 0), (2, 1), (2, 2), (4, 0)}
    whole = table_system(NURSERY)
    primary = np.zeros(whole.size, dtype=bool)
    primary[[whole.index[key] for key in ((2, 0), (2, 1), (2, 2), (4, 0))]] = True
    assert whole.index[4, 0] in prove(whole, primary, primary, threshold=10)[1]
    primary[list(risky_counts(whole, PROFILES["acro"]))] = True
    result = suppress_cells(whole, primary, threshold=10)
    assert result.unsafe == () and result.secondary.sum() >= 2 and prove(whole, primary, result.suppressed, threshold=10)[1] == []


def test_acro_suppresses_one_kind_of_grant_in_each_of_six_years():
    """ACRO, crosstab(year, grant_type): 15, 59, 71 and 8 charities in each of six years; "threshold: 6 cells suppressed"."""
    system = table_system(np.tile([15, 59, 71, 8], (6, 1)), totals=False)
    assert set(named(system, risky_counts(system, PROFILES["acro"]))) == {(year, 3) for year in range(6)}
    whole = table_system(np.tile([15, 59, 71, 8], (6, 1)))
    primary = np.zeros(whole.size, dtype=bool)
    primary[list(risky_counts(whole, PROFILES["acro"]))] = True
    result = suppress_cells(whole, primary, threshold=10)
    assert result.unsafe == () and result.secondary.sum() >= 6, "each year's total gives its cell back unless another is suppressed"
