"""Every screening rule, with a pair of files that breaks it and nothing else."""

from __future__ import annotations

import csv
import io

import pytest

from evaluation.reporting.release.screening import META_COLUMNS, RULES, screen_pair

HEAD = ["time_period", "time_identifier", "geographic_level", "country_code", "country_name", "region_code", "region_name", "old_la_code", "new_la_code", "la_name", "phase", "pupils", "estimate", "estimate_lower_ci", "estimate_upper_ci"]
NATION = ["202425", "Academic year", "National", "E92000001", "England", "", "", "", "", "", "Total", "120", "1.5", "0.5", "2.5"]
AREA = ["202425", "Academic year", "Local authority", "E92000001", "England", "E12000001", "North East", "806", "E06000002", "Middlesbrough", "Total", "c", "low", "x", "z"]
META = [["phase", "Filter", "Phase of education", "", "", "", "", ""], ["pupils", "Indicator", "Pupils", "", "", "0", "", ""], ["estimate", "Indicator", "Effect", "", "pp", "1", "", ""],
        ["estimate_lower_ci", "Indicator", "Effect, lower", "", "pp", "1", "", ""], ["estimate_upper_ci", "Indicator", "Effect, upper", "", "pp", "1", "", ""]]


def written(head, rows) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([head, *rows])
    return out.getvalue().encode("utf-8")


def screened(name="effects.csv", head=HEAD, rows=(NATION, AREA), meta_head=META_COLUMNS, meta=META) -> list[str]:
    return sorted({found.rule for found in screen_pair(name, written(head, rows), written(meta_head, meta))})


def changed(row, **values):
    return [values.get(name, value) for name, value in zip(HEAD, row, strict=True)]


def described(name, **values):
    return [[values.get(c, v) for c, v in zip(META_COLUMNS, row, strict=True)] if row[0] == name else row for row in META]


def test_a_pair_in_order_passes():
    assert screened() == []


BROKEN = {
    "file name": [dict(name="Effects of 2024.csv"), dict(name="effects_202425.csv")],
    "rows": [dict(rows=())],
    "mandatory columns": [dict(head=["time_identifier" if n == "x" else n for n in HEAD if n != "country_name"], rows=([v for n, v in zip(HEAD, NATION, strict=True) if n != "country_name"],))],
    "country": [dict(rows=(changed(NATION, country_code="W92000004", country_name="Wales"), AREA))],
    "geographic level": [dict(rows=(changed(NATION, geographic_level="School"), AREA))],
    "columns of the level": [dict(rows=(NATION, changed(AREA, old_la_code=""))), dict(rows=(changed(NATION, la_name="Middlesbrough"), AREA))],
    "time identifier": [dict(rows=(changed(NATION, time_identifier="Half term"), changed(AREA, time_identifier="Half term"))), dict(rows=(NATION, changed(AREA, time_identifier="Autumn term")))],
    "time period": [dict(rows=(changed(NATION, time_period="2024/25"), AREA)), dict(rows=(changed(NATION, time_period="202426"), AREA))],
    "meta columns": [dict(meta_head=("name", *META_COLUMNS[1:]))],
    "column type": [dict(meta=described("phase", col_type="Dimension"))],
    "indicator unit": [dict(meta=described("estimate", indicator_unit="points"))],
    "indicator decimals": [dict(meta=described("estimate", indicator_dp="one"))],
    "fields of filters": [dict(meta=described("phase", indicator_dp="0"))],
    "labels": [dict(meta=described("pupils", label="P" * 81)), dict(meta=described("pupils", label="Effect")), dict(meta=described("pupils", label=" "))],
    "column names": [dict(head=["Phase" if n == "phase" else n for n in HEAD], meta=described("phase", col_name="Phase")), dict(head=[n if n != "phase" else "p" * 51 for n in HEAD], meta=described("phase", col_name="p" * 51))],
    "meta matches data": [dict(meta=META[:-1] + [["other", *META[-1][1:]]]), dict(meta=[*META, ["more", "Filter", "More", "", "", "", "", ""]])],
    "blanks": [dict(rows=(changed(NATION, pupils=""), AREA))],
    "symbols": [dict(rows=(changed(NATION, pupils="~"), AREA)), dict(rows=(changed(NATION, pupils=":"), AREA)), dict(rows=(changed(NATION, pupils="1,200"), AREA))],
    "aggregate is Total": [dict(rows=(changed(NATION, phase="All"), AREA))],
    "intervals": [dict(head=[n if n != "estimate_upper_ci" else "upper" for n in HEAD], meta=described("estimate_upper_ci", col_name="upper")), dict(head=[n if n != "pupils" else "conf_low" for n in HEAD], meta=described("pupils", col_name="conf_low"))],
    "duplicate rows": [dict(rows=(NATION, NATION))],
    "an indicator": [dict(head=HEAD[:11], rows=(NATION[:11],), meta=META[:1])],
    "formulae": [dict(rows=(changed(NATION, phase="=1+1"), AREA)), dict(meta=described("pupils", label="@sum"))],
}


@pytest.mark.parametrize("rule, case", [(rule, case) for rule, cases in BROKEN.items() for case in cases], ids=lambda v: v if isinstance(v, str) else "")
def test_each_rule_finds_the_file_that_breaks_it(rule, case):
    assert rule in screened(**case)


def test_every_rule_has_a_file_that_breaks_it():
    assert set(BROKEN) == {*RULES, "meta columns"}


def test_what_cannot_be_read_as_a_pair_is_named():
    data, meta = written(HEAD, [NATION]), written(META_COLUMNS, META)
    assert [f.rule for f in screen_pair("effects.csv", data, None)] == ["pair of files"]
    assert [f.rule for f in screen_pair("effects.csv", data + b"\xff", meta)] == ["UTF-8"]
    assert [f.rule for f in screen_pair("effects.csv", written(HEAD, [NATION[:-1]]), meta)] == ["same number of cells"]
