"""Two-way effects and event studies: agreement with fixest and with full dummy regressions, invariance, refusals."""

import numpy as np
import pandas as pd
import pytest
from two_way_reference import (
    ESTIMATE_TOLERANCE,
    INTERACTIONS,
    KEYS,
    ROUNDING,
    SMALL,
    UNCERTAINTY_TOLERANCE,
    assert_agrees,
    panel,
    results,
    small_panel,
)

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact import sun_abraham_effects, two_way_effects
from evaluation.inference import linear

RUNS = {
    "twfe_school": {"treated": "post", "cluster": "school_id"},
    "twfe_pupil": {"treated": "post", "cluster": "pupil_id"},
    "twfe_iid": {"treated": "post", "kind": "iid"},
    "twfe_hetero": {"treated": "post", "kind": "HC1"},
    "twfe_w_school": {"treated": "post", "cluster": "school_id", "weights": "weight"},
    "twfe_w_hetero": {"treated": "post", "kind": "HC1", "weights": "weight"},
    "twfe_sess_school": {"treated": "post", "cluster": "school_id", "weights": "sessions_possible"},
    "twfe_cov_school": {"treated": "post", "cluster": "school_id", "covariates": INTERACTIONS},
    "twfe_unb_school": {"treated": "post", "cluster": "school_id"},
    "twfe_unb_w_school": {"treated": "post", "cluster": "school_id", "weights": "weight"},
    "es_school": {"start": "start", "cluster": "school_id"},
    "es_w_school": {"start": "start", "cluster": "school_id", "weights": "weight"},
    "es_unb_school": {"start": "start", "cluster": "school_id"},
    "esbin_school": {"start": "start", "cluster": "school_id", "window": (-4, 2)},
    "esbin_cov_w_school": {"start": "start", "cluster": "school_id", "window": (-4, 2), "weights": "weight", "covariates": INTERACTIONS},
}
COVARIANCES = {"es_school": "fixest_vcov_es", "es_w_school": "fixest_vcov_es_w", "es_unb_school": "fixest_vcov_es_unb", "esbin_school": "fixest_vcov_esbin"}


@pytest.fixture(scope="module")
def panels():
    return {False: panel(), True: panel("unbalanced_panel")}


def fitted(panels, run):
    return two_way_effects(panels["_unb_" in run], "absence_rate", **KEYS, **RUNS[run])


def small(data=None, **changes):
    named = {**SMALL, "start": "start", "cluster": "school", **changes}
    return two_way_effects(small_panel() if data is None else data, "rate", **named)


