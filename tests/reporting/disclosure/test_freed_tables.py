"""Tables of results that leave: with a small count in a hand-made frame, it is hidden, with everything that would give it back."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from evaluation.registers.dictionary import load_table
from evaluation.reporting.disclosure import PROFILES, Clearance, clear_tables, prove_clearance

ROOT = Path(__file__).resolve().parents[3]


def clear(profile: str = "srs", **rows: list[dict]) -> tuple[dict[str, pd.DataFrame], Clearance]:
    """Hand-made tables under the project's own entries, as they would leave, proved; columns that are not given are empty."""
    frames = {}
    for name, given in rows.items():
        table = load_table(ROOT, name)
        frames[name] = (table, pd.DataFrame(given).reindex(columns=[c.name for c in table.columns]))
    clearance = clear_tables(frames, PROFILES[profile], "restricted")
    assert prove_clearance(clearance) == []
    return {c.table.name: c.frame for c in clearance.cleared}, clearance


def flow(*rows: tuple) -> list[dict]:
    return [dict(zip(("group", "position", "step", "kind", "pupils"), row, strict=True)) for row in rows]


def estimate(key: str, treated: int, comparison: int, unmatched: int = 0) -> dict:
    return {"estimate_id": key, "part": "all stacks", "headline": True, "pupils": treated, "n_treated": treated, "n_comparison": comparison, "unmatched": unmatched, "estimate": 1.0}


def test_caseloads_leave_for_the_programme_alone_and_not_for_a_handful_of_mentors():
    areas = [{"area_code": "E06000002", "area_name": "Middlesbrough", "mentors": 2, "pupils": 112, "without_mentor": 0, "most_at_once": 15, "mean_at_once": 7.1},
             {"area_code": "all", "area_name": "All areas", "mentors": 12, "pupils": 441, "without_mentor": 0, "most_at_once": 16, "mean_at_once": 7.3}]
    shown, _ = clear(delivery_caseload=areas)
    assert shown["delivery_caseload"]["area_code"].tolist() == ["all"] and "most_at_once" not in shown["delivery_caseload"]
    assert shown["delivery_caseload"]["mean_at_once"].tolist() == [7.3]
    few, _ = clear(delivery_caseload=[areas[1] | {"mentors": 4}])
    assert few["delivery_caseload"][["mentors", "mean_at_once"]].isna().all(axis=None)


def test_pupils_without_a_named_mentor_are_hidden_when_few():
    shown, _ = clear(delivery_caseload=[{"area_code": "all", "mentors": 12, "pupils": 437, "without_mentor": 4, "mean_at_once": 7.3}],
                     delivery_dose=[{"area_code": "all", "delivery_model": "all", "pupils": 441, "meetings_arranged": 5000, "meetings_kept": 4000}])
    assert pd.isna(shown["delivery_caseload"]["without_mentor"].iloc[0])
    assert shown["delivery_caseload"]["pupils"].isna().iloc[0] or shown["delivery_dose"]["pupils"].isna().iloc[0], "441 less 437"


def test_diagnostics_of_few_pupils_stay_behind_and_so_do_items_that_count_them():
    lines = [("B_few", "change_treated", -1.5, 8, 500), ("B_many", "change_treated", -1.5, 300, 500), ("B_many", "unmatched", 7.0, 300, 500), ("study", "verdict", 2.0, None, None)]
    shown, _ = clear(impact_diagnostics=[{"analysis": a, "item": i, "value": v, "n_treated": t, "n_comparison": c, "text": "said"} for a, i, v, t, c in lines])
    told = shown["impact_diagnostics"].set_index(["analysis", "item"])["value"]
    assert pd.isna(told["B_few", "change_treated"]) and told["B_many", "change_treated"] == -1.5 and told["study", "verdict"] == 2.0
    assert ("B_many", "unmatched") not in told.index


def test_rows_rejected_are_hidden_when_few_with_what_would_give_them_back():
    rows = [{"table": "referrals", "file": "referrals.parquet", "rows_read": 688, "rows_accepted": 685, "rows_rejected": 3, "rows_collapsed": 0, "rejected_share": 0.44},
            {"table": "marks", "file": "marks.parquet", "rows_read": 13_650_626, "rows_accepted": 13_650_620, "rows_rejected": 6, "rows_collapsed": 0, "rejected_share": 0.0},
            {"table": "pupils", "file": "pupils.parquet", "rows_read": 39_320, "rows_accepted": 39_300, "rows_rejected": 20, "rows_collapsed": 0, "rejected_share": 0.05}]
    shown, _ = clear(intake_counts=rows)
    told = shown["intake_counts"].set_index("table")
    for table in ("referrals", "marks"):
        assert told.loc[table, ["rows_rejected", "rejected_share"]].isna().all() and told.loc[table, ["rows_read", "rows_accepted"]].isna().any()
    assert told.loc["pupils", "rows_rejected"] == 20 and "notes" not in told


