"""Pools of authorities: who is in them, who is near whom, and that names and order change nothing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.design.area_comparison import area_characteristics, area_distances, area_exclusions, compare_areas, matched_sets
from evaluation.errors import DataError, UnidentifiedError
from evaluation.protocol.area import AreaComparisonSection
from evaluation.protocol.load import load_protocol
from evaluation.registers.absence_bands import authority_list, authority_panel, read_absence_bands

ROOT = Path(__file__).resolve().parents[2]
YEARS = ("2017/18", "2018/19")


def named(code, reason="test"):
    return {"code": code, "name": f"Area {code}", "reason": reason}


def make_spec(**changes):
    values = {
        "treated_authority": named("100"), "later_areas": (named("110", "joined later"),), "further_exclusions": (), "characteristic_years": YEARS,
        "characteristics": ("fsm_share", "sen_share", "log_enrolments"), "region_penalty": 1.0, "matches": 2,
    }
    return AreaComparisonSection(**(values | changes))


def make_panel(shares):
    """Two years of an authority by code: (enrolments, percent eligible, percent with needs), and some unclassified enrolments."""
    rows = []
    for code, (size, fsm, sen) in shares.items():
        for year in YEARS:
            rows.append((code, year, "classified", size, size * fsm // 100, size, size * sen // 100, size))
            rows.append((code, year, "unclassified", 10, 0, 0, 0, 0))
    return pd.DataFrame(rows, columns=["authority_code", "academic_year", "record", "enrolments", "fsm_eligible", "fsm_known", "sen_any", "sen_known"])


SHARES = {"100": (1000, 30, 20), "101": (1000, 28, 20), "102": (1000, 30, 12), "103": (5000, 10, 12), "104": (9000, 5, 10), "105": (1200, 29, 19), "110": (1000, 30, 20)}
REGIONS = {"100": "North", "101": "South", "102": "North", "103": "South", "104": "South", "105": "North", "110": "North"}


@pytest.fixture
def panel():
    return make_panel(SHARES)


@pytest.fixture
def authorities():
    rows = [(code, f"Area {code}", region, 2, True) for code, region in REGIONS.items()] + [("199", "Area 199", "South", 1, False)]
    return pd.DataFrame(rows, columns=["authority_code", "authority_name", "region_name", "years_present", "in_every_year"])


def pool(comparison, name):
    rows = comparison.pools[(comparison.pools["pool"] == name) & (comparison.pools["role"] == "comparison")]
    return sorted(rows["authority_code"])


def test_pools_by_hand(panel, authorities):
    comparison = compare_areas(panel, authorities, make_spec())
    assert pool(comparison, "all") == ["101", "102", "103", "104", "105"]
    assert pool(comparison, "matched") == ["101", "105"]
    reasons = comparison.exclusions.set_index("authority_code")["reason"].to_dict()
    assert reasons == {"100": "the treated authority", "110": "joined later", "199": "years present: 1 only"}
    treated = comparison.pools[comparison.pools["role"] == "treated"]
    assert list(treated["pool"]) == ["all", "matched"] and set(treated["authority_code"]) == {"100"}


def test_distance_by_hand(panel, authorities):
    spec = make_spec()
    measured = area_characteristics(panel, authorities, ["100", "101", "102", "103"], YEARS)
    assert measured.loc["100", ["enrolments", "fsm_share", "sen_share"]].tolist() == [1010.0, 30.0, 20.0]
    spread = {name: np.std(measured.loc[["101", "102", "103"], name], ddof=1) for name in spec.characteristics}
    expected = np.sqrt(((30 - 28) / spread["fsm_share"]) ** 2 + 1.0)  # same needs and size, another region
    assert area_distances(measured, "100", spec).loc["100", "101"] == pytest.approx(expected)
    none = area_distances(measured, "100", make_spec(region_penalty=0.0))
    assert none.loc["100", "101"] == pytest.approx(2 / spread["fsm_share"])
    assert np.allclose(none, none.T) and np.allclose(np.diag(none), 0)


def test_matched_sets_hold_neither_self_nor_treated(panel, authorities):
    matches = compare_areas(panel, authorities, make_spec()).matches
    assert set(matches["authority_code"]) == {"100", "101", "102", "103", "104", "105"}
    assert (matches.groupby("authority_code").size() == 2).all()
    assert (matches["match_code"] != matches["authority_code"]).all()
    assert not matches["match_code"].isin({"100", "110", "199"}).any()
    assert matches.sort_values("match_rank").groupby("authority_code")["distance"].apply(lambda d: d.is_monotonic_increasing).all()


def test_the_treated_authority_does_not_set_the_scale(panel, authorities):
    other = make_panel(SHARES | {"100": (90000, 90, 60)})
    before = compare_areas(panel, authorities, make_spec()).matches
    after = compare_areas(other, authorities, make_spec()).matches
    pd.testing.assert_frame_equal(before[before["authority_code"] != "100"], after[after["authority_code"] != "100"])


def test_order_and_names_change_nothing(panel, authorities):
    comparison = compare_areas(panel, authorities, make_spec())
    shuffled = compare_areas(panel.sample(frac=1, random_state=1), authorities.sample(frac=1, random_state=2), make_spec())
    for name in ("pools", "matches", "exclusions", "balance"):
        pd.testing.assert_frame_equal(getattr(comparison, name), getattr(shuffled, name))
    codes = {code: str(900 - int(code)) for code in [*SHARES, "199"]}
    renamed = [frame.assign(authority_code=frame["authority_code"].map(codes)) for frame in (panel, authorities)]
    again = compare_areas(*renamed, make_spec(treated_authority=named("100") | {"code": codes["100"]}, later_areas=(named("110", "joined later") | {"code": codes["110"]},)))
    assert pool(again, "matched") == sorted(codes[code] for code in pool(comparison, "matched"))
    assert pool(again, "all") == sorted(codes[code] for code in pool(comparison, "all"))


def test_outcomes_play_no_part(panel, authorities):
    with_outcome = panel.assign(enrolments_absence_50_100=np.arange(len(panel)))
    pd.testing.assert_frame_equal(compare_areas(panel, authorities, make_spec()).pools, compare_areas(with_outcome, authorities, make_spec()).pools)


def test_years_after_the_characteristic_years_play_no_part(panel, authorities):
    later = panel[panel["academic_year"] == YEARS[1]].assign(academic_year="2018/20", fsm_eligible=0)
    pd.testing.assert_frame_equal(compare_areas(panel, authorities, make_spec()).pools,
                                  compare_areas(pd.concat([panel, later]), authorities, make_spec()).pools)


def test_further_exclusions_leave_both_pools(panel, authorities):
    comparison = compare_areas(panel, authorities, make_spec(further_exclusions=(named("105", "another programme"),)))
    assert "105" not in pool(comparison, "all") and "105" not in set(comparison.matches["match_code"])
    assert comparison.exclusions.set_index("authority_code").loc["105", "reason"] == "another programme"


def test_balance_by_hand(panel, authorities):
    rows = compare_areas(panel, authorities, make_spec()).balance.set_index(["pool", "characteristic"])
    assert rows.loc[("all", "fsm_share"), "pool_mean"] == pytest.approx(np.mean([28, 30, 10, 5, 29]))
    assert rows.loc[("matched", "fsm_share"), "pool_mean"] == pytest.approx(np.mean([28, 29]))
    spread = np.std([28, 30, 10, 5, 29], ddof=1)
    assert rows.loc[("matched", "fsm_share"), "difference_sd"] == pytest.approx((30 - 28.5) / spread)
    assert rows.loc[("all", "same_region"), "pool_mean"] == pytest.approx(40.0)
    assert rows.loc[("all", "sen_share"), "treated_rank"] == 1


@pytest.mark.parametrize(
    ("changes", "says", "where"),
    [
        ({"treated_authority": named("777")}, "777 .* is not in the table", "treated_authority"),
        ({"later_areas": (named("110") | {"name": "Area 111"},)}, "'Area 110' in the table and 'Area 111'", "later_areas"),
        ({"treated_authority": named("199")}, "1 years only", "treated_authority"),
    ],
)
def test_wrong_authorities_are_refused(panel, authorities, changes, says, where):
    with pytest.raises(DataError, match=says) as refused:
        area_exclusions(authorities, make_spec(**changes))
    assert where in refused.value.where


def test_too_few_authorities_are_refused(panel, authorities):
    with pytest.raises(UnidentifiedError, match="5 authorities are left"):
        compare_areas(panel, authorities, make_spec(matches=5))


def test_a_characteristic_without_spread_is_refused(authorities):
    flat = make_panel({code: (size, fsm, 10) for code, (size, fsm, _) in SHARES.items()})
    with pytest.raises(UnidentifiedError, match="same sen_share"):
        compare_areas(flat, authorities, make_spec())


def test_unknown_characteristics_are_refused(panel, authorities):
    with pytest.raises(DataError, match="no enrolment with known characteristics"):
        compare_areas(panel[(panel["authority_code"] != "104") | (panel["record"] == "unclassified")], authorities, make_spec())


def test_published_pools(published):
    protocol = load_protocol(ROOT / "params" / "middlesbrough_area_study.yaml").protocol
    bands = read_absence_bands(published / "data" / "dfe_absence_bands")
    panel = authority_panel(bands, protocol.area_panel)
    comparison = compare_areas(panel, authority_list(bands, panel, protocol.area_panel.academic_years), protocol.area_comparison)
    assert len(pool(comparison, "all")) == 147 - 1 - 4 and len(pool(comparison, "matched")) == 20
    assert not {"806", "371", "340", "355", "861"} & set(pool(comparison, "all"))
    # the nearest twenty, found again from the raw bands
    raw = bands[(bands["geographic_level"] == "Local authority") & (bands["school_type"] == "State-funded secondary") & (bands["time_period"] < "202223")].copy()
    raw["n"] = raw.filter(like="enrolments_").sum(axis=1)
    raw = raw[raw["old_la_code"].isin([*pool(comparison, "all"), "806"])]
    size = np.log(raw.groupby("old_la_code")["n"].sum())
    shares = [raw[raw[c] == yes].groupby("old_la_code")["n"].sum() / raw[raw[c] != "Unclassified"].groupby("old_la_code")["n"].sum()
              for c, yes in (("fsm", "Eligible"), ("sen", "Any special educational need"))]
    table = pd.concat([*shares, size], axis=1)
    scaled = (table - table.loc["806"]) / table.drop(index="806").std()
    distance = np.sqrt((scaled**2).sum(axis=1) + (raw.groupby("old_la_code")["region_name"].last() != "North East")).drop("806")
    assert sorted(distance.nsmallest(20).index) == pool(comparison, "matched")


def test_equal_distances_go_to_the_lower_code(authorities):
    twins = make_panel({"100": (1000, 30, 20), "101": (1000, 20, 15), "102": (1000, 20, 15), "103": (1000, 20, 15), "104": (2000, 5, 10)})
    listed = authorities.assign(region_name="North")
    measured = area_characteristics(twins, listed, ["100", "101", "102", "103", "104"], YEARS)
    matches = matched_sets(measured, "100", make_spec())
    assert list(matches.loc[matches["authority_code"] == "100", "match_code"]) == ["101", "102"]
