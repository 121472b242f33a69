"""Randomisation inference: small examples by hand, agreement with fits one by one, exact size, intervals, refusals."""

from itertools import combinations, product
from math import comb

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference import linear, randomisation_test
from evaluation.inference.assignments import assignments

# Two routes of our own through one problem differ by rounding only.
ROUNDING = 1e-8
# Statistics this close are ties, as in the code.
TIE = 1e-9


def one_row_each(outcomes, treated, areas=None):
    data = pd.DataFrame({"school": np.arange(len(outcomes)), "y": outcomes, "given": treated})
    return data if areas is None else data.assign(area=areas)


def schools(sizes, treated, areas, seed=0):
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(len(sizes)), sizes)
    data = pd.DataFrame({"school": school, "given": np.asarray(treated)[school], "area": np.asarray(areas)[school]})
    data["x"] = rng.normal(size=len(school)) + 0.5 * rng.normal(size=len(sizes))[school]
    data["weight"] = rng.uniform(0.3, 2, len(school))
    data["y"] = rng.normal(size=len(sizes))[school] + rng.normal(size=len(school)) + 0.4 * data["x"]
    return data


TWO_AREAS = {"sizes": [4, 7, 5, 3, 6, 8, 5, 4], "treated": [1, 0, 0, 0, 1, 1, 0, 0], "areas": list("AAAABBBB")}


# By hand


def test_difference_of_six_schools_by_hand():
    # Treated 9, 8 among 1, 2, 4, 3: difference 8.5 - 2.5 = 6. Of 15 pairs only (9, 8) gives 6 or more in size; the least, (1, 2), gives 1.5 - 6 = -4.5.
    test = randomisation_test(one_row_each([9, 8, 1, 2, 4, 3], [1, 1, 0, 0, 0, 0]), "y", "given", cluster="school", statistic="difference")
    assert test.estimate == test.statistic == pytest.approx(6)
    assert (test.assignments, test.draws, test.enumerated) == (15, 15, True)
    assert test.p_value == test.floor == pytest.approx(1 / 15)


def test_floor_counts_the_mirror_image():
    # 2 of 4 treated: swapping treated and untreated gives the same size, so no p-value is below 2/6.
    test = randomisation_test(one_row_each([9, 8, 1, 2], [1, 1, 0, 0]), "y", "given", cluster="school", statistic="difference")
    assert test.p_value == test.floor == pytest.approx(2 / 6)
    assert "With 6 assignments no effect, however large, can have a p-value below 0.33." in test.warnings


def test_blocks_by_hand():
    # Within A 5 against 1, 2; within B 8 against 6. Six assignments; effects are weighted 2/3 : 1/2.
    data = one_row_each([5, 1, 2, 8, 6], [1, 0, 0, 1, 0], list("AAABB"))
    test = randomisation_test(data, "y", "given", cluster="school", block="area", statistic="difference")
    first = {0: 5 - 1.5, 1: 1 - 3.5, 2: 2 - 3.0}  # the school of A that is treated: its difference
    effects = {(a, b): (2 / 3 * first[a] + 1 / 2 * sign * 2) / (2 / 3 + 1 / 2) for a in first for b, sign in ((3, 1), (4, -1))}
    assert test.estimate == pytest.approx(effects[0, 3])
    assert test.assignments == 6 and test.p_value == pytest.approx(np.mean([abs(e) >= abs(effects[0, 3]) for e in effects.values()]))


def test_one_treated_school_is_ranked_among_all():
    outcomes = [7.0, *np.linspace(-1, 1, 19)]
    test = randomisation_test(one_row_each(outcomes, [1] + [0] * 19), "y", "given", cluster="school", statistic="difference")
    assert test.p_value == test.floor == pytest.approx(1 / 20)


def test_interval_of_a_difference_by_hand():
    data = one_row_each([5.0, 0.0, 1.0, 3.0], [1, 0, 0, 0])
    # One treated of four: no p-value is below 0.25, so that an 80% interval has no end.
    assert randomisation_test(data, "y", "given", cluster="school", statistic="difference", conf_level=0.8).conf_high == np.inf
    # At 70% a shift s is kept where at least one other school v stands as far from the mean of the rest as the treated one
    # does, with s taken off it: |4 v - (9 - s)| >= |4 (5 - s) - (9 - s)| = |11 - 3 s|. For v = 0: |9 - s|, 1 <= s <= 5; for
    # v = 1: |s - 5|, 3 <= s <= 4; for v = 3: |s + 3|, 2 <= s <= 7. Together: 1 to 7.
    test = randomisation_test(data, "y", "given", cluster="school", statistic="difference", conf_level=0.7)
    assert [test.conf_low, test.conf_high] == pytest.approx([1, 7])