def test_pupils_not_referred_do_not_give_the_few_referred():
    shown, _ = clear(cohort_flow=flow(("schools with mentors", 13, "analysed: eligible", "kept", 2961), ("referred pupils", 9, "analysed: referred", "kept", 345)),
                     spillover=[{"comparison": "pupils not referred", "n_treated": 2955, "n_comparison": 2120, "estimate": 0.5},
                                {"comparison": "within schools", "n_treated": 339, "n_comparison": 2348, "estimate": 1.1}])
    eligible, referred = shown["cohort_flow"]["pupils"]
    assert shown["spillover"]["estimate"].tolist() == [0.5, 1.1]
    assert pd.isna(eligible) or pd.isna(shown["spillover"]["n_treated"].iloc[0]), "2961 less 2955"
    assert pd.isna(referred) or pd.isna(shown["spillover"]["n_treated"].iloc[1]), "345 less 339"


def test_an_estimate_without_one_area_leaves_and_one_without_a_school_does_not():
    given = [{"analysis": "B", "left_out": what, "place": place, "n_treated": 258, "n_comparison": 459, "estimate": 1.2} for what, place in (("area", "E06000002"), ("school", "S001"))]
    shown, _ = clear(leave_one_out=given, estimates=[estimate("B_points", 317, 554)])
    assert shown["leave_one_out"]["place"].tolist() == ["E06000002"] and not {"n_treated", "n_comparison"} & set(shown["leave_one_out"])


def test_enrolments_that_began_late_cannot_be_had_by_subtraction():
    names = ("enrolments, every half-term", "official: enrolments, Year 11 without its last half-term", "this study: pupils, every half-term")
    given = [{"academic_year": "2022/23", "definition": n, "units": u, "left_out_late": late, "pooled_rate": 10.5} for n, u, late in zip(names, (13109, 13100, 13095), (0, 9, 0), strict=True)]
    shown, _ = clear(measure_reconciliation=given)
    told = shown["measure_reconciliation"]
    assert told["definition"].tolist() == list(names[1:]) and "left_out_late" not in told and told["pooled_rate"].notna().all()
    assert told["units"].isna().any(), "13100 less 13095"


def test_the_pupil_without_support_in_the_follow_up_is_not_the_thirds_less_the_others():
    thirds = [{"measure": "meetings kept", "group": g, "pupils": n} for g, n in (("lowest third", 65), ("middle third", 75), ("highest third", 79), ("slope", 219))]
    shown, _ = clear(dose_response=thirds, support_timing=[{"part": "in the follow-up", "pupils": 218, "of_pupils": 219, "open_ended": 0}])
    dose = shown["dose_response"].set_index("group")["pupils"]
    assert shown["support_timing"]["pupils"].isna().all() or (dose[["slope"]].isna().all() and dose.drop("slope").isna().any())


def test_sessions_of_the_few_pupils_at_two_schools_cannot_be_had_by_subtraction():
    row = {"area_code": "E06000002", "half_term": 1, "pupils": 2350, "sessions_expected": 136_474, "sessions_marked": 136_358, "sessions_possible": 136_000, "sessions_not_possible": 300,
           "sessions_no_mark": 116, "sessions_c2": 40, "completeness": 99.915, "absence_rate": 9.123456}  # fmt: skip
    told = clear(register_quality=[row])[0]["register_quality"]
    assert not {"sessions_expected", "sessions_marked", "sessions_not_possible", "sessions_no_mark", "sessions_c2"} & set(told)
    assert told["completeness"].tolist() == [99.92] or told["completeness"].tolist() == [99.91]


