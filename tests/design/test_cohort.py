"""The cohort by hand: who enters, when, what is measured, who is left out and why; flow, attrition and refusals."""

from dataclasses import replace

import pandas as pd
import pytest

from evaluation.design import attrition, build_cohort, cohort_flow, season_matched_windows
from evaluation.design.cohort import FEW_BASELINE, FEW_FOLLOWUP, LEFT, LEFT_EARLY, REFERRED_EARLIER, REFERRED_LATER, STRATA_LEFT_OUT, YEAR_11_OVER
from evaluation.errors import DataError, UnidentifiedError
from small_trial import drawn_trial, panel_of, referrals_of, school_list, section

WINDOWS = season_matched_windows()
SCHOOLS = school_list(X={"M1": 6, "M2": 6, "C1": None, "C2": None})
QUIET = [2] * 18


def spikes(*at: int, size=12) -> list:
    return [size if half_term in at else 2 for half_term in range(1, 19)]


def build(pupils, referrals=referrals_of(), schools=SCHOOLS, **changes):
    panel, enrolments = panel_of(pupils, schools)
    rules = section("cohort", minimum_schools_per_arm=2, **changes)
    return build_cohort(panel, enrolments, schools, referrals, rules=rules, windows=WINDOWS), rules


def pair(**more):
    """One pupil who enters in stack 8 in either arm, so that neither is empty, and the pupils under test."""
    return {"m": {"school": "M1", "absent": spikes(8)}, "c": {"school": "C1", "absent": spikes(8)}, **more}


def row(cohort, pupil, stack):
    found = cohort.frame.query("pupil_id == @pupil and stack == @stack")
    assert len(found) == 1
    return found.iloc[0]


def test_what_is_measured():
    absent = [3, 6, 9, 50, 50, 2, 2, 12, 50, 3, 1, 2] + QUIET[:6]
    cohort, _ = build(pair(p={"school": "M1", "absent": absent}), referrals_of(("p", "M1", 9, True)))
    entered = row(cohort, "p", 8)
    # Baseline: half-terms 4 to 6; follow-up: 10 to 12; 60 possible sessions each.
    assert (entered["baseline_absent"], entered["baseline_possible"]) == (102, 180)
    assert (entered["followup_absent"], entered["followup_possible"]) == (6, 180)
    assert entered["change"] == pytest.approx(100 * (6 - 102) / 180)
    assert entered["window_absence_rate"] == pytest.approx(20.0)
    assert entered["referred"] and entered["started"] and entered["mentor_school"] and entered["analysed"]
    # It met the rule in half-term 5 already, the window before the area opened in 6: this is a later entry.
    assert entered["entry"] == "later" and row(cohort, "p", 5)["entry"] == "first"
    times = cohort.trajectories.query("pupil_id == 'p' and stack == 8").set_index("event_time")
    assert times.loc[-4, "absent"] == 50 and times.loc[4, "absent"] == 2 and times.loc[0, "role"] == "eligibility window"


def test_ten_per_cent_counts_and_a_session_less_does_not():
    cohort, _ = build(pair(at={"school": "M1", "absent": spikes(9, size=6)}, below={"school": "M1", "absent": spikes(9, size=5)}))
    assert set(cohort.frame["pupil_id"]) == {"m", "c", "at"}
    # 2 of 21 sessions are 9.5%: below 10%, though one session more would be far above.
    close = spikes()
    close[8] = (2, 21)
    cohort, _ = build(pair(close={"school": "M1", "absent": close}))
    assert set(cohort.frame["pupil_id"]) == {"m", "c"}
    severe, _ = build({"m": {"school": "M1", "absent": spikes(8, size=30)}, "c": {"school": "C1", "absent": spikes(8, size=30)},
                       "below": {"school": "M1", "absent": spikes(8, size=29)}}, eligibility="severe_absence")
    assert set(severe.frame["pupil_id"]) == {"m", "c"}


