"""Figures of design and impact: they draw what they are given, and their descriptions carry its numbers."""

import pandas as pd

from evaluation.reporting.figures.design import (
    balance_label, flow_alt, flow_figure, love_alt, love_figure, overlap_alt, overlap_figure, return_alt, return_figure,
)
from evaluation.reporting.figures.impact import estimates_alt, estimates_figure, event_study_alt, event_study_figure

FLOW = pd.DataFrame({
    "group": ["schools with mentors"] * 3 + ["comparison schools"] * 2, "position": [1, 2, 3, 1, 2],
    "step": ["on roll in the study", "never met the rule after the area opened", "analysed: eligible", "on roll in the study", "analysed: eligible"],
    "kind": ["kept", "left out", "kept", "kept", "kept"], "pupils": [1200, 700, 500, 1100, 450]})
BALANCE = pd.DataFrame({
    "position": [1, 2, 3], "covariate": ["window_absence_rate", "fsm", "absence rate, half-term -2"],
    "role": ["eligibility window, not a target", "matched on", "baseline, not matched on"], "smd_before": [0.5, 0.31, 0.4], "smd_after": [0.02, -0.04, 0.09]})
GAPS = pd.DataFrame({"event_time": [-2, 0, 2], "role": ["baseline", "eligibility window", "follow-up"], "estimate": [0.1, 0.3, -1.6],
                     "conf_low": [-0.5, -0.4, -2.6], "conf_high": [0.7, 1.0, -0.6]})
ESTIMATES = pd.DataFrame({
    "estimate_id": ["one", "two"], "estimand": ["B", "A"], "level": ["referred", "eligible"], "design": "within_area",
    "method": ["matched", "same rule, no matching"], "scale": "percentage points of sessions", "estimate": [1.6, 0.2], "conf_low": [0.4, -0.5],
    "conf_high": [2.8, 0.9], "headline": [True, True]})


def words(figure) -> str:
    return " ".join(text.get_text().replace("\n", " ") for axes in figure.axes for text in [*axes.texts, *axes.get_yticklabels(), axes.xaxis.label])


def test_flow_draws_every_step_with_its_number():
    said = words(flow_figure(FLOW))
    for number in ("1,200", "700", "500", "1,100", "450"):
        assert number in said
    assert "from 1,200 pupils to 500 analysed" in flow_alt(FLOW)


def test_losses_between_two_steps_share_a_box_with_their_sum_and_arms_stand_step_beside_step():
    more = pd.DataFrame({"group": "schools with mentors", "position": [2.5, 4], "step": ["left early", "referred"], "kind": ["left out", "of these"], "pupils": [0, 60]})
    axes = flow_figure(pd.concat([FLOW, more], ignore_index=True)).axes[0]
    boxes = [text.get_text() for text in axes.texts]
    assert sum("Left out: 700" in text for text in boxes) == 1 and any("never met" in text and "left early: 0" in text for text in boxes)
    assert any(text.startswith("Of these") and "referred: 60" in text for text in boxes)
    tops = {text.get_text(): text.get_position()[1] for text in axes.texts if text.get_text().startswith("Analysed")}
    assert len(tops) == 2 and len(set(tops.values())) == 1


def test_overlap_and_return_say_their_numbers():
    bins = pd.DataFrame({"score_from": [-2.0, -1.0], "score_to": [-1.0, 0.0], "referred": [0.0, 100.0], "comparison": [75.0, 25.0], "matched": [0.0, 100.0],
                         "referred_pupils": [0, 4], "comparison_pupils": [9, 3], "matched_pupils": [0, 4]})
    assert "100.0% of pupils referred and 25.0% of eligible pupils" in overlap_alt(bins)
    assert overlap_figure(bins, label="Score").axes[0].get_xlabel() == "Score"
    returns = pd.DataFrame({"event_time": [-2, 0, 2], "mean_all": [8.0, 8.0, 8.1], "predicted": [14.0, 20.0, 14.2], "seen": [13.0, 20.0, 13.3], "seen_first": [7.0, 16.0, 11.4]})
    assert "stand at 20.0% in the window" in return_alt(returns) and "predicts 14.2%" in return_alt(returns) and "11.4% among first entries" in return_alt(returns)
    assert len(return_figure(returns).axes[0].lines) == 5


