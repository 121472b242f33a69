"""The rules of the data dictionary in words: for messages, rejects and the dictionary page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .entries import Column, Table

# Text of an extract may be this long: a name or a reason, not a document. Longer cells are rejected, never cut.
LONGEST_TEXT = 1000
# Characters that no register holds and that break spreadsheets and documents; tab and line breaks are text.
CONTROL_CHARACTERS = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"

FORMS = {
    "string": "give text", "integer": "give whole numbers", "number": "give numbers with a decimal point",
    "boolean": "give true or false", "date": "give dates as YYYY-MM-DD",
}


def rule_in_words(table: Table, column: str, rule: str) -> str:
    """What a rule asks of a column, as a clause without a capital."""
    for between in table.rules:
        if between.name == rule:
            return between.said()
    if rule in ("repeated key", "contradictory rows with one key"):
        return "the key must be unique"
    return column_rules_in_words(table.column(column)).get(rule, rule)


def column_rules_in_words(column: Column) -> dict[str, str]:
    """What each rule that a column can break asks of it, by name of the rule."""
    words = {
        "missing": "a value is required" if column.required else None,
        "repeated value": "a value may be there once" if column.unique else None,
        "type": FORMS[column.type] if column.type != "string" else None,
        "not finite": "an infinite value" if column.type == "number" else None,
        "too long": f"at most {LONGEST_TEXT:,} characters" if column.type == "string" else None,
        "control character": "no control characters" if column.type == "string" else None,
        "not in list": "one of " + ", ".join(str(v) for v in column.enum) + " is declared" if column.enum is not None else None,
        "too low": f"at least {column.minimum} is declared" if column.minimum is not None else None,
        "too high": f"at most {column.maximum} is declared" if column.maximum is not None else None,
        "form": f"the form {column.pattern} is declared" if column.pattern is not None else None,
    }
    return {rule: said for rule, said in words.items() if said is not None}