def test_a_band_has_an_upper_end_too():
    pupils = {"m": {"school": "M1", "absent": spikes(8, size=29)}, "c": {"school": "C1", "absent": spikes(8, size=6)},
              "half": {"school": "M1", "absent": spikes(8, size=30)}, "below": {"school": "M1", "absent": spikes(8, size=5)}}
    assert set(build(pupils, eligibility="persistent_not_severe")[0].frame["pupil_id"]) == {"m", "c"}


def test_over_several_half_terms_the_sessions_of_all_count():
    # 12 of 180 sessions are below 10%, 18 are not, although no half-term but one is bad.
    pupils = {"m": {"school": "M1", "absent": spikes(8, size=14)}, "c": {"school": "C1", "absent": spikes(8, size=14)}, "p": {"school": "C1", "absent": spikes(8, size=13)}}
    panel, enrolments = panel_of(pupils, SCHOOLS)
    rules = section("cohort", minimum_schools_per_arm=2, window_length=3, gap=1, measured_length=1, first_window_half_term=6)
    windows = season_matched_windows(window_length=3, gap=1, measured_length=1)
    frame = build_cohort(panel, enrolments, SCHOOLS, referrals_of(), rules=rules, windows=windows).frame
    assert set(frame["pupil_id"]) == {"m", "c"} and set(frame["stack"]) == {8, 9, 10}
    first = frame.query("pupil_id == 'm' and stack == 8").iloc[0]
    assert first["window_absence_rate"] == pytest.approx(10.0) and (first["baseline_absent"], first["followup_absent"]) == (2, 2)


def test_only_registered_phases_and_year_groups_enter_and_the_others_are_counted():
    schools = SCHOOLS.assign(phase=["secondary", "secondary", "secondary", "special"])
    pupils = pair(special={"school": "C2", "absent": spikes(8)}, old={"school": "M1", "year_group": 9, "absent": spikes(8)})
    cohort, rules = build(pupils, schools=schools, year_groups=[7, 8, 9])
    assert set(cohort.frame["pupil_id"]) == {"m", "c"}  # ``old`` is in Year 10 by half-term 8
    flow = cohort_flow(cohort, schools, referrals_of(), rules=rules)
    never = flow.query("step == 'never in a phase and year group that is studied'").set_index("group")["pupils"]
    assert never.to_dict() == {"comparison schools": 1}
    assert unaccounted(flow) == [0] * len(unaccounted(flow))
    cohort, _ = build({p: {"school": s, "year_group": 9, "absent": spikes(8)} for p, s in (("m", "M1"), ("c", "C1"))}, year_groups=[10])
    assert set(cohort.frame["year_group"]) == {10}


def test_nobody_enters_before_the_area_opened_and_the_first_window_counts_once():
    cohort, _ = build(pair(p={"school": "C2", "absent": spikes(7, 9, 11)}, q={"school": "M2", "absent": spikes(4, 10)}))
    entries = cohort.frame.query("pupil_id == 'p'").set_index("stack")["entry"].to_dict()
    assert entries == {7: "first", 9: "later", 11: "later"}
    assert cohort.frame.query("pupil_id == 'q'")["stack"].tolist() == [10]


def test_a_school_that_joins_later_is_nobodys_comparison_before():
    schools = school_list(X={"M1": 6, "M2": 12, "C1": None, "C2": None})
    cohort, _ = build(pair(p={"school": "M2", "absent": spikes(8, 12)}), schools=schools)
    assert cohort.frame.query("pupil_id == 'p'")[["stack", "entry", "mentor_school"]].values.tolist() == [[12, "later", True]]


