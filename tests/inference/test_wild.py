"""The wild cluster bootstrap: agreement with enumeration and published values, exactness, invariance, refusals."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from reference_models import ESTIMATE_TOLERANCE, MODELS, ROUNDING, UNCERTAINTY_TOLERANCE, fit_model, read_pupils, read_results

from evaluation.errors import DataError
from evaluation.inference import linear
from evaluation.inference.columns import read_columns
from evaluation.inference.design_matrix import solve
from evaluation.inference.inversion import Resampled, invert, sentences
from evaluation.inference.wild import WEBB_POINTS, wild_statistics

ENOUGH = 2**16  # all sign vectors of 16 schools
# The reference's ends come from 44 halvings of a step; nearer than this to one, rounding decides on which side a null lies.
ENDS = 1e-9
# Both sides halve a bracket until rounding stops them.
HALVED = 1e-9
# fwildclusterboot stops its search for an end early; its own ends differ from the reference's by up to 3.4e-4.
EARLY_STOP = 1e-3
COVARIATES = ["prior_absence", "fsm"]


@pytest.fixture(scope="module")
def pupils():
    return read_pupils()


@pytest.fixture(scope="module")
def enumerated(pupils):
    """Statistics and test of every model, all sign vectors."""
    found = {}
    for model, (term, weights, absorb) in MODELS.items():
        columns = read_columns(pupils, "change", [term, *COVARIATES], weights, absorb, ("school_id",))
        statistics, _ = wild_statistics(solve(columns, [term, *COVARIATES]), 0, draws=ENOUGH)
        found[model] = fit_model(pupils, model, "CR2").wild_test(term, draws=ENOUGH), statistics
    return found


def reference(name, model):
    table = read_results(f"{name}.csv")
    return table[table["model"] == model]


# Agreement


@pytest.mark.parametrize("model", MODELS)
def test_enumerated_counts_are_exactly_those_of_the_reference(enumerated, model):
    test, _ = enumerated[model]
    wanted = reference("wild_exact", model).query("type == 'WCR (null imposed)'").iloc[0]
    assert test.enumerated and test.weights == "rademacher" and test.draws == wanted["n_draws"] == 65_536
    assert (test.n_greater, test.n_equal) == (wanted["n_greater"], wanted["n_equal"])
    assert test.p_value == wanted["p_strict"]
    assert test.p_value_with_ties == wanted["p_weak"]
    assert not [sentence for sentence in test.warnings if "p-value" in sentence or "interval" in sentence]
    assert test.estimate == pytest.approx(wanted["estimate"], rel=ESTIMATE_TOLERANCE)
    assert test.statistic == pytest.approx(wanted["t"] * (15 / 16) ** 0.5, rel=ROUNDING)  # the reference's is CR0's


@pytest.mark.parametrize("model", MODELS)
def test_other_nulls_have_exactly_the_counts_of_the_reference(enumerated, model):
    _, statistics = enumerated[model]
    curve = reference("wild_exact_curve", model)
    assert len(curve) == 8
    assert [statistics.p_value(null) for null in curve["null_value"]] == curve["p_strict"].tolist()


@pytest.mark.parametrize("model", MODELS)
def test_the_reference_interval_ends_where_its_p_value_crosses(enumerated, model):
    test, statistics = enumerated[model]
    wanted = reference("wild_exact", model).query("type == 'WCR (null imposed)'").iloc[0]
    for end, outwards in ((wanted["ci_low"], -1), (wanted["ci_high"], 1)):
        step = outwards * ENDS * abs(end)
        assert statistics.p_value(end - step) > 0.05 >= statistics.p_value(end + step)
    assert [test.conf_low, test.conf_high] == pytest.approx([wanted["ci_low"], wanted["ci_high"]], rel=HALVED)


@pytest.mark.parametrize("model", MODELS)
def test_agrees_with_fwildclusterboot(enumerated, model):
    test, _ = enumerated[model]
    wanted = reference("wild_fwildclusterboot", model).query("impose_null").iloc[0]
    assert test.p_value == wanted["p"]
    assert [test.conf_low, test.conf_high] == pytest.approx([wanted["ci_low"], wanted["ci_high"]], rel=EARLY_STOP)


def test_published_voters_example(published):
    """Printed in fwildclusterboot's documentation, from 9,999 draws of its own."""
    voters = pd.read_csv(published / "published" / "voters.csv")
    fit = linear(voters, "proposition_vote", ["treatment", "ideology1", "log_income"], absorb="Q1_immigration", cluster="group_id1", kind="CR1S")
    assert fit.frame["estimate"].iloc[0] == pytest.approx(0.07290769, abs=5.1e-9)
    assert fit.frame["statistic"].iloc[0] == pytest.approx(3.709435, abs=5.1e-7)
    test = fit.wild_test("treatment")
    assert not test.enumerated and test.weights == "rademacher" and test.draws == 9999
    spread = (2 * 0.0008 / 9999) ** 0.5  # both sides are sampled
    assert test.p_value == pytest.approx(0.0006, abs=3 * spread)
    assert [test.conf_low, test.conf_high] == pytest.approx([0.0333, 0.1134], abs=0.0015)  # the ends' own Monte Carlo error


