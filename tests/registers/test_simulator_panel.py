"""Draws without marks: the same model as the marks, the truth of the estimands, and tables that a cohort is built from."""

import json

import numpy as np
import pandas as pd
import pytest

from evaluation.design import build_cohort, season_matched_windows
from evaluation.impact.truth import true_effects
from evaluation.protocol.trial import CohortSection
from evaluation.registers.intake import take_in
from evaluation.registers.simulator.draws import draw_panel

from small_study import SEED, small_design, study_values

# Marks and draws are two samples of one model: means and standard deviations of pupils' half-term rates (12,000 cells of 900 pupils) differ
# by chance. Standard errors by simulation: 0.15 points for the mean, 0.2 for the standard deviation, 0.02 for correlations.
MEAN_TOLERANCE, SPREAD_TOLERANCE, CORRELATION_TOLERANCE = 0.6, 0.8, 0.08


@pytest.fixture(scope="module")
def design():
    return small_design(roll__pupils_per_school=100)


@pytest.fixture(scope="module")
def marked(tmp_path_factory, root, design):
    from evaluation.registers.simulator import simulate_extracts

    folder = tmp_path_factory.mktemp("marked")
    simulate_extracts(design, root, folder, SEED)
    return folder


@pytest.fixture(scope="module")
def drawn(design):
    return draw_panel(design, SEED)


def rules():
    return CohortSection.model_validate_json(json.dumps({**study_values()["cohort"], "minimum_schools_per_arm": 1}))


def cohort_of(panel, enrolments, schools, referrals):
    section = rules()
    windows = season_matched_windows(window_length=section.window_length, gap=section.gap, measured_length=section.measured_length)
    return build_cohort(panel, enrolments, schools, referrals, rules=section, windows=windows)


def moments(possible: pd.Series, absent: pd.Series) -> dict[str, float]:
    rate = (100 * absent / possible).where(possible >= 20).unstack("half_term")
    pairs = rate[[8, 9]].dropna()
    return {"possible": possible.mean(), "mean": rate.stack().mean(), "sd": rate.stack().std(), "next": pairs.corr().iloc[0, 1],
            "change": (pairs[9] - pairs[8]).std(), "high": 100 * (rate.stack() >= 10).mean(), "half": 100 * (rate.stack() >= 50).mean()}


def test_draws_and_marks_have_the_same_moments_with_support_and_without(marked, drawn):
    known = pd.read_parquet(marked / "truth" / "pupil_effects.parquet").set_index(["pupil_id", "half_term"])
    panel = drawn.truth().set_index(["pupil_id", "half_term"])
    for column in ("absent", "absent_untreated"):
        of_marks, of_draws = moments(known["possible"], known[column]), moments(panel["possible"], panel[column])
        assert of_draws["possible"] == pytest.approx(of_marks["possible"], rel=0.005)
        assert of_draws["mean"] == pytest.approx(of_marks["mean"], abs=MEAN_TOLERANCE)
        assert of_draws["sd"] == pytest.approx(of_marks["sd"], abs=SPREAD_TOLERANCE) and of_draws["change"] == pytest.approx(of_marks["change"], abs=SPREAD_TOLERANCE)
        assert of_draws["next"] == pytest.approx(of_marks["next"], abs=CORRELATION_TOLERANCE)
        assert of_draws["high"] == pytest.approx(of_marks["high"], abs=2.0) and of_draws["half"] == pytest.approx(of_marks["half"], abs=0.8)
    saved = [(frame["absent_untreated"] - frame["absent"]).groupby("pupil_id").sum().reindex(listed["pupil_id"]) for frame, listed in
             ((known, pd.read_parquet(marked / "referrals.parquet")), (panel, drawn.referral_list()))]
    error = sum(one.var() / len(one) for one in saved) ** 0.5
    assert abs(saved[0].mean() - saved[1].mean()) < 3 * error and min(one.mean() for one in saved) > 2