def test_areas_without_mentors_open_by_the_protocol():
    schools = school_list(X={"M1": 6, "M2": 6, "C1": None}, Y={"C2": None})
    pupils = pair(p={"school": "C2", "absent": spikes(8, 10)})
    assert build(pupils, schools=schools, opening_without_mentors=11)[0].frame.query("pupil_id == 'p'")["stack"].tolist() == [10]
    assert "p" not in set(build(pupils, schools=schools, opening_without_mentors=None)[0].frame["pupil_id"])


def test_between_areas_both_arms_run_on_one_clock():
    schools = school_list(X={"M1": 6, "M2": 6, "C1": None}, Y={"C2": None}, Z={"M3": 7, "C3": None})
    pupils = pair(p={"school": "C2", "absent": spikes(8)}, z={"school": "M3", "absent": spikes(8)}, d={"school": "C3", "absent": spikes(8)})

    def inside(**changes):
        frame = build(pupils, schools=schools, **changes)[0].frame
        return set(frame.loc[frame["between_pool"], "pupil_id"])

    # The area of M1 opened in half-term 6, that of M3 in 7: only the one that opened with the pool is compared with it.
    assert inside(opening_without_mentors=6) == {"m", "p"}
    assert inside(opening_without_mentors=7) == {"z", "p"}
    assert inside(opening_without_mentors=8) == {"p"}
    # A registered pool may name areas with mentors; their comparison schools must be on the same clock too.
    assert inside(opening_without_mentors=7, between_pool_areas=["X", "Y", "Z"]) == {"z", "p", "d"}


def test_earlier_windows_are_those_since_the_area_opened():
    cohort, _ = build(pair(p={"school": "C2", "absent": spikes(5, 9)}))
    assert cohort.frame.query("pupil_id == 'p'").set_index("stack")["windows_before"].to_dict() == {5: 0, 9: 4}


def test_consent_is_no_rule_and_time_zero_is_the_referral():
    cohort, _ = build(pair(), referrals_of(("m", "M1", 9, False)))
    entered = row(cohort, "m", 8)
    assert entered["referred"] and not entered["started"]
    assert not row(build(pair(), referrals_of(("m", "M1", 10, True)))[0], "m", 8)["referred"]


def test_too_few_sessions_before_excludes_and_after_is_attrition():
    few_before, few_after = spikes(8), spikes(8)
    few_before[3:6] = [(1, 7), (1, 6), (1, 6)]
    few_after[9:12] = [(1, 7), (1, 6), (1, 6)]
    enough = spikes(8)
    enough[3:6] = [(1, 7), (1, 7), (1, 6)]
    gone = spikes(8)[:9]
    cohort, _ = build(pair(b={"school": "M1", "absent": few_before}, a={"school": "M1", "absent": few_after}, e={"school": "M1", "absent": enough},
                           g={"school": "C1", "absent": gone}, early={"school": "C1", "absent": gone[:8]}, soon={"school": "M1", "absent": gone[:8]}))
    reasons = cohort.frame.query("stack == 8").set_index("pupil_id")
    assert reasons.loc["b", "exclusion"] == FEW_BASELINE and not reasons.loc["b", "attrition"]
    assert reasons.loc["a", "exclusion"] == FEW_FOLLOWUP and reasons.loc["a", "attrition"]
    assert reasons.loc["g", "exclusion"] == LEFT and reasons.loc["g", "attrition"]
    # Nobody can be referred after leaving, so that in either arm who left before support could start is excluded, not lost.
    for pupil in ("early", "soon"):
        assert reasons.loc[pupil, "exclusion"] == LEFT_EARLY and not reasons.loc[pupil, "attrition"]
    assert reasons.loc["e", "analysed"]


