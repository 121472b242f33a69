"""The simulator: the same bytes from the same seed, a truth that holds exactly, and rates near the published ones."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.registers.calendar import half_term_of, half_terms
from evaluation.registers.dictionary import check_frame, load_table
from evaluation.registers.intake import EXTRACT_TABLES, take_in
from evaluation.registers.simulator import simulate_extracts
from evaluation.registers.simulator.people import draw_schools

from small_study import SEED, small_design, study_values


def digests(folder) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def truth(folder) -> pd.DataFrame:
    return pd.read_parquet(folder / "truth" / "pupil_effects.parquet").set_index(["pupil_id", "half_term"])


def referrals(folder) -> pd.DataFrame:
    return pd.read_parquet(folder / "referrals.parquet")


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(extract, simulate):
    again, other = digests(simulate("again")), digests(simulate("other", seed=SEED + 1))
    assert again == digests(extract)
    assert {name for name in again if again[name] == other[name]} == {"calendar.parquet", "schools.parquet", "programmes.parquet", "costs.parquet"}


def test_the_record_holds_the_digest_of_every_file(extract):
    record = json.loads((extract / "simulation.json").read_text(encoding="utf-8"))
    found = digests(extract)
    found.pop("simulation.json")
    assert record == {"schema_version": 1, "label": "simulated", "seed": SEED, "files": found}
    assert set(found) == {f"{name}.parquet" for name in EXTRACT_TABLES} | {"truth/pupil_effects.parquet"}


def test_every_small_table_keeps_to_the_dictionary_and_marks_are_in_order(extract, root):
    for name in EXTRACT_TABLES:
        frame = pd.read_parquet(extract / f"{name}.parquet")
        assert len(frame) > 0
        if name != "marks":
            checked = check_frame(load_table(root, name), frame)
            key = list(load_table(root, name).primary_key)
            assert checked[key].astype(str).to_numpy().tolist() == frame[key].astype(str).to_numpy().tolist(), f"{name} is not in order of its key"
    marks = pd.read_parquet(extract / "marks.parquet")
    assert marks.sort_values(["pupil_id", "date", "session"]).index.equals(marks.index)


def test_the_truth_with_support_is_what_the_panel_shows(extract, root, section):
    panel = take_in(extract, root, section)["panel"].set_index(["pupil_id", "half_term"])
    known = truth(extract).reindex(panel.index)
    assert len(known) == len(truth(extract)) and (known["possible"] > 0).all()
    assert (panel["harmonised_possible"] == known["possible"]).all() and (panel["harmonised_absent"] == known["absent"]).all()


def test_removing_mentoring_gives_the_untreated_outcomes_exactly(extract, simulate):
    known = truth(extract)
    assert (known["absent"] != known["absent_untreated"]).sum() > 20
    for changes in ({"support__effect": 0.0}, {"referral__per_school": 0}, {"referral__start_share": 0.0}):
        without = truth(simulate(next(iter(changes)), **changes))
        assert without.index.equals(known.index)
        assert (without["absent"] == known["absent_untreated"]).all() and (without["absent_untreated"] == known["absent_untreated"]).all()
        assert (without["possible"] == known["possible_untreated"]).all()


def test_a_larger_effect_changes_only_outcomes_of_started_pupils_after_they_start(extract, simulate):
    larger = simulate("larger", support__effect=12.0)
    pd.testing.assert_frame_equal(referrals(larger), referrals(extract))
    for name in ("schools", "pupils", "calendar", "meetings", "costs", "programmes"):
        assert digests(larger)[f"{name}.parquet"] == digests(extract)[f"{name}.parquet"], name
    before, after = (pd.read_parquet(folder / "marks.parquet") for folder in (extract, larger))
    assert before[["pupil_id", "date", "session"]].equals(after[["pupil_id", "date", "session"]])
    changed = before.loc[before["code"] != after["code"]]
    started = referrals(extract).dropna(subset=["start_date"]).set_index("pupil_id")["start_date"]
    assert len(changed) > 100 and set(changed["pupil_id"]) <= set(started.index)
    assert (changed["date"].to_numpy() >= changed["pupil_id"].map(started).to_numpy()).all()


def test_support_never_moves_medical_appointments_or_suspensions(extract, simulate):
    larger = pd.read_parquet(simulate("larger", support__effect=15.0) / "marks.parquet")["code"]
    before = pd.read_parquet(extract / "marks.parquet")["code"]
    for code in ("M", "E", "J1", "-"):
        assert ((before == code) == (larger == code)).all(), code


def test_a_harmful_effect_raises_absence(simulate):
    known = truth(simulate("harm", support__effect=-5.0))
    assert (known["absent"] >= known["absent_untreated"]).all() and (known["absent"] > known["absent_untreated"]).any()


def test_codes_are_those_in_force(extract):
    marks = pd.read_parquet(extract / "marks.parquet")
    after = pd.to_datetime(marks["date"]) >= pd.Timestamp("2024-08-19")
    assert not set(marks.loc[~after, "code"]) & {"C2", "J1", "K"} and not set(marks.loc[after, "code"]) & {"J"}
    assert "C2" in set(marks.loc[after, "code"])


def test_nobody_is_referred_twice_and_every_referral_follows_an_eligible_window(extract, root, section):
    taken = take_in(extract, root, section)
    listed = taken["referral_list"]
    assert listed["pupil_id"].is_unique and len(listed) > 40
    panel = taken["panel"].set_index(["pupil_id", "half_term"])
    window = panel.loc[list(zip(listed["pupil_id"], listed["referral_half_term"] - 1, strict=True))]
    assert (10 * window["harmonised_absent"] >= window["harmonised_possible"]).all()
    schools = taken["school_list"].set_index("school_id").loc[listed["school_id"]]
    assert schools["mentor_school"].all() and (listed["referral_half_term"].to_numpy() >= schools["first_mentor_half_term"].to_numpy()).all()
    started = listed.loc[listed["started"]]
    assert started["consented"].all() and (started["start_date"] > started["referral_date"]).all() and (started["end_date"] >= started["start_date"]).all()
    meetings = taken["meeting_list"].merge(started[["pupil_id", "start_date", "end_date", "mentor_id"]], on="pupil_id", suffixes=("", "_of_referral"))
    assert len(meetings) == len(taken["meeting_list"]) and meetings["meeting_date"].between(meetings["start_date"], meetings["end_date"]).all()
    assert (meetings["mentor_id"] == meetings["mentor_id_of_referral"]).all()


def later_change(folder, chosen: pd.DataFrame) -> float:
    """Mean change of absence from the window to three half-terms later without support, in points."""
    terms = half_terms(pd.read_parquet(folder / "calendar.parquet").astype({"date": "datetime64[us]"}))
    known = truth(folder)
    rate = 100 * known["absent_untreated"] / known["possible"]
    window = [half_term_of(day, terms) - 1 for day in chosen["referral_date"]]
    at, later = (rate.reindex(list(zip(chosen["pupil_id"], [t + ahead for t in window], strict=True))).to_numpy() for ahead in (0, 3))
    return float(np.nanmean(later - at))


def test_private_rules_choose_by_where_the_pupil_is_heading(extract, simulate):
    change, chosen = {}, {}
    for rule in ("level", "window", "private_decline", "private_engagement"):
        folder = simulate(rule, referral__rule=rule, referral__slope=6.0, referral__again_weight=1.0, roll__pupils_per_school=80)
        chosen[rule], change[rule] = set(referrals(folder)["pupil_id"]), later_change(folder, referrals(folder))
    assert len({frozenset(pupils) for pupils in chosen.values()}) == 4
    assert change["private_engagement"] + 3 < change["level"] < change["private_decline"] - 3
    assert change["private_engagement"] + 3 < change["window"] < change["private_decline"] - 3


def test_persistent_absentees_leave_more_often(tmp_path, root):
    simulate_extracts(small_design(roll__pupils_per_school=200), root, tmp_path / "leavers", SEED)
    known = truth(tmp_path / "leavers").reset_index()
    autumn = known.loc[known["half_term"].isin([1, 2])].groupby("pupil_id")[["possible", "absent_untreated"]].sum()
    persistent = 10 * autumn["absent_untreated"] >= autumn["possible"]
    stays = autumn.index.isin(known.loc[known["half_term"] == 3, "pupil_id"])
    assert 0.03 < 1 - stays[persistent].mean() < 0.12 and 1 - stays[~persistent].mean() < 0.02


def test_areas_open_when_they_are_registered_to():
    section = small_design()
    schools = draw_schools(section, SEED)
    assert sorted(set(schools.opens[schools.mentored])) == [3, 7]
    assert (schools.mentor[schools.mentored] >= 0).all() and (schools.mentor[~schools.mentored] == -1).all()
    for mentor in set(schools.mentor[schools.mentored]):
        mine = schools.mentor == mentor
        assert len(set(schools.model[mine])) == 1 and len(set(schools.area[mine])) == 1 and mine.sum() <= section.support.schools_per_mentor


def test_planned_costs_add_up_to_the_planned_unit_cost(extract):
    costs, design = pd.read_parquet(extract / "costs.parquet"), study_values()["simulation"]["costs"]
    paid = costs.loc[costs["payer"] == "Department", "amount"].sum()
    assert paid == pytest.approx(design["unit_cost"]["value"] * design["planned_starts"], rel=1e-4)
    assert costs.loc[costs["payer"] == "Department", "source"].str.contains("planned").all()
    assert set(costs["basis"]) == {"planned"}


def test_files_of_others_are_never_overwritten(tmp_path, root):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="no simulated extracts"):
        simulate_extracts(small_design(), root, tmp_path, SEED)
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"


@pytest.fixture(scope="module")
def national(tmp_path_factory, root, section):
    """Annual absence of pupils in 2022/23 by the official definition, in schools at the national level."""
    areas = [{"code": "XCA000001", "name": "Nation", "mentor_schools": 0, "comparison_schools": 30, "first_mentor_half_term": None,
              "attendance_shift": 0.0, "fsm_share": 0.24}]
    folder = tmp_path_factory.mktemp("national")
    values = study_values()["simulation"]
    values.update(areas=areas, programmes=[])
    values["roll"]["pupils_per_school"] = 150
    values["costs"]["items"] = values["costs"]["items"][:1]
    section_of_nation = type(small_design()).model_validate_json(json.dumps(values))
    simulate_extracts(section_of_nation, root, folder, SEED)
    taken = take_in(folder, root, section)
    panel = taken["panel"].query("academic_year == '2022/23'")
    year = panel.groupby("pupil_id").agg(possible=("sessions_possible", "sum"), attended=("sessions_attended", "sum"), school=("school_id", "first"))
    year = year.join(taken["enrolments"].query("academic_year == '2022/23'").set_index("pupil_id")[["fsm", "year_group"]])
    return year.assign(absent=year["possible"] - year["attended"])


def test_rates_are_near_the_published_ones(national):
    """Secondary schools 2022/23: persistent 26.5, severe 3.4, overall about 9 to 10; with free school meals 45.0, without 20.2 (%)."""
    persistent, severe = 10 * national["absent"] >= national["possible"], 2 * national["absent"] >= national["possible"]
    assert 100 * persistent.mean() == pytest.approx(26.5, abs=3.0)
    assert 100 * severe.mean() == pytest.approx(3.4, abs=1.2)
    assert 100 * national["absent"].sum() / national["possible"].sum() == pytest.approx(9.5, abs=1.5)
    assert 100 * persistent[national["fsm"]].mean() == pytest.approx(45.0, abs=6.0)
    assert 100 * persistent[~national["fsm"]].mean() == pytest.approx(20.2, abs=4.0)
    assert persistent[national["year_group"] == 11].mean() > persistent[national["year_group"] == 7].mean() + 0.05


def test_the_passing_part_makes_chosen_groups_improve_by_themselves(extract):
    """Pupils absent 10% or more in one half-term are absent less three half-terms later without any support."""
    known = truth(extract)
    rate = (100 * known["absent_untreated"] / known["possible"]).unstack()
    chosen = rate.loc[(rate[8] >= 10) & rate[11].notna()]
    assert chosen[8].mean() - chosen[11].mean() > 2.0
    assert np.corrcoef(*rate[[8, 11]].dropna().to_numpy().T)[0, 1] > 0.3
