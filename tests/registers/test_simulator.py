"""The simulator: the same bytes from the same seed, a truth that holds exactly, and groups that behave as they are meant to."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.registers.calendar import default_calendar, half_terms, school_days
from evaluation.registers.dictionary import load_table, table_names
from evaluation.registers.intake import take_in
from evaluation.registers.simulator import simulate_extracts
from evaluation.registers.simulator.draws import draw_panel
from evaluation.registers.simulator.people import draw_schools

from small_study import ROOT, SEED, small_design, study_values

FIXED = {"calendar", "survey_scales", "programmes", "costs"}  # tables of the design alone, the same whatever the seed


def digests(folder) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def truth(folder) -> pd.DataFrame:
    return pd.read_parquet(folder / "truth" / "pupil_effects.parquet").astype({"pupil_id": "str"}).set_index(["pupil_id", "half_term"])


def table(folder, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{name}.parquet")


def half_term_of_dates(dates: pd.Series) -> np.ndarray:
    days = school_days(default_calendar())
    return pd.to_datetime(dates).map(days.set_index("date")["half_term"]).to_numpy()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(extract, simulate):
    again, other = digests(simulate("again")), digests(simulate("other", seed=SEED + 1))
    assert again == digests(extract)
    assert {name for name in again if again[name] == other[name]} == {f"{name}.parquet" for name in FIXED}


def test_the_record_holds_the_digest_of_every_file_and_every_extract_table_is_there(extract, root):
    record = json.loads((extract / "simulation.json").read_text(encoding="utf-8"))
    found = digests(extract)
    found.pop("simulation.json")
    assert record == {"schema_version": 1, "label": "simulated", "seed": SEED, "files": found}
    extracts = {name for name in table_names(root) if "\nx-extract: true\n" in (root / "data_dictionary" / f"{name}.yaml").read_text(encoding="utf-8")} - {"absence_bands"}
    assert {name.removesuffix(".parquet") for name in found if "/" not in name} == extracts
    assert {name for name in found if "/" in name} == {"truth/pupil_effects.parquet", "truth/estimands.parquet"}


def test_every_table_has_the_columns_of_the_dictionary_and_is_in_order_of_its_key(extract, root):
    for path in sorted(extract.glob("*.parquet")):
        frame, entry = pd.read_parquet(path), load_table(root, path.stem)
        assert len(frame) > 0 and list(frame.columns) == [column.name for column in entry.columns]
        for column in entry.columns:
            assert not (column.required and frame[column.name].isna().any()), f"{path.stem}.{column.name}"
        key = list(entry.primary_key) if path.stem != "marks" else ["pupil_id", "date", "session", "school_id"]
        words = frame[key].astype({name: "str" for name in key if frame[name].dtype == "category"})
        assert not words.duplicated().any() and words.sort_values(key).index.equals(words.index), f"{path.stem} is not in order of its key"


def test_the_truth_with_support_is_what_the_panel_shows(extract, root, section):
    panel = take_in(extract, root, section)["panel"].groupby(["pupil_id", "half_term"])[["harmonised_possible", "harmonised_absent"]].sum()
    known = truth(extract)
    known = known.loc[known["possible"] > 0]
    panel = panel.loc[panel["harmonised_possible"] > 0].reindex(known.index)
    assert (panel["harmonised_possible"] == known["possible"]).all() and (panel["harmonised_absent"] == known["absent"]).all()


def test_removing_mentoring_gives_the_untreated_outcomes_exactly(extract, simulate):
    known = truth(extract)
    assert (known["absent"] != known["absent_untreated"]).sum() > 20
    without = truth(simulate("nobody", referral__per_school=0))
    assert without.index.equals(known.index)
    assert (without["absent"] == known["absent_untreated"]).all() and (without["absent_untreated"] == known["absent_untreated"]).all()
    assert (without["possible"] == known["possible_untreated"]).all()


@pytest.fixture(scope="module")
def larger(tmp_path_factory, root):
    """The extract with a much larger effect."""
    folder = tmp_path_factory.mktemp("larger")
    simulate_extracts(small_design(support__effect=15.0), root, folder, SEED)
    return folder


def test_a_larger_effect_changes_only_outcomes_of_started_pupils_after_they_start(extract, larger):
    same = [name for name in digests(extract) if digests(larger)[name] == digests(extract)[name]]
    changed_tables = {path.stem for path in extract.glob("*.parquet")} - {name.removesuffix(".parquet") for name in same}
    assert changed_tables == {"marks", "absence_by_period", "deliveries"}  # deliveries hold the digests of the other two
    before, after = (table(folder, "marks") for folder in (extract, larger))
    assert before[["pupil_id", "school_id", "date", "session"]].equals(after[["pupil_id", "school_id", "date", "session"]])
    changed = before.loc[before["code"].astype(str) != after["code"].astype(str)].astype({"pupil_id": "str"})
    started = table(extract, "referrals").dropna(subset=["start_date"]).set_index("pupil_id")["start_date"]
    assert len(changed) > 100 and set(changed["pupil_id"]) <= set(started.index)
    assert (pd.to_datetime(changed["date"]).to_numpy() >= pd.to_datetime(changed["pupil_id"].map(started)).to_numpy()).all()


def test_support_never_moves_medical_appointments_suspensions_or_closures(extract, larger):
    before, after = (table(folder, "marks")["code"].astype(str) for folder in (extract, larger))
    for code in ("M", "E", "J1", "-", "Y", "Y4", "D"):
        assert ((before == code) == (after == code)).all(), code


def test_a_study_without_mentors_has_no_referrals(tmp_path):
    values = small_design(roll__pupils_per_school=14).model_dump(mode="json")
    values["areas"] = [{**area, "mentor_schools": 0, "comparison_schools": 2, "first_mentor_half_term": None} for area in values["areas"][:1]]
    values["programmes"] = []
    section = type(small_design()).model_validate_json(json.dumps(values))
    simulate_extracts(section, ROOT, tmp_path / "none", SEED)
    assert not len(table(tmp_path / "none", "referrals")) and (truth(tmp_path / "none")["absent"] == truth(tmp_path / "none")["absent_untreated"]).all()


def test_a_harmful_effect_raises_absence(simulate):
    known = truth(simulate("harm", support__effect=-5.0))
    assert (known["absent"] >= known["absent_untreated"]).all() and (known["absent"] > known["absent_untreated"]).any()


def test_effects_differ_by_severity_model_and_year_and_fade_after_support():
    from evaluation.registers.simulator.attendance import half_term_days
    from evaluation.registers.simulator.mentoring import Referred, effect_by_day

    section, days = small_design(), school_days(default_calendar())
    schools = draw_schools(section, SEED)
    one, other = (int(np.flatnonzero(schools.model == model)[0]) for model in (0, 1))
    dates = days["date"].to_numpy()
    begin = int(np.searchsorted(dates, np.datetime64("2023-11-06")))
    done = Referred()
    done.add(pupil=np.arange(4), school=np.array([one, one, other, one]), half_term=np.array([8, 8, 8, 4]), window_absence=np.array([15.0, 30.0, 15.0, 15.0]),
             referral_day=np.full(4, begin), consent=np.ones(4), start_day=np.full(4, begin), weeks=np.full(4, 12), started=np.ones(4))
    effects = {now.half_term: effect_by_day(section, schools, done, np.arange(4), dates, now) for now in half_term_days(days)}
    full = section.support.effect * section.support.severity_factors[0] * section.support.delivery_models[0].effect_factor
    assert not effects[7].any() and effects[8][0].max() == pytest.approx(full)
    assert effects[8][1].max() / full == pytest.approx(section.support.severity_factors[1] / section.support.severity_factors[0])
    assert effects[8][2].max() / full == pytest.approx(section.support.delivery_models[1].effect_factor / section.support.delivery_models[0].effect_factor)
    assert effects[8][3].max() / full == pytest.approx(section.support.first_year_factor)
    ends = np.datetime64(dates[begin], "D") + 7 * 12
    later = half_term_days(days)[17]
    since = (later.dates.astype("datetime64[D]") - ends).astype(int) / (42 * section.support.half_life)
    assert effects[18][0] == pytest.approx(full * 0.5**since)


def test_codes_are_those_in_force(extract):
    marks = table(extract, "marks").astype({"code": "str"})
    after = pd.to_datetime(marks["date"]) >= pd.Timestamp("2024-08-19")
    assert not set(marks.loc[~after, "code"]) & {"C2", "J1", "K", "Y4"} and not set(marks.loc[after, "code"]) & {"J", "Y"}
    assert {"C2", "Y4"} <= set(marks.loc[after, "code"])


def test_year_11_leaves_before_the_second_half_of_the_summer_term(extract):
    marks, pupils = table(extract, "marks"), table(extract, "pupils")
    groups = pupils.drop_duplicates(["pupil_id", "academic_year"]).set_index(["pupil_id", "academic_year"])["year_group"]
    years = school_days(default_calendar()).drop_duplicates("half_term").set_index("half_term")["academic_year"]
    cells = pd.DataFrame({"pupil_id": marks["pupil_id"].astype("str"), "half_term": half_term_of_dates(marks["date"])}).drop_duplicates()
    cells["year_group"] = groups.loc[list(zip(cells["pupil_id"], cells["half_term"].map(years), strict=True))].to_numpy()
    last = cells.loc[cells["half_term"] % 6 == 0]
    assert set(last["year_group"]) == {7, 8, 9, 10} and set(last["half_term"]) == {6, 12, 18}
    assert set(cells.loc[cells["half_term"] % 6 == 5, "year_group"]) == {7, 8, 9, 10, 11}
    known = truth(extract).reset_index()
    assert len(known) == len(cells)


def test_nobody_is_referred_twice_and_every_referral_follows_an_eligible_window(extract):
    listed, known = table(extract, "referrals"), truth(extract)
    assert listed["pupil_id"].is_unique and len(listed) > 40
    when = half_term_of_dates(listed["referral_date"])
    window = known.loc[list(zip(listed["pupil_id"], when - 1, strict=True))]
    assert (10 * window["absent_untreated"] >= window["possible"]).all()
    schools = table(extract, "schools").set_index("school_id").loc[listed["school_id"]]
    assert schools["mentor_school"].all() and (pd.to_datetime(listed["referral_date"]).to_numpy() >= pd.to_datetime(schools["mentoring_start"]).to_numpy()).all()
    started = listed.dropna(subset=["start_date"])
    assert started["consent"].all() and (started["start_date"] > started["referral_date"]).all() and (started["end_date"] >= started["start_date"]).all()
    enrolled = listed.merge(table(extract, "pupils"), on=["pupil_id", "school_id"])
    inside = (enrolled["enrolment_start"] <= enrolled["referral_date"]) & (enrolled["enrolment_end"].isna() | (enrolled["enrolment_end"] >= enrolled["referral_date"]))
    assert set(enrolled.loc[inside, "referral_id"]) == set(listed["referral_id"])


def test_full_mentors_make_pupils_wait_or_miss_out_and_never_go_beyond_their_caseload():
    listed = {places: draw_panel(small_design(support__caseload=places, referral__per_school=6), SEED).referral_list() for places in (2, 40)}
    for places, frame in listed.items():
        for _, mine in frame.loc[frame["started"]].groupby("mentor_id"):
            planned = pd.concat([pd.Series(1, index=pd.DatetimeIndex(mine["start_date"])), pd.Series(-1, index=pd.DatetimeIndex(mine["end_date"]))])
            assert planned.groupby(level=0).sum().sort_index().cumsum().max() <= places
    assert listed[2]["started"].sum() < 0.6 * listed[40]["started"].sum()
    both = listed[2].merge(listed[40], on=["pupil_id", "referral_date"], suffixes=("_few", "_many"))
    wait = (both["start_date_few"] - both["start_date_many"]).dt.days.dropna()
    assert (wait >= 0).all() and 0 < wait.max() <= 7 * small_design().support.longest_wait


def later_change(drawn) -> float:
    """Mean change of absence from the window to three half-terms later without support, in points, of those referred."""
    pupil, window = drawn.outcomes.referred["pupil"].to_numpy(), drawn.outcomes.referred["half_term"].to_numpy() - 1
    rates = [np.where(p > 0, 100 * a / np.maximum(p, 1), np.nan) for p, a in
             ((drawn.outcomes.possible[pupil, at], drawn.outcomes.untreated[pupil, at]) for at in (window - 1, np.minimum(window + 2, 17)))]
    return float(np.nanmean(rates[1] - rates[0]))


def test_private_rules_choose_by_where_the_pupil_is_heading():
    drawn = {rule: draw_panel(small_design(referral__rule=rule, referral__slope=6.0, referral__again_weight=1.0, roll__pupils_per_school=160), SEED)
             for rule in ("level", "window", "private_decline", "private_engagement")}
    change = {rule: later_change(one) for rule, one in drawn.items()}
    assert len({frozenset(one.outcomes.referred["pupil"]) for one in drawn.values()}) == 4
    assert change["private_engagement"] + 3 < change["level"] < change["private_decline"] - 3
    assert change["private_engagement"] + 3 < change["window"] < change["private_decline"] - 3


def test_areas_open_when_they_are_registered_to():
    section = small_design()
    schools = draw_schools(section, SEED)
    assert sorted(set(schools.opens[schools.mentored])) == [3, 7]
    assert (schools.mentor[schools.mentored] >= 0).all() and (schools.mentor[~schools.mentored] == -1).all()
    for mentor in set(schools.mentor[schools.mentored]):
        mine = schools.mentor == mentor
        assert len(set(schools.model[mine])) == 1 and len(set(schools.area[mine])) == 1 and mine.sum() <= section.support.schools_per_mentor


def test_files_of_others_are_never_overwritten(tmp_path, root):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="no simulated extracts"):
        simulate_extracts(small_design(), root, tmp_path, SEED)
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"
    with pytest.raises(DataError, match="a file of that name"):
        simulate_extracts(small_design(), root, tmp_path / "notes.txt", SEED)


def test_a_simulated_folder_is_written_again_but_not_when_someone_has_put_a_file_there(simulate):
    folder = simulate("again")
    before = digests(folder)
    (folder / "mine.parquet").write_bytes(b"mine")
    with pytest.raises(DataError, match="no simulated extracts, such as `mine.parquet`"):
        simulate("again")
    assert digests(folder) == {**before, "mine.parquet": hashlib.sha256(b"mine").hexdigest()}
    (folder / "mine.parquet").unlink()
    assert digests(simulate("again")) == before


def test_the_passing_part_makes_chosen_groups_improve_by_themselves(extract):
    """Pupils absent 10% or more in one half-term are absent less three half-terms later without any support."""
    known = truth(extract)
    rate = (100 * known["absent_untreated"] / known["possible"]).unstack()
    chosen = rate.loc[(rate[8] >= 10) & rate[11].notna()]
    assert chosen[8].mean() - chosen[11].mean() > 2.0
    assert np.corrcoef(*rate[[8, 11]].dropna().to_numpy().T)[0, 1] > 0.3


def test_measured_half_terms_of_the_truth_are_those_of_the_registered_cohort():
    values = study_values()
    assert {name: values["cohort"][name] for name in ("gap", "measured_length", "minimum_sessions")} == values["simulation"]["truth"]
    assert len(half_terms(default_calendar())) == 18