def test_year_11s_last_half_term_is_dropped_from_both_ends_and_both_arms():
    absent = list(range(1, 19))
    absent[7] = 12
    cohort, _ = build({"m": {"school": "M1", "year_group": 10, "absent": absent}, "c": {"school": "C1", "year_group": 10, "absent": absent},
                       "late": {"school": "C1", "year_group": 10, "absent": spikes(11)}})
    for pupil in ("m", "c"):
        entered = row(cohort, pupil, 8)
        assert entered["stratum"] == "year_11_followup" and entered["half_terms_measured"] == 2
        assert (entered["baseline_absent"], entered["followup_absent"]) == (4 + 5, 10 + 11)
        times = cohort.trajectories.query("pupil_id == @pupil and stack == 8").set_index("event_time")
        assert times.loc[-2, "possible"] == 0 and times.loc[4, "possible"] == 0 and pd.isna(times.loc[4, "rate"])
    assert row(cohort, "late", 11)["exclusion"] == YEAR_11_OVER


def test_year_6_at_baseline_is_its_own_stratum_and_left_out_of_secondary_registers():
    young = {"school": "M1", "year_group": 6, "absent": [None] * 6 + spikes(9)[6:]}
    cohort, _ = build(pair(y=young))
    assert (row(cohort, "y", 9)["stratum"], row(cohort, "y", 9)["exclusion"]) == ("year_6_baseline", STRATA_LEFT_OUT["year_6_baseline"])
    assert row(build(pair(y=young), excluded_strata=[])[0], "y", 9)["analysed"]


def test_school_is_frozen_at_entry_and_movers_are_counted():
    cohort, rules = build(pair(p={"school": {1: "M1", 11: "C2"}, "absent": spikes(8)}))
    assert row(cohort, "p", 8)["school_id"] == "M1" and row(cohort, "p", 8)["moved_school"]
    assert attrition(cohort).query("not lost").set_index("group")["pupils"].to_dict() == {"referred pupils": 0, "schools with mentors": 1, "comparison schools": 0}


def test_a_comparison_pupil_who_is_referred_in_the_measured_half_terms_is_left_out():
    moved = {"school": {1: "C1", 9: "M2"}, "absent": spikes(8)}
    cohort, _ = build(pair(p=moved), referrals_of(("p", "M2", 10, True)))
    assert row(cohort, "p", 8)["exclusion"] == REFERRED_LATER


def test_a_pupil_of_a_school_with_mentors_who_was_referred_before_the_window_is_left_out_and_counted():
    referred = {"q": 7, "r": 8, "s": 9, "u": 10}
    cohort, rules = build(pair(**{p: {"school": "M1", "absent": spikes(8)} for p in referred}), referrals_of(*[(p, "M1", h, True) for p, h in referred.items()]))
    reasons = cohort.frame.query("stack == 8").set_index("pupil_id")["exclusion"]
    assert reasons[["q", "r"]].eq(REFERRED_EARLIER).all() and reasons[["s", "u"]].isna().all()
    flow = cohort_flow(cohort, SCHOOLS, referrals_of(*[(p, "M1", h, True) for p, h in referred.items()]), rules=rules)
    assert flow.query("group == 'schools with mentors' and step == @REFERRED_EARLIER")["pupils"].tolist() == [2]


def unaccounted(flow) -> list[int]:
    """For every group and step: pupils kept before, less those kept after, less those who left between."""
    lost = []
    for _, lines in flow.groupby("group"):
        kept = lines.loc[lines["kind"] == "kept"]
        for before, after in zip(kept.index, kept.index[1:], strict=False):
            between = lines.loc[before + 1:after - 1]
            lost.append(int(lines.loc[before, "pupils"] - lines.loc[after, "pupils"] - between.loc[between["kind"] == "left out", "pupils"].sum()))
    return lost