# Agreement with fits one by one


@pytest.mark.parametrize("statistic", ["t", "difference"])
@pytest.mark.parametrize(("block", "covariates", "weights", "null"), [
    (None, [], None, 0.0),
    ("area", [], "weight", 0.3),
    ("area", ["x"], "weight", -0.2),
    (None, ["x"], None, 0.1),
])  # fmt: skip
def test_every_assignment_has_the_statistic_of_its_own_fit(statistic, block, covariates, weights, null):
    data = schools(**TWO_AREAS)
    test = randomisation_test(data, "y", "given", cluster="school", block=block, covariates=covariates, weights=weights, statistic=statistic, null=null)
    shifted = data.assign(y=data["y"] - null * data["given"])

    def statistic_of(treated):
        rows = shifted.assign(given=shifted["school"].isin(treated).astype(float))
        row = linear(rows, "y", ["given", *covariates], weights=weights, absorb=block or (), cluster="school", kind="CR1").frame.iloc[0]
        return row["statistic" if statistic == "t" else "estimate"]

    if block:
        picks = [(a, *b) for a, b in product(range(4), combinations(range(4, 8), 2))]
    else:
        picks = list(combinations(range(8), 3))
    sizes = np.abs([statistic_of(pick) for pick in picks])
    observed = statistic_of((0, 4, 5))
    assert (test.assignments, test.draws) == (len(picks), len(picks))
    assert test.statistic == pytest.approx(observed, rel=ROUNDING)
    assert test.p_value == np.mean(sizes >= abs(observed) * (1 - TIE))


def test_estimate_and_statistic_are_those_of_linear():
    data = schools(**TWO_AREAS)
    test = randomisation_test(data, "y", "given", cluster="school", block="area", covariates=["x"], weights="weight")
    fit = linear(data, "y", ["given", "x"], weights="weight", absorb="area", cluster="school", kind="CR1").frame.iloc[0]
    assert [test.estimate, test.statistic] == pytest.approx([fit["estimate"], fit["statistic"]], rel=ROUNDING)


# Exactness


@pytest.mark.parametrize("statistic", ["t", "difference"])
@pytest.mark.parametrize("covariates", [[], ["x"]])
def test_size_is_exact_when_every_assignment_could_have_been_the_observed_one(statistic, covariates):
    """Under the sharp null the outcomes stay and the assignment varies: P(p <= a) <= a, with equality at each p-value but for ties."""
    data = schools(**TWO_AREAS)
    found = []
    for a, b in product(range(4), combinations(range(4, 8), 2)):
        rows = data.assign(given=data["school"].isin([a, *b]).astype(float))
        found.append(randomisation_test(rows, "y", "given", cluster="school", block="area", covariates=covariates, statistic=statistic).p_value)
    found = np.array(found)
    assert len(found) == 4 * 6
    for level in (0.05, 0.1, 0.25, 0.5):
        assert np.mean(found <= level) <= level + 1e-12
    np.testing.assert_allclose(np.sort(found), np.arange(1, 25) / 24)  # no ties here, so p is uniform on its grid


