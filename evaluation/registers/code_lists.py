"""The code lists that the dictionary names, whose codes are valid by date: their rules in SQL and on frames."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from .codes import CODE_CHANGE, attendance_codes

if TYPE_CHECKING:
    import pandas as pd

    from .entries import Column, Table

# Names of the rules, in the order in which they are asked.
UNKNOWN, NOT_YET, OUTDATED = "unknown code", "code not yet in use", "outdated code"


@dataclass(frozen=True)
class CodeList:
    """Codes with the day on which the list changed: those in use before it, from it, or on both sides."""

    before: frozenset[str]
    after: frozenset[str]


@lru_cache(maxsize=1)
def code_lists() -> dict[str, CodeList]:
    """Every code list that an entry may name under ``x-code-list``."""
    codes = attendance_codes().values()
    return {"attendance_codes": CodeList(frozenset(c.code for c in codes if c.class_before), frozenset(c.code for c in codes if c.class_from))}


def code_rules_sql(column: Column) -> dict[str, str]:
    """SQL that is true for a row whose code breaks a rule, by rule, over ``typed_<column>`` and the date it is valid by."""
    codes = code_lists()[column.code_list]
    code, day, change = f'"typed_{column.name}"', f'"typed_{column.valid_by}"', f"DATE '{CODE_CHANGE:%Y-%m-%d}'"
    return {
        UNKNOWN: f"{code} <> '' AND {code} NOT IN ({_listed(codes.before | codes.after)})",
        NOT_YET: f"{code} IN ({_listed(codes.after - codes.before)}) AND {day} < {change}",
        OUTDATED: f"{code} IN ({_listed(codes.before - codes.after)}) AND {day} >= {change}",
    }


def broken_codes(column: Column, frame: pd.DataFrame, rule: str) -> pd.Series:
    """True for each row of a typed frame whose code breaks a rule."""
    import pandas as pd

    codes = code_lists()[column.code_list]
    code, day = frame[column.name], frame[column.valid_by]
    if rule == UNKNOWN:
        return code.notna() & (code != "") & ~code.isin(codes.before | codes.after)
    if rule == NOT_YET:
        return code.isin(codes.after - codes.before) & (day < pd.Timestamp(CODE_CHANGE))
    return code.isin(codes.before - codes.after) & (day >= pd.Timestamp(CODE_CHANGE))


def rules_of_codes(table: Table) -> list[tuple[Column, str]]:
    """Every column with a code list, with each of its rules."""
    return [(column, rule) for column in table.columns if column.code_list for rule in (UNKNOWN, NOT_YET, OUTDATED)]


def _listed(codes: frozenset[str]) -> str:
    return ", ".join("'" + code.replace("'", "''") + "'" for code in sorted(codes))
