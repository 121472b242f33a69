"""Appraisal: one denominator, break-even points by hand, withheld ratios, and draws that reproduce what is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.stats import t as student

from evaluation.errors import ContractError, DataError, UnidentifiedError
from evaluation.protocol.value import BenefitStream, Quantity
from evaluation.value import (
    DaysEffect,
    PupilCost,
    annual_effect,
    appraisal_table,
    appraise,
    brought_out_sentence,
    days_effect,
    draw_plane,
    draw_shares,
    fieller_set,
    headline_plane,
    mark_breaking_even,
    net_benefit,
    pupil_cost,
    referred_per_pupil,
    valuations,
)
from evaluation.value.terms import DAYS_SCALE, AppraisalSpec, PresentValue



def quantity(value: float, standing: str = "judgement", low: float | None = None, high: float | None = None) -> Quantity:
    return Quantity(value=value, unit="GBP per day", source="this test", standing=standing, low=low, high=high, dated="today")


def earnings(standing="S2", low=0.0, high=1.0, share=0.5) -> list[BenefitStream]:
    return [BenefitStream(stream="lifetime earnings", nature="association", per_day=quantity(750.0, standing), causal_share=quantity(share, low=low, high=high),
                          counted_in=["funder", "public_sector", "society"])]


VALUES = valuations(quantity(100.0), earnings())


def spec(**changes) -> AppraisalSpec:
    return AppraisalSpec(**{"estimand_by_denominator": {"referred": "B"}, "outcome": "absence_rate", "relative_error": 0.05,
                            "perspective": "public_sector", "denominator": "referred", "draws": 5_000, "seed": 1} | changes)


def effect(days=2.0, error=0.5, df=12.0, level="referred") -> DaysEffect:
    reach = float(student.ppf(0.975, df)) * error
    return DaysEffect(level, "B", days, error, df, days - reach, days + reach, 0.95, "B_referred_days")


def cost(amount=900.0, error=45.0, denominator="referred") -> PupilCost:
    return PupilCost(denominator, "public_sector", amount, error, "2022/23", "planned", 1.0)


def measured(found: pd.DataFrame, measure: str, scenario: str = "any") -> pd.Series:
    rows = found.loc[found["measure"].eq(measure) & found["scenario"].eq(scenario)]
    assert len(rows) == 1
    return rows.iloc[0]


def estimates(**changes) -> pd.DataFrame:
    row = {
        "estimate_id": "B_referred_days", "estimand": "B", "level": "referred", "outcome": "absence_rate", "scale": DAYS_SCALE,
        "direction": "absence", "estimate": -2.0, "std_error": 0.5, "df": 12.0, "conf_low": -3.1, "conf_high": -0.9, "conf_level": 0.95,
        "decision_test": True, "headline": True,
    }
    return pd.DataFrame([row | changes])


def levels() -> pd.DataFrame:
    """Effects whose shares are 0.608 of the referred who started, and 0.134 of the eligible who were referred."""
    rows = [("B", "referred", 1.0), ("B", "started", 1 / 0.608), ("A", "eligible", 1.2 * 0.134), ("A", "referred", 1.2)]
    return pd.concat([
        estimates(estimate_id=f"{estimand}_{level}_days", estimand=estimand, level=level, estimate=-2.0 * factor, std_error=0.5 * factor,
                  conf_low=-3.1 * factor, conf_high=-0.9 * factor)
        for estimand, level, factor in rows
    ], ignore_index=True)


def costs() -> pd.DataFrame:
    return pd.DataFrame([
        {"perspective": name, "breakdown": "total", "group": "all", "per_pupil_eligible": amount / 10, "per_pupil_referred": amount,
         "per_pupil_started": amount * 1.5, "price_base": "2022/23", "basis": "planned"}
        for name, amount in (("funder", 800.0), ("public_sector", 900.0), ("society", 950.0))
    ])


@pytest.mark.parametrize("pupils", ["eligible", "started"])
def test_cost_and_effect_over_different_pupils_are_refused(pupils):
    with pytest.raises(ContractError, match=f"per pupil {pupils}.*per pupil referred"):
        appraise(effect(), cost(denominator=pupils), VALUES, draws=5_000, seed=1)
    with pytest.raises(ContractError, match="cannot be set against each other"):
        draw_plane(effect(), cost(denominator=pupils), draws=5_000, seed=1)


def test_net_benefit_and_break_even_points_by_hand():
    found = appraise(effect(), cost(), VALUES, draws=5_000, seed=1)
    base = "base case"
    assert measured(found, "net_benefit", base)["value"] == pytest.approx(100 * 2 - 900)
    reach = student.ppf(0.975, 12) * np.sqrt((100 * 0.5) ** 2 + 45**2)
    assert measured(found, "net_benefit", base)[["conf_low", "conf_high"]].tolist() == pytest.approx([-700 - reach, -700 + reach])
    assert measured(found, "break_even_days", base)["value"] == pytest.approx(9)
    assert measured(found, "break_even_cost", base)["value"] == pytest.approx(200)
    assert measured(found, "break_even_multiple", base)["value"] == pytest.approx(4.5)
    assert measured(found, "cost_per_extra_day")["value"] == pytest.approx(450)
    share = "earnings, causal share"
    assert measured(found, "value_per_day", share)["value"] == pytest.approx(375)
    assert measured(found, "break_even_days", share)["value"] == pytest.approx(2.4)
    # 750 x share x 2 days = 900 at a share of 0.6
    assert measured(found, "break_even_causal_share", share)["value"] == pytest.approx(0.6)
    assert measured(found, "net_benefit", "earnings, all causal")["value"] == pytest.approx(600)


def test_planned_unit_cost_breaks_even_as_published_arithmetic_says():
    """£1,390 over £750 is 1.85 days; over half of it 3.7 days."""
    found = appraise(effect(), cost(1390.0), VALUES, draws=5_000, seed=1)
    assert measured(found, "break_even_days", "earnings, all causal")["value"] == pytest.approx(1.853, abs=5e-4)
    assert measured(found, "break_even_days", "earnings, causal share")["value"] == pytest.approx(3.707, abs=5e-4)


def test_a_ratio_is_withheld_with_its_reason_where_the_effect_may_be_zero_and_its_set_is_given_all_the_same():
    found = appraise(effect(days=0.8, error=0.7), cost(), VALUES, draws=5_000, seed=1)
    for measure, scenario in (("cost_per_extra_day", "any"), ("break_even_multiple", "base case"),
                              ("break_even_causal_share", "earnings, causal share")):
        row = measured(found, measure, scenario)
        assert np.isnan(row["value"])
        assert "includes zero" in row["withheld"]
        assert row["set_form"] == "outside"
        assert row["conf_low"] < 0 < row["conf_high"]
    assert measured(found, "break_even_days", "base case")["value"] == pytest.approx(9)
    assert not np.isnan(measured(found, "net_benefit", "base case")["value"])


def test_fewer_days_give_no_ratio():
    row = measured(appraise(effect(days=-2.0), cost(), VALUES, draws=5_000, seed=1), "cost_per_extra_day")
    assert np.isnan(row["value"])
    assert "fewer days" in row["withheld"]


def test_net_benefit_includes_zero_exactly_for_values_inside_the_set():
    found = appraise(effect(), cost(), VALUES, draws=5_000, seed=1)
    ratio = measured(found, "cost_per_extra_day")
    for edge in (ratio["conf_low"], ratio["conf_high"]):
        at_edge = appraise(effect(), cost(), valuations(quantity(edge)), draws=5_000, seed=1)
        limits = measured(at_edge, "net_benefit", "base case")[["conf_low", "conf_high"]].tolist()
        assert min(abs(limit) for limit in limits) < 1e-6


def test_without_the_earnings_association_there_is_only_the_base_case():
    found = appraise(effect(), cost(), valuations(quantity(100.0)), draws=5_000, seed=1)
    assert set(found["scenario"]) == {"any", "base case"}
    assert "break_even_causal_share" not in set(found["measure"])


def test_draws_reproduce_the_moments_they_are_drawn_from():
    draws = 200_000
    plane = draw_plane(effect(), cost(), draws=draws, seed=5)
    # Student's variance is df / (df - 2) times the squared scale; four Monte Carlo standard errors are allowed.
    spread = 0.5 * np.sqrt(12 / 10)
    assert plane["extra_days"].mean() == pytest.approx(2.0, abs=4 * spread / np.sqrt(draws))
    assert plane["extra_days"].std() == pytest.approx(spread, rel=0.02)
    assert plane["extra_cost"].mean() == pytest.approx(900, abs=4 * 45 / np.sqrt(draws))
    assert plane["extra_cost"].std() == pytest.approx(45, rel=0.02)
    assert abs(np.corrcoef(plane["extra_days"], plane["extra_cost"])[0, 1]) < 4 / np.sqrt(draws)
    benefit = net_benefit(plane, 375.0)
    analytic = np.sqrt((375 * spread) ** 2 + 45**2)
    assert benefit.mean() == pytest.approx(375 * 2 - 900, abs=4 * analytic / np.sqrt(draws))
    assert benefit.std() == pytest.approx(analytic, rel=0.02)


def test_probabilities_agree_with_students_distribution_when_cost_is_known():
    found = appraise(effect(), cost(error=0.0), VALUES, draws=100_000, seed=2)
    more = student.sf((0 - 2.0) / 0.5, 12)
    even = student.sf((900 / 375 - 2.0) / 0.5, 12)
    assert measured(found, "probability_more_days")["value"] == pytest.approx(more, abs=0.002)
    assert measured(found, "probability_breaking_even", "earnings, causal share")["value"] == pytest.approx(even, abs=0.006)


def test_draws_follow_the_seed_and_share_their_noise_between_denominators():
    first = draw_plane(effect(), cost(), draws=5_000, seed=9)
    pd.testing.assert_frame_equal(first, draw_plane(effect(), cost(), draws=5_000, seed=9))
    assert not first["extra_days"].equals(draw_plane(effect(), cost(), draws=5_000, seed=10)["extra_days"])
    started = draw_plane(effect(days=4.0, error=1.0, level="started"), cost(1800.0, 90.0, "started"), draws=5_000, seed=9)
    np.testing.assert_allclose(started["extra_days"], 2 * first["extra_days"])
    np.testing.assert_allclose(started["extra_cost"], 2 * first["extra_cost"])


def test_draws_with_fewer_days_are_told_apart_from_cheap_ones():
    plane = draw_plane(effect(days=0.2), cost(), draws=5_000, seed=1)
    harmful = plane["extra_days"] <= 0
    assert harmful.any()
    assert set(plane.loc[harmful, "quadrant"]) == {"fewer days, costs more"}
    assert set(plane.loc[~harmful, "quadrant"]) == {"more days, costs more"}
    saving = draw_plane(effect(days=0.2), cost(-50.0, 0.0), draws=5_000, seed=1)
    assert set(saving["quadrant"]) == {"more days, costs no more", "fewer days, costs no more"}
    marked = mark_breaking_even(plane, VALUES, seed=1)
    assert not marked.loc[harmful, "breaks_even"].any()
    assert (marked["breaks_even"] == (100 * plane["extra_days"] >= plane["extra_cost"])).all()
    assert (marked["breaks_even_earnings"].astype(bool) == (375 * plane["extra_days"] >= plane["extra_cost"])).all()
    shares = marked["causal_share"]
    assert (marked["breaks_even_uncertain_share"].astype(bool) == (750 * shares * plane["extra_days"] >= plane["extra_cost"])).all()
    alone = mark_breaking_even(plane, VALUES[:1], seed=1)
    assert alone[["breaks_even_earnings", "causal_share", "breaks_even_uncertain_share"]].isna().all(axis=None)


def test_an_uncertain_share_is_drawn_evenly_over_its_range_apart_from_days_and_cost():
    draws = 100_000
    shares = draw_shares((0.2, 0.6), draws=draws, seed=4)
    assert shares.min() >= 0.2 and shares.max() <= 0.6
    assert [np.mean(shares < edge) for edge in (0.3, 0.4, 0.5)] == pytest.approx([0.25, 0.5, 0.75], abs=4 * 0.5 / np.sqrt(draws))
    plane = draw_plane(effect(), cost(), draws=draws, seed=4)
    for column in ("extra_days", "extra_cost"):
        assert abs(np.corrcoef(shares, plane[column])[0, 1]) < 4 / np.sqrt(draws)


def test_the_probability_with_an_uncertain_share_averages_over_shares():
    found = appraise(effect(), cost(error=0.0), VALUES, draws=100_000, seed=2)
    # The probability at each share, averaged over a fine grid from 0 to 1
    grid = (np.arange(20_000) + 0.5) / 20_000
    averaged = student.sf((900 / (750 * grid) - 2.0) / 0.5, 12).mean()
    row = measured(found, "probability_breaking_even", "earnings, causal share uncertain")
    assert row["value"] == pytest.approx(averaged, abs=0.006)
    assert abs(row["value"] - measured(found, "probability_breaking_even", "earnings, causal share")["value"]) > 0.05
    assert "anywhere from 0 to 1" in row["standing"]
    only = found.loc[found["scenario"].eq("earnings, causal share uncertain"), "measure"]
    assert set(only) == {"value_per_day", "probability_breaking_even"}


def test_without_a_registered_range_no_share_is_drawn_and_an_impossible_range_is_refused():
    assert [v.scenario for v in valuations(quantity(100.0), earnings(low=None, high=None))] == [
        "base case", "earnings, causal share", "earnings, all causal"]
    for low, high in ((0.6, 0.4), (-0.1, 1.0), (0.0, 1.1), (0.2, None)):
        with pytest.raises(ValidationError, match="in order between 0 and 1"):
            earnings(low=low, high=high)


def test_fewer_than_five_thousand_draws_are_refused():
    with pytest.raises(ContractError, match="5,000"):
        draw_plane(effect(), cost(), draws=4_999, seed=1)


def test_less_absence_counts_as_more_days():
    found = days_effect(estimates(), level="referred", estimand="B", outcome="absence_rate")
    assert (found.extra_days, found.conf_low, found.conf_high, found.includes_zero) == (2.0, 0.9, 3.1, False)
    attended = days_effect(estimates(direction="attendance", estimate=2.0, conf_low=0.9, conf_high=3.1), level="referred", estimand="B",
                           outcome="absence_rate")
    assert attended == found


def test_the_effect_must_be_one_registered_row():
    two = pd.concat([estimates(), estimates(estimate_id="other", headline=False)], ignore_index=True)
    assert days_effect(two, level="referred", estimand="B", outcome="absence_rate").estimate_id == "B_referred_days"
    both = pd.concat([estimates(), estimates(estimate_id="other")], ignore_index=True)
    with pytest.raises(ContractError, match="B_referred_days, other"):
        days_effect(both, level="referred", estimand="B", outcome="absence_rate")
    with pytest.raises(ContractError, match="found none"):
        days_effect(estimates(), level="started", estimand="B", outcome="absence_rate")
    with pytest.raises(ContractError, match="found none"):
        days_effect(estimates(scale="percentage points of sessions"), level="referred", estimand="B", outcome="absence_rate")


def test_an_effect_without_degrees_of_freedom_carries_no_uncertainty():
    with pytest.raises(UnidentifiedError, match="degrees of freedom"):
        days_effect(estimates(df=None), level="referred", estimand="B", outcome="absence_rate")


def test_the_table_holds_each_denominator_in_each_perspective_and_marks_the_headline():
    table = appraisal_table(
        levels(), costs(), VALUES,
        spec(estimand_by_denominator={"referred": "B", "started": "B"}),
    )
    key = ["perspective", "denominator", "scenario", "measure"]
    assert not table.duplicated(key).any()
    assert len(table.groupby(["perspective", "denominator"])) == 6
    headline = table.loc[table["headline"]]
    assert set(headline["perspective"]) == {"public_sector"} and set(headline["denominator"]) == {"referred"}
    per_day = table.loc[table["measure"].eq("cost_per_extra_day")].set_index(["perspective", "denominator"])["value"]
    assert per_day[("public_sector", "referred")] == pytest.approx(450)
    assert per_day[("society", "started")] == pytest.approx(950 / 2)
    assert set(table["cost_basis"]) == {"planned"}
    with pytest.raises(DataError, match="public_sector"):
        appraisal_table(estimates(), costs().iloc[[0]], VALUES, spec())


def test_the_headlines_draws_are_those_behind_its_probabilities():
    table = appraisal_table(estimates(), costs(), VALUES, spec(seed=3))
    plane = headline_plane(estimates(), costs(), VALUES, spec(seed=3))
    found = table.loc[table["headline"] & table["measure"].eq("probability_breaking_even")].set_index("scenario")["value"]
    assert found["base case"] == plane["breaks_even"].mean()
    assert found["earnings, causal share"] == plane["breaks_even_earnings"].mean()
    assert found["earnings, causal share uncertain"] == plane["breaks_even_uncertain_share"].mean()


def test_cost_per_extra_day_is_the_same_over_every_level_of_one_estimand():
    """The accounts' own cost per pupil who started (1.5 times that per pupil referred here) counts other pupils than the effect."""
    chosen = {"eligible": "A", "referred": "B", "started": "B"}
    table = appraisal_table(levels(), costs(), VALUES, spec(estimand_by_denominator=chosen))
    view = table.loc[table["perspective"].eq("public_sector")].pivot_table(index="denominator", columns="measure", values="value")
    assert view["cost_per_extra_day"]["started"] == pytest.approx(view["cost_per_extra_day"]["referred"])
    assert view["cost_per_pupil"].to_dict() == pytest.approx({"referred": 900, "started": 900 / 0.608, "eligible": 900 * 0.134})
    offer = appraisal_table(levels(), costs(), VALUES, spec(estimand_by_denominator={"referred": "A"}))
    offered = offer.loc[offer["perspective"].eq("public_sector") & offer["measure"].eq("cost_per_extra_day"), "value"].item()
    assert view["cost_per_extra_day"]["eligible"] == pytest.approx(offered)
    limits = table.loc[table["measure"].eq("cost_per_extra_day") & table["perspective"].eq("public_sector")].set_index("denominator")
    assert limits.loc["started", ["conf_low", "conf_high"]].tolist() == pytest.approx(limits.loc["referred", ["conf_low", "conf_high"]].tolist())


