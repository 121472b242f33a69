"""The trial's headline: fixed order, registered wording, and no number where none can be stood behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from types import SimpleNamespace

import pandas as pd
import pytest

from evaluation.impact.estimates import DAYS, POINTS
from evaluation.impact.verdict import IMPROVED, NOT_ESTIMATED, UNCLEAR, WORDINGS, WORSENED
from evaluation.reporting.headline import ITEM_TITLES
from evaluation.reporting.trial_headline import largest_threat, trial_headline, truth_sentence, verdict_of, why_before_and_after_misleads
from evaluation.reporting.trial_sentences import REFERRED
from evaluation.reporting.trial_threats import explained_away, threats

KEYS = {("B", "referred"): "B_referred_within_area_matched", ("A", "referred"): "A_referred_within_area_per_referred",
        ("A", "eligible"): "A_eligible_within_area_same_rule", ("B", "started"): "B_started_within_area_matched"}  # fmt: skip


@dataclass
class Rules:
    """Registered criteria of the report."""

    break_even_scenario: str = "base case"
    continue_probability: float = 0.5
    expand_probability: float = 0.8
    stop_probability: float = 0.2
    security_design_ceiling: int = 4
    security_attrition_bands: tuple = (0.1, 0.2, 0.3, 0.4, 0.5)
    disclosure: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(profile="srs", changes=None))


def protocol(**changes) -> SimpleNamespace:
    values = {
        "study": "attendance_mentors_trial", "protocol_version": "1.0", "registered_on": date(2026, 11, 21), "report_kind": "interim",
        "amendments": (), "cohort": SimpleNamespace(measured_length=3), "impact": SimpleNamespace(confidence_level=0.95), "report": Rules(),
        "value_for_money": SimpleNamespace(perspective="public_sector", denominator="referred", estimand_by_denominator={"referred": "B"}, study_periods=["2022/23", "2024/25"]),
    }  # fmt: skip
    return SimpleNamespace(**{**values, **changes})


def estimates(days: dict) -> pd.DataFrame:
    """Leading rows in days and points: (estimand, level) -> (estimate, low, high) in days."""
    rows = []
    for (estimand, level), values in days.items():
        for scale, word, factor in ((DAYS, "days", 1.0), (POINTS, "points", 1.25)):
            estimate, low, high = (factor * value for value in values)
            rows.append({"estimate_id": f"{KEYS[estimand, level]}_{word}", "estimand": estimand, "level": level, "scale": scale, "estimate": estimate,
                         "conf_low": low, "conf_high": high, "conf_level": 0.95, "headline": True})  # fmt: skip
    return pd.DataFrame(rows)


def diagnostics(wording: str = UNCLEAR, reason: str = "the interval includes zero", *, lead: str = "B") -> pd.DataFrame:
    rows = [("study", "verdict", 3.0, wording), ("study", "verdict_reason", None, reason),
            ("study", "lead_estimand", 1.0 if lead == "A" else 0.0, "the effect on referred pupils leads, and depends on how pupils were chosen")]  # fmt: skip
    for key in KEYS.values():
        rows += [(key, "change_treated", 2.0, "x"), (key, "change_comparison", -1.1, "x"), (key, "smallest_detectable_days", 1.6, "at 80% power")]
    return pd.DataFrame(rows, columns=["analysis", "item", "value", "text"])


def checks(*failed: str, names: tuple[str, ...] = ("between_areas_agrees", "same_rule_agrees", "offer_does_not_contradict")) -> pd.DataFrame:
    """Registered checks, and one that is not."""
    rows = [(name, True, name not in failed, 0.5, "points", "said") for name in names]
    return pd.DataFrame([*rows, ("beside", False, False, None, None, "shown beside")], columns=["name", "registered", "passed", "value", "unit", "text"])


def severe(estimate: float | None = 2.0, low: float | None = -1.0, high: float | None = 5.0, analysis: str = "B_referred_within_area") -> pd.DataFrame:
    rows = [(analysis, "severity", "severe", estimate, low, high, 41, 80), (analysis, "severity", "persistent", 1.0, 0.0, 2.0, 300, 500)]
    return pd.DataFrame(rows, columns=["analysis", "subgroup", "group", "estimate", "conf_low", "conf_high", "n_treated", "n_comparison"])


def tables(**changes) -> dict[str, pd.DataFrame]:
    values = {
        "estimates": estimates({("B", "referred"): (1.2, -0.3, 2.7), ("A", "eligible"): (0.2, -0.1, 0.5), ("A", "referred"): (0.9, -2.0, 3.8),
                                ("B", "started"): (1.6, -0.4, 3.6)}),
        "impact_diagnostics": diagnostics(),
        "robustness_checks": checks(),
        "cohort_flow": pd.DataFrame([(REFERRED, 1, "analysed: referred", "kept", 420, 19), ("comparison schools", 1, "analysed", "kept", 1500, 20)],
                                    columns=["group", "position", "step", "kind", "pupils", "schools"]),
        "attrition": pd.DataFrame([(REFERRED, True, 42, 462)], columns=["group", "lost", "pupils", "of_pupils"]),
        "delivery_reach": pd.DataFrame([{"level": "programme", "eligible": 1600, "referred": 480, "started": 340, "completed": 300,
                                         "share_started": 0.7, "schools": 20}]),
        "costs_by_perspective": pd.DataFrame([{"perspective": "public_sector", "breakdown": "total", "group": "all", "per_pupil_started": 1400.0,
                                               "per_pupil_referred": 900.0, "price_base": "2022/23", "basis": "planned", "of_which_vat": None}]),
        "appraisal": pd.DataFrame([
            {"perspective": "public_sector", "denominator": "referred", "scenario": "base case", "measure": measure, "value": value, "conf_low": None,
             "conf_high": None, "conf_level": 0.95, "set_form": None, "withheld": None, "standing": "judgement", "unit": "x", "headline": True,
             "cost_basis": "planned"}
            for measure, value in (("value_per_day", 100.0), ("probability_breaking_even", 0.3))]),
    }  # fmt: skip
    return {**values, **changes}


def said(frame: pd.DataFrame) -> dict[str, str]:
    return dict(zip(frame["key"], frame["text"], strict=True))


def test_the_ten_items_stand_in_their_order():
    frame = trial_headline(tables(), protocol(), label="simulated")
    assert [key for key in frame["key"] if key in ITEM_TITLES] == list(ITEM_TITLES)
    assert list(frame["position"]) == list(range(1, len(frame) + 1))
    effects = [key for key in frame["key"] if key.startswith(("effect", "counterfactual"))]
    assert effects == ["effect", "effect_lead", "effect_eligible", "effect_started", "counterfactual"]
    numbers = frame.loc[frame["value"].notna()]
    assert numbers["source_table"].notna().all() and numbers["source_key"].notna().all()


def test_an_interval_that_includes_zero_is_never_no_effect():
    text = said(trial_headline(tables(), protocol(), label="simulated"))
    assert text["verdict"] == "No clear evidence either way"
    assert "1.2 more days per pupil over the 3 half-terms measured" in text["effect"]
    assert "95% interval \u22120.3 to 2.7; 1.5 percentage points" in text["effect"]
    assert "anything from 0.3 fewer to 2.7 more days" in text["effect"]
    assert not any("no effect" in sentence.lower() for key, sentence in text.items() if key != "counterfactual")


def test_an_improvement_states_no_doubt_that_its_interval_does_not_hold():
    better = tables(estimates=estimates({("B", "referred"): (1.2, 0.4, 2.0)}), impact_diagnostics=diagnostics(IMPROVED, "all pass"))
    text = said(trial_headline(better, protocol(), label="restricted"))
    assert text["verdict"] == IMPROVED and "fit anything" not in text["effect"]
    assert text["label"].startswith("Restricted")


def test_how_many_checks_hold_and_which_do_not_stand_beside_the_verdict():
    better = tables(estimates=estimates({("B", "referred"): (1.2, 0.4, 2.0)}), impact_diagnostics=diagnostics(IMPROVED, "all pass"))
    frame = trial_headline(better, protocol(), label="simulated")
    text = said(frame)
    assert list(frame["key"])[1:4] == ["verdict", "verdict_checks", "verdict_not_included"]
    assert "3 registered checks: all hold." in text["verdict_checks"] and "Not holding" not in text["verdict_checks"]
    assert "a placebo cohort" in text["verdict_not_included"] and "has not passed it" in text["verdict_not_included"]
    whole = tables(robustness_checks=checks("same_rule_agrees", names=("same_rule_agrees", "placebo_cohort", "negative_controls")))
    doubt = said(trial_headline(whole, protocol(), label="simulated"))
    assert "3 registered checks: 2 hold, 1 does not hold. Not holding: compared with all who met the same rule" in doubt["verdict_checks"]
    assert "verdict_not_included" not in doubt
    none = said(trial_headline(tables(impact_diagnostics=diagnostics(NOT_ESTIMATED, "why")), protocol(), label="simulated"))
    assert "verdict_checks" not in none and "verdict_not_included" not in none


def test_greatest_need_is_their_own_effect_with_its_interval_and_number():
    row = trial_headline(tables(subgroups=severe()), protocol(), label="simulated").set_index("key").loc["greatest_need"]
    assert row["text"] == ("2.0 points higher attendance among 41 referred pupils who missed half of their sessions or more when chosen, set beside 80 like them "
                           "(95% interval \u22121.0 to 5.0). No clear evidence either way.")  # fmt: skip
    assert (row["value"], row["conf_low"], row["conf_high"], row["source_table"]) == (2.0, -1.0, 5.0, "subgroups")


@pytest.mark.parametrize(("subgroups", "start"), [
    (None, "The effect on severely absent pupils is not estimated in this run"),
    (severe(None, None, None), "Too few to say: 41 referred pupils"),
    (severe(2.0, None, None), "Too few to say: 41 referred pupils"),
    (severe(analysis="A_eligible_within_area"), "No referred pupil who could be analysed"),
])  # fmt: skip
def test_greatest_need_never_borrows_another_number(subgroups, start):
    more = {} if subgroups is None else {"subgroups": subgroups}
    row = trial_headline(tables(**more), protocol(), label="simulated").set_index("key").loc["greatest_need"]
    assert row["text"].startswith(start) and row["text"].endswith("The effect above must not be read as theirs.") and pd.isna(row["conf_low"])


@pytest.mark.parametrize("label", ["simulated", "published", "restricted"])
@pytest.mark.parametrize("estimate", [None, 2.0])
def test_a_count_below_the_threshold_of_the_registered_profile_stands_in_no_sentence(label, estimate):
    few = severe(estimate, None if estimate is None else -1.0, None if estimate is None else 5.0)
    few.loc[0, ["n_treated", "n_comparison"]] = [9, 18]
    row = trial_headline(tables(subgroups=few), protocol(), label=label).set_index("key").loc["greatest_need"]
    assert row["text"] == ("Too few to say: fewer than 10 referred pupils who missed half of their sessions or more when chosen. The effect above must not be read as theirs."), "18 partners would tell 9"
    assert pd.isna(row["value"]) and pd.isna(row["conf_low"])
    few.loc[0, ["n_treated", "n_comparison"]] = [10, 9]
    assert "10 referred pupils" in (text := said(trial_headline(tables(subgroups=few), protocol(), label=label))["greatest_need"]) and "fewer than 10 like them" in text
    own = protocol(report=Rules(disclosure=SimpleNamespace(profile="dfe_absence", changes=None)))
    assert "9 like them" in said(trial_headline(tables(subgroups=few), own, label=label))["greatest_need"]


def test_a_check_too_imprecise_to_say_is_told_and_never_counted_as_holding():
    vague = checks()
    vague.loc[1, ["passed", "text"]] = [False, "same rule: too imprecise to say"]
    text = said(trial_headline(tables(robustness_checks=vague), protocol(), label="simulated"))["verdict_checks"]
    assert "3 registered checks: 2 hold, none fails, 1 is too imprecise to say. Too imprecise to say whether: compared with all" in text
    limits = pd.DataFrame([(1, "a", True, "First limit."), (2, "choice_of_pupils", True, "Chosen.")], columns=["position", "rule", "triggered", "text"])
    lines = threats(vague, limits).split("\n")
    assert lines[0] == "- Chosen." and lines[1].startswith("- Too imprecise to say whether: compared") and "(found 0.50 points)" in lines[1] and lines[2] == "- First limit."


def test_threats_name_failed_checks_with_what_they_found_first():
    limits = pd.DataFrame([(1, "a", True, "First limit."), (2, "b", True, "Second limit."), (3, "c", False, "Need not be stated.")], columns=["position", "rule", "triggered", "text"])
    text = threats(checks("same_rule_agrees"), limits)
    lines = text.split("\n")
    assert lines[0].startswith("- Compared with all who met the same rule") and "this does not hold (found 0.50 points)." in lines[0]
    assert lines[1:] == ["- First limit.", "- Second limit."]
    assert threats(checks(), limits, most=1) == "- First limit."
    assert "not proof that there is none" in threats(checks(), limits.iloc[2:])
    assert "no check of one was made" in threats(checks().iloc[:0], limits.iloc[:0])


def chosen(points: float = 1.05, first: float = 0.2, bias: float | None = -0.62) -> pd.DataFrame:
    rows = [(f"B_referred_{design}_matched", reaches, value, 0.1234, "placebo start", bias)
            for design in ("within_area", "between_areas") for reaches, value in (("the estimate is zero", points), ("the interval first includes zero", first))]  # fmt: skip
    return pd.DataFrame(rows, columns=["analysis", "reaches", "points", "share_of_sd", "placebo", "placebo_bias"])


def test_the_choice_of_pupils_that_would_explain_the_effect_away_is_said_where_that_effect_leads():
    text = explained_away(chosen(1.3), diagnostics())
    assert "even without a mentor, come out 1.3 points better than that of similar pupils (0.12 of a standard deviation of such changes)" in text
    assert "; 0.2 points would let the interval include zero; " in text and "was 0.6 points (placebo start, the other way)." in text
    assert "was 0.6 points (placebo start)." in explained_away(chosen(bias=0.62), diagnostics())
    worse = explained_away(chosen(-2.0, 0.0), diagnostics())
    assert "come out 2.0 points worse" in worse and "the interval includes zero as it is" in worse and "(placebo start)." in worse
    assert "no placebo gave a number" in explained_away(chosen(bias=None), diagnostics())
    assert explained_away(chosen(), diagnostics(lead="A")) == "" == explained_away(chosen().iloc[:0], diagnostics())


def test_every_effect_names_its_window_and_what_its_interval_leaves_open():
    text = said(trial_headline(tables(), protocol(), label="simulated"))
    for key in ("effect", "effect_eligible", "effect_started"):
        assert "over the 3 half-terms measured" in text[key]
    assert "No clear evidence either way." in text["effect_eligible"] and "No clear evidence" in text["effect_started"]


def test_fewer_days_are_called_fewer():
    worse = tables(estimates=estimates({("B", "referred"): (-1.2, -2.0, -0.4)}), impact_diagnostics=diagnostics(WORSENED, "below zero"))
    text = said(trial_headline(worse, protocol(), label="simulated"))
    assert "attended 1.2 fewer days" in text["effect"] and "95% interval \u22122.0 to \u22120.4" in text["effect"]


def test_a_fragile_estimate_prints_no_effect_and_nothing_worked_out_from_one():
    reason = "inference is fragile: 3 schools with mentors where at least 5 are needed"
    frame = trial_headline(tables(impact_diagnostics=diagnostics(NOT_ESTIMATED, reason)), protocol(), label="simulated")
    text = said(frame)
    assert text["verdict"] == f"Cannot be estimated: {reason}"
    assert text["effect"] == f"No effect is stated: {reason}."
    assert "cannot be said" in text["money_effect"] and "criteria can be applied" in text["so_what"]
    assert not set(frame["source_table"].dropna()) & {"estimates", "appraisal"}
    assert [key for key in frame["key"] if key in ITEM_TITLES] == [key for key in ITEM_TITLES if key != "counterfactual"]


def test_a_formative_run_has_a_headline_without_effects():
    left_out = {name: tables()[name].iloc[:0] for name in ("estimates", "impact_diagnostics", "appraisal", "costs_by_perspective")}
    text = said(trial_headline(tables(**left_out), protocol(report_kind="formative"), label="simulated"))
    assert text["verdict"].startswith("Cannot be estimated: this formative run") and text["label"].endswith("Formative report.")
    assert "effects were not estimated" in text["money"]


def test_the_offer_leads_where_the_registered_rule_says_so():
    text = said(trial_headline(tables(impact_diagnostics=diagnostics(lead="A")), protocol(), label="simulated"))
    assert "0.9 more days" in text["effect"]
    assert "attendance of all eligible pupils" in text["counterfactual"]
    assert "values the effect on pupils referred, which does not lead here" in text["money_effect"], "money never follows another effect than the one that leads"
    assert "which does not lead here" in text["so_what"] and "money_per_day" not in text


def test_before_and_after_never_stands_alone():
    text = said(trial_headline(tables(), protocol(), label="simulated"))["counterfactual"]
    assert "rose by 2.0 points" in text and "fell by 1.1 points" in text and "alone is no effect" in text


@pytest.mark.parametrize("failed", ["between_areas_agrees", "same_rule_agrees"])
def test_the_largest_threat_is_a_failed_check_first(failed):
    assert "check failed" in largest_threat(checks(failed), diagnostics())
    assert "reasons that the registers do not hold" in largest_threat(checks(), diagnostics())
    assert "not referred" in largest_threat(checks(), diagnostics(lead="A"))


def test_amendments_after_outcomes_are_counted():
    changes = (SimpleNamespace(outcomes_seen=True), SimpleNamespace(outcomes_seen=False))
    text = said(trial_headline(tables(), protocol(amendments=changes), label="simulated"))["provenance"]
    assert "2 changes since registration, 1 of them after outcomes were seen" in text


def test_every_wording_is_one_of_the_registered_five():
    for wording in WORDINGS:
        assert verdict_of(diagnostics(wording)) == (wording, "the interval includes zero")
    assert verdict_of(diagnostics().iloc[:0])[0] == NOT_ESTIMATED


def test_why_before_and_after_misleads_is_said_in_two_sentences_from_the_numbers():
    arms = pd.DataFrame({"event_time": [-1, 0, 4], "mentored": [8.0, 18.2, 8.9], "comparison": [8.0, 18.0, 10.9]})
    text = why_before_and_after_misleads(arms, tables()["estimates"], diagnostics())
    assert "missed 18.2% of sessions and similar pupils 18.0%; 4 half-terms later they missed 8.9% and 10.9%" in text
    assert "rose by 2.0 points, which alone would look like success" in text and "fell by 1.1 points: only the difference" in text
    assert len([part for part in text.split(". ") if part]) == 2
    assert "none is shown" in why_before_and_after_misleads(arms.iloc[:1], tables()["estimates"].iloc[:0], diagnostics().iloc[:0])


@pytest.mark.parametrize(("covered", "words"), [(True, "holds the truth"), (False, "does not hold the truth")])
def test_estimate_against_truth(covered, words):
    truth = pd.DataFrame([{"estimate_id": f"{KEYS['B', 'referred']}_days", "truth": 1.9, "estimate": 1.2, "conf_low": -0.3, "conf_high": 2.7,
                           "covered": covered}])  # fmt: skip
    text = truth_sentence(truth, tables()["estimates"], diagnostics())
    assert "is 1.9 days over the half-terms measured" in text and words in text
    assert "no truth" in truth_sentence(truth.iloc[:0], tables()["estimates"], diagnostics())
