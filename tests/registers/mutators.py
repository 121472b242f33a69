"""Named ways to spoil a table, each with the verdict that every path must reach, declared in advance."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from tiny import Rows

Change = Callable[[Rows], None]
FORMULA = '=HYPERLINK("http://example.org","click")'
LONG = "x" * 10_000


@dataclass(frozen=True)
class Verdict:
    """``rule`` at ``column``; a refusal of the whole file names neither and says ``about``; all empty when accepted."""

    rule: str = ""
    column: str = ""
    about: str = ""

    def __str__(self) -> str:
        return f"refused: {self.about}" if self.about else f"{self.rule} at {self.column}" if self.rule else "accepted"


@dataclass(frozen=True)
class Mutator:
    """``intake`` is the verdict of intake on CSV and on Parquet, ``alone`` that of the paths that see one table and no
    other (check of a frame, stage write, rule queries, DuckDB table). They differ where ``why`` says so and nowhere else."""

    name: str
    table: str
    change: Change
    intake: Verdict
    alone: Verdict
    why: str = ""


ACCEPTED = Verdict()
BETWEEN_TABLES = "needs another table"
KEY = "intake knows which copies are identical, a table may hold none"


def put(column: str, value, row: int = 0) -> Change:
    """Set one value."""
    return lambda rows: rows[row].__setitem__(column, value)


def put_all(**values) -> Change:
    return lambda rows: [row.update(values) for row in rows] and None


def drop(column: str) -> Change:
    return lambda rows: [row.pop(column) for row in rows] and None


def rename(column: str, name: str) -> Change:
    def change(rows: Rows) -> None:
        for row in rows:
            items = [(name if key == column else key, value) for key, value in row.items()]
            row.clear()
            row.update(items)

    return change


def again(row: int = 0, **values) -> Change:
    """Append a copy of a row, with changes."""
    return lambda rows: rows.append({**rows[row], **values})


def both(*changes: Change) -> Change:
    return lambda rows: [change(rows) for change in changes] and None


def same(name: str, table: str, change: Change, rule: str = "", column: str = "", about: str = "") -> Mutator:
    verdict = Verdict(rule, column, about)
    return Mutator(name, table, change, verdict, verdict)


def between(name: str, table: str, change: Change, rule: str, column: str) -> Mutator:
    return Mutator(name, table, change, Verdict(rule, column), ACCEPTED, BETWEEN_TABLES)


DELIVERY = {"delivery_id": "D1", "supplier": "Trust", "table": "costs", "version": 1, "received_on": date(2025, 7, 1), "supersedes": None, "sha256": "0" * 64,
            "agreement": "DSA-1", "retention_until": date(2030, 7, 1)}


def delivery(**values) -> Change:
    return lambda rows: rows.append({**DELIVERY, **values})


MUTATORS = (
    same("nothing changed", "schools", lambda rows: None),
    same("a name is missing", "schools", put("school_name", None), "missing", "school_name"),
    same("an empty identifier", "schools", put("school_id", "", 1), "missing", "school_id"),
    same("capital letter in a listed value", "schools", put("phase", "Secondary"), "not in list", "phase"),
    same("yes for true", "schools", put("mentor_school", "yes"), "type", "mentor_school"),
    same("mentors and no first day", "schools", put("mentoring_start", None), "mentors without a start", "mentoring_start"),
    same("first day and no mentors", "schools", put("mentor_school", False), "start without mentors", "mentoring_start"),
    same("unknown judgement in an optional column", "schools", put("inspection_judgement", "fair"), "not in list", "inspection_judgement"),
    same("optional column left out", "schools", drop("inspection_judgement")),
    same("both optional columns left out", "schools", both(drop("inspection_judgement"), drop("trust"))),
    same("10,000 characters in a cell", "schools", put("school_name", LONG), "too long", "school_name"),
    same("1,000 characters in a cell", "schools", put("school_name", "x" * 1000)),
    same("control character", "schools", put("school_name", "Abbey\x07"), "control character", "school_name"),
    same("text like a formula", "schools", put("school_name", FORMULA)),
    same("quotes, commas and a line break in a cell", "schools", put("school_name", 'A "b", c\nd')),
    Mutator("a row twice", "schools", again(), ACCEPTED, Verdict("repeated key", "school_id"), KEY),
    Mutator("two rows with one key", "schools", again(school_name="Other"), Verdict("contradictory rows with one key", "school_id"),
            Verdict("repeated key", "school_id"), KEY),
    same("a personal column nobody declared", "schools", put_all(surname="x"), about="surname"),
    same("a column missing", "schools", drop("phase"), about="phase"),
    same("a column misspelt", "schools", rename("phase", "phse"), about="phse"),
    between("mentoring before the calendar", "schools", put("mentoring_start", date(2019, 1, 8)), "outside the calendar", "mentoring_start"),
    same("a time where the only date belongs", "schools", put("mentoring_start", "2023-11-06 09:00"), about="mentoring_start"),
    same("a time where a date belongs", "meetings", put("meeting_date", "2024-01-09 09:00"), "type", "meeting_date"),
    same("year group 0", "pupils", put("year_group", 0), "too low", "year_group"),
    same("year group 15", "pupils", put("year_group", 15), "too high", "year_group"),
    same("half a year group", "pupils", put("year_group", 9.5), "type", "year_group"),
    same("a year group in words", "pupils", put("year_group", "nine"), "type", "year_group"),
    same("a number beyond 64 bits", "pupils", put("year_group", 10**19), "type", "year_group"),
    same("deprivation above 1", "pupils", put("idaci", 1.01), "too high", "idaci"),
    same("deprivation below 0", "pupils", put("idaci", -0.1), "too low", "idaci"),
    same("not a number in a required column", "pupils", put("idaci", float("nan")), "missing", "idaci"),
    same("a decimal comma", "pupils", put("idaci", "0,3"), "type", "idaci"),
    same("short form of a listed value", "pupils", put("sex", "F"), "not in list", "sex"),
    same("a listed value missing", "pupils", put("sen_provision", None), "missing", "sen_provision"),
    same("Y for true", "pupils", put("fsm", "Y"), "type", "fsm"),
    same("1 for true", "pupils", put("fsm", 1), "type", "fsm"),
    same("academic year with a dash", "pupils", put("academic_year", "2023-24"), "form", "academic_year"),
    same("academic year in other digits", "pupils", put("academic_year", "٢٠٢٣/٢٤"), "form", "academic_year"),
    same("academic year and a line break", "pupils", put("academic_year", "2023/24\n"), "form", "academic_year"),
    between("academic year without a calendar", "pupils", put("academic_year", "2031/32"), "year without a calendar", "academic_year"),
    between("a school nobody knows", "pupils", put("school_id", "S9"), "not in schools", "school_id"),
    same("roll ends before it begins", "pupils", put("enrolment_end", date(2023, 9, 1)), "ends before it begins", "enrolment_end"),
    same("one date day first", "pupils", put("enrolment_start", "04/09/2023"), "type", "enrolment_start"),
    same("all dates day first", "pupils", put_all(enrolment_start="04/09/2023"), about="enrolment_start"),
    same("30 February", "pupils", put("enrolment_start", "2023-02-30"), "type", "enrolment_start"),
    same("an optional status", "pupils", put_all(enrolment_status="single")),
    same("the census's code under our own name", "pupils", put_all(enrolment_status="C"), "not in list", "enrolment_status"),
    same("a month of birth", "pupils", put_all(month_of_birth="2010-09")),
    same("a thirteenth month", "pupils", both(put_all(month_of_birth="2010-09"), put("month_of_birth", "2010-13")), "form", "month_of_birth"),
    same("support without consent", "referrals", put("consent", False), "support without consent", "start_date"),
    same("support ends and never began", "referrals", put("start_date", None), "end without a start", "start_date"),
    same("support before the referral", "referrals", put("start_date", date(2023, 11, 6)), "support before referral", "start_date"),
    same("support ends before it begins", "referrals", put("end_date", date(2024, 1, 8)), "ends before it begins", "end_date"),
    same("a referred pupil whom no census knows stays", "referrals", put("pupil_id", "pupil-99")),
    between("referred before the calendar", "referrals", put("referral_date", date(2019, 11, 7)), "outside the calendar", "referral_date"),
    between("referred by a school nobody knows", "referrals", put("school_id", "S9"), "not in schools", "school_id"),
    same("a meeting of nine hours", "meetings", put("minutes", 540), "too high", "minutes"),
    same("an unknown way to meet", "meetings", put("mode", "zoom"), "not in list", "mode"),
    same("minutes missing", "meetings", put("minutes", None), "missing", "minutes"),
    same("text like a formula in an identifier", "meetings", put("mentor_id", "@SUM(A1)")),
    same("programme ends before it begins", "programmes", put("end_date", date(2023, 8, 1)), "ends before it begins", "end_date"),
    same("resolved before it was assessed", "barriers", put("resolved_on", date(2024, 1, 1), 1), "resolved before it was assessed", "resolved_on"),
    same("a barrier not on the list", "barriers", put("barrier_type", "weather"), "not in list", "barrier_type"),
    between("a suspended pupil whom no census knows", "suspensions", put("pupil_id", "pupil-99"), "not in pupils", "pupil_id"),
    same("a suspension of no session", "suspensions", put("sessions", 0), "suspension without sessions", "sessions"),
    same("a permanent exclusion with a length", "suspensions", put("sessions", 4, 1), "permanent exclusion with sessions", "sessions"),
    same("a suspension of 91 sessions", "suspensions", put("sessions", 91), "too high", "sessions"),
    same("highest answer below the lowest", "survey_scales", put("highest", 0), "highest below lowest", "highest"),
    between("an answer outside the scale", "survey_items", put("response", 9), "outside the scale", "response"),
    between("an item nobody knows", "survey_items", put("item", "z"), "not in survey_scales", "item"),
    same("an answer left out", "survey_items", put("response", None)),
    same("a third wave", "survey_items", put("wave", "later"), "not in list", "wave"),
    same("more absent than possible", "absence_by_period", put("sessions_authorised", 10), "more absent than possible", "sessions_possible"),
    same("a fourth term", "absence_by_period", both(put("period_kind", "term"), put("period", 4)), "no such term", "period"),
    same("sessions below 0", "absence_by_period", put("sessions_unauthorised", -1), "too low", "sessions_unauthorised"),
    same("a seventh half-term", "absence_by_period", put("period", 7), "too high", "period"),
    same("prices of a calendar year", "costs", put("price_year", "2023")),
    same("pounds in the amount", "costs", put("amount", "£30"), "type", "amount"),
    same("an infinite amount", "costs", put("amount", float("inf")), "not finite", "amount"),
    same("not a number in a column that may be empty", "costs", put("vat", float("nan"))),
    same("a school day without a half-term", "calendar", put("half_term", None), "school day without a half-term", "half_term"),
    same("a school day without a term", "calendar", put("term", None), "school day without a term", "term"),
    same("a school day on a Saturday", "calendar", put("date", date(2023, 9, 9)), "school day on a weekend", "date"),
    same("a Sunday out of school", "calendar", put("date", date(2023, 12, 24), -1)),
    between("a school day on a bank holiday", "calendar", put("date", date(2024, 4, 1)), "school day on a bank holiday", "date"),
    same("a winter term", "calendar", put("term", "winter"), "not in list", "term"),
    same("a delivery", "deliveries", delivery()),
    same("digits of a hash in capitals", "deliveries", delivery(sha256="A" * 64), "form", "sha256"),
    same("kept until before it came", "deliveries", delivery(retention_until=date(2025, 6, 1)), "kept until before it came", "retention_until"),
    same("version 0", "deliveries", delivery(version=0), "too low", "version"),
    same("a delivery of no table", "deliveries", delivery(table="diaries"), "not in list", "table"),
    same("a mark missing", "marks", put("code", None), "missing", "code"),
    same("an evening session", "marks", put("session", "EV"), "not in list", "session"),
    same("a mark's date in words", "marks", put("date", "Monday"), "type", "date"),
    between("a mark of a pupil whom no census knows", "marks", put("pupil_id", "pupil-99"), "not in pupils", "pupil_id"),
    same("the school in every mark", "marks", lambda rows: [row.update(school_id="S1" if row["pupil_id"] < "pupil-4" else "S2") for row in rows] and None),
    Mutator("a mark twice", "marks", again(), ACCEPTED, Verdict("repeated key", "pupil_id+school_id+date+session"), KEY),
    Mutator("two marks for one session", "marks", again(code="I"), Verdict("contradictory rows with one key", "pupil_id+school_id+date+session"),
            Verdict("repeated key", "pupil_id+school_id+date+session"), KEY),
    same("a mark that is no code", "marks", put("code", "??"), "unknown code", "code"),
    same("a code before its time", "marks", put("code", "C2"), "code not yet in use", "code"),
    same("a code after its time", "marks", put("code", "H", 10), "outdated code", "code"),
)