def test_the_share_behind_a_cost_is_the_one_by_which_the_effect_was_divided():
    found = {level: referred_per_pupil(levels(), level=level, estimand=estimand, outcome="absence_rate")
             for level, estimand in (("eligible", "A"), ("referred", "B"), ("started", "B"))}
    assert found == pytest.approx({"eligible": 0.134, "referred": 1.0, "started": 1 / 0.608})


def test_an_effect_that_is_no_division_of_the_effect_on_referred_has_no_share():
    apart = pd.concat([estimates(), estimates(estimate_id="B_started_days", level="started", estimate=-3.0)], ignore_index=True)
    with pytest.raises(ContractError, match="not the effect on pupils referred times a share") as refused:
        referred_per_pupil(apart, level="started", estimand="B", outcome="absence_rate")
    assert "B_started_days and B_referred_days" in refused.value.where
    with pytest.raises(ContractError, match="found none"):
        referred_per_pupil(levels().iloc[:3], level="eligible", estimand="A", outcome="absence_rate")


def test_cost_per_pupil_is_that_per_pupil_referred_times_pupils_referred_with_its_registered_error():
    found = pupil_cost(costs(), denominator="started", perspective="funder", relative_error=0.05, referred_per_pupil=1.6)
    assert (found.amount, found.std_error) == pytest.approx((1280, 64))
    assert (found.basis, found.referred_per_pupil) == ("planned", 1.6)