# Agreement with the definition: outcomes drawn, the whole model fitted again


def by_definition(data, terms, absorb, cluster, weights, null, signs):
    """t of the sample and of each draw, every indicator written out."""
    blocks = [data[terms].to_numpy(float), *[pd.get_dummies(data[name]).to_numpy(float) for name in absorb]]
    x = np.column_stack(blocks if absorb else [*blocks, np.ones(len(data))])
    w = np.ones(len(data)) if weights is None else data[weights].to_numpy(float)
    codes = pd.factorize(data[cluster])[0]
    y = data["change"].to_numpy(float)

    def t(outcome):
        bread = np.linalg.pinv(x.T @ (w[:, None] * x))
        rows = (w * (outcome - x @ (bread @ (x.T @ (w * outcome)))))[:, None] * (x @ bread[:, :1])
        return ((bread @ (x.T @ (w * outcome)))[0] - null) / np.sqrt((np.bincount(codes, rows[:, 0]) ** 2).sum())

    root = np.sqrt(w)
    rest = np.linalg.lstsq(root[:, None] * x[:, 1:], root * (y - null * x[:, 0]), rcond=None)[0]
    fitted = null * x[:, 0] + x[:, 1:] @ rest
    return t(y), np.array([t(fitted + (y - fitted) * sign[codes]) for sign in signs])


@pytest.mark.parametrize(("absorb", "weights", "null"), [
    ((), "weight", 0.01),
    (("area_id",), "weight", 0.0),
    (("school_id",), None, 0.01),
    (("class_id",), "weight", 0.02),  # nested in schools
    (("year_group",), "weight", 0.01),  # crosses schools
    (("class_id", "year_group"), "weight", -0.03),  # both
])  # fmt: skip
def test_absorbed_effects_are_those_of_the_model_with_every_indicator(pupils, absorb, weights, null):
    few = pupils[pupils["school_id"] <= 8].copy()
    few["class_id"] = few["school_id"] * 100 + few["pupil_id"] % 3
    terms = ["mentored", *COVARIATES]
    signs = np.array(list(product([1, -1], repeat=8)))
    sample, draws = by_definition(few, terms, absorb, "school_id", weights, null, signs)
    test = linear(few, "change", terms, weights=weights, absorb=absorb, cluster="school_id").wild_test("mentored", null=null)
    assert test.enumerated and test.draws == 256
    assert test.statistic == pytest.approx(sample * (7 / 8) ** 0.5, rel=UNCERTAINTY_TOLERANCE)
    np.testing.assert_allclose(np.sort(np.abs(test.resampled)), np.sort(np.abs(draws))[::2] * (7 / 8) ** 0.5, rtol=UNCERTAINTY_TOLERANCE, atol=1e-9)
    assert test.p_value == np.mean(np.abs(draws) > abs(sample) * (1 + 1e-9))
    assert test.p_value_with_ties == np.mean(np.abs(draws) >= abs(sample) * (1 - 1e-9))


# The choice of weights, draws and seeds