def test_flow_adds_up_and_counts_referred_pupils_who_fail_the_rule():
    trial = drawn_trial(3, pupils_per_school=40, referred_later=0.3)
    schools = trial["schools"].copy()
    schools.loc[schools["school_id"] == "A0M1", "first_mentor_half_term"] = 10
    extra = referrals_of(*[(p, s, h, True) for p, s, h in trial["panel"].query("school_id == 'A0M0' and half_term == 8 and harmonised_absent < 6")
                           .loc[lambda f: ~f["pupil_id"].isin(trial["referrals"]["pupil_id"]), ["pupil_id", "school_id", "half_term"]].head(5).values.tolist()])
    extra["referral_half_term"] = 9
    extra["referral_id"] = [f"X{i}" for i in range(len(extra))]
    referrals = pd.concat([trial["referrals"], extra], ignore_index=True)
    rules = section("cohort")
    cohort = build_cohort(trial["panel"], trial["enrolments"], schools, referrals, rules=rules, windows=WINDOWS)
    flow = cohort_flow(cohort, schools, referrals, rules=rules)
    assert unaccounted(flow) == [0] * len(unaccounted(flow))
    for group, mentored in (("schools with mentors", True), ("comparison schools", False)):
        lines, ids = flow.query("group == @group"), schools.loc[schools["mentor_school"] == mentored, "school_id"]
        roll = trial["panel"].loc[trial["panel"]["school_id"].isin(ids), "pupil_id"].nunique()
        assert lines.loc[lines["kind"] == "left out", "pupils"].sum() + lines.loc[lines["step"] == "analysed: eligible", "pupils"].iloc[0] == roll
    early = flow.query("group == 'schools with mentors' and step == 'met it first before the school had mentors'")["pupils"].tolist()
    met = trial["panel"].query("school_id == 'A0M1' and half_term >= 6 and harmonised_absent >= 6").groupby("pupil_id")["half_term"].min()
    assert early == [int((met < 9).sum())] and early[0] > 0
    first = cohort.frame["entry"] == "first"
    for missing in (first & cohort.frame["mentor_school"] & ~cohort.frame["referred"] & (cohort.frame["stack"] == 9),
                    first & ~cohort.frame["mentor_school"] & (cohort.frame["stack"] == 11), first & cohort.frame["referred"] & (cohort.frame["stack"] == 7)):
        assert missing.any() and any(unaccounted(cohort_flow(replace(cohort, frame=cohort.frame.loc[~missing]), schools, referrals, rules=rules)))
    failed = flow.query("group == 'referred pupils' and step == 'did not meet the rule in the window'")
    windows = referrals.merge(trial["panel"].assign(referral_half_term=lambda f: f["half_term"] + 1), on=["pupil_id", "referral_half_term"])
    windows = windows.query("half_term <= 14")
    assert failed["pupils"].tolist() == [int((windows["harmonised_absent"] < 6).sum())] and failed["pupils"].iloc[0] > 5
    # Some were referred in a window in which they met the rule again.
    again = flow.query("group == 'referred pupils' and step == 'had met the rule in an earlier window'")["pupils"].tolist()
    assert again == [int((cohort.frame["referred"] & (cohort.frame["entry"] == "later")).sum())] and again[0] > 0
    first = cohort.frame.query("entry == 'first' and analysed")
    counted = flow.query("step in ['analysed: eligible', 'analysed: referred']").set_index(["group"])["pupils"]
    assert counted["referred pupils"] == first["referred"].sum()
    assert counted["schools with mentors"] == first["mentor_school"].sum() and counted["comparison schools"] == (~first["mentor_school"]).sum()
    lost = attrition(cohort).query("lost").groupby("group")["pupils"].sum()
    assert lost["schools with mentors"] == cohort.frame.query("entry == 'first' and attrition and mentor_school").shape[0]