def test_the_total_of_a_programme_is_the_same_over_whichever_pupils_it_is_stated():
    # 1,000 eligible pupils of whom the effect, by its weights, counts 0.16 referred each: not 160 pupils were paid for but the 200 referred.
    present = PresentValue(0.98, 0.95, "2022/23", {"eligible": 1_000, "referred": 200, "started": 120})
    each = measured(appraise(effect(), cost(), VALUES, draws=5_000, seed=1, present=present), "npsv", "earnings, causal share")
    for level, share in (("eligible", 0.16), ("started", 1.6)):
        over = PupilCost(level, "public_sector", 900 * share, 45 * share, "2022/23", "planned", share)
        found = measured(appraise(effect(2 * share, 0.5 * share, level=level), over, VALUES, draws=5_000, seed=1, present=present), "npsv", "earnings, causal share")
        assert found[["value", "conf_low", "conf_high"]].tolist() == pytest.approx(each[["value", "conf_low", "conf_high"]].tolist())
        assert found["unit"].startswith("GBP for all pupils referred")


def test_present_values_by_hand_with_weighted_beside_unweighted():
    present = PresentValue(0.98, 0.95, "2022/23", {"eligible": 1_000, "referred": 200, "started": 120})
    found = appraise(effect(), cost(), VALUES, draws=5_000, seed=1, present=present, weight=2.0)
    name, reach = "earnings, causal share", student.ppf(0.975, 12)
    each = 375 * 0.95 * 2 - 900 * 0.98
    spread = reach * np.hypot(375 * 0.95 * 0.5, 45 * 0.98)
    assert measured(found, "npsv_per_pupil", name)[["value", "conf_low", "conf_high"]].tolist() == pytest.approx([each, each - spread, each + spread])
    assert measured(found, "npsv", name)["value"] == pytest.approx(200 * each)
    assert measured(found, "npsv_weighted_per_pupil", name)["value"] == pytest.approx(2 * 375 * 0.95 * 2 - 900 * 0.98)
    ratio = measured(found, "benefit_cost_ratio", name)
    assert ratio["value"] == pytest.approx(375 * 0.95 * 2 / (900 * 0.98))
    # Fieller: at the limits the test of benefit - ratio x cost = 0 just keeps
    for limit in (ratio["conf_low"], ratio["conf_high"]):
        assert abs(375 * 0.95 * 2 - limit * 900 * 0.98) == pytest.approx(reach * np.hypot(375 * 0.95 * 0.5, limit * 45 * 0.98))
    assert "npsv" not in set(appraise(effect(), cost(), VALUES, draws=5_000, seed=1)["measure"])
    assert "npsv_weighted_per_pupil" not in set(appraise(effect(), cost(), VALUES, draws=5_000, seed=1, present=present)["measure"])


