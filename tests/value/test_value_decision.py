"""The decision: acceptability and information from the plane, tornado, scenarios, switching values and planning, by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from evaluation.errors import ContractError, UnidentifiedError
from evaluation.protocol.load import load_protocol
from evaluation.value import (
    Case,
    DaysEffect,
    PupilCost,
    acceptability_sentence,
    acceptability_table,
    draw_plane,
    feasible_days,
    flip_sentence,
    frontier_sentence,
    half_life_sentence,
    information_sentence,
    information_table,
    input_table,
    placebo_biases,
    planning_sentences,
    planning_table,
    scenario_table,
    tornado_table,
    valuations,
)
from evaluation.value.discounting import GREEN_BOOK
from evaluation.value.inputs import switching_values
from evaluation.value.sensitivity import at_scale, flipping_inputs, without_bias

DRAWS = 5_000
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def rules():
    return load_protocol(ROOT / "params" / "attendance_mentors_trial.yaml").protocol.value_for_money


def effect(days=2.0, error=0.5, df=12.0, **more) -> DaysEffect:
    reach = float(student.ppf(0.975, df)) * error
    return DaysEffect("referred", "B", days, error, df, days - reach, days + reach, 0.95, "B_referred_within_area_matched_days", **more)


def case(**changes) -> Case:
    own = effect(**{key: changes.pop(key) for key in ("days", "error", "df") if key in changes})
    return Case(**{"effect": own, "cost": PupilCost("referred", "public_sector", 900.0, 45.0, "2022/23", "planned", 1.0), "set_up_share": 0.1,
                   "share_started": 0.6, "referred": own} | changes)


def plane(own: Case) -> pd.DataFrame:
    return draw_plane(own.effect, own.cost, draws=DRAWS, seed=1)


def test_the_curve_is_the_share_of_draws_that_break_even(rules):
    drawn = plane(case())
    table = acceptability_table(drawn, case().effect, rules.decision, GREEN_BOOK)
    at = table.loc[table["threshold"].eq(500) & table["strategy"].eq("mentoring")].iloc[0]
    assert at["probability"] == pytest.approx((500 * drawn["extra_days"] > drawn["extra_cost"]).mean(), abs=1e-12)
    assert at["evpi"] == pytest.approx(np.maximum(500 * drawn["extra_days"] - drawn["extra_cost"], 0).mean() - max(at["mean_net_benefit"], 0))
    assert at["evpi_population"] == pytest.approx(at["evpi"] * 555 * (1 + 1 / 1.035 + 1 / 1.035**2))
    said = acceptability_sentence(table, drawn, valuations(rules.value_per_day, rules.benefits))
    assert "cannot exceed the probability that days are gained at all" in said


def test_draws_with_fewer_days_are_named_even_where_they_cost_less(rules):
    saving = draw_plane(effect(days=0.2), PupilCost("referred", "public_sector", -50.0, 0.0, "2022/23", "planned", 1.0), draws=DRAWS, seed=1)
    table = acceptability_table(saving, effect(days=0.2), rules.decision, GREEN_BOOK)
    said = acceptability_sentence(table, saving, valuations(rules.value_per_day))
    assert "of draws have fewer days, 3" in said and "with fewer days that cost less" in said
    assert "none of them cheaper" in acceptability_sentence(table, plane(case(days=0.2)), valuations(rules.value_per_day))


@pytest.mark.parametrize(("changes", "words"), [({"df": 4.0}, "4.0 degrees of freedom"), ({"test": "randomisation"}, "randomisation inference")])
def test_information_and_losses_are_withheld_with_the_reason(rules, changes, words):
    own = effect(df=changes.pop("df", 12.0))
    own = replace(own, **changes)
    drawn = draw_plane(own, case().cost, draws=DRAWS, seed=1)
    table = acceptability_table(drawn, own, rules.decision, GREEN_BOOK)
    assert table[["evpi", "evpi_population", "expected_loss"]].isna().all(axis=None) and table["withheld"].str.contains(words).all()
    assert table["probability"].notna().all()
    known = information_table(drawn, own, valuations(rules.value_per_day, rules.benefits), rules.decision, GREEN_BOOK, seed=1)
    assert known[["evppi", "evpi"]].isna().all(axis=None) and set(known["parameter"]) == {"everything"}
    assert words in information_sentence(known, rules.decision) and "£" not in information_sentence(known, rules.decision)


def test_information_by_input_and_scenario(rules):
    own = case(days=2.0, error=1.2)
    known = information_table(plane(own), own.effect, valuations(rules.value_per_day, rules.benefits), rules.decision, GREEN_BOOK, seed=1)
    assert set(known["scenario"]) == {"base case", "earnings, causal share uncertain"}
    table = known.set_index(["scenario", "parameter"])["evppi"]
    uncertain = table["earnings, causal share uncertain"]
    assert uncertain["causal share"] > uncertain["cost per pupil"] and uncertain["extra days and causal share"] > uncertain.drop("extra days and causal share").max()
    assert (known["evppi"] <= known["evpi"] + 1e-9).all()
    assert "knowing everything before deciding would be worth" in information_sentence(known, rules.decision)


def test_the_tornado_by_hand(rules):
    table = tornado_table(case(), valuations(rules.value_per_day, rules.benefits), rules)
    base = table.loc[table["outcome"].eq("net_benefit") & table["scenario"].eq("base case")].set_index("input")
    assert (base["base"] == 100 * 2 - 900).all()
    reach = student.ppf(0.975, 12)
    assert base.loc["effect", ["at_low", "at_high"]].tolist() == pytest.approx([100 * (2 - reach / 2) - 900, 100 * (2 + reach / 2) - 900])
    assert base.loc["cost per pupil", "at_low"] == pytest.approx(200 - (900 - 45 * reach))
    assert base.loc["value of a day", ["at_low", "at_high"]].tolist() == pytest.approx([21 * 2 - 900, 375 * 2 - 900])
    assert base.loc["take-up", ["at_low", "at_high"]].tolist() == pytest.approx([200 * 0.5 / 0.6 - 900, 200 * 0.85 / 0.6 - 900])
    assert base.loc["scale", ["at_low", "at_high"]].tolist() == pytest.approx([200 - 900 * 1.1, 200 - 900 * 0.95])
    # A half-life of 1: measured 1 + 1 + 1/2, afterwards 1/4 + 1/8 + ... to half-term 12
    after = sum(0.5 ** (place - 3) for place in range(5, 13))
    assert base.loc["half-life after support", "at_low"] == pytest.approx(200 * (2.5 + after) / 2.5 - 900)
    share = table.loc[table["scenario"].eq("earnings, causal share")].set_index("input")
    assert share.loc["causal share", ["at_low", "at_high", "base"]].tolist() == pytest.approx([-900, 750 * 2 - 900, 375 * 2 - 900])
    per_day = table.loc[table["outcome"].eq("cost_per_extra_day")].set_index("input")
    assert per_day.loc["effect", "at_high"] == pytest.approx(900 / (2 + reach / 2))
    widths = (base[["at_low", "at_high", "base"]].max(axis=1) - base[["at_low", "at_high", "base"]].min(axis=1)).tolist()
    assert widths == sorted(widths, reverse=True)


def test_no_ratio_stands_in_the_tornado_where_it_is_withheld(rules):
    table = tornado_table(case(days=0.5), valuations(rules.value_per_day, rules.benefits), rules)
    assert "cost_per_extra_day" not in set(table["outcome"]) and "extra_days" in set(table["outcome"])


def test_no_ratio_stands_where_a_placebos_bias_leaves_an_effect_that_may_be_zero(rules):
    biases = {"placebo start": (0.4, 0.9, 20.0), "placebo referral": (0.1, 0.05, 20.0)}
    table = tornado_table(case(biases=biases), valuations(rules.value_per_day), rules)
    ratios = set(table.loc[table["outcome"].eq("cost_per_extra_day"), "input"])
    assert "bias (placebo referral)" in ratios and "bias (placebo start)" not in ratios
    assert "bias (placebo start)" in set(table.loc[table["outcome"].eq("extra_days"), "input"])


def test_what_flips_the_answer_is_said(rules):
    values = valuations(rules.value_per_day, rules.benefits)
    none = tornado_table(case(), values, rules)
    assert "No single assumption" in flip_sentence(none) and flipping_inputs(none) == []
    near = tornado_table(case(days=8.0), values, rules)
    # By rows in any order, as a stored table has them
    assert flipping_inputs(near.sample(frac=1, random_state=1)) == flipping_inputs(near) == ["value of a day", "half-life after support", "take-up"]
    assert "does not pay" in flip_sentence(near) and "value of a day and half-life after support" in flip_sentence(near)
    assert "The uncertainty of the effect alone does so too" in flip_sentence(near)
    assert "the programme pays" in flip_sentence(tornado_table(case(days=12.0), values, rules))


def test_scenarios_carry_the_whole_uncertainty(rules):
    values = valuations(rules.value_per_day, rules.benefits)
    table = scenario_table(case(), values, rules, draws=DRAWS, seed=1)
    base = table.loc[table["group"].eq("base") & table["valuation"].eq("base case")].iloc[0]
    reach = student.ppf(0.975, 12) * math.hypot(100 * 0.5, 45)
    assert base[["net_benefit", "conf_low", "conf_high"]].tolist() == pytest.approx([-700, -700 - reach, -700 + reach])
    more = table.loc[table["scenario"].eq("85% of pupils referred start") & table["valuation"].eq("base case")].iloc[0]
    assert more["extra_days"] == pytest.approx(2 * 0.85 / 0.6) and more["days_low"] == pytest.approx(base["days_low"] * 0.85 / 0.6)
    shares = table.loc[table["group"].eq("causal share")].set_index("value_per_day")["probability_breaking_even"]
    assert list(shares.index) == [0.0, 375.0, 750.0] and shares.is_monotonic_increasing
    drawn = plane(case())
    assert shares[750.0] == pytest.approx((750 * drawn["extra_days"] >= drawn["extra_cost"]).mean())
    assert not table.duplicated(["group", "scenario", "valuation"]).any()
    assert scenario_table(case(days=0.5), values, rules, draws=DRAWS, seed=1)["cost_per_extra_day"].isna().all()


def test_the_placebos_apparent_effect_is_taken_off_with_its_uncertainty(rules):
    less = without_bias(effect(), (0.5, 0.3, 20.0))
    spread = math.hypot(0.5, 0.3)
    df = spread**4 / (0.5**4 / 12 + 0.3**4 / 20)
    assert (less.extra_days, less.std_error, less.df) == (1.5, pytest.approx(spread), pytest.approx(df))
    assert less.conf_low == pytest.approx(1.5 - student.ppf(0.975, df) * spread)
    placebos = pd.DataFrame([("placebo cohort", "B_referred_within_area_matched", 0.4, 0.2, 15.0), ("placebo cohort", "A_eligible_within_area", 9.0, 1.0, 15.0),
                             ("placebo cohort, every window", "B_referred_within_area_matched", 9.0, 1.0, 15.0),
                             ("placebo referral", "B_referred", -0.2, 0.1, 9.0), ("placebo start", "B_ref", 9.0, 1.0, 15.0)], columns=["check", "analysis", "estimate", "std_error", "df"])
    assert placebo_biases(placebos, effect(), 0.5) == {"placebo cohort": (0.2, 0.1, 15.0), "placebo referral": (-0.1, 0.05, 9.0)}
    assert placebo_biases(placebos.assign(df=float("nan")), effect(), 0.5) == placebo_biases(None, effect(), 0.5) == {}
    table = scenario_table(case(biases={"placebo cohort": (0.5, 0.3, 20.0)}), valuations(rules.value_per_day), rules, draws=DRAWS, seed=1)
    assert table.loc[table["group"].eq("bias"), "extra_days"].tolist() == [1.5]
    assert "bias" not in set(scenario_table(case(), valuations(rules.value_per_day), rules, draws=DRAWS, seed=1)["group"])


def test_switching_values_turn_the_answer_round(rules):
    own, values = case(days=6.0), valuations(rules.value_per_day, rules.benefits)
    found = switching_values(own, values, rules)
    assert found["extra_days"][0] == pytest.approx(9) and found["cost_per_pupil"][0] == pytest.approx(600)
    assert found["value_per_day"][0] == pytest.approx(150) and found["take_up"][0] == pytest.approx(0.9)
    assert found["lifetime earnings: causal_share"][0] == pytest.approx(900 / (6 * 750))
    assert found["distribution.income_ratio"][0] ** 1.3 == pytest.approx(1.5)
    half_life = found["persistence.half_life"][0]
    turned = scenario_table(own, values, rules.model_copy(update={"persistence": rules.persistence.model_copy(
        update={"half_life": rules.persistence.half_life.model_copy(update={"value": half_life})})}), draws=DRAWS, seed=1)
    row = turned.loc[turned["scenario"].eq(f"half-life of {half_life:g} half-terms after support") & turned["valuation"].eq("base case")]
    assert row["net_benefit"].item() == pytest.approx(0, abs=1e-6)
    assert found["scale"][0] is None and "running costs alone" in found["scale"][2]
    cheap = switching_values(case(days=8.5), values, rules)["scale"][0]
    assert 900 * at_scale(case(), cheap) == pytest.approx(850)


def test_switching_values_that_are_ratios_are_withheld_where_the_effect_may_be_zero(rules):
    found = switching_values(case(days=0.5), valuations(rules.value_per_day, rules.benefits), rules)
    assert found["extra_days"][0] == pytest.approx(9)
    for path in ("value_per_day", "take_up", "persistence.half_life", "lifetime earnings: causal_share", "lifetime earnings: per_day", "distribution.income_ratio"):
        assert found[path][0] is None and "includes zero" in found[path][2], path


def test_every_input_shows_source_date_and_standing(rules):
    table = input_table(case(), valuations(rules.value_per_day, rules.benefits), rules)
    assert table[["source", "dated", "standing", "unit", "switching_text"]].notna().all(axis=None)
    assert {"extra_days", "cost_per_pupil", "value_per_day", "lifetime earnings: per_day", "lifetime earnings: causal_share", "take_up", "scale", "discounting",
            "persistence.half_life", "planning.caseload", "cost_bands", "distribution.elasticity", "cost_relative_error"} <= set(table["input"])
    assert table["position"].tolist() == list(range(1, len(table) + 1)) and table["input"].is_unique


def test_a_half_life_is_a_scenario_with_the_reason(rules):
    said = half_life_sentence(rules.persistence)
    assert "1 half-term lies after support" in said and "need at least 4, so none is estimated" in said


def test_a_place_plans_by_hand(rules):
    values = valuations(rules.value_per_day, rules.benefits)
    table = planning_table(rules.planning, effect(), share_started=0.5, relative_error=0.0, values=values, draws=20_000, seed=3)
    row = table.loc[table["place"].eq("school") & table["valuation"].eq("earnings, causal share")].iloc[0]
    # 16 referred, 8 start, 40 a mentor and year: 0.2 posts at 55,000
    assert (row["starts"], row["mentors"], row["cost"], row["cost_per_referred"]) == (8, pytest.approx(0.2), pytest.approx(11_000), pytest.approx(687.5))
    assert (row["extra_days"], row["break_even_days"], row["net_benefit"]) == (32, pytest.approx(687.5 / 375), pytest.approx(16 * (750 - 687.5)))
    assert row["days_low"] == pytest.approx(16 * effect().conf_low)
    assert row["probability_breaking_even"] == pytest.approx(student.sf((687.5 / 375 - 2) / 0.5, 12), abs=0.02)
    first, *others = planning_sentences(table.sample(frac=1, random_state=2))
    assert first.startswith("A school with 1,000 pupils, 265 of them persistently and 34 severely absent, that refers 16 pupils in a year would need 0.2")
    assert [said.split(" with")[0] for said in others] == ["A trust", "An authority"]
    with pytest.raises(ContractError, match="pupils referred"):
        planning_table(rules.planning, replace(effect(), level="started"), share_started=0.5, relative_error=0.0, values=values, draws=DRAWS, seed=3)


def test_draws_stay_within_what_is_possible():
    bounded = replace(effect(days=1.0, error=2.0), feasible=(-3.0, 4.0))
    drawn = draw_plane(bounded, case().cost, draws=20_000, seed=1)
    assert drawn["extra_days"].between(-3, 4).all()
    grid = np.linspace(-3, 4, 4_001)
    density = student.pdf((grid - 1) / 2, 12)
    assert drawn["extra_days"].mean() == pytest.approx((grid * density).sum() / density.sum(), abs=0.05)
    wide = replace(effect(), feasible=(-1e6, 1e6))
    pd.testing.assert_frame_equal(draw_plane(wide, case().cost, draws=DRAWS, seed=1), plane(case()))
    with pytest.raises(UnidentifiedError, match="all that is possible"):
        draw_plane(replace(effect(days=90.0), feasible=(-3.0, 4.0)), case().cost, draws=DRAWS, seed=1)


@pytest.mark.parametrize("correlation", [-0.6, 0.6])
def test_cost_and_effect_can_move_together_without_changing_each_alone(correlation):
    drawn = draw_plane(effect(), case().cost, draws=100_000, seed=4, correlation=correlation)
    assert np.corrcoef(drawn["extra_days"], drawn["extra_cost"])[0, 1] == pytest.approx(correlation, abs=0.03)
    assert drawn["extra_cost"].mean() == pytest.approx(900, abs=1) and drawn["extra_cost"].std() == pytest.approx(45, rel=0.02)
    with pytest.raises(ContractError, match="correlation"):
        draw_plane(effect(), case().cost, draws=DRAWS, seed=4, correlation=1.0)


def test_days_that_are_possible_come_from_the_comparison_pupils():
    cohort = pd.DataFrame({"analysed": [True, True, True, False], "mentor_school": [False, False, True, False], "followup_possible": [200, 100, 500, 900],
                           "followup_absent": [40, 20, 400, 900]})
    # Two pupils: 150 sessions possible and 30 absent each on average, in half days
    assert feasible_days(cohort) == (-60.0, 15.0)
    with pytest.raises(UnidentifiedError, match="no comparison pupil"):
        feasible_days(cohort.assign(analysed=False))


def test_models_are_set_on_no_frontier_without_costs_of_their_own_and_effects_against_usual_support():
    costs = pd.DataFrame({"breakdown": ["delivery_model", "delivery_model", "total"], "group": ["shared by all", "outreach", "all"]})
    models = pd.DataFrame({"delivery_model": ["outreach", "school based"], "result": ["compared, not allocated at random", "refused"]})
    said = frontier_sentence(costs, models)
    assert "no cost is recorded for school based alone" in said and "not with usual support" in said
    assert "could be compared with another" in frontier_sentence(costs, models.assign(result="refused"))
    assert "only one delivery model" in frontier_sentence(costs, models.iloc[:1])