@pytest.mark.parametrize("draws", [9999, 59])
@pytest.mark.parametrize("statistic", ["t", "difference"])
def test_the_interval_holds_what_the_test_does_not_reject(statistic, draws):
    data = schools([5, 4, 6, 3, 7, 5, 4, 6, 5, 4], [1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [0] * 10)
    ask = dict(outcome="y", treatment="given", cluster="school", covariates=["x"], weights="weight", statistic=statistic, draws=draws)
    test = randomisation_test(data, **ask)
    assert test.enumerated == (draws > 120) and test.floor == pytest.approx(1 / min(120, draws + 1)) and np.isfinite([test.conf_low, test.conf_high]).all()
    width = test.conf_high - test.conf_low
    for end, outwards in ((test.conf_low, -1), (test.conf_high, 1)):
        inside, outside = (randomisation_test(data, null=end + sign * outwards * 1e-6 * width, **ask).p_value for sign in (-1, 1))
        assert inside > 0.05 >= outside
    if not test.enumerated:  # clusters draw in an order that outcomes take part in
        return
    # Adding a constant to the treated moves the interval by it: the test is of a constant shift.
    moved = randomisation_test(data.assign(y=data["y"] + 2 * data["given"]), **ask)
    assert [moved.conf_low - 2, moved.conf_high - 2] == pytest.approx([test.conf_low, test.conf_high], rel=1e-6)


# Assignments


@pytest.mark.parametrize(("clusters", "draws"), [(20, 15_502), (20, 2_000), (30, 2_000)])
def test_samples_hold_no_assignment_twice_and_not_the_observed_one(clusters, draws):
    treated = np.arange(clusters) < 5
    blocks = np.zeros(clusters, dtype=int)
    dealt = assignments(treated, blocks, draws, 0, np.arange(clusters))
    assert dealt.possible == comb(clusters, 5) and not dealt.enumerated and dealt.floor == 1 / (draws + 1)
    assert len(np.unique(dealt.given, axis=0)) == len(dealt.given) == draws
    assert (dealt.given.sum(axis=1) == 5).all() and not (dealt.given == treated).all(axis=1).any()
    # Each cluster is treated as often as any other, but for the observed assignment's absence.
    shares = dealt.given.mean(axis=0)
    assert np.abs(shares - 5 / clusters).max() < 4 * (0.25 * 0.75 / draws) ** 0.5


def test_all_are_listed_once_and_keep_the_number_treated_in_each_block():
    blocks, treated = np.array([0, 1, 0, 1, 0, 2, 2]), np.array([1, 0, 0, 1, 0, 0, 0], dtype=bool)
    dealt = assignments(treated, blocks, 9999, 0, np.arange(7)[::-1])
    assert dealt.enumerated and dealt.possible == len(dealt.given) == 3 * 2 == len(np.unique(dealt.given, axis=0))
    for block, count in ((0, 1), (1, 1), (2, 0)):
        assert (dealt.given[:, blocks == block].sum(axis=1) == count).all()
    assert (dealt.given == treated).all(axis=1).sum() == 1


def test_all_are_used_where_draws_fall_short_by_the_observed_one_alone():
    data = one_row_each(np.random.default_rng(1).normal(size=25), [1, 1] + [0] * 23)
    test, more = (randomisation_test(data, "y", "given", cluster="school", draws=draws) for draws in (299, 300))
    assert test.enumerated and test.assignments == test.draws == 300 and test.p_value == more.p_value
    assert "300 assignments, all of them" in repr(test)
    fewer = randomisation_test(data, "y", "given", cluster="school", draws=298)
    assert not fewer.enumerated and "300 assignments, 299 of them, seed 0" in repr(fewer)


def test_mirror_image_looks_at_blocks_with_treated_clusters_only():
    treated = np.array([1, 1, 0, 0, 0, 0, 0], dtype=bool)
    assert assignments(treated, np.array([0, 0, 0, 0, 1, 1, 1]), 99, 0, np.arange(7)).floor == pytest.approx(2 / 6)
    assert assignments(treated, np.zeros(7, dtype=int), 99, 0, np.arange(7)).floor == pytest.approx(1 / 21)


def test_sampled_p_value_is_near_the_enumerated_one():
    data = schools([3, 4, 5, 3, 4, 5, 6, 3, 4, 5, 3, 4], [1] * 5 + [0] * 7, [0] * 12)
    ask = dict(outcome="y", treatment="given", cluster="school", weights="weight")
    exact, sampled = randomisation_test(data, draws=792, **ask), randomisation_test(data, draws=400, **ask)
    assert exact.enumerated and not sampled.enumerated and sampled.draws == 401 and sampled.assignments == 792
    assert sampled.p_value == pytest.approx(exact.p_value, abs=3 * (exact.p_value * (1 - exact.p_value) / 400) ** 0.5)


def test_equal_schools_draw_in_an_order_of_their_outcomes():
    """Where weight and size tell schools apart no more, their mean outcomes do, and neither labels nor the order of rows."""
    data = schools([4] * 12, [1] * 4 + [0] * 8, [0] * 12)

    def p_value(rows):
        return randomisation_test(rows, "y", "given", cluster="school", draws=99).p_value

    changed = [data.assign(school=11 - data["school"]), data.assign(school="s" + (data["school"] * 7 % 13).astype(str)), data.iloc[::-1]]
    assert 0.1 < p_value(data) < 0.9  # so that another sample would be seen
    assert [p_value(rows) for rows in changed] == [p_value(data)] * 3


@pytest.mark.parametrize("draws", [9999, 100])
def test_rows_labels_and_the_scale_of_weights_do_not_matter(draws):
    data = schools([3, 4, 5, 3, 4, 5, 6, 3, 4, 5], [1] * 4 + [0] * 6, [0] * 10)

    def frame(rows):
        return randomisation_test(rows, "y", "given", cluster="school", covariates="x", weights="weight", draws=draws).frame

    plain = frame(data)
    named = data.assign(school="s" + ((data["school"] * 7) % 11).astype(str))
    for changed in (data.sample(frac=1, random_state=1), named, data.assign(weight=data["weight"] * 50), data.assign(given=data["given"] == 1)):
        pd.testing.assert_frame_equal(frame(changed), plain, rtol=ROUNDING)


def test_rows_of_weight_zero_take_no_part_and_the_table_is_left_alone():
    data = schools(**TWO_AREAS)
    more = pd.concat([data, pd.DataFrame({"school": [99], "given": [1], "area": ["C"], "x": [np.nan], "weight": [0.0], "y": [np.nan]})])
    before = more.copy()
    ask = dict(cluster="school", block="area", covariates=["x"], weights="weight")
    pd.testing.assert_frame_equal(randomisation_test(more, "y", "given", **ask).frame, randomisation_test(data, "y", "given", **ask).frame)
    pd.testing.assert_frame_equal(more, before)


# Refusals


def test_a_block_without_an_untreated_school_is_refused_by_name():
    data = one_row_each([5, 1, 2, 8, 6], [1, 0, 0, 1, 1], list("AAABB"))
    with pytest.raises(UnidentifiedError, match="1 block has no untreated cluster: B"):
        randomisation_test(data, "y", "given", cluster="school", block="area")


@pytest.mark.parametrize(("change", "error", "message"), [
    (lambda d: d.assign(given=1), UnidentifiedError, "all of the 8 clusters are treated"),
    (lambda d: d.assign(given=0), UnidentifiedError, "none of the 8 clusters are treated"),
    (lambda d: d.assign(given=d["given"] * 2), DataError, "the treatment takes the value 2"),
    (lambda d: d.assign(given=(np.arange(len(d)) % 2)), DataError, "the treatment 'given' varies within a cluster"),
])  # fmt: skip
def test_unfit_treatments_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        randomisation_test(change(schools(**TWO_AREAS)), "y", "given", cluster="school")


def test_a_school_in_two_areas_is_refused():
    data = schools(**TWO_AREAS)
    data.loc[0, "area"] = "B"
    with pytest.raises(DataError, match="the block 'area' varies within a cluster"):
        randomisation_test(data, "y", "given", cluster="school", block="area")


@pytest.mark.parametrize(("options", "message"), [
    ({"statistic": "mean"}, "statistic 'mean' is not known"),
    ({"covariates": ["given"]}, "the treatment is also a covariate"),
    ({"draws": 0}, "no number of draws"),
    ({"conf_level": 95}, "no confidence level"),
    ({"conf_level": "95%"}, "no confidence level"),
    ({"null": "0"}, "the null '0' is no number"),
    ({"null": None}, "the null None is no number"),
    ({"null": 1e31}, "the null is larger than 1e.30 in size"),
    ({"seed": -1}, "-1 is no seed"),  # though all assignments are used
    ({"seed": "a"}, "'a' is no seed"),
    ({"covariates": 7}, "column 7: the table has no such column"),
    ({"covariates": ["x", "x"]}, "the covariate is named more than once"),
])  # fmt: skip
def test_requests_without_sense_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        randomisation_test(schools(**TWO_AREAS), "y", "given", cluster="school", **options)


def test_a_t_statistic_without_residual_variation_is_refused():
    # Two schools: each mean is fitted exactly, though pupils differ within.
    data = schools([4, 5], [1, 0], [0, 0])
    with pytest.raises(UnidentifiedError, match='the t statistic does not exist.*statistic="difference"'):
        randomisation_test(data, "y", "given", cluster="school")
    assert randomisation_test(data, "y", "given", cluster="school", statistic="difference").p_value == 1


def test_many_batches_of_assignments_are_one_sample(monkeypatch):
    from evaluation.inference import assignments as module

    monkeypatch.setattr(module, "BLOCK_CELLS", 30 * 70)
    dealt = assignments(np.arange(30) < 5, np.zeros(30, dtype=int), 500, 0, np.arange(30))
    assert len(np.unique(dealt.given, axis=0)) == len(dealt.given) == 500


def test_an_assignment_that_covariates_fix_counts_as_extreme():
    # The covariate marks schools 2 and 3: were they the treated ones, the effect could not be told.
    data = one_row_each([9.0, 8.0, 1.0, 2.5, 4.0, 3.0], [1, 1, 0, 0, 0, 0]).assign(marks=[0, 0, 1, 1, 0, 0])
    test = randomisation_test(data, "y", "given", cluster="school", covariates=["marks"], statistic="difference")
    sizes = []
    for pick in combinations(range(6), 2):
        rows = data.assign(given=data["school"].isin(pick).astype(float))
        if pick == (2, 3):
            with pytest.raises(UnidentifiedError):
                linear(rows, "y", ["given", "marks"], cluster="school", kind="CR1")
            sizes.append(np.inf)
        else:
            x = np.column_stack([rows["given"], rows["marks"], np.ones(6)])
            sizes.append(abs(np.linalg.lstsq(x, rows["y"], rcond=None)[0][0]))
    assert test.p_value == np.mean(np.array(sizes) >= abs(test.estimate) * (1 - TIE))


@pytest.mark.parametrize("noise", [0.0, 1e-7])
def test_an_assignment_without_a_t_statistic_counts_as_extreme(noise):
    # The covariate marks schools 2 and 3 of 7: were they the treated ones, the effect could not be told, or from noise alone.
    data = one_row_each([9.0, 8.0, 0.5, 1.5, 2.0, 3.0, 1.0], [1, 1, 0, 0, 0, 0, 0])
    data["marks"] = np.array([0, 0, 1, 1, 0, 0, 0]) + noise * np.array([1, -2, 1, 3, -1, 2, -3])
    test = randomisation_test(data, "y", "given", cluster="school", covariates="marks")
    sizes = []
    for pick in combinations(range(7), 2):
        rows = data.assign(given=data["school"].isin(pick).astype(float))
        fixed = pick == (2, 3)
        sizes.append(np.inf if fixed else abs(linear(rows, "y", ["given", "marks"], cluster="school", kind="CR1").frame["statistic"].iloc[0]))
    assert test.p_value == np.mean(np.array(sizes) >= abs(test.statistic) * (1 - TIE))
    # Far from the estimate the observed assignment and the one without a statistic are left.
    assert randomisation_test(data, "y", "given", cluster="school", covariates="marks", null=1e9).p_value == 2 / 21


@pytest.mark.parametrize("size", [1e7, 1e9, 1e12, 1e30])
@pytest.mark.parametrize("statistic", ["t", "difference"])
def test_the_observed_assignment_ties_with_itself_however_far_the_null(statistic, size):
    # Its p-value cannot be below the floor, and no other assignment reaches it.
    for seed in (1, 2, 8):
        test = randomisation_test(schools(**TWO_AREAS, seed=seed), "y", "given", cluster="school", block="area", covariates="x",
                                  weights="weight", statistic=statistic, null=size)  # fmt: skip
        assert test.p_value == test.floor == 1 / 24


def test_no_covariates_may_be_said_in_several_ways():
    data = schools(**TWO_AREAS)
    frames = [randomisation_test(data, "y", "given", cluster="school", covariates=none).frame for none in (None, (), [])]
    pd.testing.assert_frame_equal(frames[0], frames[1])
    pd.testing.assert_frame_equal(frames[0], frames[2])


@pytest.mark.parametrize(("draws", "said"), [(1, "With 1 draw no effect, however large, can have a p-value below 0.5."),
                                             (9, "With 9 draws no effect, however large, can have a p-value below 0.1.")])  # fmt: skip
def test_too_few_draws_are_blamed_for_a_high_floor(draws, said):
    data = one_row_each(np.arange(12.0), [1] * 5 + [0] * 7)
    assert said in randomisation_test(data, "y", "given", cluster="school", draws=draws).warnings


def test_astronomical_numbers_of_assignments_are_printed_as_powers():
    data = one_row_each(np.random.default_rng(0).normal(size=2000), np.arange(2000) % 2)
    test = randomisation_test(data, "y", "given", cluster="school", draws=99)
    assert test.assignments == comb(2000, 1000) and test.frame["assignments"].iloc[0] == np.inf  # 10^600 is beyond double precision
    assert "over 10^600 assignments, 100 of them" in repr(test)


def test_results_print_floor_and_assignments():
    test = randomisation_test(schools(**TWO_AREAS), "y", "given", cluster="school", block="area")
    assert "3 of 8 clusters treated, 2 blocks, 24 assignments, all of them" in repr(test)
    assert test.frame.columns.tolist() == ["term", "estimate", "null", "statistic", "p_value", "floor", "conf_low", "conf_high", "assignments", "draws"]
    assert "<table" in test._repr_html_()