def referral_means(lots) -> np.ndarray:
    """Who is referred with lots drawn by one rule or the other, over forty seeds: means, one row a seed."""
    from evaluation.registers.simulator import draws

    rows = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draws, "lots_by_window", lots)
        for seed in range(100, 140):
            table = draw_panel(small_design(roll__pupils_per_school=60), seed).outcomes.referred
            begun = table.loc[table["started"]]
            rows.append([len(table), table["window_absence"].mean(), table["consent"].mean(), table["started"].mean(), begun["weeks"].mean(),
                         (begun["start_day"] - begun["referral_day"]).mean(), table["school"].mean()])
    return np.array(rows)


def test_one_stream_for_a_window_refers_as_one_for_each_school_does():
    """Draws without marks take their lots from one stream a window, marks from one a school: means agree within four standard errors."""
    from evaluation.registers.simulator.mentoring import lots_by_school, lots_by_window

    by_school, by_window = referral_means(lots_by_school), referral_means(lots_by_window)
    difference = by_window - by_school
    error = difference.std(axis=0, ddof=1) / len(difference) ** 0.5
    assert (np.abs(difference.mean(axis=0)) <= 4 * error + 1e-9).all()
    assert not np.array_equal(by_school[:, 1], by_window[:, 1])


def test_draws_share_schools_and_pupils_with_the_marks_of_their_seed(marked, drawn):
    pupils = pd.read_parquet(marked / "pupils.parquet").drop_duplicates("pupil_id").set_index("pupil_id")[["sex", "fsm", "sen_provision", "idaci"]]
    ours = drawn.enrolments().drop_duplicates("pupil_id").set_index("pupil_id")[["sex", "fsm", "sen", "idaci"]]
    both = pupils.join(ours.rename(columns=lambda name: name if name == "sen" else f"{name}_drawn"), how="inner")
    assert len(both) > 0.95 * len(pupils)
    assert (both["sex"] == both["sex_drawn"]).all() and (both["fsm"] == both["fsm_drawn"]).all() and (both["sen_provision"] == both["sen"]).all() and np.allclose(both["idaci"], both["idaci_drawn"])


def test_the_same_seed_draws_the_same_panel_and_another_seed_another(design, drawn):
    again, other = draw_panel(design, SEED), draw_panel(design, SEED + 1)
    for name in ("possible", "absent", "untreated"):
        assert np.array_equal(getattr(again.outcomes, name), getattr(drawn.outcomes, name))
    pd.testing.assert_frame_equal(again.outcomes.referred, drawn.outcomes.referred)
    assert again.outcomes.absent.shape != other.outcomes.absent.shape or not np.array_equal(again.outcomes.absent, other.outcomes.absent)


def test_pupils_who_come_to_attend_hardly_attend_as_others_do_until_then(drawn):
    """The stress scenario changes nobody else, and nothing of anyone once the pupil hardly attends."""
    none, all_of_them = drawn, draw_panel(small_design(roll__pupils_per_school=100, attendance__disengaging_share=1.0), SEED)
    assert np.array_equal(none.pupils.inclination, all_of_them.pupils.inclination)
    change = all_of_them.pupils.passing - none.pupils.passing
    touched = np.flatnonzero(change.any(axis=1))
    shift = -small_design().attendance.disengaged_shift
    hardly = np.isclose(change[touched], shift, atol=1e-4)
    assert (hardly | (change[touched] == 0)).all() and hardly[:, 0].all() and not hardly[:, -1].any()
    assert (np.diff(hardly.astype(int), axis=1) <= 0).all()  # once, and for good
    begins = hardly.sum(axis=1)
    assert begins.min() >= 1 and begins.max() <= 17 and len(set(begins)) > 12 and 0.02 < len(touched) / len(none.pupils) < 0.08
    rates = [100 * one.outcomes.untreated[touched].clip(0) / np.maximum(one.outcomes.possible[touched], 1) for one in (none, all_of_them)]
    early = hardly & (none.outcomes.possible[touched] > 0) & (all_of_them.outcomes.possible[touched] > 0)
    assert rates[0][early].mean() > 40 > 25 > rates[1][early].mean()