def small(clusters, seed=0, rows=6):
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(clusters), rows + np.arange(clusters) % 3)
    data = pd.DataFrame({"school": school, "given": (school % 2).astype(float), "x": rng.normal(size=len(school))})
    data["change"] = rng.normal(size=clusters)[school] + rng.normal(size=len(school)) + 0.3 * data["x"]
    return data


def wild(data, **options):
    return linear(data, "change", ["given", "x"], cluster="school", kind="CR1").wild_test("given", **options)


@pytest.mark.parametrize(("clusters", "draws", "weights", "used", "listed"), [
    (6, 64, "auto", "rademacher", True),
    (6, 63, "auto", "webb", False),
    (6, 63, "rademacher", "rademacher", False),
    (6, 999, "webb", "webb", False),
    (12, 999, "auto", "rademacher", False),
    (11, 999, "auto", "webb", False),
])  # fmt: skip
def test_weights_and_enumeration_by_clusters_and_draws(clusters, draws, weights, used, listed):
    test = wild(small(clusters), draws=draws, weights=weights)
    assert (test.weights, test.enumerated) == (used, listed)
    assert test.draws == (2**clusters if listed else draws)


def test_sampled_draws_approach_the_enumerated_p_value():
    data = small(12)
    exact = wild(data, draws=4096)
    sampled = wild(data, draws=4095, weights="rademacher")
    assert exact.enumerated and not sampled.enumerated
    assert sampled.p_value == pytest.approx(exact.p_value, abs=3 * (exact.p_value * (1 - exact.p_value) / 4095) ** 0.5)


def test_sampled_p_values_leave_the_sample_out_or_count_it_beside_the_draws():
    test = wild(small(14), draws=499)
    assert test.p_value == test.n_greater / 499
    assert test.p_value_with_ties == (1 + test.n_greater + test.n_equal) / 500
    assert np.sum(np.abs(test.resampled) >= abs(test.statistic)) == test.n_greater + test.n_equal


def test_webb_points_have_mean_0_and_variance_1():
    assert len(set(np.round(WEBB_POINTS, 12))) == 6
    assert WEBB_POINTS.mean() == pytest.approx(0) and (WEBB_POINTS**2).mean() == pytest.approx(1)


