"""Costs by perspective and per pupil, against sums done by hand; every refusal names its row."""

from __future__ import annotations

import pandas as pd
import pytest

from evaluation.errors import ContractError, DataError, UnidentifiedError
from evaluation.value.costs import comparable_costs, present_values
from evaluation.value.discounting import GREEN_BOOK
from evaluation.value import check_costs, costs_by_perspective, pupil_counts, to_price_base

PERIODS = ["2022/23", "2023/24"]
PAYERS = {
    "funder": ["Department"],
    "public_sector": ["Department", "school"],
    "society": ["Department", "delivery partner", "school", "family"],
}
PUPILS = {"eligible": 100, "referred": 20, "started": 10, "completed": 8}


@pytest.fixture
def costs() -> pd.DataFrame:
    return pd.DataFrame(
        [
            ("C1", "Mentors", "mentor pay", "running", "Department", "2022/23", 8000.0, 1600.0, False),
            ("C2", "Training", "training", "set-up", "Department", "2022/23", 1000.0, None, False),
            ("C3", "Refund of training", "training", "set-up", "Department", "2023/24", -200.0, None, True),
            ("C4", "Staff time", "school staff time", "running", "school", "2023/24", 500.0, None, False),
            ("C5", "Parents' time", "family time", "running", "family", "2023/24", 300.0, None, False),
            ("C6", "Own funds", "overhead", "running", "delivery partner", "2023/24", 400.0, None, False),
        ],
        columns=["cost_id", "item", "category", "kind", "payer", "period", "amount", "vat", "credit"],
    ).assign(price_year="2022/23", basis="planned")


def table(costs: pd.DataFrame, **changes) -> pd.DataFrame:
    spec = {"payers": PAYERS, "vat_counted_in": ["funder", "public_sector"], "study_periods": PERIODS, "price_base": "2022/23"} | changes
    return costs_by_perspective(costs, PUPILS, **spec).set_index(["perspective", "breakdown", "group"])


def test_each_perspective_counts_its_own_payers_and_only_the_exchequers_views_count_vat(costs):
    found = table(costs)
    # Department 8,000 + 1,000 - 200, VAT 1,600; school 500; family 300; delivery partner 400
    assert found.loc[("funder", "total", "all"), "amount"] == pytest.approx(10_400)
    assert found.loc[("public_sector", "total", "all"), "amount"] == pytest.approx(10_900)
    assert found.loc[("society", "total", "all"), "amount"] == pytest.approx(10_000)
    assert found.loc[("funder", "total", "all"), "of_which_vat"] == pytest.approx(1_600)
    assert found.loc[("society", "total", "all"), "of_which_vat"] == 0
    assert table(costs, vat_counted_in=[]).loc[("funder", "total", "all"), "amount"] == pytest.approx(8_800)


def test_breakdowns_by_payer_kind_and_category(costs):
    found = table(costs)["amount"]
    assert found[("society", "payer")].to_dict() == {"Department": 8800, "delivery partner": 400, "family": 300, "school": 500}
    assert found[("funder", "kind")].to_dict() == {"running": 9600, "set-up": 800}
    assert found[("funder", "category")].to_dict() == {"mentor pay": 9600, "training": 800}
    for perspective in PAYERS:
        for breakdown in ("payer", "kind", "category"):
            assert found[(perspective, breakdown)].sum() == pytest.approx(found[(perspective, "total", "all")])


def test_vat_that_is_not_recorded_is_missing_and_never_nothing(costs):
    found = table(costs)["of_which_vat"]
    assert found[("funder", "category", "mentor pay")] == pytest.approx(1_600)
    assert pd.isna(found[("funder", "category", "training")])
    for silent in (costs.assign(vat=None), costs.drop(columns="vat")):
        none = table(silent)
        assert none["of_which_vat"].isna().all()
        assert none.loc[("funder", "total", "all"), "amount"] == pytest.approx(8_800)


def test_each_sum_says_whether_it_was_planned_or_spent(costs):
    assert set(table(costs)["basis"]) == {"planned"}
    found = table(costs.assign(basis=["outturn", *["planned"] * 5]))["basis"]
    assert found[("funder", "category", "mentor pay")] == "outturn"
    assert found[("funder", "category", "training")] == "planned"
    assert found[("funder", "total", "all")] == found[("society", "kind", "running")] == "mixed"
    assert set(table(costs.assign(basis="outturn"))["basis"]) == {"outturn"}


def test_a_perspective_without_costs_has_no_basis(costs):
    nothing = table(costs.assign(payer="family"), vat_counted_in=[]).loc[("funder", "total", "all")]
    assert nothing["amount"] == 0 and pd.isna(nothing["basis"]) and pd.isna(nothing["of_which_vat"])


def test_cost_per_pupil_is_the_whole_cost_over_all_pupils(costs):
    found = table(costs)
    total = found.loc[("public_sector", "total", "all")]
    assert total["per_pupil_eligible"] == pytest.approx(109)
    assert total["per_pupil_referred"] == pytest.approx(545)
    assert total["per_pupil_started"] == pytest.approx(1090)
    assert total["per_pupil_completed"] == pytest.approx(10_900 / 8)
    for pupils in ("eligible", "referred", "started", "completed"):
        assert (found[f"per_pupil_{pupils}"] * found[f"pupils_{pupils}"]).to_numpy() == pytest.approx(found["amount"].to_numpy())
    assert (total["pupils_eligible"], total["pupils_referred"], total["pupils_started"]) == (100, 20, 10)


def test_order_of_rows_does_not_matter(costs):
    pd.testing.assert_frame_equal(table(costs), table(costs.sample(frac=1, random_state=3)))


