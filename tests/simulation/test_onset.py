"""The stress scenario of pupils who stop attending during the study: what the summary counts, and that the printed part is of this code."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.results_page import read_part

from .onset import ABOUT, PART, RESULTS, registered, results_text, run_all, run_one, scenario, summarise


def runs_by_hand(shift: float) -> pd.DataFrame:
    """Four seeds at two shares: errors of -0.1 and 0.1 without onset, all lower by about ``shift`` with it."""
    rows = [{"estimand": estimand, "share": share, "seed": seed, "truth": 1.5, "estimate": 1.5 + (0.1 if seed % 2 else -0.1) - (shift + 0.01 * (seed % 3)) * share}
            for estimand in ABOUT for share in (0.0, 1.0) for seed in range(1, 5)]
    return pd.DataFrame(rows)


def test_the_summary_pairs_shares_by_seed():
    table = summarise(runs_by_hand(0.5)).loc["B"]
    assert table.loc[0.0, "error"] == pytest.approx(0.0, abs=1e-12) and table.loc[0.0, "error_se"] == pytest.approx((4 * 0.01 / 3) ** 0.5 / 2)
    assert table.loc[1.0, "shift"] == pytest.approx(-0.51) and table.loc[1.0, "draws"] == 4
    assert table.loc[1.0, "shift_se"] == pytest.approx(pd.Series([0.01, 0.02, 0.0, 0.01]).std() / 2) and table.loc[0.0, "shift_se"] == 0


def test_the_page_says_what_was_found_and_no_more():
    said = results_text(runs_by_hand(0.5))
    assert "| referred pupils (B) | 100% | 4 | 1.50 | -0.51 ± 0.06 | -0.51 ± 0.00 |" in said and "referred pupils (B) are 0.51 points lower than without onset" in said
    assert results_text(runs_by_hand(-0.01)).count("cannot tell the shift from none") == len(ABOUT)


def test_the_scenario_changes_the_share_alone():
    design = registered().simulation
    assert design.attendance.disengaging_share == 0 and scenario(design, 0.0) == design
    changed = scenario(design, 0.5)
    assert changed.attendance.disengaging_share == 0.5
    assert changed.model_copy(update={"attendance": design.attendance}) == design


def test_an_estimate_of_a_draw_stands_beside_the_truth_of_its_pupils():
    found = run_one((0.0, 201)).set_index("estimand")
    assert list(found.index) == list(ABOUT) and (found["seed"] == 201).all()
    assert 0.8 < found.loc["B", "truth"] < 2.5 and 0.0 < found.loc["A", "truth"] < 0.6
    assert ((found["estimate"] - found["truth"]).abs() < 3).all()  # an estimate's standard deviation is about 0.7


@pytest.mark.slow
def test_the_printed_results_are_those_of_this_code():
    assert read_part(RESULTS, PART) == results_text(run_all()).strip() + "\n", "regenerate it: python -m tests.simulation.onset"
