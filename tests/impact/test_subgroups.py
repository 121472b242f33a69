"""Subgroups: each effect is that of its own pupils, and groups that are too few, single or lacking are told so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from small_trial import section

from evaluation.errors import DataError
from evaluation.impact.change import estimate_change
from evaluation.impact.subgroups import ESTIMATED, ONE_GROUP, SUBGROUPS, TOO_FEW, check_subgroups, subgroup_effects
from evaluation.inference import adjust_p_values

RULES = section("impact", subgroups=["severity", "fsm", "sen", "phase", "area"], subgroup_minimum_pupils=8, subgroup_minimum_schools=3)
KEY = "B_referred_within_area_matched"
SCHOOLS = pd.DataFrame({"school_id": [f"{kind}{a}{s}" for a in range(2) for kind in "MC" for s in range(5)]})
SCHOOLS = SCHOOLS.assign(area_code=SCHOOLS["school_id"].str[1].map({"0": "X", "1": "Y"}), phase="secondary", area_name=lambda f: "Area " + f["area_code"])


def drawn(gap: float = 0.0, pupils: int = 30, seed: int = 1) -> pd.DataFrame:
    """Rows of an estimator: pupils on free school meals gain ``gap`` more than the others."""
    draw = np.random.default_rng(seed)
    rows = SCHOOLS.loc[SCHOOLS.index.repeat(pupils)].reset_index(drop=True)
    n = len(rows)
    rows = rows.assign(pupil_id=[f"P{i}" for i in range(n)], stack=draw.integers(7, 9, n), treated=rows["school_id"].str.startswith("M").astype("int64"),
                       fsm=draw.random(n) < 0.5, sen=np.where(np.arange(n) % 150 == 0, "ehcp", "none"), followup_possible=180,
                       window_absence_rate=np.where(draw.random(n) < 0.3, 60.0, 20.0), weight=draw.uniform(0.5, 1.5, n))
    shock = dict(zip(SCHOOLS["school_id"], draw.normal(0, 0.5, len(SCHOOLS)), strict=True))
    return rows.assign(change=draw.normal(0, 4, n) + rows["school_id"].map(shock) - rows["treated"] * (1.0 + gap * rows["fsm"])).drop(columns="phase")


def leading(rows):
    return {KEY: estimate_change(rows, within_area=True, weight="weight")}


@pytest.fixture(scope="module")
def table():
    return subgroup_effects(leading(drawn()), SCHOOLS, rules=RULES)


def test_each_effect_is_that_of_its_own_pupils(table):
    own = drawn()
    for group, inside in (("eligible", own["fsm"]), ("not eligible", ~own["fsm"])):
        alone = estimate_change(own.loc[inside], within_area=True, weight="weight")
        row = table.query("subgroup == 'fsm' and group == @group").iloc[0]
        assert row["estimate"] == pytest.approx(alone.estimate) and row["std_error"] == pytest.approx(alone.std_error)
        assert row["df"] == pytest.approx(alone.df) and row["n_treated"] == alone.n_treated and row["result"] == ESTIMATED
        assert row["conf_low"] < row["estimate"] < row["conf_high"]


def test_the_test_of_the_difference_finds_one_and_holm_counts_every_subgroup(table):
    p = table.drop_duplicates("subgroup").set_index("subgroup")[["p_interaction", "p_interaction_adjusted"]].astype(float)
    assert p.loc["fsm", "p_interaction"] > 0.05
    strong = subgroup_effects(leading(drawn(gap=3.0)), SCHOOLS, rules=RULES).drop_duplicates("subgroup").set_index("subgroup")
    assert strong.loc["fsm", "p_interaction"] < 0.001
    known = p["p_interaction"].dropna()
    expected = adjust_p_values(known, method="holm").frame.set_index("term")["p_adjusted"]
    assert p["p_interaction_adjusted"].dropna().to_dict() == pytest.approx(expected.to_dict()) and len(known) == 3  # severity, fsm, area


def test_two_groups_differ_by_the_difference_of_their_estimates():
    own = drawn()
    one = subgroup_effects(leading(own), SCHOOLS, rules=section("impact", subgroups=["fsm"], subgroup_minimum_pupils=8, subgroup_minimum_schools=3))
    flipped = own.assign(fsm=~own["fsm"])
    other = subgroup_effects(leading(flipped), SCHOOLS, rules=section("impact", subgroups=["fsm"], subgroup_minimum_pupils=8, subgroup_minimum_schools=3))
    assert one["p_interaction"].iloc[0] == pytest.approx(other["p_interaction"].iloc[0])
    swapped = dict(zip(other["group"], other["estimate"], strict=True))
    assert swapped["eligible"] == pytest.approx(one.set_index("group").loc["not eligible", "estimate"])


def test_too_few_pupils_have_no_number_and_the_row_says_how_many(table):
    row = table.query("subgroup == 'sen' and group == 'care plan'").iloc[0]
    assert row["result"] == TOO_FEW and pd.isna(row["estimate"]) and pd.isna(row["p_value"])
    assert "at least 8 pupils and 3 schools" in row["text"]
    assert pd.isna(table.query("subgroup == 'sen'")["p_interaction"]).all()
    few_schools = subgroup_effects(leading(drawn()), SCHOOLS, rules=section("impact", subgroups=["area"], subgroup_minimum_pupils=8, subgroup_minimum_schools=6))
    assert few_schools["result"].eq(TOO_FEW).all()


def test_a_group_that_everyone_is_in_is_no_subgroup(table):
    row = table.query("subgroup == 'phase'").iloc[0]
    assert row["result"] == ONE_GROUP and pd.isna(row["estimate"]) and "secondary" in row["text"]


def test_a_subgroup_that_the_panel_lacks_is_refused_by_name():
    own = drawn()
    with pytest.raises(DataError, match=r"`fsm` \(column `fsm`\)"):
        subgroup_effects(leading(own.drop(columns="fsm")), SCHOOLS, rules=RULES)
    with pytest.raises(ValidationError, match="postcode|severity"):
        section("impact", subgroups=["postcode"])
    with pytest.raises(DataError, match="`postcode`"):
        check_subgroups(["fsm", "postcode"], own.columns)
    with pytest.raises(DataError, match="phase"):
        subgroup_effects(leading(own), SCHOOLS.assign(phase=None), rules=RULES)


def test_the_protocol_knows_every_subgroup_that_can_be_looked_at():
    assert list(section("impact", subgroups=list(SUBGROUPS)).subgroups) == list(SUBGROUPS)


def test_nothing_depends_on_the_order_of_rows_or_the_names_of_schools(table):
    own = drawn().sample(frac=1, random_state=2)
    renamed = own.assign(school_id="Z" + own["school_id"])
    again = subgroup_effects(leading(renamed), SCHOOLS.assign(school_id="Z" + SCHOOLS["school_id"]), rules=RULES)
    pd.testing.assert_frame_equal(again, table, check_exact=False, rtol=1e-9)