def test_love_plot_marks_what_was_no_target():
    assert [balance_label(row).endswith("*") for _, row in BALANCE.iterrows()] == [True, False, True]
    assert "Free school meals" in words(love_figure(BALANCE))
    assert "reach 0.31" in love_alt(BALANCE) and "after matching, 0.04" in love_alt(BALANCE) and "0.09 after matching" in love_alt(BALANCE)
    assert "baseline" not in love_alt(BALANCE.iloc[:2]) and "on what was matched on" not in love_alt(BALANCE.iloc[[0, 2]]), "no word of rows that are not drawn"


def test_event_study_draws_every_interval():
    axes = event_study_figure(GAPS).axes[0]
    assert sorted(round(float(point), 1) for line in axes.lines[1:] for point in line.get_ydata()) == [-1.6, 0.1, 0.3]
    assert "below zero means that referred pupils were absent less" in event_study_alt(GAPS)


def test_truth_is_drawn_only_where_there_is_one():
    truth = pd.DataFrame({"estimate_id": ["one", "two"], "truth": [1.4, 0.3]})
    labels = [line.get_label() for line in estimates_figure(ESTIMATES, truth).axes[0].lines]
    assert "Truth of the simulation" in labels
    assert "Truth of the simulation" not in [line.get_label() for line in estimates_figure(ESTIMATES, truth.head(0)).axes[0].lines]
    assert "1.6, 0.4 to 2.8" in estimates_alt(ESTIMATES)


def test_alternative_texts_name_numbers():
    from evaluation.reporting.figures.delivery import dose_alt, reach_alt
    from evaluation.reporting.figures.registers import absence_bands_alt, completeness_alt, mark_mix_alt
    from evaluation.reporting.figures.value import cost_alt, plane_alt

    areas = pd.DataFrame({"area_name": ["Here", "There"], "completeness": [99.9, 99.1], "lowest": [99.0, 97.4]})
    assert "97.4%, in There" in completeness_alt(areas, 98.0) and "below 98%: 1" in completeness_alt(areas, 98.0)
    mix = pd.DataFrame({"authorised": [5.0, 7.04], "unauthorised": [3.0, 4.0], "part_time": [0.0, 0.4]})
    assert "authorised from 5.0% to 7.0%" in mark_mix_alt(mix) and "part-time timetable (C2) from 0.0% to 0.4%" in mark_mix_alt(mix)
    bands = pd.DataFrame({"academic_year": ["2022/23", "2023/24"], "band": ["Below 5%", "Below 5%"], "share": [45.8, 49.3]})
    assert "In 2023/24, of all pupils: below 5%: 49%" in absence_bands_alt(bands)
    reach = pd.DataFrame([{"area_name": "Here", "referred": 176, "consented": 152, "started": 127, "completed": 119}])
    assert "Here 176, 152, 127, 119" in reach_alt(reach)
    dose = pd.DataFrame({"delivery_model": ["a", "a", "b"], "median_meetings_kept": [10.0, 10.5, 11.0]})
    assert "for a from 10.0 to 10.5; for b from 11.0 to 11.0" in dose_alt(dose)
    costs = pd.DataFrame({"group": ["travel", "mentor pay"], "per_pupil_referred": [46.0, 565.0]})
    assert "mentor pay £565; travel £46; total £611" in cost_alt(costs, denominator="referred")
    plane = pd.DataFrame({"quadrant": ["more days, more cost"] * 3 + ["fewer days, more cost"], "extra_days": [2.0, 2.0, 2.0, -2.0], "extra_cost": [900.0] * 4})
    assert "1.0 extra days cost £900; 75% of draws have more days" in plane_alt(plane)
