"""What group-time effects may and may not depend on: rows, labels, units of measurement, and units that are added."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.impact import group_time_effects

SAME = 1e-10  # the same sums in another order
COLUMNS = {"unit": "pupil", "time": "half_term", "start": "start"}
BOTH = ["dr", "ipw", "reg"]


def _panel(seed: int = 0, pupils: int = 240, periods: int = 6) -> pd.DataFrame:
    """Pupils in 24 schools that start in half-term 3, 5 or never, with an effect of -2 and covariates that drive start and trend."""
    generator = np.random.default_rng(seed)
    fsm = generator.integers(0, 2, pupils)
    prior = generator.normal(0, 1, pupils)
    chance = 1 / (1 + np.exp(0.6 - 0.5 * fsm - 0.4 * prior))
    start = np.where(generator.random(pupils) < chance, generator.choice([3, 5], pupils), 0)
    half_term = np.arange(1, periods + 1)
    rate = (10 + 3 * prior[:, None] + 0.3 * fsm[:, None] * half_term + generator.normal(0, 2, (pupils, periods))
            - 2 * ((start[:, None] > 0) & (half_term >= start[:, None])))  # fmt: skip
    return pd.DataFrame({
        "pupil": np.repeat(np.arange(100, 100 + pupils), periods), "school": np.repeat(np.arange(pupils) % 24, periods),
        "half_term": np.tile(half_term, pupils), "start": np.repeat(start, periods), "rate": rate.ravel(), "fsm": np.repeat(fsm, periods),
        "prior": np.repeat(prior, periods), "weight": np.repeat(generator.uniform(0.5, 2, pupils), periods),
    })  # fmt: skip


PANEL = _panel()


def _fit(panel, **options):
    return group_time_effects(panel, "rate", **{**COLUMNS, **options})


def assert_same(left, right, columns=("estimate", "std_error", "conf_low", "band_high")):
    for column in columns:
        np.testing.assert_allclose(left.frame[column], right.frame[column], rtol=SAME, atol=SAME)


@pytest.mark.parametrize("options", [{}, {"method": "ipw", "weights": "weight", "cluster": "school"}, {"comparison": "not_yet", "base_period": "universal"}])
def test_order_and_index_of_rows_do_not_matter(options):
    options = {"covariates": ["fsm", "prior"], **options}
    shuffled = PANEL.sample(frac=1, random_state=1)
    shuffled.index = np.zeros(len(shuffled), dtype=int)
    assert_same(_fit(PANEL, **options), _fit(shuffled, **options))


def test_the_frame_is_not_changed():
    panel = _panel()
    panel["pupil"] = panel["pupil"].astype("category")
    before = panel.copy(deep=True)
    fit = _fit(panel, covariates=["fsm", "prior"], cluster="school", weights="weight")
    for kind in ("simple", "group", "event", "calendar"):
        fit.aggregate(kind)
    pd.testing.assert_frame_equal(panel, before)


def test_results_do_not_share_memory_with_the_frame():
    panel = _panel()
    fit = _fit(panel)
    want = fit.aggregate("event").overall
    panel["rate"] = 0.0
    assert fit.aggregate("event").overall == want


@pytest.mark.parametrize("relabel", [str, lambda value: f"pupil {value}", lambda value: -value, float])
def test_names_of_units_do_not_matter(relabel):
    panel = PANEL.assign(pupil=PANEL["pupil"].map(relabel))
    assert_same(_fit(PANEL, covariates=["fsm"]), _fit(panel, covariates=["fsm"]))


def test_periods_may_be_categories_or_calendar_periods_or_evenly_spaced_numbers():
    want = _fit(PANEL, comparison="not_yet")
    names = ["autumn 1", "autumn 2", "spring 1", "spring 2", "summer 1", "summer 2"]
    ordered = pd.CategoricalDtype(names, ordered=True)
    named = PANEL.assign(half_term=pd.Categorical.from_codes(PANEL["half_term"] - 1, dtype=ordered),
                         start=PANEL["start"].map(lambda value: names[value - 1] if value else None))  # fmt: skip
    numbers = PANEL.assign(half_term=PANEL["half_term"].astype("category"))
    spaced = PANEL.assign(half_term=2000 + 2 * PANEL["half_term"], start=np.where(PANEL["start"] > 0, 2000 + 2 * PANEL["start"], 0))
    months = pd.PeriodIndex.from_ordinals(np.arange(7) + 600, freq="M")
    monthly = PANEL.assign(half_term=months[PANEL["half_term"]], start=months[PANEL["start"]].where(PANEL["start"] > 0))
    for panel in (named, numbers, spaced, monthly):
        got = _fit(panel, comparison="not_yet")
        assert_same(want, got)
        assert got.frame["event_time"].tolist() == want.frame["event_time"].tolist()
    assert _fit(named).frame["start"].unique().tolist() == ["spring 1", "summer 1"]
    assert _fit(spaced).frame["start"].unique().tolist() == [2006, 2010]
    assert _fit(monthly).aggregate("calendar").frame["time"].tolist() == list(months[3:])


@pytest.mark.parametrize("mark", [np.nan, np.inf, 99])
def test_never_treated_may_be_zero_missing_infinite_or_beyond_the_data(mark):
    assert_same(_fit(PANEL), _fit(PANEL.assign(start=PANEL["start"].astype(float).replace(0.0, mark))))


@pytest.mark.parametrize("method", BOTH)
def test_units_of_covariates_and_outcome(method):
    options = {"covariates": ["fsm", "prior"], "method": method}
    want = _fit(PANEL, **options)
    moved = PANEL.assign(prior=1e4 * PANEL["prior"] - 7e5, rate=PANEL["rate"] + PANEL["pupil"])
    assert_same(want, _fit(moved, **options))
    scaled = _fit(PANEL.assign(rate=100 * PANEL["rate"]), **options)
    np.testing.assert_allclose(scaled.frame["std_error"], 100 * want.frame["std_error"], rtol=SAME)
    assert scaled.pre_test.statistic == pytest.approx(want.pre_test.statistic)
    assert scaled.pre_test.detectable_slope == pytest.approx(100 * want.pre_test.detectable_slope)


def test_categories_enter_as_indicators():
    panel = PANEL.assign(band=np.where(PANEL["prior"] > 0.5, "high", np.where(PANEL["prior"] < -0.5, "low", "middle")))
    dummies = panel.assign(low=panel["band"] == "low", middle=panel["band"] == "middle")
    assert_same(_fit(panel, covariates=["band"]), _fit(dummies, covariates=["low", "middle"]))


@pytest.mark.parametrize("unbalanced", ["drop", "keep"])
def test_a_weight_of_two_is_two_pupils(unbalanced):
    panel = PANEL if unbalanced == "drop" else PANEL.drop(PANEL.index[::17])
    twice = panel["pupil"] % 3 == 0
    copies = pd.concat([panel, panel[twice].assign(pupil=panel["pupil"] + 10_000)])
    options = {"covariates": ["fsm", "prior"], "unbalanced": unbalanced}
    one, two = _fit(panel.assign(weight=1.0 + twice), weights="weight", **options), _fit(copies, **options)
    np.testing.assert_allclose(one.frame["estimate"], two.frame["estimate"], rtol=SAME)
    for kind in ("simple", "group", "event", "calendar"):
        np.testing.assert_allclose(one.aggregate(kind).frame["estimate"], two.aggregate(kind).frame["estimate"], rtol=SAME)


def _school(panel, change) -> pd.DataFrame:
    """A never-treated school of 30 pupils whose rates follow the changes given, period by period."""
    levels = 12 + np.concatenate([[0.0], np.cumsum(change)])
    return pd.DataFrame([{"pupil": 50_000 + pupil, "school": 99, "half_term": t + 1, "start": 0, "rate": level + pupil / 10, "fsm": 0, "prior": 0.0, "weight": 1.0}
                         for pupil in range(30) for t, level in enumerate(levels)])  # fmt: skip


def test_a_never_treated_school_with_the_average_change_leaves_the_effects_alone():
    never = PANEL[PANEL["start"] == 0].groupby("half_term")["rate"].mean()
    count = PANEL.loc[PANEL["start"] == 0, "pupil"].nunique()
    want = _fit(PANEL).frame
    got = _fit(pd.concat([PANEL, _school(PANEL, np.diff(never))])).frame
    np.testing.assert_allclose(got["estimate"], want["estimate"], rtol=0, atol=1e-9)
    assert (got["std_error"] < want["std_error"]).all()
    assert (got["n_comparison"] == want["n_comparison"] + 30).all()
    apart = np.diff(never) + np.where(np.arange(5) == 3, 1.0, 0.0)  # a point more from half-term 5 on
    moved = _fit(pd.concat([PANEL, _school(PANEL, apart)])).frame
    crosses = (want["time"] >= 5) & (want["base_time"] <= 4)
    np.testing.assert_allclose(moved["estimate"] - want["estimate"], -crosses.astype(float) * 30 / (30 + count), rtol=0, atol=1e-9)


def test_always_treated_units_are_left_out_with_a_count():
    early = PANEL[PANEL["pupil"] < 110].assign(pupil=lambda rows: rows["pupil"] + 5_000, start=1)
    got = _fit(pd.concat([PANEL, early]), comparison="not_yet")
    assert_same(_fit(PANEL, comparison="not_yet"), got)
    assert any("10 units are treated" in sentence for sentence in got.warnings)
    cells = _fit(pd.concat([PANEL, early.assign(start=2)]), anticipation=1)
    assert 2 not in set(cells.frame["start"])
    assert any("10 units are treated or anticipate" in sentence for sentence in cells.warnings)


def test_without_never_treated_the_last_cohort_only_compares():
    panel = PANEL[PANEL["start"] > 0]
    fit = _fit(panel, comparison="not_yet")
    assert fit.frame["start"].unique().tolist() == [3]
    assert fit.frame["time"].max() == 4
    assert any("nobody is never treated" in sentence for sentence in fit.warnings)
    two = panel[panel["half_term"].isin([2, 3])].pivot(index=["pupil", "start"], columns="half_term", values="rate").reset_index()
    change = (two[3] - two[2]).groupby(two["start"]).mean()
    assert fit.frame.set_index("time").loc[3, "estimate"] == pytest.approx(change[3] - change[5])


def test_without_never_treated_the_last_cohorts_anticipation_is_left_out_too():
    fit = _fit(PANEL[PANEL["start"] > 0], comparison="not_yet", anticipation=1)
    assert fit.frame["time"].max() == 3
    assert any("periods from 4 on" in sentence for sentence in fit.warnings)


def test_an_effect_by_hand():
    wide = PANEL.pivot(index=["pupil", "start"], columns="half_term", values="rate").reset_index()
    change = (wide[6] - wide[4]).groupby(wide["start"])
    estimate = change.mean()[5] - change.mean()[0]
    spread = np.sqrt(sum(change.var(ddof=0)[start] / change.size()[start] for start in (0, 5)))
    row = _fit(PANEL).frame.set_index(["start", "time"]).loc[(5, 6)]
    assert (row["estimate"], row["std_error"]) == pytest.approx((estimate, spread))
    assert (row["base_time"], row["event_time"], row["n_treated"]) == (4, 1, change.size()[5])
    assert row["conf_high"] - row["estimate"] == pytest.approx(1.959964 * spread, rel=1e-6)


def test_the_two_bases_say_the_same_before_the_start():
    varying, universal = (_fit(PANEL, base_period=base).frame.set_index(["start", "time"])["estimate"] for base in ("varying", "universal"))
    assert universal[5, 4] == 0.0
    for time in (1, 2, 3):
        assert universal[5, time] == pytest.approx(-sum(varying[5, later] for later in range(time + 1, 5)))
    assert universal[5, 6] == pytest.approx(varying[5, 6])


def test_anticipation_moves_the_base_of_every_later_period():
    fit = _fit(PANEL, anticipation=2).frame.set_index(["start", "time"])
    assert fit.loc[(5, [3, 4, 5, 6]), "base_time"].tolist() == [2, 2, 2, 2]
    assert 3 not in fit.index.get_level_values("start")  # it would have no period before its anticipation


def test_covariates_come_from_the_earlier_period():
    """From the start on, what covariates become does not matter: they are those of the base period."""
    moved = PANEL.assign(prior=np.where(PANEL["half_term"] == 6, PANEL["prior"] ** 2, PANEL["prior"]))
    want, got = (_fit(panel, covariates=["prior"]).frame for panel in (PANEL, moved))
    np.testing.assert_allclose(got["estimate"], want["estimate"], rtol=SAME, atol=SAME)
    first = _fit(PANEL.assign(prior=np.where(PANEL["half_term"] == 2, PANEL["prior"] ** 2, PANEL["prior"])), covariates=["prior"]).frame
    changed = ~np.isclose(first["estimate"], want["estimate"])
    assert (changed == (want[["time", "base_time"]].min(axis=1) == 2)).all()


def test_a_balanced_panel_is_the_same_dropped_or_kept():
    assert_same(_fit(PANEL, covariates=["fsm"]), _fit(PANEL, covariates=["fsm"], unbalanced="keep"))


def test_incomplete_units_are_dropped_with_a_count_or_kept():
    gone = PANEL.drop(PANEL.index[[5, 6, 17]])
    dropped = _fit(gone)
    assert_same(_fit(PANEL[~PANEL["pupil"].isin([100, 101, 102])]), dropped)
    assert any(sentence.startswith("3 of 240 units lack a row") for sentence in dropped.warnings)
    kept = _fit(gone, unbalanced="keep")
    assert kept.n == 240
    assert kept.frame["estimate"].notna().all()


def test_truth_is_recovered():
    fit = _fit(_panel(3, pupils=6_000), covariates=["fsm", "prior"])
    one = fit.aggregate("simple").overall
    assert abs(one.estimate + 2) < 4 * one.std_error < 0.3  # four standard errors of a draw that is fixed by its seed
    assert (one.n, one.n_treated + one.n_comparison) == (6_000, 6_000)


def test_balance_averages_the_same_cohorts_from_the_start_on():
    """The cohort of 3 is seen for three periods after its start, that of 5 for one."""
    fit = _fit(PANEL)
    both = fit.aggregate("event", balance=1).frame.set_index("event_time")
    assert both.loc[0:, "cohorts"].tolist() == [2, 2]
    assert fit.aggregate("event", balance=1, max_event=3).frame["event_time"].max() == 1
    early = fit.aggregate("event", balance=2)
    want = _fit(PANEL[PANEL["start"] != 5]).aggregate("event", max_event=2)
    assert early.frame["event_time"].tolist() == [-1, 0, 1, 2]
    np.testing.assert_allclose(early.frame["estimate"], want.frame["estimate"], rtol=SAME)
    assert early.overall.estimate == pytest.approx(want.overall.estimate)
    assert early.overall.std_error == pytest.approx(want.overall.std_error)


def test_averages_by_hand():
    fit = _fit(PANEL)
    cells = fit.frame.set_index(["start", "time"])["estimate"]
    size = PANEL.drop_duplicates("pupil")["start"].value_counts()
    assert fit.aggregate("event").frame.set_index("event_time").loc[1, "estimate"] == pytest.approx(
        (size[3] * cells[3, 4] + size[5] * cells[5, 6]) / (size[3] + size[5]))  # fmt: skip
    groups = [cells.loc[3].loc[3:].mean(), cells.loc[5].loc[5:].mean()]
    assert fit.aggregate("group").frame["estimate"].tolist() == pytest.approx(groups)
    assert fit.aggregate("group").overall.estimate == pytest.approx(np.average(groups, weights=[size[3], size[5]]))
    post = [cells[3, time] for time in (3, 4, 5, 6)] + [cells[5, time] for time in (5, 6)]
    assert fit.aggregate("simple").overall.estimate == pytest.approx(np.average(post, weights=[size[3]] * 4 + [size[5]] * 2))
    assert fit.aggregate("calendar").overall.estimate == pytest.approx(fit.aggregate("calendar").frame["estimate"].mean())
