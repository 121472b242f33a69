"""Discount factors to the digit, persistence by hand, half-lives that data can and cannot give, and the cost bands."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import ContractError, DataError, UnidentifiedError
from evaluation.value import (
    cost_band,
    discount_factor,
    distributional_weight,
    eef_cost,
    estimate_half_life,
    persistence_factor,
    pupils_served,
)
from evaluation.value.discounting import years_after

LIMITS = [80.0, 200.0, 720.0, 1200.0]


@pytest.mark.parametrize(("year", "printed"), [(0, "1.0000"), (1, "0.9662"), (2, "0.9335"), (10, "0.7089"), (30, "0.3563"), (31, "0.3459"), (40, "0.2651"),
                                               (75, "0.0942"), (76, "0.0919"), (125, "0.0274")])
def test_factors_of_the_green_books_schedule(year, printed):
    assert f"{discount_factor(year):.4f}" == printed


def test_within_the_first_step_the_factor_is_the_plain_one():
    assert all(discount_factor(t) == pytest.approx(1.035**-t, rel=1e-15) for t in range(31))
    assert discount_factor(76) == pytest.approx(1.035**-30 * 1.03**-45 / 1.025, rel=1e-14)


@pytest.mark.parametrize("year", [-1, 126, 1.5, True])
def test_years_outside_the_schedule_are_refused(year):
    with pytest.raises(ContractError, match="outside the schedule"):
        discount_factor(year)


def test_years_are_counted_from_the_base_year():
    assert [years_after(period, "2022/23") for period in ("2022/23", "2024/25", "2021/22")] == [0, 2, -1]
    with pytest.raises(ContractError, match="no year"):
        years_after("autumn", "2022/23")


def test_a_schedule_out_of_order_is_refused():
    with pytest.raises(ContractError, match="must rise"):
        discount_factor(3, ((75, 0.03), (30, 0.035)))


def test_a_pound_to_a_poorer_family_weighs_more():
    assert distributional_weight(1.0) == 1.0
    assert distributional_weight(2.0) == pytest.approx(2**1.3)
    with pytest.raises(ContractError):
        distributional_weight(0.0)


def test_days_after_the_window_by_hand():
    # Support 3 half-terms; measured half-terms 2 to 4: level 1, 1 and, at a half-life of 1, 1/2. Then 1/4 and 1/8.
    factor = persistence_factor(first_measured=2, measured=3, support=3, half_life=1.0, horizon=6)
    assert factor == pytest.approx((2.5 + 0.25 + 0.125) / 2.5)
    assert persistence_factor(first_measured=2, measured=3, support=3, half_life=None, horizon=6) == 1.0
    assert persistence_factor(first_measured=2, measured=3, support=3, half_life=0, horizon=6) == 1.0
    assert persistence_factor(first_measured=2, measured=3, support=3, half_life=math.inf, horizon=7) == pytest.approx(2.0)
    assert persistence_factor(first_measured=2, measured=3, support=3, half_life=5.0, horizon=4) == 1.0
    with pytest.raises(ContractError, match="horizon"):
        persistence_factor(first_measured=2, measured=3, support=3, half_life=1.0, horizon=3)


def decay(half_life: float, count: int = 6, error: float = 0.02) -> pd.DataFrame:
    places = np.arange(1, count + 1)
    return pd.DataFrame({"half_terms_after_support": places, "estimate": 2 * 0.5 ** (places / half_life), "std_error": error})


def test_a_half_life_is_found_with_its_interval():
    found = estimate_half_life(decay(3.0))
    assert found.half_life == pytest.approx(3.0, rel=1e-4)
    assert found.conf_low < 3.0 < found.conf_high < 4.0 and found.half_terms == 6
    vcov = np.full((6, 6), 0.0002) + np.eye(6) * 0.0002
    assert estimate_half_life(decay(3.0), vcov).half_life == pytest.approx(3.0, rel=1e-4)


def test_no_decay_gives_no_finite_half_life():
    found = estimate_half_life(decay(1e9))
    assert found.half_life > 500 and math.isinf(found.conf_high) and found.conf_low > 10


def test_a_half_life_needs_four_half_terms_after_support_and_an_effect():
    with pytest.raises(UnidentifiedError, match="3 half-terms after support; a half-life needs at least 4"):
        estimate_half_life(decay(3.0, count=3))
    with pytest.raises(UnidentifiedError, match="each once"):
        estimate_half_life(pd.concat([decay(3.0, count=3), decay(3.0, count=1)]))
    with pytest.raises(UnidentifiedError, match="cannot be told from zero"):
        estimate_half_life(decay(3.0, error=5.0))
    with pytest.raises(DataError):
        estimate_half_life(decay(3.0, error=0.0))


@pytest.mark.parametrize(("amount", "band"), [(79.99, "very low"), (80, "low"), (200, "low"), (200.01, "moderate"), (720, "moderate"), (1200, "high"), (1201, "very high")])
def test_bands_of_cost(amount, band):
    assert cost_band(amount, LIMITS) == band
    assert cost_band(710, [80, 170, 700, 1200]) == "high"   # an older edition


def eef_rows() -> pd.DataFrame:
    return pd.DataFrame(
        [("2022/23", "set-up", "training", 6_000.0), ("2022/23", "running", "mentor pay", 20_000.0), ("2022/23", "set-up", "school staff time", 1_500.0),
         ("2023/24", "running", "mentor pay", 30_000.0), ("2023/24", "prerequisite", "materials", 900.0), ("2024/25", "running", "mentor pay", 24_000.0),
         ("2024/25", "running", "family time", 700.0)],
        columns=["period", "kind", "category", "amount"],
    )


def test_the_average_over_three_years_by_hand():
    found = eef_cost(eef_rows(), {"2022/23": 20, "2023/24": 40, "2024/25": 40}, limits=LIMITS, edition="now").set_index("period")
    # 6,000 + 20,000 + 30,000 + 24,000 over 100 pupils, each served in one year; time and prerequisites apart
    whole = found.loc["all"]
    assert (whole["set_up"], whole["running"], whole["prerequisite"], whole["time_valued"], whole["pupils"]) == (6_000, 74_000, 900, 2_200, 100)
    assert whole["per_pupil"] == pytest.approx(800) and whole["band"] == "high" and whole["edition"] == "now"
    assert found.loc[["2022/23", "2023/24", "2024/25"], "per_pupil"].tolist() == pytest.approx([1_300, 750, 600])
    assert found["band"].isna().tolist() == [True, True, True, False]


def test_a_single_dose_is_never_divided_by_three():
    one = eef_cost(eef_rows().iloc[[1]], {"2022/23": 20}, limits=LIMITS, edition="now").set_index("period")
    assert one.loc["all", "per_pupil"] == pytest.approx(1_000)


def test_years_without_cost_or_pupils_are_refused():
    with pytest.raises(DataError, match="pupils started in 2025/26"):
        eef_cost(eef_rows(), {"2022/23": 20, "2025/26": 1}, limits=LIMITS, edition="now")
    with pytest.raises(UnidentifiedError, match="no pupil was served"):
        eef_cost(eef_rows(), {}, limits=LIMITS, edition="now")
    four = pd.concat([eef_rows(), eef_rows().iloc[[1]].assign(period="2025/26")])
    with pytest.raises(DataError, match="4 years"):
        eef_cost(four, {"2022/23": 20}, limits=LIMITS, edition="now")


def test_pupils_are_served_once_in_the_year_in_which_they_start():
    referrals = pd.DataFrame({
        "pupil_id": ["a", "a", "b", "c", "d"], "started": [True, True, True, False, True],
        "start_date": pd.to_datetime(["2023-02-01", "2023-11-01", "2023-09-01", None, "2023-08-31"]),
    })
    assert pupils_served(referrals) == {"2022/23": 2, "2023/24": 1}
    with pytest.raises(DataError, match="without a date"):
        pupils_served(referrals.assign(start_date=None))
