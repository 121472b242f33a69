"""Effective clusters, leverage and partial leverage: by hand, by definition, invariance and the warnings they lead to."""

import numpy as np
import pandas as pd
import pytest
from reference_models import KINDS, MODELS, ROUNDING, fit_model, read_pupils

from evaluation.inference import linear


@pytest.fixture(scope="module")
def pupils():
    return read_pupils()


def equal_schools(treated, schools=16, size=3):
    rng = np.random.default_rng(1)
    school = np.repeat(np.arange(schools), size)
    return pd.DataFrame({"school": school, "treated": school < treated, "y": rng.normal(size=len(school))})


def test_effective_clusters_by_hand():
    """Equal schools: half of them treated, all count; 4 of 16, each adds 1/16 or 1/144 to the variance."""
    half = linear(equal_schools(8), "y", ["treated"], cluster="school").leverage.frame.iloc[0]
    assert [half["effective_clusters"], half["effective_clusters_independent"]] == pytest.approx([16, 16])
    few = linear(equal_schools(4), "y", ["treated"], cluster="school").leverage.frame.iloc[0]
    by_hand = (4 / 16 + 12 / 144) ** 2 / (4 / 16**2 + 12 / 144**2)
    assert [few["effective_clusters"], few["effective_clusters_independent"]] == pytest.approx([by_hand, by_hand])
    # Each treated school: 3 rows of (3/4)^2; untreated: 3 rows of (1/4)^2.
    assert few["largest_partial_leverage"] == pytest.approx((9 / 16) / (4 * 9 / 16 + 12 / 16))


def by_definition(pupils, model):
    """From the model with every indicator written out: leverage, partial leverage, both effective numbers, by full matrices."""
    term, weights, absorb = MODELS[model]
    columns = [pupils[[term, "prior_absence", "fsm"]].to_numpy(float)]
    columns += [pd.get_dummies(pupils[name], dtype=float).to_numpy() for name in absorb] or [np.ones((len(pupils), 1))]
    x = np.column_stack(columns)
    w = np.ones(len(x)) if weights is None else pupils[weights].to_numpy(float)
    solve = np.linalg.solve(x.T @ (w[:, None] * x), x.T * w)
    groups = list(pupils.groupby("school_id").indices.values())
    hat = np.array([np.trace(x[g] @ solve[:, g]) for g in groups])
    partial, shared, alone = [], [], []
    for k in range(3):
        others = np.delete(x, k, axis=1)
        left = x[:, k] - others @ np.linalg.solve(others.T @ (w[:, None] * others), others.T @ (w * x[:, k]))
        partial.append([(w[g] * left[g] ** 2).sum() / (w * left**2).sum() for g in groups])
        shared.append([solve[k, g].sum() ** 2 for g in groups])
        alone.append([(solve[k, g] ** 2).sum() for g in groups])
    effective = [[np.sum(v) ** 2 / np.sum(np.square(v)) for v in values] for values in (shared, alone)]
    return x.shape[1], hat, np.array(partial).T, effective


@pytest.mark.parametrize("model", MODELS)
def test_leverage_equals_the_definition(pupils, model):
    parameters, hat, partial, (shared, alone) = by_definition(pupils, model)
    leverage = fit_model(pupils, model, "CR2").leverage
    np.testing.assert_allclose(leverage.leverage, hat, rtol=ROUNDING)
    assert leverage.leverage.sum() == pytest.approx(parameters)
    np.testing.assert_allclose(leverage.partial[:, :3], partial, rtol=ROUNDING, atol=1e-14)
    np.testing.assert_allclose(leverage.frame["effective_clusters_independent"][:3], alone, rtol=ROUNDING)
    if model in ("m5", "m6"):  # school effects take out what a whole school shares
        assert leverage.frame["effective_clusters"].isna().all() and "(independent errors)" in leverage.summary[0]
    else:
        np.testing.assert_allclose(leverage.frame["effective_clusters"][:3], shared, rtol=ROUNDING)


