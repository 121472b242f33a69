"""The simulation of entries: what the table counts, what its words claim, and two of its rows again from other draws."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.results_page import read_part

from .entries import CHOICES, PART, RESULTS, SCENARIOS, Scenario, beyond, design_of, estimates, registered, results_text, summarise

NAMES = list(CHOICES)


def runs_by_hand(**bias: float) -> pd.DataFrame:
    """Two seeds a scenario: each choice is off by its bias, 0.1 up and down."""
    return pd.DataFrame([{"scenario": number, "seed": seed, "choice": choice, "estimate": bias.get(choice, 0.0) + (0.1 if seed == 1 else -0.1), "referred": 100 + seed}
                         for number in range(len(SCENARIOS)) for seed in (1, 2) for choice in NAMES])


def test_bias_is_the_mean_and_its_error_that_of_a_mean():
    row = summarise(runs_by_hand(first=-0.6)).loc[(0, "first")]
    assert row["bias"] == pytest.approx(-0.6) and row["error"] == pytest.approx(0.1) and row["referred"] == 101.5


def test_a_bias_is_marked_beyond_its_limit_and_two_standard_errors():
    table = summarise(runs_by_hand(first=-0.36, opening=0.34, offer=0.36, risk_set=-1.5))
    assert [beyond(table.loc[(0, choice)], choice) for choice in ("first", "opening", "offer", "risk_set")] == [True, False, False, True]
    said = results_text(runs_by_hand(risk_set=-1.5))
    assert said.count("-1.50 ± 0.10 !") == len(SCENARIOS) and "B, risk set: beyond its limit in at least one row, largest bias -1.50" in said
    assert "A, all eligible, weighted: within its limit in every row" in said


def test_a_scenario_changes_referral_and_what_hides_the_bias_and_nothing_else():
    protocol = registered()
    made = design_of(Scenario("level", 1.0, 1.0), protocol, times=2)
    assert (made.referral.rule, made.referral.slope, made.referral.again_weight) == ("level", 1.0, 1.0)
    assert made.support.effect == 0 and made.attendance.school_spread == 0 and {area.attendance_shift for area in made.areas} == {0.0}
    assert made.referral.per_school == 2 * protocol.simulation.referral.per_school and made.roll.pupils_per_school == 2 * protocol.simulation.roll.pupils_per_school
    same = {"referral": protocol.simulation.referral, "attendance": protocol.simulation.attendance, "areas": protocol.simulation.areas,
            "roll": protocol.simulation.roll, "support": protocol.simulation.support}
    assert made.model_copy(update=same) == protocol.simulation


def test_one_small_draw_gives_every_choice():
    found = estimates(SCENARIOS[0], 301, times=1).set_index("choice")
    assert set(found.index) == set(NAMES) and found["estimate"].abs().max() < 6
    assert 0 < found.loc["opening", "referred"] < found.loc["first", "referred"] <= found.loc["matched_history", "referred"]


@pytest.mark.slow
def test_the_printed_rows_hold_on_other_draws():
    """Three draws of the two extreme scenarios: referral on lasting absence understates, on the window it does not; the offer is free of both."""
    printed = read_part(RESULTS, PART)
    assert printed is not None and all(words in printed for words in CHOICES.values())
    level, window = (pd.concat([estimates(s, seed) for seed in (401, 402, 403)]).groupby("choice")["estimate"].mean()
                     for s in (Scenario("level", 4.0, 0.05), Scenario("window", 4.0, 0.05)))
    assert level["first"] < -0.2 and level["risk_set"] < -1.2 and window["risk_set"] < -1.0
    assert abs(window["first"]) < 0.5 and abs(level["offer"]) < 0.4 and abs(window["offer"]) < 0.4