def test_a_seed_repeats_and_another_differs():
    data = small(14)
    one, again, other = (wild(data, draws=999, seed=seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(one.frame, again.frame, check_exact=True)
    assert not np.array_equal(one.resampled, other.resampled)


# Invariance


@pytest.mark.parametrize("draws", [2**6, 63])
def test_rows_labels_and_the_scale_of_weights_do_not_matter(draws):
    data = small(6)
    data["weight"] = np.random.default_rng(1).uniform(0.5, 2, len(data))

    def frame_of(rows):
        return linear(rows, "change", ["given", "x"], weights="weight", cluster="school").wild_test("given", draws=draws).frame

    plain = frame_of(data)
    shuffled = data.sample(frac=1, random_state=2)
    named = data.assign(school="s" + ((data["school"] * 7) % 11).astype(str))
    for changed in (shuffled, named, data.assign(weight=data["weight"] * 1000)):
        pd.testing.assert_frame_equal(frame_of(changed), plain, rtol=ROUNDING)


def test_a_shift_of_the_null_is_a_shift_of_the_outcome():
    data = small(8)
    plain = wild(data, null=0.4)
    moved = wild(data.assign(change=data["change"] - 0.4 * data["given"]))
    assert plain.p_value == moved.p_value
    assert [plain.conf_low - 0.4, plain.conf_high - 0.4] == pytest.approx([moved.conf_low, moved.conf_high], rel=1e-6)


def test_the_interval_holds_what_the_test_does_not_reject():
    data = small(9)
    test = wild(data)
    width = test.conf_high - test.conf_low
    for end, outwards in ((test.conf_low, -1), (test.conf_high, 1)):
        assert wild(data, null=end - outwards * 1e-6 * width).p_value > 0.05 >= wild(data, null=end + outwards * 1e-6 * width).p_value


# What a reader must be told


def test_too_few_clusters_for_any_interval_is_said():
    test = wild(small(5))
    assert (test.conf_low, test.conf_high) == (-np.inf, np.inf)
    assert "With 5 clusters no effect, however large, can have a p-value that counts the sample itself below 0.062." in test.warnings
    assert any("no end below or above" in sentence for sentence in test.warnings)


def test_a_p_value_of_zero_never_stands_alone():
    data = small(8).assign(change=lambda rows: rows["change"] + 20 * rows["given"])
    test = wild(data)
    assert test.p_value == 0 and test.p_value_with_ties == 2 / 256
    assert "The p-value of 0 leaves the sample itself out, which is one of the draws: claim no less than 0.0078." in test.warnings
    sampled = wild(data, draws=99, weights="webb")
    assert sampled.p_value == 0 and sampled.p_value_with_ties == 1 / 100 and "claim no less than 0.01." in sampled.warnings[0]


def test_a_set_with_a_gap_is_said_and_enclosed():
    one, none = np.ones(1), np.zeros(1)
    gap = Resampled(estimate=0.0, variance=1.0, numerator0=-24 * one, numerator1=10 * one, square0=one, square1=none, square2=none,
                    copies=1, itself=0, ties=True)  # fmt: skip
    inverted = invert(gap, 0.95)
    # The draw counts where |10 d - 24| >= |d|: d <= 24/11 or d >= 24/9, and d is the estimate, 0, less the null.
    assert inverted.low == -np.inf and inverted.high == np.inf and len(inverted.pieces) == 2
    assert [inverted.pieces[0][1], inverted.pieces[1][0]] == pytest.approx([-24 / 9, -24 / 11])
    assert "no interval" in sentences(inverted, 0.95)[-1]


def test_a_draw_whose_spread_is_rounding_counts_as_larger():
    # The second draw's statistic would be 0.1, a tenth of the observed one, were its spread of 1e-15 more than rounding.
    none = np.zeros(2)
    drawn = Resampled(estimate=1.0, variance=1.0, numerator0=np.array([0.5, 1e-16]), numerator1=none, square0=np.array([1.0, 1e-30]),
                      square1=none, square2=none, copies=1, itself=0, ties=False)  # fmt: skip
    assert drawn.counts(0.0) == (1, 0)
    assert drawn.statistics(0.0).tolist() == [0.5, np.inf]


@pytest.mark.parametrize("size", [1e7, 1e9, 1e15, 1e30])
def test_the_sample_ties_with_itself_however_far_the_null(size):
    # It and its mirror image, and nothing is larger: the sign vectors' statistics have bounds, the sample's has none.
    data = small(9)
    test = wild(data, null=size)
    assert (test.n_greater, test.n_equal) == (0, 2)
    assert (test.p_value, test.p_value_with_ties) == (0, 2 / 512)
    sampled = wild(data, null=-size, draws=99)
    assert (sampled.n_greater, sampled.n_equal, sampled.p_value_with_ties) == (0, 0, 1 / 100)


@pytest.mark.parametrize(("options", "message"), [
    ({"weights": "mammen"}, "weights 'mammen' are not known"),
    ({"draws": 0}, "no number of draws"),
    ({"draws": 99.5}, "no number of draws"),
    ({"draws": "many"}, "'many' is no number of draws"),
    ({"null": np.nan}, "the null is missing"),
    ({"null": -np.inf}, "the null is missing or infinite"),
    ({"null": "0"}, "the null '0' is no number"),
    ({"null": None}, "the null None is no number"),
    ({"null": 1e200}, "the null is larger than 1e.30 in size"),
    ({"null": -(10**400)}, "the null is larger than 1e.30 in size"),
    ({"seed": -1}, "-1 is no seed"),
    ({"seed": "a"}, "'a' is no seed"),  # though all sign vectors are used
    ({"seed": None, "draws": 20}, "None is no seed"),
])  # fmt: skip
def test_requests_without_sense_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        wild(small(6), **options)


def test_results_print_their_draws_and_warnings():
    test = wild(small(5))
    assert "all 32 sign vectors" in repr(test) and "no end" in test._repr_html_()
    assert test.frame["term"].tolist() == ["given"]
