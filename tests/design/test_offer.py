"""Weights of the offer effect: fitted in schools with mentors alone, the same weight in both arms of each cell, and honest about who has none."""

import numpy as np
import pandas as pd
import pytest

from evaluation.design import build_cohort, design_rows, offer_weights, propensity_weights, season_matched_windows
from evaluation.design.registered import LEFT_OUT
from evaluation.errors import UnidentifiedError
from evaluation.impact import estimate_change
from small_trial import drawn_trial, section

KEY = ["stack", "pupil_id"]
RULES = section("matching")
CELLS = ["area_code", "stack", "stratum", "half_terms_measured"]


@pytest.fixture(scope="module")
def cohort() -> pd.DataFrame:
    trial = drawn_trial(11, pupils_per_school=70)
    return build_cohort(trial["panel"], trial["enrolments"], trial["schools"], trial["referrals"], rules=section("cohort"), windows=season_matched_windows()).frame


@pytest.fixture(scope="module")
def offer(cohort):
    return offer_weights(cohort, rules=RULES)


def of(offer, design: str, cohort: pd.DataFrame) -> pd.DataFrame:
    return offer.frame.query("design == @design").merge(cohort, on=KEY, validate="one_to_one")


def test_every_eligible_pupil_of_a_design_has_a_row(cohort, offer):
    for design in ("within_area", "between_areas"):
        rows = design_rows(cohort, design, referred_only=False)
        own = of(offer, design, cohort)
        assert len(own) == len(rows) and own["treated"].sum() == rows["treated"].sum() and own["entry"].eq("first").all()
        assert not own.loc[~own["treated"], "mentor_school"].any() and own.loc[own["treated"], "mentor_school"].all()


def test_both_arms_weigh_the_same_in_each_cell_and_risks_come_before_scaling(cohort, offer):
    own = of(offer, "within_area", cohort)
    sums = own.groupby([*CELLS, "treated"])["weight"].sum().unstack(fill_value=0.0)
    np.testing.assert_allclose(sums[True], sums[False])
    used = own.loc[own["weight"] > 0]
    np.testing.assert_allclose(used["weight_unscaled"], used["referral_risk"])
    np.testing.assert_allclose(used.loc[used["treated"], "weight"], used.loc[used["treated"], "referral_risk"])
    assert (own.loc[own["weight"] == 0, "weight_unscaled"] == 0).all()


def test_the_risk_is_that_of_schools_with_mentors(cohort, offer):
    rows = design_rows(cohort, "within_area", referred_only=False)
    inside = rows.loc[rows["treated"] == 1].assign(year_group=lambda f: f["year_group"].astype(str), referred=lambda f: f["referred"].astype(int))
    alone = propensity_weights(inside, "referred", on=RULES.score_covariates).model.probability
    own = inside[KEY].assign(alone=alone).merge(offer.frame.query("design == 'within_area'"), on=KEY)
    assert own["referral_risk"].notna().sum() > 0.95 * len(own)
    np.testing.assert_allclose(own["referral_risk"], own["alone"], rtol=1e-8)


def test_the_overlap_table_says_how_much_the_weights_are_worth(cohort, offer):
    table = offer.overlap.set_index(["design", "arm"])
    own = of(offer, "within_area", cohort).query("treated")
    row = table.loc[("within_area", "schools with mentors")]
    assert row["effective_n"] == pytest.approx(own["weight"].sum() ** 2 / (own["weight"] ** 2).sum())
    assert row["referred_by_followup_share"] == pytest.approx(np.average(own["referred_by_followup"], weights=own["weight"]))
    assert row["pupils"] == row["used"] + row["without_risk"] + row["without_cell"] == len(own)
    assert table.loc[("within_area", "schools without mentors"), "referred_share"] == 0


def test_a_characteristic_without_any_referral_leaves_its_pupils_out_of_both_arms_and_counts_them(cohort):
    changed = cohort.assign(sen=cohort["sen"].where(~((cohort["sen"] == "support") & cohort["referred"]), "none"))
    result = offer_weights(changed, rules=RULES)
    own = of(result, "within_area", changed)
    none = own["sen"] == "support"
    assert none.any() and own.loc[none, "referral_risk"].isna().all() and (own.loc[none, "weight"] == 0).all()
    row = result.overlap.query("design == 'within_area'").set_index("arm")["without_risk"]
    assert row["schools with mentors"] == (none & own["treated"]).sum() and row["schools without mentors"] == (none & ~own["treated"]).sum()


def test_a_cell_without_comparison_pupils_has_no_weight_and_is_counted(cohort):
    lonely = cohort.assign(analysed=cohort["analysed"] & (cohort["mentor_school"] | (cohort["stack"] != 9)))
    result = offer_weights(lonely, rules=RULES)
    own = of(result, "within_area", lonely)
    assert (own.loc[own["stack"] == 9, "weight"] == 0).all()
    assert result.overlap.query("design == 'within_area' and arm == 'schools with mentors'")["without_cell"].iloc[0] >= (own["stack"] == 9).sum() > 0


def test_a_leading_design_that_cannot_be_weighted_is_refused_and_a_later_one_is_left_out(cohort):
    nobody = cohort.assign(referred=False)
    with pytest.raises(UnidentifiedError, match="no referred pupil|no characteristic varies|there is no pupil"):
        offer_weights(nobody, rules=RULES)
    no_pool = cohort.assign(between_pool=cohort["mentor_school"])
    result = offer_weights(no_pool, rules=RULES)
    assert set(result.frame["design"]) == {"within_area"}
    assert result.overlap.query("design == 'between_areas'")["reason"].str.startswith(LEFT_OUT).all()


def test_weights_do_not_hang_on_the_order_of_rows(cohort, offer):
    again = offer_weights(cohort.sample(frac=1.0, random_state=4), rules=RULES).frame
    pd.testing.assert_frame_equal(again, offer.frame, rtol=1e-9)


def test_the_offer_is_near_zero_where_mentoring_does_nothing_whoever_is_referred():
    """Referral follows lasting absence, which understates the effect on referred pupils; the offer does not care."""
    found = []
    for seed in (1, 2, 3):
        trial = drawn_trial(seed, pupils_per_school=150, pool_area=False, referral="level")
        frame = build_cohort(trial["panel"], trial["enrolments"], trial["schools"], trial["referrals"], rules=section("cohort"), windows=season_matched_windows()).frame
        rows = of(offer_weights(frame, rules=section("matching", designs=["within_area"])), "within_area", frame).assign(treated=lambda f: f["treated"].astype(int))
        found.append(estimate_change(rows, within_area=True, weight="weight").estimate)
    assert abs(np.mean(found)) < 0.6  # twice the standard error of a mean of three is 0.5