def test_without_support_a_draw_is_its_untreated_outcomes_and_a_harmful_effect_raises_absence(design, drawn):
    for changes in ({"support__effect": 0.0}, {"referral__per_school": 0}, {"referral__start_share": 0.0}):
        without = draw_panel(small_design(roll__pupils_per_school=100, **changes), SEED)
        assert np.array_equal(without.outcomes.absent, drawn.outcomes.untreated) and np.array_equal(without.outcomes.untreated, drawn.outcomes.untreated)
    harm = draw_panel(small_design(roll__pupils_per_school=100, support__effect=-6.0), SEED).outcomes
    assert (harm.absent >= harm.untreated).all() and (harm.absent > harm.untreated).sum() > 100 and (harm.absent <= harm.possible).all()
    assert (drawn.outcomes.absent <= drawn.outcomes.untreated).all()


def met_before(drawn) -> float:
    """Share of the pupils referred who had met the rule earlier, since the window before their school opened."""
    outcomes, listed = drawn.outcomes, drawn.outcomes.referred
    met = (outcomes.possible > 0) & (10 * outcomes.untreated.astype(int) >= outcomes.possible)
    half_term = np.arange(1, met.shape[1] + 1)
    earlier = (half_term >= drawn.schools.opens[listed["school"]][:, None] - 1) & (half_term < listed["half_term"].to_numpy()[:, None] - 1)
    return float((met[listed["pupil"]] & earlier).any(axis=1).mean())


def test_pupils_who_met_the_rule_before_are_referred_as_seldom_as_registered():
    shares = [met_before(draw_panel(small_design(roll__pupils_per_school=150, referral__again_weight=weight), SEED)) for weight in (0.0, 0.05, 1.0)]
    assert shares[0] + 0.05 < shares[1] < shares[2] - 0.1


def test_closures_and_lost_registers_are_no_possible_sessions(drawn):
    """Shares of sessions within four standard errors: schools close and year groups' registers are lost together."""
    def sessions(possible):
        return possible[possible >= 0].mean()

    for changes, left, tolerance in (({"reasons__missing_register": 10.0}, 0.9, 0.01), ({"schools__closed": 5.0}, 0.95, 0.015)):
        fewer = draw_panel(small_design(roll__pupils_per_school=100, **changes), SEED).outcomes.possible
        assert sessions(fewer) / sessions(drawn.outcomes.possible) == pytest.approx(left, abs=tolerance)


def test_parents_consent_and_pupils_start_as_often_as_registered():
    section = small_design(roll__pupils_per_school=300, referral__per_school=20, support__caseload=200)
    listed = draw_panel(section, SEED).referral_list()
    for share, found in ((section.referral.consent_share, listed["consented"]), (section.referral.start_share, listed.loc[listed["consented"], "started"])):
        assert len(found) > 500 and abs(found.mean() - share) < 4 * (share * (1 - share) / len(found)) ** 0.5
    assert not listed.loc[~listed["consented"], "started"].any()


def test_more_schools_keep_the_rates():
    """Half as many schools and twice as many: absence and referral rates stay, within sampling noise."""
    values = study_values()["simulation"]
    rates = {}
    for times in (1, 3):
        areas = [{**area, "mentor_schools": area["mentor_schools"] * times, "comparison_schools": area["comparison_schools"] * times} for area in values["areas"]]
        section = type(small_design()).model_validate_json(json.dumps({**values, "areas": areas, "roll": {**values["roll"], "pupils_per_school": 100}}))
        outcomes = draw_panel(section, SEED).outcomes
        there = outcomes.possible > 0
        rate = outcomes.untreated[there] / outcomes.possible[there]
        mentored = sum(area["mentor_schools"] for area in areas)
        rates[times] = (100 * rate.mean(), 100 * (rate >= 0.1).mean(), len(outcomes.referred) / mentored, outcomes.referred["started"].mean())
    assert rates[3][0] == pytest.approx(rates[1][0], abs=0.6) and rates[3][1] == pytest.approx(rates[1][1], abs=2.0)
    assert rates[3][2] == pytest.approx(rates[1][2], rel=0.05) and rates[3][3] == pytest.approx(rates[1][3], abs=0.06)


