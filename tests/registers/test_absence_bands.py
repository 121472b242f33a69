"""Published absence bands: what is refused, what is counted, and figures recomputed a second way."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.protocol.area import AreaPanelSection, PublishedFigure
from evaluation.protocol.load import load_protocol
from evaluation.registers.absence_bands import (
    BANDS,
    CELL,
    CODED,
    PERSISTENT_BANDS,
    SEVERE_BANDS,
    authority_list,
    authority_outcomes,
    authority_panel,
    check_absence_bands,
    check_published,
    intake_counts,
    read_absence_bands,
)
from evaluation.registers.dictionary import load_table

ROOT = Path(__file__).resolve().parents[2]
ANY_NEED, NO_NEED = "Any special educational need", "No identified special educational need"


def quantity(value, low, high):
    return {"value": value, "unit": "percent", "source": "test", "standing": "judgement", "low": low, "high": high, "note": None}


@pytest.fixture
def spec():
    return make_spec()


def make_spec(**changes):
    values = {
        "school_type": "State-funded secondary", "academic_years": ("2017/18", "2018/19", "2020/21"), "missing_years": ("2019/20",),
        "year_groups": (7, 8), "last_band_midpoint": quantity(70.0, 60.0, 80.0), "unclassified": "keep", "published_figures": (),
    }
    return AreaPanelSection(**(values | changes))


def cell(period, code, counts, *, year_group=7, fsm="Eligible", sen=NO_NEED, school_type="State-funded secondary", level="Local authority", new=None, name=None):
    national = level == "National"
    row = {
        "time_period": period, "geographic_level": level, "old_la_code": None if national else code, "new_la_code": None if national else new or f"E{code}",
        "la_name": None if national else name or f"Area {code}", "region_name": None if national else "North", "school_type": school_type,
        "fsm": fsm, "sen": sen, "sex": "Female", "nc_year": year_group,
    }
    return row | dict.fromkeys(BANDS, 0) | counts


FIRST, SECOND, TENTH, LAST = BANDS[0], BANDS[1], BANDS[2], BANDS[-1]


@pytest.fixture
def tiny():
    """Two authorities in three years, with an unclassified row, another school type, another year group and national rows."""
    rows = []
    for period in ("201718", "201819", "202021"):
        rows += [
            cell(period, "101", {FIRST: 6, TENTH: 2}),
            cell(period, "101", {FIRST: 1, LAST: 1}, fsm="Not Eligible", sen=ANY_NEED, year_group=8),
            cell(period, "101", {LAST: 2}, fsm="Unclassified", sen="Unclassified"),
            cell(period, "102", {SECOND: 4}, fsm="Not Eligible"),
            cell(period, "101", {FIRST: 50}, school_type="Special"),
            cell(period, "101", {FIRST: 70}, year_group=9),
        ]
    frame = pd.DataFrame(rows)
    totals = frame.groupby(["time_period", "school_type"])[list(BANDS)].sum().reset_index()
    national = [cell(row["time_period"], None, {band: row[band] for band in BANDS}, school_type=row["school_type"], level="National") for _, row in totals.iterrows()]
    return pd.concat([frame, pd.DataFrame(national)], ignore_index=True)


def test_bands_split_where_the_definitions_say():
    assert PERSISTENT_BANDS[0] == "enrolments_absence_10_15" and len(PERSISTENT_BANDS) == 9
    assert SEVERE_BANDS == ("enrolments_absence_50_100",)


def test_outcomes_by_hand(tiny, spec):
    outcomes = authority_outcomes(authority_panel(check_absence_bands(tiny), spec), spec)
    row = outcomes[(outcomes["authority_code"] == "101") & (outcomes["academic_year"] == "2018/19")].set_index(["outcome", "measure"])
    # 12 enrolments: 7 in 0-5, 2 in 10-15, 3 in 50-100 (two of them unclassified)
    assert row.loc[("persistent_absence", "registered"), "value"] == pytest.approx(100 * 5 / 12)
    assert row.loc[("severe_absence", "registered"), "value"] == pytest.approx(100 * 3 / 12)
    assert row.loc[("mean_absence", "registered"), "value"] == pytest.approx((7 * 2.5 + 2 * 12.5 + 3 * 70) / 12)
    assert row.loc[("mean_absence", "last_band_low"), "value"] == pytest.approx((7 * 2.5 + 2 * 12.5 + 3 * 60) / 12)
    assert row.loc[("mean_absence", "last_band_high"), "value"] == pytest.approx((7 * 2.5 + 2 * 12.5 + 3 * 80) / 12)
    assert row.loc[("severe_absence", "other_unclassified"), "value"] == pytest.approx(100 * 1 / 10)
    assert row["enrolments"].groupby(level="measure").first().to_dict() == {
        "registered": 12, "other_unclassified": 10, "last_band_low": 12, "last_band_high": 12}


def test_leaving_unclassified_out_swaps_the_two_rules(tiny, spec):
    panel = authority_panel(check_absence_bands(tiny), spec)
    keep = authority_outcomes(panel, spec).set_index(["outcome", "measure", "authority_code", "academic_year"])["value"]
    leave = authority_outcomes(panel, make_spec(unclassified="leave_out")).set_index(["outcome", "measure", "authority_code", "academic_year"])["value"]
    pd.testing.assert_series_equal(keep["severe_absence"]["registered"], leave["severe_absence"]["other_unclassified"], check_names=False)
    pd.testing.assert_series_equal(keep["severe_absence"]["other_unclassified"], leave["severe_absence"]["registered"], check_names=False)


def test_characteristics_leave_unclassified_out_of_the_denominator(tiny, spec):
    panel = authority_panel(check_absence_bands(tiny), spec).groupby(["authority_code", "academic_year"]).sum(numeric_only=True)
    row = panel.loc[("101", "2017/18")]
    assert (row["enrolments"], row["fsm_eligible"], row["fsm_known"], row["sen_any"], row["sen_known"]) == (12, 8, 10, 2, 10)


def test_every_row_is_counted_once(tiny, spec):
    counts = intake_counts(check_absence_bands(tiny), spec).set_index("step")
    assert counts.loc["read", "rows"] == len(tiny)
    parts = counts.loc[["national", "other_year", "other_school_type", "other_year_group", "used"]]
    assert parts["rows"].sum() == len(tiny)
    assert counts.loc["used_unclassified", "enrolments"] == 3 * 2
    assert "kept" in counts.loc["used_unclassified", "note"]


def test_order_of_rows_changes_nothing(tiny, spec):
    shuffled = tiny.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(authority_outcomes(authority_panel(check_absence_bands(tiny), spec), spec),
                                  authority_outcomes(authority_panel(check_absence_bands(shuffled), spec), spec))


def test_changed_authorities(tiny, spec):
    changed = tiny.copy()
    late = (changed["old_la_code"] == "102") & (changed["time_period"] == "202021")
    changed.loc[late, ["new_la_code", "la_name"]] = ["E902", "Area of 102"]
    newborn = pd.DataFrame([cell("202021", "103", {FIRST: 3}), cell("202021", "104", {FIRST: 3}, school_type="Special")])
    bands = check_absence_bands(pd.concat([changed, newborn], ignore_index=True))
    listed = authority_list(bands, authority_panel(bands, spec), spec.academic_years).set_index("authority_code")
    assert listed["handling"].to_dict() == {
        "101": "kept: unchanged", "102": "kept: new code, same number", "103": "left out: not in every year", "104": "no enrolments of this school type"}
    assert listed.loc["102", "authority_name"] == "Area of 102" and listed.loc["102", "new_codes"] == "E102, E902"
    assert listed.loc["103", "years_present"] == 1 and listed.loc["104", "years_present"] == 0


def broken(frame, column, value, row=2):
    changed = frame.copy()
    changed[column] = changed[column].astype(object)
    changed.loc[row, column] = value
    return changed.infer_objects()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.rename(columns={"la_name": "la_nmae"}), r"`la_name` is missing; the file has `la_nmae`"),
        (lambda f: f.drop(columns=FIRST), f"`{FIRST}` is missing"),
        (lambda f: f.head(0), "no rows"),
        (lambda f: f.assign(**{FIRST: "6"}), "whole number"),
        (lambda f: broken(f, FIRST, -1), "found -1"),
        (lambda f: broken(f, FIRST, 1.5), "found 1.5"),
        (lambda f: broken(f, FIRST, None), "whole number"),
        (lambda f: f.assign(old_la_code=101), "text is required"),
        (lambda f: broken(f, "school_type", "State-funded secundary"), "did you mean 'State-funded secondary'"),
        (lambda f: broken(f, "fsm", "perhaps"), "unknown value 'perhaps'; known are"),
        (lambda f: broken(f, "time_period", "2018/19"), "no academic year"),
        (lambda f: broken(f, "la_name", None), "needs codes, name and region"),
        (lambda f: pd.concat([f, f.head(1)]), "given 2 times"),
    ],
)
def test_refusals_name_the_fault(tiny, change, says):
    with pytest.raises(DataError, match=says) as refused:
        check_absence_bands(change(tiny), where="absence_bands.parquet")
    assert "absence_bands.parquet" in refused.value.where and refused.value.mend


def test_row_number_of_a_fault_is_the_file_s(tiny):
    with pytest.raises(DataError) as refused:
        check_absence_bands(broken(tiny, FIRST, -1, row=4), where="f")
    assert refused.value.where.endswith("row 5")


def test_files_that_cannot_be_read(tmp_path, tiny):
    with pytest.raises(DataError, match="no such data folder"):
        read_absence_bands(tmp_path / "none")
    (tmp_path / "absence_band.parquet").write_bytes(b"x")
    with pytest.raises(DataError, match="did you mean `absence_band.parquet`"):
        read_absence_bands(tmp_path)
    (tmp_path / "absence_bands.parquet").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        read_absence_bands(tmp_path)


def test_parquet_and_csv_read_alike(tmp_path, tiny):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    tiny.to_parquet(tmp_path / "a" / "absence_bands.parquet")
    tiny.to_csv(tmp_path / "b" / "absence_bands.csv", index=False)
    pd.testing.assert_frame_equal(read_absence_bands(tmp_path / "a"), read_absence_bands(tmp_path / "b"))


def test_a_year_without_rows_is_refused(tiny, spec):
    with pytest.raises(DataError, match="2020/21"):
        authority_panel(check_absence_bands(tiny[tiny["time_period"] != "202021"]), spec)


def figure(**changes):
    values = {"academic_year": "2018/19", "authority": "England", "school_type": "State-funded secondary", "outcome": "severe_absence",
              "value": 3.49, "decimals": 2, "source": "test"}
    return PublishedFigure(**(values | changes))


def test_published_figures_are_reproduced_or_refused(tiny):
    bands = check_absence_bands(tiny)  # secondary, 2018/19: 3 of 86 enrolments in the last band = 3.488
    checks = check_published(bands, [figure()])
    assert checks["agrees"].all() and set(checks["outcome"]) == {"severe_absence", "enrolments"}
    with pytest.raises(DataError, match="severe_absence of England"):
        check_published(bands, [figure(value=3.48)])
    with pytest.raises(DataError, match="no row to compute it from"):
        check_published(bands, [figure(academic_year="2016/17")])


def test_authorities_that_do_not_add_up_to_england_are_refused(tiny):
    with pytest.raises(DataError, match="enrolments of all authorities"):
        check_published(check_absence_bands(broken(tiny, FIRST, 7, row=0)), [])


def test_years_must_name_what_lies_between():
    with pytest.raises(ValueError, match="missing_years must be"):
        make_spec(missing_years=())


def test_code_and_dictionary_name_the_same_columns_and_categories():
    table = load_table(ROOT, "absence_bands")
    names = [column.name for column in table.columns]
    assert {*CELL, *BANDS, "la_name", "region_name"} <= set(names)
    for name, known in CODED.items():
        assert set(table.column(name).enum) == set(known)
    assert [name for name in names if name.startswith("enrolments_")] == list(BANDS)


@pytest.fixture(scope="module")
def real(published):
    protocol = load_protocol(ROOT / "params" / "middlesbrough_area_study.yaml").protocol
    return read_absence_bands(published / "data" / "dfe_absence_bands"), protocol.area_panel


def test_published_totals_and_middlesbrough(real):
    bands, spec = real
    checks = check_published(bands, spec.published_figures)
    assert len(checks) == 4 + 6 and checks["agrees"].all()
    panel = authority_panel(bands, spec)
    outcomes = authority_outcomes(panel, spec).query("measure == 'registered' and authority_code == '806' and academic_year == '2022/23'").set_index("outcome")
    assert round(outcomes.loc["persistent_absence", "value"], 1) == 36.3
    assert round(outcomes.loc["severe_absence", "value"], 1) == 6.5
    listed = authority_list(bands, panel, spec.academic_years)
    assert len(listed) == 156 and listed["authority_name"].nunique() == 155 and listed["in_every_year"].sum() == 147


def test_outcomes_agree_with_a_query_on_the_file(real, published):
    import duckdb

    bands, spec = real
    ours = authority_outcomes(authority_panel(bands, spec), spec).query("measure == 'registered'")
    weights = " + ".join(f"{band} * {point}" for band, point in zip(BANDS, [*np.arange(2.5, 50, 5), spec.last_band_midpoint.value], strict=True))
    file = published / "data" / "dfe_absence_bands" / "absence_bands.parquet"
    theirs = duckdb.sql(f"""
        select old_la_code, time_period, sum({' + '.join(BANDS)})::double as n, sum({' + '.join(BANDS[2:])})::double as persistent,
               sum({BANDS[-1]})::double as severe, sum({weights})::double as mean
        from '{file}' where geographic_level = 'Local authority' and school_type = 'State-funded secondary' group by all""").df()
    theirs["academic_year"] = theirs["time_period"].str[:4] + "/" + theirs["time_period"].str[4:]
    for outcome, column, times in (("persistent_absence", "persistent", 100), ("severe_absence", "severe", 100), ("mean_absence", "mean", 1)):
        joined = ours[ours["outcome"] == outcome].merge(theirs, left_on=["authority_code", "academic_year"], right_on=["old_la_code", "academic_year"], validate="1:1")
        assert len(joined) == 906 and (joined["enrolments"] == joined["n"]).all()
        np.testing.assert_allclose(joined["value"], times * joined[column] / joined["n"], rtol=1e-12)