def test_a_perspective_counts_only_the_gains_that_are_registered_for_it():
    stream = earnings()[0].model_copy(update={"counted_in": ["society"]})
    values = valuations(quantity(100.0), [stream])
    table = appraisal_table(estimates(), costs(), values, spec())
    scenarios = table.groupby("perspective")["scenario"].agg(set)
    assert scenarios["funder"] == scenarios["public_sector"] == {"any", "base case"}
    assert "earnings, causal share" in scenarios["society"]


def randomised(**changes) -> pd.DataFrame:
    return estimates(test="randomisation", df=3.2, direction="attendance", estimate=2.0, **({"conf_low": 0.5, "conf_high": 4.5} | changes))


def test_an_effect_decided_by_randomisation_takes_its_spread_from_that_interval():
    found = days_effect(randomised(), level="referred", estimand="B", outcome="absence_rate")
    assert (found.conf_low, found.conf_high, found.df) == (0.5, 4.5, np.inf)
    assert found.std_error == pytest.approx(2.5 / 1.959964, rel=1e-6)   # the farther limit is 2.5 from the estimate
    draws = draw_plane(found, cost(), draws=100_000, seed=1)["extra_days"]
    assert draws.std() == pytest.approx(found.std_error, rel=0.02)
    table = appraise(found, cost(), VALUES, draws=5_000, seed=1)
    assert np.isfinite(measured(table, "net_benefit", "base case")["conf_low"])


