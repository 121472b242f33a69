"""The area effect among placebo effects: by hand on tiny tables, by inversion, by invariance, and on the published bands."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.design.area_comparison import compare_areas
from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact.area_placebo import comparison_means, critical_value, estimate_area_impact, gap_changes, proportional_changes, specifications
from evaluation.impact.area_power import area_detectability, smallest_detectable
from evaluation.inference import placebo_rank_test
from evaluation.protocol.area import AreaImpactSection
from evaluation.protocol.load import load_protocol
from evaluation.registers.absence_bands import authority_list, authority_outcomes, authority_panel, read_absence_bands

ROOT = Path(__file__).resolve().parents[2]
YEARS = ("2017/18", "2018/19", "2020/21", "2021/22", "2022/23")
TREATED = "100"


def quantity(value, unit="pupils", low=None, high=None):
    return {"value": value, "unit": unit, "source": "test", "standing": "judgement", "low": low, "high": high, "note": None}


def make_spec(**changes):
    values = {
        "outcomes": ("persistent_absence",), "pool_weighting": "enrolments", "follow_up_year": "2022/23", "support_began": "January", "base_years": ("2021/22",),
        "other_bases": ({"name": "earlier", "years": ("2017/18", "2018/19")},), "confidence_level": 0.8, "power": 0.8, "envelope_level": 0.8, "drift_level": 0.2,
        "pupils_started": quantity(223, high=446), "months_of_support": quantity(5, "months", high=10), "months_in_school_year": quantity(10, "months"),
        "plausible_effect": quantity(2, "points", 0, 4),
    }
    return AreaImpactSection(**(values | changes))


def make_outcomes(values, sizes=None, outcome="persistent_absence", measures=("registered", "other_unclassified")):
    """Long outcomes from authority by year values."""
    rows = []
    for code, series in values.items():
        for year, value in zip(YEARS, series, strict=True):
            rows += [(outcome, measure, code, year, (sizes or {}).get(code, 1000), float(value)) for measure in measures]
    return pd.DataFrame(rows, columns=["outcome", "measure", "authority_code", "academic_year", "enrolments", "value"])


def make_pools(codes, matched):
    rows = [(pool, TREATED, "treated") for pool in ("all", "matched")]
    rows += [("all", code, "comparison") for code in codes] + [("matched", code, "comparison") for code in matched]
    return pd.DataFrame(rows, columns=["pool", "authority_code", "role"])


def make_matches(sets):
    return pd.DataFrame([(code, match) for code, chosen in sets.items() for match in chosen], columns=["authority_code", "match_code"])


VALUES = {"100": [20, 20, 20, 20, 17], "101": [10, 10, 10, 10, 11], "102": [10, 12, 11, 10, 10], "103": [8, 8, 8, 8, 10], "104": [30, 30, 30, 30, 30]}
SIZES = {"100": 500, "101": 1000, "102": 3000, "103": 1000, "104": 1000}
POOLS = make_pools(["101", "102", "103", "104"], ["101", "102"])
MATCHES = make_matches({"100": ["101", "102"], "101": ["102", "103"], "102": ["101", "103"], "103": ["101", "102"], "104": ["101", "102"]})


def row(frame, pool, variant="registered"):
    return frame[(frame["pool"] == pool) & (frame["variant"] == variant)].iloc[0]


@pytest.fixture
def result():
    return estimate_area_impact(make_outcomes(VALUES, SIZES), POOLS, MATCHES, make_spec())


def test_effects_by_hand(result):
    # all: the pool's weighted mean goes from (10 + 30 + 8 + 30) / 6 to (11 + 30 + 10 + 30) / 6
    assert row(result.estimates, "all")["estimate"] == pytest.approx(-3 - (81 - 78) / 6)
    # matched: authorities 101 and 102, weights 1 and 3: 10 -> (11 + 30) / 4
    assert row(result.estimates, "matched")["estimate"] == pytest.approx(-3 - 0.25)
    assert row(result.estimates, "all", "pool mean over authorities")["estimate"] == pytest.approx(-3 - 3 / 4)
    assert row(result.estimates, "all", "base: earlier")["estimate"] == pytest.approx(-3 - ((81 / 6) - np.mean([78 / 6, (10 + 36 + 8 + 30) / 6])))


def test_placebos_by_hand(result):
    own = result.placebos[result.placebos["pool"] == "all"].set_index("authority_code")["effect"]
    assert own["103"] == pytest.approx(2 - ((11 + 30 + 30) / 5 - (10 + 30 + 30) / 5))
    near = result.placebos[result.placebos["pool"] == "matched"].set_index("authority_code")["effect"]
    assert set(near.index) == {"100", "101", "102"}
    assert near["101"] == pytest.approx(1 - ((30 + 10) / 4 - (30 + 8) / 4))  # its own matched set, 102 and 103
    every = row(result.estimates, "matched", "placebos: every authority, own matched sets")
    rest = row(result.estimates, "matched", "placebos: rest of the fixed pool")
    assert (every["n_placebos"], rest["n_placebos"]) == (4, 2)
    assert every["estimate"] == rest["estimate"] == row(result.estimates, "matched")["estimate"]


def test_ranks_agree_with_the_test_itself(result):
    for pool in ("all", "matched"):
        own = result.placebos[result.placebos["pool"] == pool].set_index("role")["effect"]
        test = placebo_rank_test(own["treated"], own["placebo"])
        found = row(result.estimates, pool)
        assert (found["p_two_sided"], found["p_less"], found["p_greater"], found["p_floor"]) == (test.p_two_sided, test.p_less, test.p_greater, test.floor)
        assert found["rank_from_lowest"] == 1  # the largest fall of all
    assert row(result.estimates, "all")["p_less"] == pytest.approx(1 / 5)


def test_adding_to_the_treated_moves_its_effect_and_no_placebo(result):
    moved = make_outcomes(VALUES | {"100": [20, 20, 20, 20, 10]}, SIZES)
    again = estimate_area_impact(moved, POOLS, MATCHES, make_spec())
    for pool in ("all", "matched"):
        assert row(again.estimates, pool)["estimate"] == pytest.approx(row(result.estimates, pool)["estimate"] - 7)
    pd.testing.assert_frame_equal(again.placebos.query("role == 'placebo'"), result.placebos.query("role == 'placebo'"))


def test_a_common_shock_changes_nothing(result):
    shocked = make_outcomes({code: np.add(series, [0, 1, -4, 7, 3]) for code, series in VALUES.items()}, SIZES)
    again = estimate_area_impact(shocked, POOLS, MATCHES, make_spec())
    in_points = result.estimates["parallel"] == "points"
    np.testing.assert_allclose(again.estimates.loc[in_points, "estimate"], result.estimates.loc[in_points, "estimate"], atol=1e-12)
    np.testing.assert_allclose(again.gaps["gap_from_base"], result.gaps["gap_from_base"], atol=1e-12)


def test_common_growth_only_scales_the_change_in_proportion(result):
    grown = make_outcomes({code: np.multiply(series, [1, 1.5, 0.7, 1, 1.2]) for code, series in VALUES.items()}, SIZES)
    again = estimate_area_impact(grown, POOLS, MATCHES, make_spec())
    for pool in ("all", "matched"):
        before, after = (row(found.estimates, pool, "change in proportion to the level") for found in (result, again))
        assert after["estimate"] == pytest.approx(1.2 * before["estimate"]) and after["p_two_sided"] == before["p_two_sided"]


def test_order_and_names_change_nothing(result):
    shuffled = estimate_area_impact(make_outcomes(VALUES, SIZES).sample(frac=1, random_state=1), POOLS.sample(frac=1, random_state=2),
                                    MATCHES.sample(frac=1, random_state=3), make_spec())
    for name in ("estimates", "gaps", "drift", "placebos"):
        pd.testing.assert_frame_equal(getattr(shuffled, name), getattr(result, name))
    names = {"100": "500", "101": "904", "102": "903", "103": "902", "104": "901"}
    again = estimate_area_impact(make_outcomes({names[c]: v for c, v in VALUES.items()}, {names[c]: n for c, n in SIZES.items()}),
                                 POOLS.assign(authority_code=POOLS["authority_code"].map(names)), MATCHES.map(names.get), make_spec())
    np.testing.assert_allclose(again.estimates[["estimate", "p_two_sided", "placebo_sd"]], result.estimates[["estimate", "p_two_sided", "placebo_sd"]], atol=1e-12)


def test_doubling_every_enrolment_changes_nothing(result):
    doubled = estimate_area_impact(make_outcomes(VALUES, {c: 2 * n for c, n in SIZES.items()}), POOLS, MATCHES, make_spec())
    np.testing.assert_allclose(doubled.estimates["estimate"], result.estimates["estimate"], atol=1e-12)


def test_splitting_an_authority_leaves_the_weighted_mean(result):
    halves = {**VALUES, "105": VALUES["102"]}
    split = comparison_means(pd.DataFrame(halves, index=YEARS).T, pd.DataFrame({c: [(SIZES | {"102": 1500, "105": 1500})[c]] * 5 for c in halves}, index=YEARS).T,
                            {"100": ["101", "102", "103", "104", "105"]})
    whole = result.gaps[result.gaps["pool"] == "all"].set_index("academic_year")["comparison_value"]
    np.testing.assert_allclose(split.loc["100"], whole)


def test_intervals_hold_the_effects_that_the_test_does_not_reject():
    rng = np.random.default_rng(11)
    for n in (4, 9, 20, 37):
        placebos, effect = pd.Series(rng.normal(0.3, 1, n)), 0.7
        for level in (0.05, 0.1, 0.2):
            critical = critical_value(placebos, level)
            if critical is None:
                assert 1 / (n + 1) > level
                assert placebo_rank_test(1e9, placebos).p_two_sided > level
                continue
            for null in np.linspace(-6, 6, 241):
                rejected = placebo_rank_test(effect - null, placebos).p_two_sided <= level
                assert rejected == (not effect - critical <= null <= effect + critical)


def test_twenty_placebos_reach_five_percent_and_eighteen_do_not():
    assert critical_value(pd.Series(np.arange(1.0, 20.0)), 0.05) == 19.0  # n = 19: floor 0.05 itself
    assert critical_value(pd.Series(np.arange(1.0, 19.0)), 0.05) is None
    assert critical_value(pd.Series(np.arange(1.0, 40.0)), 1 - 0.95) == 38.0  # n = 39: two of forty may be as extreme, the effect itself one of them


def test_smallest_detectable_by_search():
    rng = np.random.default_rng(5)
    placebos = pd.Series(rng.standard_t(4, 60))
    found = smallest_detectable(placebos, level=0.1, power=0.8)
    critical = critical_value(placebos, 0.1)

    def power(size):
        return np.mean(placebos - size <= -critical + 1e-12)

    assert power(found) >= 0.8 and power(found - 1e-6) < 0.8
    assert smallest_detectable(placebos.head(5), level=0.1, power=0.8) is None


def test_the_rank_test_keeps_its_size_under_exchangeability():
    """2,000 draws of 21 exchangeable authorities: a true null is rejected at most at the nominal level."""
    rng = np.random.default_rng(2)
    draws = rng.normal(size=(2000, 21))
    effects = draws - (draws.sum(axis=1, keepdims=True) - draws) / 20
    rejected = np.mean([placebo_rank_test(row[0], row[1:]).p_two_sided <= 0.05 for row in effects])
    assert 0.03 < rejected < 0.065  # nominal 1/21 = 0.048; Monte Carlo standard error 0.005


def noisy(drift=0.0, step_year=None, seed=4, n=24):
    rng = np.random.default_rng(seed)
    values = {str(100 + i): np.cumsum(rng.normal(0, 0.3, 5)) + 20 for i in range(n + 1)}
    values[TREATED] = np.full(5, 20.0) + drift * np.arange(5)
    codes = [str(100 + i) for i in range(1, n + 1)]
    sets = {code: [other for other in codes if other != code][:8] for code in [TREATED, *codes]}
    return make_outcomes(values), make_pools(codes, sets[TREATED]), make_matches(sets)


def test_a_drift_that_began_before_is_named():
    outcomes, pools, matches = noisy(drift=1.5)
    found = estimate_area_impact(outcomes, pools, matches, make_spec(drift_level=0.1)).drift.set_index("pool").loc["all"]
    assert found["named"] and found["farthest_gap_from_base"] < 0 and not found["effect_reverses"]
    assert found["farthest_p"] == pytest.approx(1 / 25) and "2017/18" in found["years_named"]
    assert found["looks"] == 3 + 3 + 1


def test_a_flat_past_is_not_named():
    outcomes, pools, matches = noisy(drift=0.0)
    result = estimate_area_impact(outcomes, pools, matches, make_spec(drift_level=0.1))
    assert not result.drift["named"].any() and (result.drift["years_named"] == "").all()


def test_earlier_years_are_shown_one_by_one(result):
    years = result.gaps[result.gaps["pool"] == "all"].set_index("academic_year")
    assert list(years["period"]) == ["before", "before", "before", "base", "after"]
    assert years["years_stepped"].iloc[1:].tolist() == [1, 2, 1, 1] and pd.isna(years["step"].iloc[0])
    assert years.loc["2021/22", "gap_from_base"] == 0 and pd.isna(years.loc["2021/22", "gap_p_two_sided"])
    # with one base year, the step into the follow-up year is the effect
    assert years.loc["2022/23", "step"] == pytest.approx(row(result.estimates, "all")["estimate"])
    np.testing.assert_allclose(years["treated_value"] - years["comparison_value"], years["gap"])


def test_each_alternative_differs_in_one_respect():
    for pool in ("all", "matched"):
        first, *others = specifications("mean_absence", pool, make_spec())
        assert all(sum(a != b for a, b in zip(way[1:], first[1:], strict=True)) == 1 for way in others)


def test_dilution_by_hand(result):
    detectable = area_detectability(result.placebos, result.gaps, make_spec(pupils_started=quantity(50, high=100))).set_index("pool").loc["all"]
    assert detectable["enrolments"] == 500 and detectable["dilution"] == pytest.approx(50 / 500)  # a share: the whole year
    assert detectable["dilution_best"] == pytest.approx(100 / 500)
    assert detectable["pupil_detectable"] == pytest.approx(detectable["area_detectable"] / 0.1)
    assert detectable["effect_per_starter"] == pytest.approx(row(result.estimates, "all")["estimate"] / 0.1)


def test_dilution_of_the_mean_counts_the_share_of_the_year():
    spec = make_spec(outcomes=("mean_absence",), pupils_started=quantity(223), months_of_support=quantity(5, "months"), plausible_effect=quantity(4, "points", 0, 4))
    outcomes = make_outcomes(VALUES, {**SIZES, "100": 9000}, "mean_absence", ("registered", "other_unclassified", "last_band_low", "last_band_high"))
    result = estimate_area_impact(outcomes, POOLS, MATCHES, spec)
    detectable = area_detectability(result.placebos, result.gaps, spec).iloc[0]
    assert detectable["dilution"] == pytest.approx(223 * 0.5 / 9000)
    assert round(detectable["plausible_area_shift"], 2) == 0.05  # four points on 223 of 9,000 for half a year


def test_a_pool_too_small_for_any_finding_says_so(result):
    found = estimate_area_impact(make_outcomes(VALUES, SIZES), POOLS, MATCHES, make_spec(confidence_level=0.95))
    assert found.estimates["conf_low"].isna().all() and found.estimates["critical_value"].isna().all()
    assert found.estimates["warnings"].str.contains("no effect, however large").all()
    detectable = area_detectability(found.placebos, found.gaps, make_spec(confidence_level=0.95))
    assert detectable["area_detectable"].isna().all() and not detectable["attainable"].any()


def test_refusals():
    outcomes = make_outcomes(VALUES, SIZES)
    lacking = outcomes[~((outcomes["authority_code"] == "103") & (outcomes["academic_year"] == "2018/19"))]
    with pytest.raises(DataError, match="authority 103 has no persistent_absence .* in 2018/19"):
        estimate_area_impact(lacking, POOLS, MATCHES, make_spec())
    with pytest.raises(DataError, match="0 treated authorities"):
        estimate_area_impact(outcomes, POOLS[POOLS["role"] == "comparison"], MATCHES, make_spec())
    with pytest.raises(UnidentifiedError, match="holds 1 authorities"):
        estimate_area_impact(outcomes, make_pools(["101"], ["101"]), MATCHES, make_spec())
    with pytest.raises(UnidentifiedError, match="no year before the base years"):
        estimate_area_impact(outcomes, POOLS, MATCHES, make_spec(base_years=YEARS[:-1]))
    with pytest.raises(ValueError, match="must come before follow_up_year"):
        make_spec(base_years=("2022/23",))


@pytest.fixture(scope="module")
def study(published):
    protocol = load_protocol(ROOT / "params" / "middlesbrough_area_study.yaml").protocol
    bands = read_absence_bands(published / "data" / "dfe_absence_bands")
    panel = authority_panel(bands, protocol.area_panel)
    comparison = compare_areas(panel, authority_list(bands, panel, protocol.area_panel.academic_years), protocol.area_comparison)
    outcomes = authority_outcomes(panel, protocol.area_panel)
    return bands, comparison, estimate_area_impact(outcomes, comparison.pools, comparison.matches, protocol.area_impact)


def test_published_effects_computed_a_second_way(study):
    """Severe and persistent absence from counts summed over each pool, authority by authority, without the code under test."""
    bands, comparison, result = study
    local = bands[(bands["geographic_level"] == "Local authority") & (bands["school_type"] == "State-funded secondary")]
    columns = [c for c in local if c.startswith("enrolments_")]
    sums = local.groupby(["old_la_code", "time_period"])[columns].sum()
    n, counts = sums.sum(axis=1).unstack(), {"persistent_absence": sums[columns[2:]].sum(axis=1).unstack(), "severe_absence": sums[columns[-1]].unstack()}

    def change(outcome, own, others):
        def gap(period):
            return 100 * counts[outcome].loc[own, period] / n.loc[own, period] - 100 * counts[outcome].loc[others, period].sum() / n.loc[others, period].sum()
        return gap("202223") - gap("202122")

    everyone = sorted(comparison.pools.query("pool == 'all' and role == 'comparison'")["authority_code"])
    drawn = comparison.matches.groupby("authority_code")["match_code"].agg(list)
    for outcome in counts:
        for pool, units, others in (("all", everyone, lambda code: [c for c in everyone if c != code]), ("matched", drawn["806"], lambda code: drawn[code])):
            found = row(result.estimates[result.estimates["outcome"] == outcome], pool)
            effect, placebos = change(outcome, "806", others("806")), [change(outcome, code, others(code)) for code in units]
            assert found["estimate"] == pytest.approx(effect, abs=1e-9)
            assert found["placebo_sd"] == pytest.approx(np.std(placebos, ddof=1), abs=1e-9)
            assert found["p_two_sided"] == pytest.approx((1 + sum(abs(p) >= abs(effect) for p in placebos)) / (1 + len(placebos)))
            assert found["p_less"] == pytest.approx((1 + sum(p <= effect for p in placebos)) / (1 + len(placebos)))


def test_published_findings_stay_where_they_are(study):
    """The registered estimates to two decimals: a change here is a change of published results and belongs in the change log."""
    found = study[2].estimates.query("registered").set_index(["outcome", "pool"])["estimate"].round(2).to_dict()
    assert found == {
        ("persistent_absence", "all"): 0.56, ("persistent_absence", "matched"): -0.35, ("severe_absence", "all"): 1.05,
        ("severe_absence", "matched"): 1.06, ("mean_absence", "all"): 0.77, ("mean_absence", "matched"): 0.62}


def test_growth_in_proportion_by_hand(result):
    values, means = pd.DataFrame({"a": [20.0], "b": [30.0]}, index=["x"]), pd.DataFrame({"a": [10.0], "b": [12.0]}, index=["x"])
    assert proportional_changes(values, means, "b", ("a",))["x"] == pytest.approx(30 - 20 * 1.2)
    assert gap_changes(values - means, "b", ("a",))["x"] == pytest.approx(8)
    found = row(result.estimates, "matched", "change in proportion to the level")
    assert found["estimate"] == pytest.approx(17 - 20 * (41 / 4) / 10)


def test_gap_changes_average_the_base_years():
    gaps = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 6.0], "c": [10.0, 10.0]}, index=["x", "y"])
    assert gap_changes(gaps, "c", ("a", "b")).tolist() == [8.0, 6.0]
