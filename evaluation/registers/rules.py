"""Row rules of extract tables: one condition for each constraint of the dictionary, and those that join tables and dates."""

from __future__ import annotations

from dataclasses import dataclass

from .codes import CODE_CHANGE
from .extracts import FORMS, Source, literal, quoted


@dataclass(frozen=True)
class Rule:
    """A rule that a row can break.

    ``broken`` is SQL, true for a row that breaks it, over columns ``typed_<column>`` (in declared types), ``given_<column>``
    (as supplied) and, for marks, what ``MARK_JOINS`` adds; ``value`` is SQL of the offending value as text.
    """

    column: str
    name: str
    broken: str
    value: str
    mend: str
    sensitive: bool


def column_rules(source: Source) -> list[Rule]:
    """Rules that follow from the dictionary entry alone: missing, type, enum, range, pattern."""
    rules = []
    for column in source.table.columns:
        typed, given = f"typed_{column.name}", f"given_{column.name}"
        value = f"CAST({given} AS VARCHAR)"
        sensitive = column.sensitivity != "aggregate"

        def add(rule: str, broken: str, mend: str) -> None:
            rules.append(Rule(column.name, rule, broken, value, mend, sensitive))  # noqa: B023

        if column.required:
            empty = f" OR {given} = ''" if column.type == "string" else ""
            add("missing", f"({given} IS NULL{empty})", "supply the value")
        if not (column.type == "string" or source.as_declared):
            add("type", f"{given} IS NOT NULL AND {typed} IS NULL", FORMS[column.type])
        if column.enum is not None:
            allowed = ", ".join(literal(v) if column.type == "string" else str(v) for v in column.enum)
            add("not in list", f"{typed} NOT IN ({allowed}) AND CAST({typed} AS VARCHAR) <> ''", f"use one of {', '.join(str(v) for v in column.enum)}")
        if column.minimum is not None:
            add("too low", f"{typed} < {column.minimum}", f"give at least {column.minimum}")
        if column.maximum is not None:
            add("too high", f"{typed} > {column.maximum}", f"give at most {column.maximum}")
        if column.pattern is not None:
            add("form", f"{typed} <> '' AND NOT regexp_full_match({typed}, {literal(column.pattern)})", f"give a value of the form {column.pattern}")
    return rules


def foreign_rules(source: Source) -> list[Rule]:
    """A value that refers to another table must be found among that table's accepted rows."""
    rules = []
    for columns, resource, references in source.table.foreign_keys:
        name, reference = f"typed_{columns[0]}", quoted(references[0])
        sensitive = source.table.column(columns[0]).sensitivity != "aggregate"
        rules.append(Rule(columns[0], f"not in {resource}", f"{name} NOT IN (SELECT {reference} FROM accepted_{resource})",
                          f"CAST({name} AS VARCHAR)", f"correct it, or supply the row of `{resource}` it refers to", sensitive))
    return rules


def _order(first: str, second: str, said: str) -> Rule:
    return Rule(second, said, f"typed_{second} < typed_{first}", f"CAST(typed_{second} AS VARCHAR)", "correct the dates", True)


def _in_calendar(column: str) -> Rule:
    return Rule(column, "outside the calendar", f"typed_{column} NOT BETWEEN (SELECT min(date) FROM days) AND (SELECT max(date) FROM days)",
                f"CAST(typed_{column} AS VARCHAR)", "correct the date, or supply the calendar of that year", True)


def table_rules(name: str) -> list[Rule]:
    """Rules between the columns of one table, and between its dates and the calendar's school days (relation ``days``)."""
    if name == "schools":
        return [_in_calendar("mentoring_start"),
                Rule("mentoring_start", "mentors without a start", "typed_mentor_school AND typed_mentoring_start IS NULL", "NULL",
                     "give the first day of mentoring", False),
                Rule("mentoring_start", "start without mentors", "NOT typed_mentor_school AND typed_mentoring_start IS NOT NULL",
                     "CAST(typed_mentoring_start AS VARCHAR)", "correct `mentor_school`, or leave the date empty", False)]
    if name == "calendar":
        return [Rule("half_term", "school day without a half-term", "typed_school_day AND (typed_half_term IS NULL OR typed_term IS NULL)",
                     "NULL", "give term and half-term of every school day", False)]
    if name == "pupils":
        return [_order("enrolment_start", "enrolment_end", "ends before it begins"),
                Rule("academic_year", "year without a calendar", "regexp_full_match(typed_academic_year, '[0-9]{4}/[0-9]{2}') AND typed_academic_year NOT IN (SELECT academic_year FROM days)",
                     "typed_academic_year", "supply the calendar of that year, or leave the enrolment out", False)]
    if name == "programmes":
        return [_order("start_date", "end_date", "ends before it begins")]
    if name == "meetings":
        return [_in_calendar("meeting_date")]
    if name == "referrals":
        return [_in_calendar("referral_date"), _order("referral_date", "start_date", "support before referral"), _order("start_date", "end_date", "ends before it begins"),
                Rule("start_date", "support without consent", "NOT typed_consent AND typed_start_date IS NOT NULL",
                     "CAST(typed_start_date AS VARCHAR)", "correct `consent`, or leave the date empty", True),
                Rule("start_date", "end without a start", "typed_start_date IS NULL AND typed_end_date IS NOT NULL",
                     "CAST(typed_end_date AS VARCHAR)", "supply the start of support", True)]
    return []


def mark_rules() -> list[Rule]:
    """Rules of marks that need codes, calendar and enrolments (which ``MARK_JOINS`` joins)."""
    day, change = "CAST(typed_date AS VARCHAR)", f"DATE {literal(CODE_CHANGE)}"
    code = "typed_code || ' on ' || CAST(typed_date AS VARCHAR)"
    return [
        Rule("code", "unknown code", "typed_code <> '' AND codes.code IS NULL", "typed_code", "use a code of the attendance register", False),
        Rule("code", "code not in use on this date",
             f"codes.code IS NOT NULL AND typed_date IS NOT NULL AND CASE WHEN typed_date < {change} THEN codes.class_before ELSE codes.class_from END IS NULL",
             code, f"use the code in force: codes changed on {CODE_CHANGE:%d %B %Y}".replace(" 0", " "), False),
        Rule("date", "not a school day", "typed_date IS NOT NULL AND days.date IS NULL", day, "correct the date, or the calendar", False),
        Rule("date", "outside the enrolment",
             "days.date IS NOT NULL AND typed_pupil_id IN (SELECT pupil_id FROM accepted_pupils) AND (enrolled.pupil_id IS NULL "
             "OR typed_date < enrolled.enrolment_start OR typed_date > enrolled.enrolment_end)",
             day, "correct the date, or the enrolment's dates", False),
    ]


MARK_JOINS = (
    "LEFT JOIN mark_classes AS codes ON typed_code = codes.code LEFT JOIN days ON typed_date = days.date "
    "LEFT JOIN accepted_pupils AS enrolled ON typed_pupil_id = enrolled.pupil_id AND days.academic_year = enrolled.academic_year"
)
