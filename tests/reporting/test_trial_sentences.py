"""Sentences on reach, money and security say what their rows say, and no more."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd
import pytest

from evaluation.errors import ContractError
from evaluation.reporting import trial_money, trial_sentences
from evaluation.reporting.headline import HeadlineRow, headline_frame


@dataclass
class Rules:
    """Registered criteria."""

    break_even_scenario: str = "base case"
    continue_probability: float = 0.5
    expand_probability: float = 0.8
    stop_probability: float = 0.2
    security_design_ceiling: int = 4
    security_attrition_bands: tuple = (0.1, 0.2, 0.3, 0.4, 0.5)


def appraisal(measures: dict, *, denominator: str = "referred", headline: bool = True) -> pd.DataFrame:
    """Rows of the table appraisal: (scenario, measure) -> column values."""
    empty = {"value": None, "conf_low": None, "conf_high": None, "set_form": None, "withheld": None, "standing": None, "unit": "x",
             "cost_basis": "planned"}
    rows = [
        {"perspective": "public_sector", "denominator": denominator, "scenario": scenario, "measure": measure, "conf_level": 0.95,
         "headline": headline, **empty, **values}
        for (scenario, measure), values in measures.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


COSTS = pd.DataFrame([
    {"perspective": "public_sector", "breakdown": "total", "group": "all", "per_pupil_started": 1400.4, "per_pupil_referred": 900.0,
     "price_base": "2022/23", "basis": "planned", "of_which_vat": None},
    {"perspective": "society", "breakdown": "total", "group": "all", "per_pupil_started": 1.0, "per_pupil_referred": 1.0,
     "price_base": "2022/23", "basis": "planned", "of_which_vat": None},
])  # fmt: skip

WITHHELD = "The 95% interval of the effect (-0.30 to 2.70 days) includes zero, so a single ratio could be any size and either sign"


def text_of(rows: list[HeadlineRow]) -> dict[str, str]:
    return {row.key: row.text for row in rows}


def test_a_withheld_cost_per_day_gives_the_reason_and_no_amount():
    table = appraisal({
        ("any", "cost_per_extra_day"): {"withheld": WITHHELD, "set_form": "outside", "conf_low": -3000.0, "conf_high": 330.0},
        ("base case", "value_per_day"): {"value": 100.0, "standing": "judgement"},
        ("base case", "net_benefit"): {"value": -780.0, "conf_low": -930.0, "conf_high": -630.0},
        ("base case", "probability_breaking_even"): {"value": 0.013},
    })  # fmt: skip
    said = text_of(trial_money.money(table, COSTS, "public_sector", "referred", "base case"))
    assert "£1,400 for each pupil who started (£900 for each referred)" in said["money"]
    assert said["money"].startswith("Planned cost: £1,400") and said["money"].endswith("VAT not recorded: amounts are without it.")
    outturn = text_of(trial_money.money(table, COSTS.assign(basis="outturn", of_which_vat=10.0), "public_sector", "referred", "base case"))["money"]
    assert outturn.startswith("Outturn cost: £1,400") and "VAT as far as it is recorded" in outturn
    assert said["money_per_day"].startswith("No single cost per extra day is given: the 95% interval of the effect (\u22120.30 to 2.70 days)")
    assert "£330 or more" in said["money_per_day"] and "\u2212£3,000 or less" in said["money_per_day"]
    assert "worth £100 (a planning choice)" in said["money_net_benefit"]
    assert "\u2212£780 (95% interval \u2212£930 to \u2212£630)" in said["money_net_benefit"]
    assert said["money_break_even"] == "At £100 a day, the probability of breaking even is 1%."


def test_a_cost_per_day_is_given_with_its_interval_when_it_may_be():
    table = appraisal({("any", "cost_per_extra_day"): {"value": 450.0, "conf_low": 300.0, "conf_high": 900.0, "set_form": "interval"}})
    said = text_of(trial_money.money(table, COSTS, "public_sector", "referred", "base case"))
    assert said["money_per_day"] == "Each extra day attended over the half-terms measured cost £450, at planned cost (95% interval £300 to £900)."


def test_a_causal_share_carries_its_standing_and_an_impossible_one_is_left_out():
    def said(value):
        standing = {"standing": "S2, association times a judged causal share"}
        table = appraisal({
            ("earnings, causal share", "value_per_day"): {"value": 375.0, **standing},
            ("earnings, causal share", "probability_breaking_even"): {"value": 0.5},
            ("earnings, causal share uncertain", "probability_breaking_even"): {"value": 0.31},
            ("earnings, causal share", "break_even_causal_share"): {"value": value, "set_form": "interval", "conf_low": 0.25, "conf_high": 1.4, **standing},
            ("earnings, all causal", "value_per_day"): {"value": 750.0, **standing},
        })  # fmt: skip
        return text_of(trial_money.money(table, COSTS, "public_sector", "referred", "earnings, causal share"))["money_break_even"]

    assert said(0.4).startswith("Counting £375 of lifetime earnings for an extra day (50% of the £750 associated with a day, from a secondary source")
    assert "the link may not be causal" in said(0.4) and "if 40% (95% set 25% to 140%) of the association" in said(0.4) and "from a secondary source, not verified" in said(0.4)
    assert "is 50% with that share held fixed, and 31% with any share in its registered range as likely as another" in said(0.4)
    assert all("It would break even" not in said(value) for value in (1.4, -0.2, None))


def test_money_without_an_effect_says_so():
    empty = appraisal({("any", "cost_per_extra_day"): {}}).iloc[:0]
    said = text_of(trial_money.money(empty, COSTS, "public_sector", "referred", "base case"))
    assert "effects were not estimated" in said["money_effect"]
    assert "effects were not estimated" in text_of(trial_money.so_what("", empty, Rules()))["so_what"]


@pytest.mark.parametrize(
    ("verdict", "probability", "met"),
    [
        ("Attendance improved", 0.9, {"so_what", "so_what_expand"}),
        ("Attendance improved", 0.6, {"so_what"}),
        ("Promising, not secure", 0.9, {"so_what", "so_what_change"}),
        ("No clear evidence either way", 0.3, {"so_what_change"}),
        ("No clear evidence either way", 0.1, {"so_what_stop"}),
        ("Attendance worsened", 0.6, {"so_what_stop"}),
    ],
)
def test_options_follow_the_registered_criteria(verdict, probability, met):
    rows = trial_money.so_what(verdict, appraisal({("base case", "probability_breaking_even"): {"value": probability}}), Rules())
    assert {row.key for row in rows if ": criterion met (" in row.text} == met
    assert rows[-1].text == f"The probability of breaking even is {100 * probability:.0f}%; the thresholds are planning choices. The Department decides."
    headline_frame(rows)


def test_an_improvement_that_does_not_repay_its_cost_is_said_beside_the_options():
    rows = trial_money.so_what("Attendance improved", appraisal({("base case", "probability_breaking_even"): {"value": 0.1}}), Rules())
    assert "probably did not repay its cost" in rows[-1].text and rows[-1].text.endswith("The Department decides.")


def test_break_even_days_stand_beside_the_days_measured():
    table = appraisal({
        ("any", "extra_days"): {"value": 1.95, "conf_low": -0.3, "conf_high": 3.0},
        ("base case", "break_even_days"): {"value": 9.77}, ("base case", "value_per_day"): {"value": 100.0, "standing": "judgement"},
        ("earnings, causal share", "break_even_days"): {"value": 2.6},
        ("earnings, causal share", "value_per_day"): {"value": 375.0, "standing": "S2, association times a causal share (judgement)"},
    })  # fmt: skip
    said = trial_money.break_even(table, "earnings, causal share")
    assert "9.8 days if a day is worth £100 (a planning choice) or 2.6 days if a day is worth £375 (from a secondary source, not verified)" in said
    assert "for each of the pupils referred over the half-terms measured" in said and "1.9 more (95% interval \u22120.3 to 3.0)" in said
    assert "not estimated" in trial_money.break_even(table.iloc[:0], "base case")


@pytest.mark.parametrize(("lost", "unmatched", "rating"), [(5, 0, 4), (5, 30, 2), (10, 0, 4), (25, 0, 3), (45, 0, 1), (60, 0, 0)])
def test_the_rating_is_capped_by_design_falls_with_attrition_and_stays_provisional(lost, unmatched, rating):
    table = pd.DataFrame({
        "group": ["referred pupils"] * 3 + ["comparison schools"], "lost": [True, True, False, True],
        "pupils": [lost - 2, 2, 30, 3], "of_pupils": [100, 100, 100, 100],
    })  # fmt: skip
    row, behind = trial_sentences.attrition_rating(table, Rules(), unmatched)
    assert row.value == rating and f"at most {rating} of 5" in row.text and f"{lost + unmatched}.0% of referred pupils who entered" in behind.text
    assert "3.0% in comparison schools" in behind.text and "Provisional" in row.text and "indicative" in row.text
    assert "%" not in row.text, "the share may tell how few were lost"


def test_the_arm_that_lost_more_decides_the_rating():
    table = pd.DataFrame({"group": ["referred pupils", "comparison schools"], "lost": [True, True], "pupils": [1, 45], "of_pupils": [100, 100]})
    assert trial_sentences.attrition_rating(table, Rules())[0].value == 1


def test_who_counts_the_last_step_at_which_pupils_go_on():
    flow = pd.DataFrame(
        [("referred pupils", 1, "referrals", "kept", 500, 20), ("referred pupils", 2, "lost", "left out", 80, None),
         ("referred pupils", 3, "analysed: referred", "kept", 420, 19), ("referred pupils", 4, "started", "of these", 330, 19),
         ("comparison schools", 1, "analysed: eligible", "kept", 1500, 20)],
        columns=["group", "position", "step", "kind", "pupils", "schools"],
    )  # fmt: skip
    reach = pd.DataFrame([{"level": level, "eligible": 1600, "referred": 480, "started": 340, "completed": 300, "share_started": 340 / 480, "schools": 20}
                          for level in ("programme", "area", "area")])  # fmt: skip
    said = text_of(trial_sentences.who(flow, reach, 10))
    assert said["who"].endswith("in 20 schools that referred and 2 areas.")
    assert "1,600 pupils met the absence rule" in said["who"] and "480 were referred" in said["who"] and "340 started (71%)" in said["who"]
    assert "420 of the pupils referred, in 19 schools" in said["who_analysed"] and "1,500 who met the same rule in 20 comp" in said["who_analysed"]


    lead = {"estimand": "B", "n_treated": 390, "n_comparison": 700, "schools_treated": 19, "schools_comparison": 15, "unmatched": 30}
    rests = text_of(trial_sentences.who(flow, reach, 10, lead))["who_analysed"]
    assert "rests on 390 of them (30 had no similar pupil) and on 700 similar pupils in 15 comparison schools" in rests
    assert "all 390 eligible pupils" in text_of(trial_sentences.who(flow, reach, 10, {**lead, "estimand": "A"}))["who_analysed"]


def test_few_pupils_are_counted_in_no_sentence():
    reach = pd.DataFrame([{"level": "programme", "eligible": 1600, "referred": 48, "started": 9, "completed": 3, "share_started": 9 / 48, "schools": 20}])
    flow = pd.DataFrame([("referred pupils", 1, "analysed", "kept", 7, 3), ("comparison schools", 1, "analysed", "kept", 1500, 20)],
                        columns=["group", "position", "step", "kind", "pupils", "schools"])  # fmt: skip
    lead = {"estimand": "B", "n_treated": 5, "n_comparison": 12, "schools_treated": 19, "schools_comparison": 15, "unmatched": 2}
    rows = trial_sentences.who(flow, reach, 10, lead)
    said = text_of(rows)
    assert "48 were referred, of whom fewer than 10 started and fewer than 10 completed" in said["who"] and "%" not in said["who"]
    assert "Analysed: fewer than 10 of the pupils referred" in said["who_analysed"] and rows[1].value is None
    assert "rests on fewer than 10 of them (fewer than 10 had no similar pupil) and on 12 similar" in said["who_analysed"]
    assert trial_sentences.count_words(0, 10) == "0" and trial_sentences.count_words(10, 10) == "10"
    assert "too few answered" in trial_sentences.engagement(surveys(pupils=9), RESPONSE, 10)


def test_two_rows_for_one_sentence_are_refused():
    frame = pd.DataFrame({"level": ["programme", "programme"]})
    with pytest.raises(ContractError, match="2 rows"):
        trial_sentences.one_row(frame, "delivery_reach", level="programme")


def test_the_headline_keeps_its_order_and_its_sources():
    with pytest.raises(ContractError, match="order"):
        headline_frame([HeadlineRow("money", "x"), HeadlineRow("effect", "y")])
    with pytest.raises(ContractError, match="repeated"):
        headline_frame([HeadlineRow("money", "x"), HeadlineRow("money", "y")])
    with pytest.raises(ContractError, match="result row"):
        headline_frame([HeadlineRow("effect", "x", 1.0)])
    frame = headline_frame([HeadlineRow("verdict", "x"), HeadlineRow("effect", "y", 1.0, source_table="estimates", source_key="k"),
                            HeadlineRow("effect_started", "z")])  # fmt: skip
    assert list(frame["position"]) == [1, 2, 3] and str(frame["value"].dtype) == "float64"


def test_the_table_with_the_largest_share_of_refused_rows_is_named():
    counts = pd.DataFrame({"table": ["marks", "pupils", "costs"], "rows_read": [1_000_000, 1_000, 10], "rows_rejected": [100, 50, 0],
                           "rejected_share": [0.01, 5.0, 0.0]})  # fmt: skip
    said = trial_sentences.intake(counts)
    assert "refused: 5.00% of the rows of pupils, and no larger share of any other table" in said and "1,0" not in said
    assert trial_sentences.intake(counts.assign(rows_rejected=0)) == "No row of any table broke a rule."
    assert trial_sentences.intake(counts.iloc[:0]) == "No rows were read."


def surveys(**changes) -> pd.DataFrame:
    row = {"scale": "engagement", "what": "pupils who started with a mentor", "pupils": 221, "mean_before": 2.679, "mean_after": 2.891, "estimate": 0.21, "is_effect": False}
    return pd.DataFrame([{**row, **changes}])


RESPONSE = pd.DataFrame([("pupils who started with a mentor", "engagement", 441), ("matched comparison pupils", "engagement", 554)], columns=["arm", "scale", "pupils"])


def test_a_change_among_respondents_is_never_called_an_effect():
    text = trial_sentences.engagement(surveys(), RESPONSE, 10)
    assert "Engagement went from 2.7 to 2.9 among the 221 of 441 pupils who started and answered both times" in text and "No effect on engagement can be told" in text
    assert "No effect" not in trial_sentences.engagement(surveys(is_effect=True), RESPONSE, 10)
    assert "was not measured" in trial_sentences.engagement(surveys(estimate=float("nan")), RESPONSE, 10) and "was not measured" in trial_sentences.engagement(surveys().iloc[:0], RESPONSE.iloc[:0], 10)


def test_models_are_compared_with_the_caution_that_they_were_not_allocated():
    both = pd.DataFrame([("family outreach", 1.81, 0.44, 3.18, 102, 105, 9, "x"), ("school based", -1.81, -3.18, -0.44, 117, 97, 8, "x")],
                        columns=["delivery_model", "estimate", "conf_low", "conf_high", "pupils", "pupils_beside", "schools_beside", "text"])  # fmt: skip
    text = trial_sentences.models(both, 10)
    assert text.startswith("Pupils with the model family outreach did 1.8 points better than those with other models (0.4 to 3.2; set beside 105 pupils with other models in 9 schools).")
    assert "not given to pupils by lot" in text and "school based" not in text
    none = both.assign(estimate=float("nan"), text="Each model has an area of its own")
    assert trial_sentences.models(none, 10) == "Delivery models cannot be compared: each model has an area of its own."
    assert "not compared" in trial_sentences.models(both.iloc[:0], 10)
    assert trial_sentences.models(both.assign(pupils_beside=[9, 97]), 10) == trial_sentences.models(both.assign(pupils=[9, 117]), 10) == "Delivery models are not compared in words: one of them has fewer than 10 pupils."


def test_other_choices_of_analysis_are_told_with_their_range_and_joint_test():
    curve = pd.DataFrame({"estimate": [0.5, 1.0, 1.7, float("nan")]})
    joint = pd.DataFrame([("median effect", 0.012), ("mean t", 0.02)], columns=["statistic", "p_value"])
    text = trial_sentences.other_choices(curve, joint)
    assert text == ("Over 3 registered choices of analysis the effect lies between 0.5 and 1.7 points, half of them at 1.0 or more; 1 more could not be estimated. "
                    "Dealt out anew by chance, mentors would give so large a median in 1.2% of cases.")  # fmt: skip
    assert "so large a median over the 2 that compare schools within areas in 1.2%" in trial_sentences.other_choices(curve, joint.assign(branches=2))
    assert trial_sentences.other_choices(curve, joint.assign(branches=3)) == text
    assert "No other choices" in trial_sentences.other_choices(curve.iloc[:0], joint.iloc[:0])


def test_places_plan_with_the_planning_table_and_flips_are_said_for_both_values_of_a_day():
    places = pd.DataFrame([{"place": "school", "roll": 1000, "persistent_absentees": 265, "severe_absentees": 34, "referred": 16, "starts": 10.2, "mentors": 0.26,
                            "cost": 14_088.0, "extra_days": 15.0, "days_low": 3.0, "days_high": 27.0, "conf_level": 0.95, "valuation": "base case",
                            "value_per_day": 100.0, "break_even_days": 8.8, "probability_breaking_even": 0.001}])
    said = trial_money.planning_lines(places)
    assert said.startswith("- A school with 1,000 pupils") and "£14,088" in said and "95% interval 3 to 27" in said and "below 1%" in said
    assert "without an end" in trial_money.planning_lines(places.assign(days_low=float("nan"), days_high=float("nan")))
    assert "nothing can be planned" in trial_money.planning_lines(places.iloc[:0])
    moved = pd.DataFrame([("net_benefit", "base case", "value of a day", -50.0, 80.0, -10.0), ("net_benefit", "base case", "scale", -12.0, -8.0, -10.0),
                          ("net_benefit", "earnings, causal share", "causal share", -90.0, 300.0, 20.0)],
                         columns=["outcome", "scenario", "input", "at_low", "at_high", "base"])
    flips = trial_money.flips(moved, "earnings, causal share")
    assert "In the base case, at its best estimate, the programme does not pay" in flips and "most easily: value of a day." in flips
    assert "Under “lifetime earnings, the share taken as causal”" in flips, "a scenario by its words, not by its code"
    assert "the programme pays" in flips and "most easily: causal share." in flips
    assert "not estimated" in trial_money.flips(moved.iloc[:0], "base case")


def test_an_interval_without_an_end_is_said_and_not_printed_as_a_number():
    table = appraisal({("base case", "net_benefit"): {"value": -780.0, "conf_low": None, "conf_high": None}, ("base case", "value_per_day"): {"value": 100.0}})
    said = text_of(trial_money.money(table, COSTS, "public_sector", "referred", "base case"))
    assert "95% interval without an end" in said["money_net_benefit"]


def test_the_rows_behind_counts_in_all_give_every_number_of_the_sentence():
    from evaluation.reporting.numbers import numbers_without_rows

    counts = pd.DataFrame({"table": ["a", "b"], "rows_read": [1200, 34], "rows_rejected": [3, 1], "rejected_share": [0.25, 2.94]})
    assert numbers_without_rows(trial_sentences.intake(counts), {"intake_counts": counts}) == []
    curve = pd.DataFrame({"estimate": [0.5, 1.5, 2.5, None]})
    assert trial_sentences.choices_in_all(curve).to_dict("records") == [{"estimated": 3, "not_estimated": 1, "smallest": 0.5, "median": 1.5, "largest": 2.5}]
    tests = pd.DataFrame({"statistic": ["median effect"], "p_value": [0.016]})
    assert numbers_without_rows(trial_sentences.other_choices(curve, tests), {"curve": trial_sentences.choices_in_all(curve), "tests": tests}) == []