def test_a_randomisation_interval_without_an_end_gives_no_ratio_and_no_interval():
    found = days_effect(randomised(conf_low=np.nan), level="referred", estimand="B", outcome="absence_rate")
    assert (found.conf_low, found.bounded, found.df) == (-np.inf, False, 3.2)
    present = PresentValue(1.0, 1.0, "2022/23", {"eligible": 1, "referred": 1, "started": 1})
    table = appraise(found, cost(), VALUES, draws=5_000, seed=1, present=present)
    assert not np.isinf(table[["value", "conf_low", "conf_high"]].to_numpy(dtype=float)).any()
    for measure, scenario in (("extra_days", "any"), ("net_benefit", "base case"), ("npsv", "base case"), ("cost_per_extra_day", "any")):
        row = measured(table, measure, scenario)
        assert row[["conf_low", "conf_high"]].isna().all() and row["set_form"] == "all", measure
    assert "has no end" in measured(table, "cost_per_extra_day")["withheld"]
    assert np.isnan(measured(table, "cost_per_extra_day")["value"])


def yearly(**changes) -> pd.DataFrame:
    """The effect in days and, of the same comparison, on persistent absence over full academic years."""
    both = pd.concat([estimates(), estimates(estimate_id="B_referred_annual_persistent_absence", outcome="annual_persistent_absence", headline=False,
                                             scale="percentage points of pupils", estimate=-12.0, std_error=4.0, df=20.0, conf_low=-20.3, conf_high=-3.7)],
                     ignore_index=True).assign(design="within_area", method="matched", part="all stacks", weighting="pupils")
    for column, value in changes.items():
        both.loc[1, column] = value
    return both