def assert_same(one, other, tolerance=ROUNDING):
    pd.testing.assert_frame_equal(one.frame, other.frame, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(one.vcov, other.vcov, rtol=tolerance)


# Agreement with fixest


@pytest.mark.parametrize("run", RUNS)
def test_estimates_and_errors_agree_with_fixest(panels, run):
    wanted, fit = results("fixest_coef").query("run == @run"), fitted(panels, run)
    every = pd.concat([fit.frame, fit.covariates])
    assert_agrees(every, wanted)
    np.testing.assert_allclose(every["p_value"], wanted["p"], rtol=UNCERTAINTY_TOLERANCE)
    np.testing.assert_allclose(every[["conf_low", "conf_high"]], wanted[["ci_low", "ci_high"]], rtol=0, atol=ESTIMATE_TOLERANCE)
    assert (every["df"] == wanted["df_t"].to_numpy()).all() and fit.n == wanted["nobs"].iloc[0]


@pytest.mark.parametrize("run", COVARIANCES)
def test_covariance_agrees_with_fixest(panels, run):
    wanted = results(COVARIANCES[run]).drop(columns="term")
    np.testing.assert_allclose(fitted(panels, run).vcov, wanted, rtol=UNCERTAINTY_TOLERANCE)


def test_joint_test_agrees_with_fixest(panels):
    wanted, found = results("fixest_wald").iloc[0], fitted(panels, "esbin_school").wald(["event_time=-4", "event_time=-3", "event_time=-2"])
    assert (found.statistic, found.p_value) == pytest.approx((wanted["stat"], wanted["p"]), rel=UNCERTAINTY_TOLERANCE)
    assert (found.df_num, found.df_denom) == (wanted["df1"], wanted["df2"])


@pytest.mark.parametrize(("kind", "cluster", "flag"), [("CR1", "school_id", True), ("CR1", "pupil_id", True), ("CR0", "school_id", False), ("CR0", "pupil_id", False)])
def test_small_sample_factors_are_those_of_fixest(panels, kind, cluster, flag):
    table = results("fixest_ssc")
    rows = table[(table["cluster"] == cluster) & (table["K.adj"] == flag) & (table["G.adj"] == flag) & (table["K.fixef"] == "nonnested")]
    found = two_way_effects(panels[False], "absence_rate", treated="post", cluster=cluster, kind=kind, **KEYS).frame["std_error"].iloc[0]
    assert found == pytest.approx(rows["se"].iloc[0], rel=UNCERTAINTY_TOLERANCE)


def test_period_effects_by_area_agree_with_fixest(panels):
    """As covariates they are counted one fewer per area than fixest counts them as effects: 21 and 8 of 32."""
    data = panels[False]
    names = [f"area_{area}_{half_term}" for area in sorted(data["area_id"].unique())[1:] for half_term in range(2, 9)]
    data = data.assign(**{name: ((data["area_id"] == int(name.split("_")[1])) & (data["half_term"] == int(name.split("_")[2]))).astype(int) for name in names})
    fit = two_way_effects(data, "absence_rate", treated="post", cluster="school_id", covariates=names, **KEYS)
    wanted = results("fixest_coef").query("run == 'twfe_areaterm_school'").iloc[0]
    assert fit.frame["estimate"].iloc[0] == pytest.approx(wanted["estimate"], abs=ESTIMATE_TOLERANCE)
    levels, counted = data.groupby(["area_id", "half_term"]).ngroups + 1, len(names) + 1 + 8
    factor = (fit.n - counted) / (fit.n - levels)
    assert fit.frame["std_error"].iloc[0] * np.sqrt(factor) == pytest.approx(wanted["se"], rel=UNCERTAINTY_TOLERANCE)


# Agreement with the definition


@pytest.mark.parametrize("kind", ["CR1", "CR0", "iid", "HC1"])
@pytest.mark.parametrize("weights", [None, "weight", "row_weight"])
@pytest.mark.parametrize("share", [1.0, 0.7])
def test_it_is_the_regression_with_every_indicator_written_out(kind, weights, share):
    draw = np.random.default_rng(3)
    data = small_panel().assign(row_weight=lambda d: draw.uniform(0.5, 2, len(d)))
    data = data[draw.random(len(data)) < share].reset_index(drop=True)
    fit = small(data, kind=kind, weights=weights, covariates=["size"])
    times = fit.frame["event_time"]
    distance = np.where(data["start"] > 0, data["term"] - data["start"], -1)
    design = np.column_stack([distance[:, None] == times.to_numpy(), data["size"], pd.get_dummies(data["pupil"]), pd.get_dummies(data["term"]).iloc[:, 1:]]).astype(float)
    weight = np.ones(len(data)) if weights is None else (data[weights] / data[weights].mean()).to_numpy()
    bread = np.linalg.inv(design.T @ (weight[:, None] * design))
    coefficients = bread @ (design.T @ (weight * data["rate"]))
    residual = data["rate"].to_numpy() - design @ coefficients
    scores = design * (weight * residual)[:, None]
    n, k = design.shape
    if kind in ("CR1", "CR0"):
        sums = pd.DataFrame(scores).groupby(data["school"].to_numpy()).sum().to_numpy()
        nested = data["pupil"].nunique() - 1
        factor = 10 / 9 * (n - 1) / (n - (k - nested)) if kind == "CR1" else 1.0
        wanted = factor * bread @ sums.T @ sums @ bread
    else:
        wanted = bread * (weight @ residual**2) / (n - k) if kind == "iid" else n / (n - k) * bread @ scores.T @ scores @ bread
    count = len(times) + 1
    np.testing.assert_allclose(fit.vcov, wanted[:count, :count], rtol=1e-8)
    np.testing.assert_allclose([*fit.frame["estimate"], *fit.covariates["estimate"]], coefficients[:count], rtol=ROUNDING, atol=ROUNDING)


def test_bias_reduced_errors_are_those_of_linear():
    data = small_panel()
    fit = two_way_effects(data, "rate", treated="treated", cluster="school", kind="CR2", **SMALL)
    wanted = linear(data, "rate", ["treated"], absorb=["pupil", "term"], cluster="school").frame.iloc[0]
    assert fit.frame.iloc[0, 1:].to_numpy(float) == pytest.approx(wanted.iloc[1:].to_numpy(float), rel=1e-9)
    events = small(kind="CR2")
    assert events.frame["estimate"].to_numpy() == pytest.approx(small().frame["estimate"].to_numpy(), rel=1e-9)
    assert events.wald(["event_time=0", "event_time=1"]).terms == ("event_time=0", "event_time=1") and events.wald("event_time=0").df_denom < 9


def test_two_groups_and_two_periods_are_a_difference_of_differences():
    data = pd.DataFrame({"u": list("aabbccdd"), "t": [1, 2] * 4, "d": [0, 1, 0, 1, 0, 0, 0, 0], "y": [3.0, 7.0, 4.0, 6.0, 1.0, 2.5, 2.0, 2.5]})
    assert two_way_effects(data, "y", unit="u", time="t", treated="d", cluster="u").frame["estimate"].iloc[0] == pytest.approx((4 + 2) / 2 - (1.5 + 0.5) / 2)


def test_published_card_and_krueger(published):
    """New Jersey against Pennsylvania before and after, restaurants measured twice: 2.7500 (1.3423)."""
    data = pd.read_csv(published / "published" / "card_krueger.csv")
    data = data.dropna(subset=["FTE1", "FTE2"]).reset_index(drop=True)
    long = pd.concat([pd.DataFrame({"shop": data.index, "wave": wave, "fte": data[f"FTE{wave}"], "after": (data["STATE"] == 1) * (wave == 2)}) for wave in (1, 2)])
    row = two_way_effects(long, "fte", unit="shop", time="wave", treated="after", cluster="shop", kind="CR2").frame.iloc[0]
    assert len(data) == 384 and (row["estimate"], row["std_error"]) == pytest.approx((2.75, 1.3423), abs=5e-5)


def test_published_castle_doctrine(published):
    data = pd.read_csv(published / "published" / "castle.csv")
    named = {"unit": "state", "time": "year", "treated": "post", "cluster": "state"}
    assert two_way_effects(data, "l_homicide", **named).frame["estimate"].iloc[0] == pytest.approx(0.0818, abs=5e-5)
    assert two_way_effects(data, "l_homicide", covariates=["l_pop", "l_income"], **named).frame["estimate"].iloc[0] == pytest.approx(0.0906, abs=5e-5)


# Invariance


def test_order_index_ids_and_labels_of_periods_do_not_matter():
    data, plain = small_panel(), small()
    shuffled = data.sample(frac=1, random_state=1).set_index(pd.Index(range(900, 900 + len(data))))
    assert_same(small(shuffled), plain)
    assert_same(small(data.assign(pupil=data["pupil"].str[1:].astype(int) * 7)), plain)
    assert_same(small(data.assign(term=data["term"] + 2020, start=data["start"].where(data["start"] == 0, data["start"] + 2020))), plain)
    labels = ["aut1", "aut2", "spr1", "spr2", "sum1", "sum2"]
    category = pd.CategoricalDtype(labels, ordered=True)
    named = data.assign(term=data["term"].map(lambda t: labels[t - 1]).astype(category),
                        start=data["start"].map(lambda t: labels[t - 1] if t else None).astype(category))  # fmt: skip
    assert_same(small(named), plain)
    assert_same(small(data.assign(start=data["start"].replace(0, np.nan))), plain)
    months = pd.period_range("2024-09", periods=6, freq="M")
    assert_same(small(data.assign(term=months[data["term"] - 1], start=[months[t - 1] if t else pd.NaT for t in data["start"]])), plain)


def test_the_callers_frame_is_not_changed():
    data = small_panel()
    before = data.copy(deep=True)
    small(data, weights="weight", covariates=["size"])
    pd.testing.assert_frame_equal(data, before)


def test_scale_of_weights_and_units_without_weight_do_not_matter():
    data, plain = small_panel(), small(weights="weight")
    assert_same(small(data.assign(weight=data["weight"] * 1e6), weights="weight"), plain)
    more = pd.concat([data, data.head(6).assign(pupil="extra", weight=0.0, rate=np.nan)])
    again = small(more, weights="weight")
    assert_same(again, plain)
    assert "6 rows of weight zero: left out." in again.warnings


def test_doubling_a_weight_doubles_a_pupil_in_the_estimate():
    data = small_panel().assign(weight=1.0)
    twice = pd.concat([data, data.head(6).assign(pupil="twin")])
    heavier = data.assign(weight=np.where(data["pupil"] == "P000", 2.0, 1.0))
    np.testing.assert_allclose(small(heavier, weights="weight").frame["estimate"], small(twice).frame["estimate"], rtol=ROUNDING)


def test_a_shift_of_the_outcome_by_unit_and_period_changes_nothing():
    data, plain = small_panel(), small()
    shifted = data.assign(rate=data["rate"] + 1e4 * data["pupil"].str[1:].astype(int) + 50 * data["term"] ** 2)
    assert_same(small(shifted), plain, tolerance=1e-7)


def test_groups_of_units_that_share_no_period_are_fitted_together():
    early = small_panel(seed=1)
    late = small_panel(seed=2).assign(pupil=lambda d: "late" + d["pupil"], term=lambda d: d["term"] + 6, start=lambda d: d["start"].where(d["start"] == 0, d["start"] + 6))
    both = small(pd.concat([early, late]), weights="weight")
    assert np.isfinite(both.frame["std_error"]).all() and both.periods == 12


# What is left out, and said


def test_always_treated_units_are_left_out_of_an_event_study_with_their_count():
    data, plain = small_panel(), small()
    fit = small(pd.concat([data, data.head(12).assign(pupil=lambda d: "always" + d["pupil"], start=1)]))
    assert_same(fit, plain)
    assert any("2 units treated from the first period on: left out" in note for note in fit.warnings)
    assert fit.overall.n_treated == plain.overall.n_treated == 36 and fit.overall.n_comparison == 24


def test_clusters_and_periods_that_only_left_out_units_had_do_not_count():
    data, plain = small_panel(), small()
    always = data.head(18).assign(pupil=lambda d: "always" + d["pupil"], school="gone", start=1)
    assert_same(small(pd.concat([always, data])), plain)
    later = data.head(7).assign(pupil="always", start=1, term=range(1, 8), school="gone")
    fit = small(pd.concat([later, data]))
    assert_same(fit, plain)
    assert fit.clusters == 10


def test_a_start_after_the_last_period_counts_as_never():
    data = small_panel()
    fit = small(data.assign(start=data["start"].replace(0, 99)))
    assert_same(fit, small())
    for found in (fit, sun_abraham_effects(data.assign(start=data["start"].replace(0, 99)), "rate", start="start", cluster="school", **SMALL)):
        assert "24 units start after the last period: they count as never treated." in found.warnings


def test_dates_count_one_by_one_only_where_they_are_evenly_spaced():
    data = small_panel()
    months = pd.date_range("2024-09-01", periods=8, freq="MS")
    dated = data.assign(term=months[data["term"] - 1], start=[months[t - 1] if t else pd.NaT for t in data["start"]])
    assert_same(small(dated), small())
    later = {name: dated[name].where(dated[name] < months[4], dated[name] + pd.DateOffset(months=2)) for name in ("term", "start")}
    with pytest.raises(DataError, match="unevenly spaced.*from 2024-12-01 to 2025-03-01") as caught:
        small(dated.assign(**later))
    assert "number the periods" in caught.value.mend


def test_bias_reduced_refusals_name_terms_and_clusters_as_the_caller_does():
    data = small_panel()
    with pytest.raises(UnidentifiedError, match=r"event_time=-4.*rests on one cluster alone \(S3\)"):
        small(data[data["start"].gt(0) | data["school"].eq("S3")], kind="CR2")
    with pytest.raises(UnidentifiedError, match="column 'school'.*one cluster"):
        small(data.assign(school="S"), kind="CR2")


def test_units_with_one_row_are_kept_counted_and_without_effect_on_the_estimate():
    data = small_panel()
    fit = small(pd.concat([data, data.head(1).assign(pupil="once")]))
    plain = small()
    np.testing.assert_allclose(fit.frame["estimate"], plain.frame["estimate"], rtol=ROUNDING)
    assert fit.n == plain.n + 1 and "1 unit with a single row: kept, but it tells nothing of the effect." in fit.warnings


def test_an_effect_that_rests_on_one_cluster_has_no_standard_error():
    data = small_panel()
    lone = data["start"].eq(3) & ~data["school"].eq("S0")
    fit = small(data[~lone])
    frame = fit.frame.set_index("event_time")
    assert np.isnan(frame.loc[3, "std_error"]) and np.isfinite(frame.loc[0, "std_error"])
    assert any("event_time=3" in note and "rests on one cluster alone (S0)" in note for note in fit.warnings)
    with pytest.raises(UnidentifiedError, match="no standard error"):
        fit.wald(["event_time=3"])
    only = data["start"].gt(0) & ~data["school"].eq("S0")
    with pytest.raises(UnidentifiedError, match="rests on one cluster alone"):
        two_way_effects(data[~only], "rate", treated="treated", cluster="school", **SMALL)


def test_the_reference_has_no_row_and_the_mean_effect_is_of_later_ones():
    fit = small()
    assert fit.reference == -1 and -1 not in set(fit.frame["event_time"]) and list(fit.vcov.index) == list(fit.frame["term"])
    after = fit.frame[fit.frame["event_time"] >= 0]
    assert fit.overall.estimate == pytest.approx(after["estimate"].mean())
    share = (fit.frame["event_time"] >= 0).to_numpy() / len(after)
    assert fit.overall.std_error == pytest.approx(np.sqrt(share @ fit.vcov.to_numpy() @ share))
    assert "effects measured from event time -1" in repr(fit) and "<table" in fit._repr_html_()


def test_bands_hold_for_all_effects_together_and_are_wider():
    fit = small()
    table = fit.banded(draws=2999)
    pointwise, together = (table["conf_high"] - table["estimate"]) / table["std_error"], (table["band_high"] - table["estimate"]) / table["std_error"]
    assert together.to_numpy() == pytest.approx(together.iloc[0]) and together.iloc[0] > 1.2 * pointwise.iloc[0]
    pd.testing.assert_frame_equal(table, fit.banded(draws=2999))
    data = small_panel()
    lone = small(data[~(data["start"].eq(3) & ~data["school"].eq("S0"))]).banded(draws=999).set_index("event_time")
    assert np.isnan(lone.loc[3, "band_low"]) and lone["band_low"].notna().sum() == len(lone) - 1
    assert (sun_abraham_effects(data, "rate", start="start", cluster="school", **SMALL).banded(draws=999).eval("band_high > conf_high")).all()


# Refusals


def changed(column, value, row=7):
    data = small_panel()
    data[column] = data[column].astype(object)
    data.loc[row, column] = value
    return data.infer_objects()


BAD = {
    "missing outcome": (changed("rate", np.nan), {}, "1 value is missing or infinite.*rows? out"),
    "infinite weight": (changed("weight", np.inf), {"weights": "weight"}, "'weight', row 8 of 360.*missing or infinite"),
    "weight that is no weight": (changed("weight", 1e-200), {"weights": "weight"}, "nothing beside the largest weight"),
    "negative weight": (changed("weight", -1.0), {"weights": "weight"}, "negative"),
    "missing cluster": (changed("school", None), {}, "'school', row 8 of 360"),
    "missing unit": (changed("pupil", None), {}, "'pupil', row 8 of 360"),
    "cluster that changes": (changed("school", "S9"), {}, "'school', row 8 of 360.*changes within a unit.*freeze it"),
    "start that changes": (changed("start", 5, 8), {}, "'start', row 9.*changes within a unit"),
    "duplicated row": (pd.concat([small_panel(), small_panel().iloc[[3]]]), {}, "1 row repeats a unit and period.*pupil P000, term 4"),
    "gap in periods": (small_panel().query("term != 4"), {}, "3 is followed by 5.*number the periods"),
    "text periods": (small_panel().assign(term=lambda d: d["term"].map("HT{}".format)), {}, "no order in time"),
    "start between periods": (small_panel().assign(start=lambda d: d["start"] + 0.5), {}, "is not a period"),
    "zero is a period": (small_panel().assign(term=lambda d: d["term"] - 1), {}, "0 means never treated, but 0 is also a period"),
    "no cluster": (small_panel(), {"cluster": None}, "no cluster column is named"),
    "unknown kind": (small_panel(), {"kind": "HC9"}, "not known"),
    "both": (small_panel(), {"treated": "treated"}, "either `treated`"),
    "misspelt": (small_panel(), {"cluster": "schol"}, "did you mean 'school'"),
    "dose": (changed("treated", 0.5), {"treated": "treated", "start": None}, "neither 0 nor 1"),
    "narrow window": (small_panel(), {"window": (-1, 2)}, "does not reach"),
    "term twice": (small_panel(), {"covariates": ["size", "size"]}, "more than once"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_place_and_mend(case):
    data, options, words = BAD[case]
    with pytest.raises(DataError, match=words) as caught:
        small(data, **options)
    assert caught.value.mend


UNIDENTIFIED = {
    "no never treated": (small_panel().query("start > 0"), {}, "no unit is never treated.*end the panel before the last group starts"),
    "none treated": (small_panel().query("start == 0"), {}, "no unit starts"),
    "no reference": (small_panel().query("start == 0 or term != start - 1"), {}, "no unit that starts has a row at event time -1"),
    "no row after start": (small_panel().query("start == 0 or term < start"), {}, "no row lies at or after its unit's start"),
    "one cluster": (small_panel().assign(school="S"), {}, "one cluster"),
    "constant within units": (small_panel(), {"covariates": ["weight"]}, "weight: the term does not vary"),
    "collinear": (small_panel().assign(double=lambda d: d["size"] * 2 + d["term"]), {"covariates": ["size", "double"]}, "terms size, double: .*combinations"),
    "exact": (small_panel().assign(rate=lambda d: d["term"] * 2.0), {}, "exactly"),
    "always treated": (small_panel().assign(start=1), {}, "every unit is treated from the first period"),
    "never varies": (small_panel().query("start == 0"), {"treated": "treated", "start": None}, "does not vary"),
}


@pytest.mark.parametrize("case", UNIDENTIFIED)
def test_what_the_panel_cannot_tell_is_refused(case):
    data, options, words = UNIDENTIFIED[case]
    with pytest.raises(UnidentifiedError, match=words) as caught:
        small(data, **options)
    assert caught.value.mend
