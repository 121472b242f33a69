"""Goodman-Bacon's decomposition: agreement with bacondecomp, its identity with the two-way effect, refusals."""

import numpy as np
import pandas as pd
import pytest
from two_way_reference import ESTIMATE_TOLERANCE, KEYS, ROUNDING, SMALL, panel, results, small_panel

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact import bacon_decomposition, two_way_effects

KINDS = {"Treated vs Untreated": "treated v never treated", "Earlier vs Later Treated": "earlier v later treated", "Later vs Earlier Treated": "later v earlier treated"}


def small(data=None):
    return bacon_decomposition(small_panel() if data is None else data, "rate", start="start", **SMALL)


def test_it_agrees_with_bacondecomp():
    found = bacon_decomposition(panel(), "absence_rate", start="start", **KEYS).frame
    wanted = results("bacon").assign(kind=lambda d: d["type"].map(KINDS), comparison=lambda d: d["untreated"].astype(object).replace(99999, "never treated"))
    both = wanted.merge(found, on=["kind", "treated", "comparison"], validate="one_to_one")
    assert len(both) == len(found) == len(wanted)
    np.testing.assert_allclose(both["estimate_y"], both["estimate_x"], rtol=0, atol=ESTIMATE_TOLERANCE)
    np.testing.assert_allclose(both["weight_y"], both["weight_x"], rtol=0, atol=ESTIMATE_TOLERANCE)


def test_published_castle_doctrine(published):
    data = pd.read_csv(published / "published" / "castle.csv")
    found = bacon_decomposition(data, "l_homicide", unit="state", time="year", start="effyear")
    kinds = found.by_kind.set_index("kind")
    for kind, weight, estimate in (("earlier v later treated", 0.05976, -0.00554), ("later v earlier treated", 0.03190, 0.07032),
                                   ("treated v never treated", 0.90834, 0.08796)):  # fmt: skip
        assert (kinds.loc[kind, "weight"], kinds.loc[kind, "estimate"]) == pytest.approx((weight, estimate), abs=5e-6)
    assert found.effect == pytest.approx(0.0818, abs=5e-5)


@pytest.mark.parametrize("always", [False, True])
def test_weights_sum_to_one_and_the_weighted_sum_is_the_two_way_effect(always):
    data = small_panel()
    if always:
        data = pd.concat([data, data.head(18).assign(pupil=lambda d: "always" + d["pupil"], start=1, treated=1)])
    found = small(data)
    assert found.frame["weight"].sum() == pytest.approx(1.0) and (found.frame["weight"] > 0).all()
    wanted = two_way_effects(data, "rate", treated="treated", cluster="school", **SMALL).frame["estimate"].iloc[0]
    assert found.effect == pytest.approx(wanted, rel=ROUNDING)
    assert found.by_kind["weight"] @ found.by_kind["estimate"] == pytest.approx(wanted, rel=ROUNDING)
    assert ("later v always treated" in set(found.frame["kind"])) == always


def test_by_hand_two_groups():
    """One group treated in the last of three periods: its change from the mean of two periods, less the comparison's."""
    data = pd.DataFrame({"u": list("aaabbb"), "t": [1, 2, 3] * 2, "s": [3, 3, 3, 0, 0, 0], "y": [1.0, 2.0, 7.0, 3.0, 5.0, 6.0]})
    found = bacon_decomposition(data, "y", unit="u", time="t", start="s").frame
    assert len(found) == 1 and found.loc[0, "weight"] == 1.0 and found.loc[0, "estimate"] == pytest.approx((7 - 1.5) - (6 - 4))


def test_gaps_and_labels_of_periods_and_order_of_rows_do_not_matter():
    data, plain = small_panel(), small()
    shifted = data.assign(term=data["term"] ** 2, start=data["start"] ** 2).sample(frac=1, random_state=0)
    found = small(shifted)
    np.testing.assert_allclose(found.frame["estimate"], plain.frame["estimate"], rtol=ROUNDING)
    assert list(found.frame["treated"].unique()) == [9, 16, 25]
    assert "two-way effect" in repr(found) and "<table" in found._repr_html_()


def test_refusals():
    data = small_panel()
    with pytest.raises(DataError, match="1 of 60 units lack a period") as caught:
        small(data.iloc[1:])
    assert "keep units with a row in every period" in caught.value.mend
    with pytest.raises(UnidentifiedError, match="nothing to compare"):
        small(data.query("start == 4"))
    with pytest.raises(UnidentifiedError, match="nothing to compare"):
        small(data.query("start == 0"))
    with pytest.raises(DataError, match="repeats"):
        small(pd.concat([data, data.iloc[[0]]]))
    with pytest.raises(DataError, match="missing or infinite"):
        small(data.assign(rate=data["rate"].where(data["size"] < 2)))
