"""Row rules of extract tables: one condition for each constraint of the dictionary, and those that join tables and dates."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .code_lists import code_rules_sql
from .entries import Column, Table
from .extracts import DUCKDB_TYPE, UNREADABLE, Source, literal, quoted
from .wording import CONTROL_CHARACTERS, FORMS, LONGEST_TEXT

SHOWN = 80  # characters of an offending value that a reject shows


@dataclass(frozen=True)
class Rule:
    """A rule that a row can break.

    ``broken`` is SQL, true for a row that breaks it, over columns ``typed_<column>`` (in declared types), ``given_<column>``
    (as supplied) and whatever else its caller joins; ``value`` is SQL of the offending value as text.
    """

    column: str
    name: str
    broken: str
    value: str
    mend: str
    sensitive: bool


def column_rules(source: Source) -> list[Rule]:
    """Rules that follow from the dictionary entry alone: of single columns, and between the columns of a row."""
    return [rule for column in source.table.columns for rule in _of_column(source, column)] + _between_columns(source.table)


def _of_column(source: Source, column: Column) -> list[Rule]:
    typed, given = quoted(f"typed_{column.name}"), quoted(f"given_{column.name}")
    value = f"CAST({given} AS VARCHAR)"
    text = column.type == "string"
    rules = []

    def add(rule: str, broken: str, mend: str, shown: str = value) -> None:
        rules.append(Rule(column.name, rule, broken, shown, mend, column.sensitivity != "aggregate"))

    if column.required:
        empty = f" OR {given} = ''" if text and source.table.extract else ""
        add("missing", f"({given} IS NULL{empty})", "supply the value")
    if not (text or source.as_declared):
        add("type", f"{given} IS NOT NULL AND {typed} IS NULL", FORMS[column.type])
    if column.type == "number":
        add("not finite", f"isinf({typed})", "leave the value empty where no number exists")
    if text and source.table.extract:
        if column.name in source.replaced:
            add("not a UPN" if source.replaced[column.name] == "upn" else "not a date", f"starts_with({typed}, {literal(UNREADABLE)})",
                "give the pupil number as 13 characters with its check letter" if source.replaced[column.name] == "upn" else FORMS["date"])
        add("too long", f"length({typed}) > {LONGEST_TEXT}", f"give at most {LONGEST_TEXT:,} characters", f"left({value}, {SHOWN})")
        add("control character", f"regexp_matches({typed}, {literal(CONTROL_CHARACTERS)})", "leave out control characters",
            f"regexp_replace({value}, {literal(CONTROL_CHARACTERS)}, '?', 'g')")
    if column.enum is not None:
        allowed = ", ".join(literal(v) if text else str(v) for v in column.enum)
        add("not in list", f"{typed} NOT IN ({allowed}) AND CAST({typed} AS VARCHAR) <> ''", f"use one of {', '.join(str(v) for v in column.enum)}",
            f"left({value}, {SHOWN})")
    if column.minimum is not None:
        add("too low", f"{typed} < {column.minimum}", f"give at least {column.minimum}")
    if column.maximum is not None:
        add("too high", f"{typed} > {column.maximum}", f"give at most {column.maximum}")
    if column.pattern is not None:
        unread = f" AND NOT starts_with({typed}, {literal(UNREADABLE)})" if column.name in source.replaced else ""
        add("form", f"{typed} <> '' AND NOT regexp_full_match({typed}, {literal(column.pattern)}){unread}", f"give a value of the form {column.pattern}",
            f"left({value}, {SHOWN})")
    return rules


def _between_columns(table: Table) -> list[Rule]:
    return [Rule(rule.column, rule.name, rule.broken_sql("typed_"), f"CAST({quoted(f'typed_{rule.column}')} AS VARCHAR)", rule.mend,
                 table.column(rule.column).sensitivity != "aggregate") for rule in table.rules]


def rule_queries(table: Table) -> dict[tuple[str, str], str]:
    """One query for each constraint of an entry, by rule and column: how many rows of the DuckDB table of that name break it.

    The table has the declared columns in declared types (see :func:`duckdb_table`). Rules that need other tables are not
    among them.
    """
    source = _as_declared(table)
    broken = {(rule.name, rule.column): rule.broken for rule in column_rules(source)}
    broken |= {(rule, c.name): sql for c in table.columns if c.code_list for rule, sql in code_rules_sql(c).items()}
    queries = {key: f"SELECT count(*) FROM (SELECT {_values_in(sql, source)} FROM {quoted(table.name)}) WHERE {sql}" for key, sql in broken.items()}
    for columns, name in (*(((c.name,), "repeated value") for c in table.columns if c.unique), *(((table.primary_key, "repeated key"),) if table.primary_key else ())):
        key = ", ".join(quoted(c) for c in columns)
        queries[name, "+".join(columns)] = f"SELECT count(*) FROM (SELECT 1 FROM {quoted(table.name)} GROUP BY {key} HAVING count(*) > 1)"
    return queries


def _values_in(broken: str, source: Source) -> str:
    """SQL of the values that a condition reads, each as it calls it."""
    names = dict.fromkeys(re.findall(r'"((?:typed|given)_[^"]+)"', broken))
    return ", ".join(f"{(source.typed if name.startswith('typed_') else source.raw)(source.table.column(name[6:]))} AS {quoted(name)}" for name in names)


def duckdb_table(table: Table) -> str:
    """SQL statements that make an entry's table in DuckDB, with its types, checks and keys.

    A key with columns that may be missing becomes a unique index in which a missing value is like any other.
    """
    source = _as_declared(table)
    lines = [f"{quoted(c.name)} {DUCKDB_TYPE[c.type]}{' NOT NULL' if c.required else ''}{' UNIQUE' if c.unique else ''}" for c in table.columns]
    broken = [rule.broken for rule in column_rules(source)]
    broken += [sql for c in table.columns if c.code_list for sql in code_rules_sql(c).values()]
    lines += ["CHECK (NOT coalesce({}, false))".format(re.sub(r'"(?:typed|given)_([^"]+)"', r'"\1"', sql)) for sql in broken]
    statements = [f"CREATE TABLE {quoted(table.name)} (\n  " + ",\n  ".join(lines) + "\n)"]
    if table.primary_key:
        parts = ", ".join(quoted(n) if table.column(n).required else f"(coalesce(CAST({quoted(n)} AS VARCHAR), ''))" for n in table.primary_key)
        statements.append(f"CREATE UNIQUE INDEX {quoted('key_of_' + table.name)} ON {quoted(table.name)} ({parts})")
    return ";\n".join(statements) + ";\n"


def _as_declared(table: Table) -> Source:
    return Source(table, table.path, quoted(table.name), {c.name: DUCKDB_TYPE[c.type] for c in table.columns})


def foreign_rules(source: Source) -> list[Rule]:
    """A value that refers to another table must be found among that table's accepted rows."""
    rules = []
    for columns, resource, references in source.table.foreign_keys:
        name, reference = f"typed_{columns[0]}", quoted(references[0])
        sensitive = source.table.column(columns[0]).sensitivity != "aggregate"
        rules.append(Rule(columns[0], f"not in {resource}", f"{name} NOT IN (SELECT {reference} FROM accepted_{resource})",
                          f"CAST({name} AS VARCHAR)", f"correct it, or supply the row of `{resource}` it refers to", sensitive))
    return rules