def test_pupils_brought_out_of_persistent_absence_cost_what_they_cost_over_a_full_year():
    table = appraisal_table(yearly(), costs(), VALUES, spec())
    own = table.loc[table["headline"]].set_index("measure")
    assert own.loc["share_out_of_persistent_absence", ["value", "conf_low", "conf_high"]].tolist() == pytest.approx([0.12, 0.037, 0.203])
    found = own.loc["cost_per_pupil_out_of_persistent_absence"]
    assert found["value"] == pytest.approx(900 / 0.12) and found["estimate_id"] == "B_referred_annual_persistent_absence"
    limits = fieller_set(900, 45, 0.12, 0.04, df=20)
    assert (found["conf_low"], found["conf_high"]) == pytest.approx((limits.low, limits.high))
    said = brought_out_sentence(table)
    assert "Of 100 pupils referred, 12.0 more than among similar pupils were out of persistent absence" in said and "Each cost £7,500" in said
    assert "brought out of severe absence is not said" in said
    assert table.duplicated(["perspective", "denominator", "scenario", "measure"]).sum() == 0


def test_a_yearly_effect_that_may_be_zero_gives_no_cost_for_each_pupil():
    table = appraisal_table(yearly(conf_low=-13.0, conf_high=3.0, estimate=-5.0), costs(), VALUES, spec())
    row = table.loc[table["headline"] & table["measure"].eq("cost_per_pupil_out_of_persistent_absence")].iloc[0]
    assert np.isnan(row["value"]) and "\u22123.0 to 13.0 in 100 pupils out of persistent absence) includes zero" in row["withheld"]
    assert "No cost for each is given" in brought_out_sentence(table)


def test_only_the_headlines_own_comparison_and_full_years_count():
    for change in ({"design": "between_areas"}, {"part": "later years"}, {"method": "same rule, no matching"}, {"std_error": np.nan}):
        assert "share_out_of_persistent_absence" not in set(appraisal_table(yearly(**change), costs(), VALUES, spec())["measure"]), change
    with pytest.raises(ContractError, match="full academic years"):
        annual_effect(yearly(), effect(), outcome="persistent_absence")
