"""The faulty rows that are planted in simulated extracts, table by table, with the rule by which intake must reject each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from evaluation.registers.codes import CODE_CHANGE

CONTRADICTION = "contradictory rows with one key"
COPY_RULE = "identical copies are collapsed, not rejected"
KEY_OF_MARKS = "pupil_id+school_id+date+session"
LONG_CELL = "x" * 10_000
FORMULA = '=HYPERLINK("http://example.invalid";"open")'


@dataclass(frozen=True)
class RowFault:
    """Rows to append: copies of the sound row at ``model`` with ``changes``, one row each; nothing is planted where there is no such row. ``rule`` None: intake must accept them.

    ``own_key`` starts a new value of the first key column, empty to keep the model's.
    """

    name: str
    column: str
    rule: str | None
    changes: tuple[dict[str, Any], ...]
    own_key: str
    model: Callable[[pd.DataFrame], int | None] = field(default=lambda frame: 0)


@dataclass(frozen=True)
class MarkFault:
    """Marks to change in the first row group (position: code) and to append; ``also``: positions of sound marks that are rejected with them."""

    name: str
    column: str
    rule: str
    changed: dict[int, str] = field(default_factory=dict)
    added: list[tuple] = field(default_factory=list)
    also: tuple[int, ...] = ()


def _one(name: str, column: str, rule: str | None, own_key: str, **changes: Any) -> RowFault:
    return RowFault(name, column, rule, (changes,), own_key)


def _with(column: str) -> Callable[[pd.DataFrame], int | None]:
    """The first row with a value in a column, None where there is no such row."""
    return lambda frame: next(iter(np.flatnonzero((frame[column] != "").to_numpy()).tolist()), None)


def _started(name: str, column: str, rule: str, **changes: Any) -> RowFault:
    return RowFault(name, column, rule, (changes,), "RX", _with("start_date"))


def _twice(name: str, column: str, own_key: str, **second: Any) -> RowFault:
    return RowFault(name, column, CONTRADICTION, ({}, second), own_key)


# Referrals and enrolments of pupils who have no marks: nothing else hangs on them.
ROW_FAULTS: dict[str, tuple[RowFault, ...]] = {
    "schools": (
        _one("a phase that is none", "phase", "not in list", "SX", phase="middle", mentor_school="false", mentoring_start=""),
        _one("formula-like text in a name: accepted as text", "school_name", None, "SX", school_name=FORMULA),
        _one("a cell of 10,000 characters", "school_name", "too long", "SX", school_name=LONG_CELL),
        _one("a control character in a name", "school_name", "control character", "SX", school_name="Simulated\x07school"),
        _one("mentors without a start", "mentoring_start", "mentors without a start", "SX", mentor_school="true", mentoring_start=""),
        _one("a start without mentors", "mentoring_start", "start without mentors", "SX", mentor_school="false", mentoring_start="2023-01-09"),
        _one("no area", "area_code", "missing", "SX", area_code="", mentor_school="false", mentoring_start=""),
        _twice("two schools with one identifier", "school_id", "SX", area_name="Elsewhere"),
    ),
    "pupils": (
        _one("an impossible date", "enrolment_start", "type", "PX", enrolment_start="2022-02-30"),
        _one("a date the other way round", "enrolment_start", "type", "PX", enrolment_start="06/09/2022"),
        _one("a year group in words", "year_group", "type", "PX", year_group="seven"),
        _one("a year group too high", "year_group", "too high", "PX", year_group="15"),
        _one("a sex that is not in the list", "sex", "not in list", "PX", sex="F"),
        _one("no free school meals status", "fsm", "missing", "PX", fsm=""),
        _one("an IDACI score above 1", "idaci", "too high", "PX", idaci="1.5"),
        _one("an academic year in another form", "academic_year", "form", "PX", academic_year="2022-23"),
        _one("a year without a calendar", "academic_year", "year without a calendar", "PX", academic_year="2031/32"),
        _one("a school that is not there", "school_id", "not in schools", "PX", school_id="S999"),
        _one("an enrolment that ends before it begins", "enrolment_end", "ends before it begins", "PX", enrolment_end="2022-09-01"),
        _twice("one enrolment with two stories", "pupil_id+academic_year+school_id+enrolment_start", "PX", sex=lambda row: "male" if row["sex"] == "female" else "female"),
        RowFault("one enrolment twice, the same", "pupil_id", COPY_RULE, ({}, {}), "PX"),
        RowFault("two schools at once", "school_id", "in two schools at once", ({}, {"school_id": lambda row: "S002" if row["school_id"] != "S002" else "S001"}), "PX"),
    ),
    "programmes": (_one("a programme that ends before it begins", "end_date", "ends before it begins", "GX", start_date="2023-09-01", end_date="2023-01-01"),),
    "referrals": (
        _started("support before referral", "start_date", "support before referral", start_date=lambda row: "2022-09-06"),
        _started("support without consent", "start_date", "support without consent", consent="false"),
        _started("support that ends before it begins", "end_date", "ends before it begins", end_date=lambda row: row["referral_date"]),
        _started("an end without a start", "start_date", "end without a start", start_date=""),
        _started("a referral years before the registers", "referral_date", "outside the calendar", referral_date="2012-10-01"),
        _started("consent in words", "consent", "type", consent="maybe"),
        _started("a school that is not there", "school_id", "not in schools", school_id="S999"),
    ),
    "meetings": (
        _one("a meeting in another century", "meeting_date", "outside the calendar", "TX", meeting_date="1923-10-02"),
        _one("minutes below zero", "minutes", "too low", "TX", minutes="-20"),
        _one("a meeting with somebody unknown", "with_whom", "not in list", "TX", with_whom="neighbour"),
        _one("half a minute", "minutes", "type", "TX", minutes="12.5"),
    ),
    "barriers": (
        _one("a barrier that is none", "barrier_type", "not in list", "BX", barrier_type="weather"),
        _one("resolved before it was assessed", "resolved_on", "resolved before it was assessed", "BX", resolved_on="2022-09-01"),
    ),
    "suspensions": (
        _one("a suspension without sessions", "sessions", "suspension without sessions", "XX", sessions="0", kind="suspension"),
        _one("a permanent exclusion with sessions", "sessions", "permanent exclusion with sessions", "XX", sessions="4", kind="permanent exclusion"),
        _one("a suspension of a year", "sessions", "too high", "XX", sessions="380", kind="suspension"),
        _one("a suspension in a year without registers", "start_date", "outside the calendar", "XX", start_date="2019-10-01"),
    ),
    "survey_scales": (_one("a highest answer below the lowest", "highest", "highest below lowest", "scale X", lowest="5", highest="1"),),
    "survey_items": (
        _one("an answer outside the scale", "response", "outside the scale", "", wave="baseline", pupil_id="P000001", response="9"),
        _one("an item of no scale", "item", "not in survey_scales", "", pupil_id="P000001", item="E99"),
        _one("a wave that is none", "wave", "not in list", "", pupil_id="P000001", wave="middle"),
    ),
    "absence_by_period": (
        _one("more absent than possible", "sessions_possible", "more absent than possible", "", pupil_id="P000001", period_kind="term", period="1", sessions_possible="10", sessions_authorised="9", sessions_unauthorised="9"),
        _one("a fourth term", "period", "no such term", "", pupil_id="P000001", period_kind="term", period="4"),
        _one("sessions below zero", "sessions_authorised", "too low", "", pupil_id="P000001", period_kind="term", period="2", sessions_authorised="-1", sessions_unauthorised="0"),
    ),
    "costs": (
        _one("an amount in words", "amount", "type", "KX", amount="about 500"),
    ),
    "deliveries": (
        _one("kept until a day that does not exist", "retention_until", "type", "DX", table="schools", retention_until="2030-02-30"),
    ),
}


def mark_faults(marks: pd.DataFrame, pupils: pd.DataFrame, calendar: pd.DataFrame) -> list[MarkFault]:
    """Faulty marks of pupils who are otherwise as they should be.

    Parameters
    ----------
    marks : DataFrame
        The first marks of the file (``pupil_id, school_id, date, session, code``), index from 0.
    pupils, calendar : DataFrame
        Extract tables.
    """
    pupils = pupils.astype({"pupil_id": "str", "school_id": "str"})
    present, starts = np.unique(marks["pupil_id"].to_numpy(dtype=str), return_index=True)
    begins = dict(zip(present[:-1].tolist(), starts[:-1].tolist(), strict=True))  # the last pupil may go on in the next row group
    ends = dict(zip(begins, starts[1:].tolist(), strict=True))
    here = pupils.loc[pupils["pupil_id"].isin(list(begins))]
    each = here.groupby("pupil_id").agg(years=("academic_year", "nunique"), rows=("academic_year", "size"), schools=("school_id", "nunique"), ended=("enrolment_end", "count"))
    names = iter(each.index[(each["years"] == 3) & (each["rows"] == 3) & (each["schools"] == 1) & (each["ended"] == 0)])
    changed = np.datetime64(CODE_CHANGE)

    def position(side: str = "any") -> int:
        name = next(names)
        dates = pd.to_datetime(marks["date"].iloc[begins[name] : ends[name]]).to_numpy()
        wanted = np.flatnonzero({"any": dates == dates, "before": dates < changed, "after": dates >= changed}[side])
        return begins[name] + int(wanted[len(wanted) // 2])

    def model() -> pd.Series:
        return marks.loc[position()]

    def added(row: pd.Series, **changes: Any) -> tuple:
        return tuple(changes.get(name, row[name]) for name in ("pupil_id", "school_id", "date", "session", "code"))

    faults = [
        MarkFault("a code that is none", "code", "unknown code", {position(): "Q9"}),
        MarkFault("a code in lower case", "code", "unknown code", {position(): "i"}),
        MarkFault("a code that was withdrawn", "code", "outdated code", {position("after"): "J"}),
        MarkFault("a code before its time", "code", "code not yet in use", {position("before"): "C2"}),
    ]
    twin, row, stranger = (position(), position(), position())
    other = "S002" if marks.at[stranger, "school_id"] != "S002" else "S001"
    faults += [MarkFault("one mark twice, the same", "pupil_id", COPY_RULE, added=[added(marks.loc[twin])]),
               MarkFault("one session with two marks", KEY_OF_MARKS, CONTRADICTION, added=[added(marks.loc[row], code="I" if marks.at[row, "code"] != "I" else "O")], also=(row,))]
    faults += [MarkFault(f"a mark {rule}", "date", rule, added=[added(model(), date=day)]) for rule, day in _closed_days(calendar).items()]
    faults += [MarkFault("a session in the evening", "session", "not in list", added=[added(model(), session="EV")]),
               MarkFault("a pupil who is not there", "pupil_id", "not in pupils", added=[added(model(), pupil_id="P999999")]),
               MarkFault("a mark at a school where the pupil is not", "school_id", "not enrolled at that school", added=[added(marks.loc[stranger], school_id=other)])]
    return faults + _off_roll(marks, begins, here, calendar, added)


def _closed_days(calendar: pd.DataFrame) -> dict[str, Any]:
    """A day of each kind on which school is out, by the rule that says so."""
    out = calendar.loc[~calendar["school_day"].astype(bool)]
    holiday = out.loc[out["note"] == "school holiday", "date"].iloc[0]
    bank = out.loc[out["note"].notna() & (out["note"] != "school holiday"), "date"].iloc[0]
    friday = calendar.loc[calendar["school_day"].astype(bool) & (pd.to_datetime(calendar["date"]).dt.day_of_week == 4), "date"].iloc[3]
    return {"on a weekend": (pd.Timestamp(friday) + pd.Timedelta(days=1)).date(), "on a bank holiday": bank, "in the school holidays": holiday,
            "outside the calendar": pd.Timestamp("2031-10-01").date()}


def _off_roll(marks: pd.DataFrame, begins: dict[str, int], here: pd.DataFrame, calendar: pd.DataFrame, added: Callable[..., tuple]) -> list[MarkFault]:
    """Marks of pupils before they came and after they left, within a year and in another one."""
    days = calendar.loc[calendar["school_day"].astype(bool)].sort_values("date")
    opens, closes = days.groupby("academic_year")["date"].min(), days.groupby("academic_year")["date"].max()
    single = here.loc[here.groupby("pupil_id")["academic_year"].transform("size") == 1]
    starts, ends = single["academic_year"].map(opens), single["academic_year"].map(closes)
    late = single.loc[(pd.to_datetime(single["enrolment_start"]) > pd.to_datetime(starts))].head(1)
    gone = single.loc[single["enrolment_end"].notna() & (pd.to_datetime(single["enrolment_end"]) < pd.to_datetime(ends)) & ~single["pupil_id"].isin(late["pupil_id"])].head(2)
    faults = []
    for rule, mine, day in (("before admission", late, lambda p: opens[p["academic_year"]]), ("after leaving", gone.head(1), lambda p: closes[p["academic_year"]]),
                            ("not enrolled in that year", gone.tail(1), lambda p: _other_year(opens, p["academic_year"]))):
        if len(mine):
            pupil = mine.iloc[0]
            row = marks.loc[begins[pupil["pupil_id"]]]
            faults.append(MarkFault(f"a mark {rule}", "date", rule, added=[added(row, date=day(pupil))]))
    return faults


def _other_year(opens: pd.Series, year: str) -> Any:
    return opens[[name for name in opens.index if name != year][-1]]