def expected(frame: pd.DataFrame, effects: pd.DataFrame, who: pd.Series) -> tuple[int, float, float]:
    mine = effects.loc[who.to_numpy()]
    return int(who.sum()), float(mine["points"].mean()), float(mine["days"].mean())


@pytest.mark.parametrize("entries", ["first", "every"])
def test_the_estimands_are_the_true_effects_on_the_retained_pupils_of_the_cohort(drawn, entries):
    cohort = cohort_of(drawn.panel(), drawn.enrolments(), drawn.school_list(), drawn.referral_list())
    frame = cohort.frame.loc[cohort.frame["analysed"] & cohort.frame["mentor_school"] & ((cohort.frame["entry"] == "first") | (entries == "every"))].reset_index(drop=True)
    effects = true_effects(frame, drawn.truth(), trajectories=cohort.trajectories)
    values = drawn.estimands().query("entries == @entries").set_index(["estimand", "level"])
    whole = values.loc[values["area_code"].isna() & values["stack"].isna()]
    groups = {("A", "eligible"): frame["eligible"], ("A", "referred"): frame["referred_by_followup"], ("B", "referred"): frame["referred"], ("B", "started"): frame["started"]}
    for key, who in groups.items():
        count, points, days = expected(frame, effects, who)
        assert count > 10 and whole.loc[key, "pupils"] == count, key
        assert whole.loc[key, "points"] == pytest.approx(points, rel=1e-9) and whole.loc[key, "days"] == pytest.approx(days, rel=1e-9)
    by_stack = values.loc[values["area_code"].isna() & values["stack"].notna()].loc[("B", "referred")].set_index("stack")
    for stack, row in by_stack.iterrows():
        count, points, _ = expected(frame, effects, frame["referred"] & (frame["stack"] == stack))
        assert (row["pupils"], row["points"]) == (count, pytest.approx(points, rel=1e-9))
    by_area = values.loc[values["stack"].isna() & values["area_code"].notna()].loc[("A", "eligible")].set_index("area_code")
    assert {area: row["pupils"] for area, row in by_area.iterrows()} == frame.groupby("area_code").size().to_dict()


@pytest.mark.slow
def test_the_estimands_of_marks_are_those_of_the_cohort_that_intake_gives(marked, root, section):
    taken = take_in(marked, root, section)
    cohort = cohort_of(taken["panel"], taken["enrolments"], taken["school_list"], taken["referral_list"])
    frame = cohort.frame.loc[cohort.frame["analysed"] & cohort.frame["mentor_school"] & (cohort.frame["entry"] == "first")].reset_index(drop=True)
    effects = true_effects(frame, pd.read_parquet(marked / "truth" / "pupil_effects.parquet"), trajectories=cohort.trajectories)
    values = pd.read_parquet(marked / "truth" / "estimands.parquet").query("entries == 'first' and area_code.isna() and stack.isna()").set_index(["estimand", "level"])
    for key, who in {("A", "eligible"): frame["eligible"], ("B", "referred"): frame["referred"], ("B", "started"): frame["started"]}.items():
        count, points, _ = expected(frame, effects, who)
        assert values.loc[key, "pupils"] == pytest.approx(count, abs=3) and values.loc[key, "points"] == pytest.approx(points, abs=0.1), key