def test_leverage_does_not_depend_on_the_outcome_the_kind_or_the_order_of_rows(pupils):
    one = fit_model(pupils, "m4", "CR2").leverage.frame
    mixed = pupils.sample(frac=1, random_state=5).assign(change=pupils["prior_absence"] ** 2)
    for kind in KINDS:
        pd.testing.assert_frame_equal(fit_model(mixed, "m4", kind).leverage.frame, one, rtol=ROUNDING)


def test_frames_and_summary_name_the_cluster(pupils):
    fit = fit_model(pupils.assign(school_id="school " + pupils["school_id"].astype(str)), "m2", "CR2")
    frame, by_cluster = fit.leverage.frame, fit.leverage.by_cluster
    assert by_cluster.columns.tolist() == ["cluster", "rows", "leverage", "term", "partial_leverage"]
    assert by_cluster.groupby("term")["partial_leverage"].sum().tolist() == pytest.approx([1] * 4)
    assert by_cluster.groupby("term")["rows"].sum().eq(len(pupils)).all()
    for line in frame.itertuples():
        rows = by_cluster[by_cluster["term"] == line.term].set_index("cluster")["partial_leverage"]
        assert (rows.idxmax(), rows.max()) == (line.largest_cluster, line.largest_partial_leverage)
    first = frame.iloc[0]
    assert fit.leverage.summary[0] == (
        f"treated_school: {first['effective_clusters']:.1f} effective clusters of 16 by school_id "
        f"({first['effective_clusters_independent']:.1f} if errors are independent); largest partial leverage "
        f"{first['largest_partial_leverage']:.2f} ({first['largest_cluster']})"
    )
    assert len(fit.leverage.summary) == 3 and fit.leverage.summary[0] in repr(fit) and "effective clusters" in fit._repr_html_()


def test_cluster_that_outweighs_all_others_is_named():
    rows = equal_schools(8)
    rows = pd.concat([rows, rows[rows["school"] == 3].sample(300, replace=True, random_state=1).assign(y=np.arange(300) % 7)])
    rows["x"] = np.where(rows["school"] == 3, np.arange(len(rows)) % 5, rows["treated"])
    fit = linear(rows, "y", ["x"], cluster="school")
    share = fit.leverage.frame["largest_partial_leverage"].iloc[0]
    assert share > 0.5
    assert f"Cluster 3 holds {share:.0%} of what tells x: show the estimate without it." in fit.warnings
    assert not any("what tells" in sentence for sentence in linear(equal_schools(8), "y", ["treated"], cluster="school").warnings)


def test_few_effective_clusters_are_said_where_standard_errors_are_not_corrected_for_them():
    def sentences(treated, kind, schools):
        warnings = linear(equal_schools(treated, schools), "y", ["treated"], cluster="school", kind=kind).warnings
        return [sentence for sentence in warnings if "effective clusters" in sentence]

    for kind in ("CR0", "CR1", "CR1p", "CR1S"):
        (sentence,) = sentences(3, kind, 40)
        assert sentence.startswith("Fewer than 20 effective clusters (treated 3.5)") and 'use kind="CR2"' in sentence
        assert sentences(20, kind, 40) == []
    assert sentences(3, "CR2", 40) == sentences(3, "CR3", 40) == []


@pytest.mark.parametrize(("treated", "effective"), [(3, "3.5"), (6, "8.3"), (8, None), (20, None)])
def test_a_wild_bootstrap_of_too_few_effective_clusters_says_so(treated, effective):
    fit = linear(equal_schools(treated, 40), "y", ["treated"], cluster="school")
    said = [sentence for sentence in fit.wild_test("treated", draws=99).warnings if "effective clusters" in sentence]
    if effective is None:
        assert said == []
    else:
        (sentence,) = said
        assert sentence.startswith(f"treated rests on {effective} effective clusters, fewer than 10") and "randomisation test" in sentence
        assert sentence in repr(fit.wild_test("treated", draws=99))