def test_an_area_outside_a_design_does_not_give_its_few_pupils_without_a_partner():
    areas = [{"analysis": "B_referred_within_area_matched", "subgroup": "area", "group": g, "n_treated": n, "n_comparison": 2 * n, "estimate": 1.0}
             for g, n in (("Doncaster", 130), ("Middlesbrough", 59), ("Salford", 128))]  # fmt: skip
    shown, _ = clear(subgroups=areas, estimates=[estimate("B_referred_within_area_matched_points", 317, 634, 28), estimate("B_referred_between_areas_same_rule_points", 278, 784, 67)],
                     cohort_flow=flow(("referred pupils", 9, "analysed: referred", "kept", 345)))
    told, whole = shown["subgroups"].set_index("group")["n_treated"], shown["estimates"].set_index("estimate_id").loc["B_referred_between_areas_same_rule_points"]
    assert pd.isna(told["Middlesbrough"]) or pd.isna(whole["unmatched"]), "67 less 59"


def test_areas_together_do_not_give_the_few_whom_a_design_without_one_area_has_more():
    areas = [{"analysis": "A_eligible_within_area_risk_weighted", "subgroup": "area", "group": g, "n_treated": n, "n_comparison": n // 2, "estimate": 1.0}
             for g, n in (("Doncaster", 700), ("Knowsley", 669), ("Middlesbrough", 261), ("Salford", 688), ("Stoke-on-Trent", 605))]  # fmt: skip
    shown, _ = clear(subgroups=areas, estimates=[estimate("A_eligible_within_area_risk_weighted_points", 2923, 2004, 19), estimate("A_eligible_between_areas_same_rule_points", 2665, 838, 277)])
    told, whole = shown["subgroups"].set_index("group")["n_treated"], shown["estimates"].set_index("estimate_id").loc["A_eligible_between_areas_same_rule_points"]
    assert told.drop("Middlesbrough").isna().any() or pd.isna(whole["n_treated"]), "2665 less 700 less 669 less 688 less 605"


def test_a_rare_characteristic_is_hidden_in_the_baseline_with_its_share_and_difference():
    line = {"trait": "sen", "referred_pupils": 345, "mentored_pupils": 2961, "comparison_pupils": 2954, "referred": 1.0, "mentored": 2.0, "comparison": 3.0, "referred_difference": 0.1,
            "mentored_difference": 0.1}  # fmt: skip
    levels = [("care plan", 6, 70, 101), ("none", 291, 2448, 2421), ("support", 48, 443, 432)]
    rows = [line | {"characteristic": c, "referred_with": r, "mentored_with": m, "comparison_with": k} for c, r, m, k in levels]
    rows.append(line | {"trait": "idaci", "characteristic": "idaci"})
    told = clear(baseline_table=[row | {"position": place} for place, row in enumerate(rows, start=1)])[0]["baseline_table"].set_index("characteristic")
    assert told.loc["care plan", ["referred_with", "referred", "referred_difference"]].isna().all() and told.loc["care plan", ["mentored", "mentored_difference"]].notna().all()
    assert told.loc[["none", "support"], "referred_with"].isna().any(), "345 less 291 and 48"
    hidden = told["referred_with"].isna() & told["trait"].eq("sen")
    assert told.loc[hidden, ["referred", "referred_difference"]].isna().all(axis=None) and told.loc["idaci", ["referred", "referred_difference"]].notna().all()


def test_a_match_beside_all_referred_pupils_does_not_give_the_few_left_without_a_partner():
    before = {"trait": "fsm", "characteristic": "fsm", "referred_pupils": 345, "mentored_pupils": 2961, "comparison_pupils": 2954, "referred_with": 143, "mentored_with": 1367, "comparison_with": 1162,
              "referred": 41.4}  # fmt: skip
    match = {"design": "within_area", "position": 1, "leading": True, "trait": "fsm", "covariate": "fsm", "treated": 317, "treated_left": 28, "comparison": 554, "comparison_left": 1346, "treated_with": 139,
             "treated_left_with": 4, "comparison_with": 216, "comparison_left_with": 518, "mean_treated": 0.438, "mean_comparison": 0.4, "smd_before": 0.05, "smd_after": 0.08, "ks_before": 0.03, "ks": 0.02}  # fmt: skip
    measure = {k: v for k, v in match.items() if not k.endswith("_with")} | {"trait": "idaci", "covariate": "idaci", "position": 2}
    shown, _ = clear(baseline_table=[before], balance=[match, measure, match | {"design": "between_areas", "leading": False}])
    told, referred = shown["balance"].set_index("covariate"), shown["baseline_table"].iloc[0]
    assert len(told) == 2, "another design would differ by the pupils of an area"
    assert told.loc["fsm", ["treated_left_with", "smd_before", "smd_after", "ks_before"]].isna().all()
    assert told.loc["fsm", ["treated_with", "mean_treated"]].isna().all() or referred[["referred_with", "referred"]].isna().all(), "143 less 139"
    assert told.loc["idaci", ["mean_treated", "smd_before", "smd_after"]].notna().all()


def test_pupils_with_part_of_the_support_but_not_all_are_a_group():
    rows = [{"level": level, "area_code": area, "delivery_model": model, "component": c, "started": 84, "known": 84, "met": n, "share": n / 84}
            for level, area, model in (("programme", "all", "all"), ("area", "E08000006", "all"), ("area and model", "E08000006", "school based"))
            for c, n in (("meetings often enough", 20), ("every component", 11))]  # fmt: skip
    told = clear(delivery_fidelity=rows)[0]["delivery_fidelity"].set_index("component")[["met", "share"]]
    assert told.loc["every component"].isna().all(axis=None) or told.loc["meetings often enough"].isna().all(axis=None), "20 less 11"


def test_the_effective_number_goes_with_the_pupils_of_whom_it_tells():
    shown, _ = clear(estimates=[estimate("B_points", 342, 550, 3) | {"effective_n": 504.4}], cohort_flow=flow(("referred pupils", 9, "analysed: referred", "kept", 345)))
    told = shown["estimates"].iloc[0]
    assert pd.isna(told["unmatched"]) and (pd.isna(told["n_treated"]) == pd.isna(told["effective_n"]))


def test_pupils_on_a_part_time_timetable_are_hidden_when_few_with_their_share_of_sessions():
    rows = [{"half_term": h, "academic_year": "2024/25", "authorised": 5.0, "unauthorised": 3.0, "part_time": 0.1, "pupils": 900, "part_time_pupils": n} for h, n in ((13, 4), (14, 40))]
    told = clear(absence_by_half_term=rows)[0]["absence_by_half_term"].set_index("half_term")
    assert told.loc[13, ["part_time", "part_time_pupils"]].isna().all() and told.loc[14, ["part_time", "authorised"]].notna().all()


def test_pupils_of_one_band_are_hidden_when_few_and_the_year_stays_a_sum():
    rows = [{"academic_year": "2022/23", "band": band, "pupils": n, "of_pupils": 600, "share": n / 6} for band, n in (("Below 5%", 400), ("5% or more", 194), ("50% or more", 6))]
    told = clear(absence_by_band=rows)[0]["absence_by_band"].set_index("band")
    assert told["pupils"].isna().sum() >= 2 and told.loc["50% or more", ["pupils", "share"]].isna().all()


def test_the_few_of_the_first_stacks_are_not_the_effect_less_the_later_ones():
    stacks = [{"stacks": s, "n_treated": n, "n_comparison": 3 * n, "estimate": 1.0} for s, n in (("first stack of each area", 5), ("later stacks", 312))]
    shown, _ = clear(stack_effects=stacks, estimates=[estimate("B_referred_within_area_matched_points", 317, 951)])
    told = shown["stack_effects"].set_index("stacks")
    assert told.loc["first stack of each area", ["n_treated", "estimate"]].isna().all()
    assert pd.isna(told.loc["later stacks", "n_treated"]) or pd.isna(shown["estimates"]["n_treated"].iloc[0])


def test_pupils_outside_the_range_of_risk_are_hidden_with_their_weight_and_single_weights_never_leave():
    row = {"design": "within_area", "arm": "schools without mentors", "pupils": 2120, "used": 2120, "without_risk": 0, "without_cell": 0, "outside_design": 0, "outside_range": 3,
           "weight_outside_range": 0.0018, "risk_max": 0.18, "largest_share": 0.001, "risk_median": 0.12}  # fmt: skip
    told = clear(offer_overlap=[row])[0]["offer_overlap"]
    assert told[["outside_range", "weight_outside_range"]].isna().all(axis=None) and told["risk_median"].notna().all()
    assert not {"risk_min", "risk_max", "largest_share"} & set(told)


def test_matched_pupils_of_a_design_less_all_referred_are_few():
    told = clear(matched_pupils=[{"design": "within area", "referred": 341, "comparison": 600, "effective": 510.0, "unmatched": 4, "reason": "", "caliper_all": 0.2}],
                 cohort_flow=flow(("referred pupils", 9, "analysed: referred", "kept", 345)))[0]  # fmt: skip
    row = told["matched_pupils"].iloc[0]
    assert pd.isna(row["unmatched"]) and (pd.isna(row["referred"]) or told["cohort_flow"]["pupils"].isna().all()) and pd.isna(row["effective"])


def test_pupils_of_a_stack_who_started_are_hidden_when_few_with_a_second_stack():
    stacks = [{"stack": s, "mentored": m, "comparison": 200, "referred": r, "started": n} for s, m, r, n in ((5, 154, 31, 8), (6, 1365, 93, 46), (7, 254, 65, 40))]
    told = clear(stack_pupils=stacks, dose_response=[{"measure": "meetings kept", "group": "slope", "pupils": 94, "estimate": 0.1}])[0]["stack_pupils"].set_index("stack")
    assert pd.isna(told.loc[5, "started"]) and told["started"].isna().sum() >= 2, "94 less 46 and 40"


def test_rows_that_do_not_link_are_hidden_when_few_and_no_school_is_shown():
    rows = [{"link": "referrals to census", "by": by, "value": value, "rows": n, "linked": n - 4, "unlinked": 4, "match_rate": 100 * (n - 4) / n} for by, value, n in
            (("all", "all", 688), ("school", "S001", 40))]  # fmt: skip
    told = clear(linkage=rows)[0]["linkage"]
    assert told["by"].tolist() == ["all"] and told[["unlinked"]].isna().all(axis=None)
    assert told[["rows", "linked"]].isna().any(axis=None) and (pd.isna(told["linked"].iloc[0]) == pd.isna(told["match_rate"].iloc[0])), "688 less 684"


def test_the_referred_who_were_lost_are_part_of_all_who_were():
    left = "left the registers before the follow-up ended"
    rows = flow(("schools with mentors", 7, "entered", "kept", 2000), ("schools with mentors", 12, left, "left out", 27), ("schools with mentors", 13, "analysed: eligible", "kept", 1973),
                ("referred pupils", 5, "referred", "kept", 365), ("referred pupils", 8, left, "left out", 20), ("referred pupils", 9, "analysed: referred", "kept", 345))  # fmt: skip
    told = clear(cohort_flow=rows)[0]["cohort_flow"].set_index(["group", "position"])["pupils"]
    assert pd.isna(told["schools with mentors", 12]) or pd.isna(told["referred pupils", 8]), "27 less 20 lost without a referral"


def test_meetings_of_pupils_of_two_schools_say_nothing_of_these_schools():
    rows = [{"level": level, "area_code": area, "delivery_model": model, "schools": n, "pupils": 84, "meetings_arranged": 900, "meetings_kept": 700, "share_kept": 700 / 900, "median_weeks": 12.0}
            for level, area, model, n in (("programme", "all", "all", 20), ("area", "E08000006", "all", 4), ("area and delivery model", "E08000006", "school based", 2))]  # fmt: skip
    told = clear(delivery_dose=rows)[0]["delivery_dose"].set_index("schools")["median_weeks"]
    assert told[[20, 4]].notna().all() and pd.isna(told[2])


def test_the_few_pupils_without_an_outcome_are_not_all_less_those_with_it():
    row = {"title": "t", "role": "secondary", "better": "lower", "mentored_before": 1.23456, "comparison_before": 2.0}
    rows = [row | {"outcome": o, "pupils": m + 2954, "mentored_pupils": m, "comparison_pupils": 2954} for o, m in (("absence_rate", 2961), ("lateness_rate", 2957), ("severe_absence", 2961))]
    shown, _ = clear(outcome_levels=rows, cohort_flow=flow(("schools with mentors", 13, "analysed: eligible", "kept", 2961)))
    told = shown["outcome_levels"].set_index("outcome")
    assert "severe_absence" not in told.index, "the mean of yes and no tells how many"
    late = told.loc["lateness_rate", ["pupils", "mentored_pupils"]].isna()
    assert late.all() or (told.loc["absence_rate", "mentored_pupils":"mentored_pupils"].isna().all() and shown["cohort_flow"]["pupils"].isna().all()), "2961 less 2957"
    assert told["mentored_before"].tolist() == [1.23, 1.23]


def test_pupils_of_a_subgroup_are_not_all_with_its_characteristic_less_a_few():
    levels = [("sen_ehcp", 30, 70, 101), ("sen_none", 267, 2448, 2421), ("sen_support", 48, 443, 432)]
    baseline = [{"position": n, "trait": "sen", "characteristic": c, "referred_pupils": 345, "mentored_pupils": 2961, "comparison_pupils": 2954, "referred_with": r, "mentored_with": m,
                 "comparison_with": k} for n, (c, r, m, k) in enumerate(levels, start=1)]  # fmt: skip
    groups = [{"analysis": "A_eligible_within_area_risk_weighted", "subgroup": "sen", "group": g, "n_treated": t, "n_comparison": c, "estimate": 1.0} for g, t, c in
              (("care plan", 62, 58), ("none", 2448, 1755), ("support", 429, 295))]  # fmt: skip
    shown, _ = clear(baseline_table=baseline, subgroups=groups)
    whole, part = shown["baseline_table"].set_index("characteristic")["mentored_with"], shown["subgroups"].set_index("group")["n_treated"]
    assert pd.isna(whole["sen_ehcp"]) or pd.isna(part["care plan"]), "70 less 62"


def test_pupils_without_a_characteristic_are_a_whole_of_their_own():
    match = {"design": "within_area", "position": 1, "leading": True, "trait": "fsm", "covariate": "fsm", "treated": 317, "treated_left": 28, "comparison": 554, "comparison_left": 1346,
             "treated_with": 128, "treated_left_with": 15, "comparison_with": 216, "comparison_left_with": 518}  # fmt: skip
    groups = [{"analysis": "B_referred_within_area_matched", "subgroup": "fsm", "group": g, "n_treated": t, "n_comparison": c, "estimate": 1.0} for g, t, c in
              (("eligible", 128, 190), ("not eligible", 189, 337))]  # fmt: skip
    shown, _ = clear(balance=[match], subgroups=groups)
    whole, part = shown["balance"].iloc[0], shown["subgroups"].set_index("group")["n_comparison"]
    assert pd.isna(part["not eligible"]) or whole[["comparison", "comparison_with"]].isna().any(), "554 less 216 less 337"


def test_those_referred_later_in_an_area_outside_a_design_are_not_a_difference_of_two_estimates():
    rows = [estimate("A_referred_within_area_per_referred_points", 2961, 2120) | {"pupils": 364, "level": "referred"}, estimate("A_referred_within_area_per_referred_days", 2961, 2120) | {"pupils": 364},
            estimate("A_referred_between_areas_per_referred_points", 2628, 834, 333) | {"pupils": 296}, estimate("A_referred_between_areas_per_referred_days", 2628, 834, 333) | {"pupils": 296},
            estimate("B_referred_between_areas_same_rule_points", 278, 784, 67)]  # fmt: skip
    told = clear(estimates=rows)[0]["estimates"].set_index("estimate_id")
    within, between = (told.loc[told.index.str.contains(name), "pupils"].isna() for name in ("within_area_per", "between_areas_per"))
    assert within.all() or between.all() or pd.isna(told.loc["B_referred_between_areas_same_rule_points", "unmatched"]), "364 less 296 less 67"


def test_rows_of_survey_answers_do_not_tell_how_many_answered():
    shown, _ = clear(intake_counts=[{"table": "survey_items", "file": "survey_items.parquet", "rows_read": 4720, "rows_accepted": 4720, "rows_rejected": 0, "rows_collapsed": 0, "rejected_share": 0.0}])
    assert shown["intake_counts"].empty


def test_what_is_certain_by_construction_holds_no_table_back():
    rows = [{"area_code": "all", "area_name": "All areas", "barrier_type": kind, "pupils_started": 441, "pupils_assessed": 441, "pupils": n, "barriers": b, "resolved": 20, "share": n / 441,
             "share_resolved": 20 / b} for kind, n, b in (("any", 441, 641), ("anxiety", 241, 241), ("health", 400, 400))]  # fmt: skip
    shown, _ = clear(delivery_barriers=rows, support_timing=[{"part": "before the follow-up", "pupils": 219, "of_pupils": 219, "open_ended": 0, "weeks": 3.0, "share": 20.0}],
                     linkage=[{"link": "referrals to census", "by": "all", "value": "all", "rows": 688, "linked": 688, "unlinked": 0, "match_rate": 100.0}])  # fmt: skip
    assert {"delivery_barriers", "support_timing", "linkage"} <= set(shown) and shown["delivery_barriers"]["pupils"].notna().all()