def _in_calendar(column: str) -> Rule:
    return Rule(column, "outside the calendar", f"typed_{column} NOT BETWEEN (SELECT min(date) FROM days) AND (SELECT max(date) FROM days)",
                f"CAST(typed_{column} AS VARCHAR)", "correct the date, or supply the calendar of that year", True)


def table_rules(name: str) -> list[Rule]:
    """Rules of one table that need another: its dates held against the calendar's (relation ``days``; the calendar's own
    against ``bank_holidays``), and what refers to it."""
    if name == "calendar":
        return [Rule("date", "school day on a bank holiday", "typed_school_day AND typed_date IN (SELECT date FROM bank_holidays)", "CAST(typed_date AS VARCHAR)",
                     "mark the day as no school day, or correct the date", False)]
    if name == "schools":
        return [_in_calendar("mentoring_start")]
    if name == "pupils":
        return [Rule("academic_year", "year without a calendar", "regexp_full_match(typed_academic_year, '[0-9]{4}/[0-9]{2}') AND typed_academic_year NOT IN (SELECT academic_year FROM days)",
                     "typed_academic_year", "supply the calendar of that year, or leave the enrolment out", False)]
    if name == "meetings":
        return [_in_calendar("meeting_date")]
    if name == "referrals":
        return [_in_calendar("referral_date")]
    if name == "suspensions":
        return [_in_calendar("start_date")]
    if name == "survey_items":
        scale = "FROM accepted_survey_scales AS s WHERE s.scale = typed_scale AND s.item = typed_item"
        return [Rule("item", "not in survey_scales", f"NOT EXISTS (SELECT 1 {scale})", "typed_scale || ' ' || typed_item",
                     "correct it, or supply the row of `survey_scales` it refers to", False),
                Rule("response", "outside the scale", f"EXISTS (SELECT 1 {scale} AND typed_response NOT BETWEEN s.lowest AND s.highest)",
                     "CAST(typed_response AS VARCHAR)", "correct the answer, or the range in `survey_scales`", True)]
    return []
