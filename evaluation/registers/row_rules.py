"""Rules between the columns of one row, as the data dictionary states them, in SQL and on frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evaluation.errors import ContractError

if TYPE_CHECKING:
    import pandas as pd

# What a rule may say about its column, and what each form needs beside it.
FORMS_OF_RULES = ("at_least", "at_least_sum", "minimum", "maximum", "required_when", "empty_when", "weekday_when", "required_with")
WEEKDAYS = 5
FORMS_OF_CONDITION = ("required_when", "empty_when", "weekday_when")  # whose value is the condition itself


@dataclass(frozen=True)
class RowRule:
    """A rule between columns of one row.

    ``form`` is one of ``at_least`` (another column), ``at_least_sum`` (other columns), ``minimum`` or ``maximum`` (a
    number), ``required_when``, ``empty_when`` and, of a date, ``weekday_when`` (``when`` holds), ``required_with`` (another column
    is given).
    ``when`` pairs columns with values that they must have for the rule to apply. A missing value breaks no comparison.
    """

    name: str
    column: str
    form: str
    operands: tuple[Any, ...]
    when: tuple[tuple[str, Any], ...]
    mend: str

    def broken_sql(self, prefix: str = "") -> str:
        """SQL that is true for a row that breaks the rule, over columns ``<prefix><column>``."""
        column = f'"{prefix}{self.column}"'
        said = {
            "at_least": lambda: f'{column} < "{prefix}{self.operands[0]}"',
            "at_least_sum": lambda: f"{column} < " + " + ".join(f'"{prefix}{o}"' for o in self.operands),
            "minimum": lambda: f"{column} < {self.operands[0]}",
            "maximum": lambda: f"{column} > {self.operands[0]}",
            "required_when": lambda: f"{column} IS NULL",
            "empty_when": lambda: f"{column} IS NOT NULL",
            "weekday_when": lambda: f"isodow({column}) > {WEEKDAYS}",
            "required_with": lambda: f'{column} IS NULL AND "{prefix}{self.operands[0]}" IS NOT NULL',
        }[self.form]()
        return " AND ".join([said, *(_equals(f'"{prefix}{name}"', value) for name, value in self.when)])

    def broken(self, frame: pd.DataFrame) -> pd.Series:
        """True for each row of a typed frame that breaks the rule."""
        column = frame[self.column]
        if self.form == "at_least":
            mask = column < frame[self.operands[0]]
        elif self.form == "at_least_sum":
            mask = column < frame[list(self.operands)].astype("Int64").sum(axis=1, skipna=False)
        elif self.form == "minimum":
            mask = column < self.operands[0]
        elif self.form == "maximum":
            mask = column > self.operands[0]
        elif self.form == "required_with":
            mask = _missing(column) & ~_missing(frame[self.operands[0]])
        elif self.form == "weekday_when":
            mask = column.dt.day_of_week >= WEEKDAYS
        else:
            mask = _missing(column) if self.form == "required_when" else ~_missing(column)
        mask = mask.astype("boolean").fillna(False)
        for name, value in self.when:
            mask = mask & (frame[name] == value).astype("boolean").fillna(False)
        return mask.astype(bool)

    def said(self) -> str:
        """The rule in words."""
        condition = " and ".join(f"`{name}` is {str(value).lower() if isinstance(value, bool) else value}" for name, value in self.when)
        what = {
            "at_least": lambda: f"`{self.column}` is not below `{self.operands[0]}`",
            "at_least_sum": lambda: f"`{self.column}` is not below the sum of {' and '.join(f'`{o}`' for o in self.operands)}",
            "minimum": lambda: f"`{self.column}` is at least {self.operands[0]}",
            "maximum": lambda: f"`{self.column}` is at most {self.operands[0]}",
            "required_when": lambda: f"`{self.column}` is given",
            "empty_when": lambda: f"`{self.column}` is empty",
            "weekday_when": lambda: f"`{self.column}` is a weekday",
            "required_with": lambda: f"`{self.column}` is given where `{self.operands[0]}` is",
        }[self.form]()
        return f"{what} where {condition}" if condition else what


def read_rule(entry: Any, columns: dict[str, str], where: str) -> RowRule:
    """A rule from its YAML form.

    Parameters
    ----------
    entry : mapping
        ``name``, ``column``, ``mend``, one of the forms, and for ``minimum`` and ``maximum`` the condition ``when``.
    columns : dict
        Type of each column of the table.
    where : str
        The file, for messages.

    Raises
    ------
    ContractError
        The rule is not in this form or names a column that the table does not have.
    """
    forms = [form for form in FORMS_OF_RULES if isinstance(entry, dict) and form in entry]
    if len(forms) != 1 or not {"name", "column", "mend"} <= set(entry) or set(entry) - {"name", "column", "mend", "when", *forms}:
        raise ContractError(f"rule {entry!r:.80} needs name, column, mend and one of {', '.join(FORMS_OF_RULES)}", where=where, mend="correct the rule")
    form = forms[0]
    value = entry[form]
    when = value if form in FORMS_OF_CONDITION else entry.get("when", {})
    operands = () if form in FORMS_OF_CONDITION else tuple(value) if isinstance(value, list) else (value,)
    named = {entry["column"], *when, *(operands if form not in ("minimum", "maximum") else ())}
    if not named <= set(columns):
        raise ContractError(f"rule `{entry['name']}` names {', '.join(sorted(map(str, named - set(columns))))}, which is no field", where=where,
                            mend="correct the rule")
    return RowRule(entry["name"], entry["column"], form, operands, tuple(when.items()), entry["mend"])


def _missing(values: pd.Series) -> pd.Series:
    """Whether each value is missing; an empty text is."""
    missing = values.isna()
    return missing | (values == "") if str(values.dtype) in ("str", "object", "string") else missing


def _equals(column: str, value: Any) -> str:
    if isinstance(value, bool):
        return column if value else f"NOT {column}"
    if isinstance(value, str):
        return f"{column} = '" + value.replace("'", "''") + "'"
    return f"{column} = {value}"