def test_the_frame_given_is_not_changed(costs):
    before = costs.copy()
    table(costs)
    pd.testing.assert_frame_equal(costs, before)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("amount", -500.0, "below zero without the credit flag"),
        ("amount", None, "no amount"),
        ("currency", "EUR", "GBP only"),
        ("period", "2021/22", "not one of the study's"),
        ("price_year", None, "no price year"),
        ("basis", None, "not one of planned, outturn"),
        ("basis", "forecast", "not one of planned, outturn"),
    ],
)
def test_a_refusal_names_the_row_and_the_column(costs, column, value, words):
    broken = costs.assign(currency="GBP").astype({"price_year": object})
    broken.loc[3, column] = value
    with pytest.raises(DataError, match=words) as refused:
        check_costs(broken, study_periods=PERIODS)
    assert "row 4 (C4, Staff time)" in refused.value.where
    assert f"`{column}`" in refused.value.where
    assert refused.value.mend


def test_negative_vat_needs_the_credit_flag_too(costs):
    costs.loc[0, "vat"] = -1.0
    with pytest.raises(DataError, match="credit flag"):
        check_costs(costs, study_periods=PERIODS)


def test_a_missing_column_is_named(costs):
    for column in ("price_year", "basis"):
        with pytest.raises(ContractError, match=f"`{column}`"):
            check_costs(costs.drop(columns=column), study_periods=PERIODS)


def test_an_unknown_payer_is_refused(costs):
    costs.loc[5, "payer"] = "charity"
    with pytest.raises(DataError, match="no perspective counts this payer") as refused:
        table(costs)
    assert "row 6 (C6, Own funds)" in refused.value.where


def test_vat_is_never_a_cost_to_society(costs):
    with pytest.raises(ContractError, match="transfer"):
        table(costs, vat_counted_in=["society"])


def test_other_price_years_need_a_published_index(costs):
    costs.loc[4, "price_year"] = "2023/24"
    with pytest.raises(DataError, match="2023/24.*2022/23") as refused:
        table(costs)
    assert "row 5 (C5, Parents' time)" in refused.value.where
    found = table(costs, deflators={"2022/23": 100.0, "2023/24": 120.0})
    # 300 in 2023/24 prices is 250 in 2022/23 prices
    assert found.loc[("society", "payer", "family"), "amount"] == pytest.approx(250)


def test_rebasing_scales_vat_with_its_amount(costs):
    rebased = to_price_base(check_costs(costs, study_periods=PERIODS), "2023/24", {"2022/23": 100.0, "2023/24": 110.0})
    assert rebased.loc[0, ["amount", "vat"]].tolist() == pytest.approx([8800, 1760])


def test_no_pupils_means_no_cost_per_pupil(costs):
    with pytest.raises(UnidentifiedError, match="no pupils started"):
        costs_by_perspective(costs, PUPILS | {"started": 0}, payers=PAYERS, vat_counted_in=[], study_periods=PERIODS, price_base="2022/23")


def test_pupils_are_counted_once_and_only_where_mentors_were():
    cohort = pd.DataFrame({"pupil_id": ["a", "a", "b", "c"], "mentor_school": [True, True, True, False], "eligible": True})
    reach = pd.DataFrame({"level": ["programme", "area"], "referred": [7, 7], "started": [5, 5], "completed": [4, 4]})
    assert pupil_counts(cohort, reach) == {"eligible": 2, "referred": 7, "started": 5, "completed": 4}


def test_nobody_who_completed_leaves_that_cost_missing(costs):
    found = costs_by_perspective(costs, PUPILS | {"completed": 0}, payers=PAYERS, vat_counted_in=[], study_periods=PERIODS, price_base="2022/23")
    assert found["per_pupil_completed"].isna().all() and found["per_pupil_started"].notna().all()


def test_costs_of_a_delivery_model_are_those_recorded_for_it(costs):
    found = table(costs.assign(delivery_model=["outreach", None, None, "school based", None, None]))["amount"]
    assert found[("society", "delivery_model")].to_dict() == {"outreach": 8000, "school based": 500, "shared by all": 1500}
    assert set(table(costs).loc[("funder", "delivery_model")].index) == {"shared by all"}


def test_prerequisites_are_in_no_total_and_time_is_shown_apart_as_well(costs):
    more = pd.concat([costs, costs.iloc[[1]].assign(cost_id="C7", item="Computers", category="materials", kind="prerequisite", amount=900.0)], ignore_index=True)
    found, before = table(more)["amount"], table(costs)["amount"]
    assert found[("funder", "total", "all")] == before[("funder", "total", "all")]
    assert ("funder", "kind", "prerequisite") not in found.index and ("funder", "category", "materials") not in found.index
    assert found[("society", "apart")].to_dict() == {"prerequisite": 900, "school staff time": 500, "family time": 300}
    assert found[("funder", "apart")].to_dict() == {"prerequisite": 900}


def test_present_values_by_hand(costs):
    rows = comparable_costs(costs, study_periods=PERIODS, price_base="2022/23", deflators=None)
    found = present_values(rows, {"2022/23": 4, "2023/24": 6}, PUPILS, payers=PAYERS, vat_counted_in=["funder"], base_year="2022/23", schedule=GREEN_BOOK)
    # Funder: 8,000 + 1,600 VAT + 1,000 in the base year, -200 a year later
    assert found["funder"].cost_factor == pytest.approx((10_600 - 200 / 1.035) / 10_400)
    assert found["society"].cost_factor == pytest.approx((9_000 + (-200 + 500 + 300 + 400) / 1.035) / 10_000)
    assert found["funder"].benefit_factor == pytest.approx((4 + 6 / 1.035) / 10)
    assert found["funder"].pupils == {"eligible": 100, "referred": 20, "started": 10}