def test_the_order_of_rows_does_not_matter():
    trial = drawn_trial(5, pupils_per_school=20)
    tables = [trial, {name: frame.sample(frac=1.0, random_state=1) for name, frame in trial.items()}]
    frames = [build_cohort(t["panel"], t["enrolments"], t["schools"], t["referrals"], rules=section("cohort"), windows=WINDOWS).frame for t in tables]
    first, second = (f.sort_values(["stack", "pupil_id"], ignore_index=True) for f in frames)
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize(("schools", "said"), [
    (school_list(X={"M1": 6, "C1": None, "C2": None}), "only one school has mentors"),
    (school_list(X={"C1": None, "C2": None}), "no school has mentors"),
    (school_list(X={"M1": 6, "M2": 6}), "no comparison school"),
])
def test_studies_without_two_arms_are_refused_with_the_reason(schools, said):
    with pytest.raises(UnidentifiedError, match=said):
        build({"c": {"school": schools["school_id"].iloc[0], "absent": spikes(8)}}, schools=schools)


def test_an_empty_cohort_is_refused_and_names_the_arm():
    with pytest.raises(UnidentifiedError, match="cohort is empty after eligibility: no pupil in comparison schools"):
        build({"m": {"school": "M1", "absent": spikes(8)}, "c": {"school": "C1", "absent": QUIET}})
    with pytest.raises(UnidentifiedError, match="no pupil in schools with mentors"):
        build({"m": {"school": "M1", "absent": QUIET}, "c": {"school": "C1", "absent": spikes(8)}})


def test_windows_outside_the_registers_are_refused():
    with pytest.raises(DataError, match="windows from 5 to 14 have a full baseline"):
        build(pair(), first_window_half_term=4)
    with pytest.raises(DataError, match="asks for 5 to 15"):
        build(pair(), last_window_half_term=15)


def test_missing_characteristics_and_dates_are_refused():
    panel, enrolments = panel_of(pair(), SCHOOLS)
    rules = section("cohort")
    with pytest.raises(DataError, match="lack characteristics"):
        build_cohort(panel, enrolments.query("pupil_id != 'c'"), SCHOOLS, referrals_of(), rules=rules, windows=WINDOWS)
    undated = SCHOOLS.assign(first_mentor_half_term=SCHOOLS["first_mentor_half_term"].where(SCHOOLS["school_id"] != "M2"))
    with pytest.raises(DataError, match="no first half-term of mentoring"):
        build_cohort(panel, enrolments, undated, referrals_of(), rules=rules, windows=WINDOWS)
    with pytest.raises(DataError, match="stands twice"):
        build_cohort(pd.concat([panel, panel.head(1)]), enrolments, SCHOOLS, referrals_of(), rules=rules, windows=WINDOWS)


def test_a_school_of_another_area_and_other_identifiers_change_nothing_for_the_rest():
    trial = drawn_trial(5, pupils_per_school=15)
    rules = section("cohort")
    own = build_cohort(trial["panel"], trial["enrolments"], trial["schools"], trial["referrals"], rules=rules, windows=WINDOWS)
    more_schools = pd.concat([trial["schools"], school_list(Q={"QC1": None})], ignore_index=True)
    panel, enrolments = panel_of({f"Z{i}": {"school": "QC1", "absent": spikes(8, 10)} for i in range(5)}, more_schools)
    more = build_cohort(pd.concat([panel, trial["panel"]]), pd.concat([enrolments, trial["enrolments"]]), more_schools, trial["referrals"], rules=rules, windows=WINDOWS)
    kept = more.frame.loc[more.frame["school_id"] != "QC1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, own.frame)
    names = {p: f"X{number:05d}" for number, p in enumerate(reversed(sorted(trial["panel"]["pupil_id"].unique())))}
    other = {n: trial[n].assign(pupil_id=trial[n]["pupil_id"].map(names)) for n in ("panel", "enrolments", "referrals")}
    renamed = build_cohort(other["panel"], other["enrolments"], trial["schools"], other["referrals"], rules=rules, windows=WINDOWS).frame
    back = renamed.assign(pupil_id=renamed["pupil_id"].map({new: old for old, new in names.items()})).sort_values(["stack", "pupil_id"], ignore_index=True)
    pd.testing.assert_frame_equal(back, own.frame.sort_values(["stack", "pupil_id"], ignore_index=True), check_dtype=False)
