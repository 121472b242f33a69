"""The report's small tables keep every answer, order them by rule, and never pass a before-and-after figure off as an effect."""

from __future__ import annotations

from typing import get_args

import pandas as pd

from evaluation.impact.estimates import DAYS, POINTS
from evaluation.impact.verdict import CHECKS
from evaluation.protocol.trial import ImpactSection
from evaluation.reporting.figures.summary import arms_alt, arms_by_half_term, arms_figure
from evaluation.reporting.palette import png_bytes
from evaluation.reporting.trial_tables import CHECK_WORDS, FAILS, HOLDS, UNCLEAR, costs_by_view, leading_effects, registered_checks, side_by_side


def estimates() -> pd.DataFrame:
    rows = []
    for stem, estimand, level, design, method, headline, value in (
        ("A_eligible", "A", "eligible", "within_area", "same rule, no matching", True, 0.2),
        ("B_started", "B", "started", "within_area", "effect on referred divided by share started", True, 3.0),
        ("B_between", "B", "referred", "between_areas", "matched", False, 1.5),
        ("B_referred", "B", "referred", "within_area", "matched", True, 2.0),
    ):
        for scale, word, factor in ((DAYS, "days", 1.0), (POINTS, "points", 2.0)):
            rows.append({"estimate_id": f"{stem}_{word}", "estimand": estimand, "level": level, "design": design, "method": method, "headline": headline,
                         "outcome": "absence_rate", "part": "all stacks", "weighting": "pupils", "scale": scale, "estimate": factor * value, "conf_low": factor * (value - 1), "conf_high": factor * (value + 1)})  # fmt: skip
    return pd.DataFrame(rows)


DIAGNOSTICS = pd.DataFrame(
    [("B_referred", "change_treated", -1.5, "x"), ("B_between", "change_treated", -9.9, "x"), ("study", "check_same_rule_agrees", 0.0, "x"),
     ("study", "check_between_areas_agrees", 1.0, "x")],
    columns=["analysis", "item", "value", "text"],
)  # fmt: skip


def test_leading_effects_stand_in_days_and_points_referred_first():
    table = leading_effects(estimates())
    assert list(table["pupils"]) == ["Pupils referred", "All eligible pupils", "Pupils who started"]
    assert list(table["days"]) == [2.0, 0.2, 3.0] and list(table["points"]) == [4.0, 0.4, 6.0]
    assert list(table["points_low"]) == [2.0, -1.6, 4.0]
    assert len(leading_effects(estimates().iloc[:0])) == 0


def test_before_and_after_stands_last_labelled_and_without_an_interval():
    table = side_by_side(estimates(), DIAGNOSTICS)
    assert list(table["points"]) == [4.0, 3.0, -1.5]
    last = table.iloc[-1]
    assert "not an effect" in last["method"] and pd.isna(last["conf_low"]) and not last["primary"]
    assert len(side_by_side(estimates().iloc[:0], DIAGNOSTICS.iloc[:0])) == 0


def test_every_registered_check_has_words_for_readers():
    registrable = get_args(get_args(ImpactSection.model_fields["robustness_checks"].annotation)[0])
    assert set(CHECKS) <= set(registrable) <= set(CHECK_WORDS)


def test_a_check_too_imprecise_to_say_is_not_one_that_holds():
    checks = pd.DataFrame([("same_rule_agrees", True, True, "said"), ("placebo_cohort", True, False, "placebo cohort: too imprecise to say"),
                           ("offer_does_not_contradict", True, False, "It does."), ("beside", False, False, "x")],
                          columns=["name", "registered", "passed", "text"]).assign(value=1.0, unit="points")  # fmt: skip
    own = registered_checks(checks)
    assert own["outcome"].tolist() == [FAILS, UNCLEAR, HOLDS] and own["words"].tolist()[1] == CHECK_WORDS["placebo_cohort"]


def test_costs_are_named_in_words():
    costs = pd.DataFrame([{"perspective": "public_sector", "breakdown": breakdown, "amount": 5.0, "per_pupil_eligible": 1.0, "per_pupil_referred": 2.0,
                           "per_pupil_started": 3.0, "per_pupil_completed": 4.0} for breakdown in ("total", "payer")])  # fmt: skip
    assert costs_by_view(costs).to_dict("records") == [
        {"view": "Public sector", "amount": 5.0, "per_pupil_eligible": 1.0, "per_pupil_referred": 2.0, "per_pupil_started": 3.0, "per_pupil_completed": 4.0}
    ]


def test_the_summary_figure_shows_one_design_and_describes_its_own_numbers():
    trajectories = pd.DataFrame(
        [(design, time, "role", arm, 10.0 * time + len(arm) + (100 if design == "other" else 0)) for design in ("within_area", "other")
         for time in (1, 0, -1) for arm in ("mentored", "comparison")],
        columns=["design", "event_time", "role", "arm", "mean_absence_rate"],
    )  # fmt: skip
    arms = arms_by_half_term(trajectories, "within_area")
    assert list(arms["event_time"]) == [-1, 0, 1] and list(arms["mentored"]) == [-2.0, 8.0, 18.0]
    assert "to 18.0%" in arms_alt(arms) and "8.0% and 10.0%" in arms_alt(arms)
    assert png_bytes(arms_figure(arms)) == png_bytes(arms_figure(arms))
