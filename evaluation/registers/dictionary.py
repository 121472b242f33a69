"""The check that a frame keeps to its entry of the data dictionary, by a pandera schema made from the entry."""

from __future__ import annotations

import numbers as numbers_
import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from evaluation.errors import ContractError

from .code_lists import broken_codes, rules_of_codes
from .entries import Column, Table, load_table, table_names
from .wording import CONTROL_CHARACTERS, LONGEST_TEXT, rule_in_words

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Column", "Fault", "Table", "check_frame", "empty_frame", "find_fault", "load_table", "pandera_schema", "table_names", "typed_frame"]

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Fault:
    """The first value of a frame that breaks a rule, and how many do. ``row`` counts from 0, None where no row is named."""

    column: str
    rule: str
    row: int | None
    value: Any
    count: int


def check_frame(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """Hold a frame against its dictionary entry.

    Parameters
    ----------
    table : Table
        The entry.
    frame : DataFrame
        Any row order and index; it is not changed.

    Returns
    -------
    DataFrame
        A new frame: the entry's columns in their order, with its types (string as pandas ``str``, integer as
        ``int64`` or ``Int64`` where values are missing, number ``float64``, boolean ``bool`` or ``boolean``, date
        ``datetime64[us]``), sorted by the primary key.

    Raises
    ------
    ContractError
        Names table, column, rule and the first row that breaks it.
    """
    names = [column.name for column in table.columns]
    missing = [column.name for column in table.columns if column.name not in frame.columns and not column.optional]
    extra = [str(name) for name in frame.columns if name not in names]
    if missing or extra or frame.columns.has_duplicates:
        said = [f"lacks {', '.join(f'`{m}`' for m in missing)}"] if missing else []
        said += [f"has undeclared {', '.join(f'`{e}`' for e in extra)}"] if extra else []
        said += ["names a column twice"] if frame.columns.has_duplicates and not extra else []
        raise ContractError(f"the frame {' and '.join(said)}", where=f"table `{table.name}`",
                            mend=f"give it the columns of data_dictionary/{table.name}.yaml, no more and no fewer")
    if len(frame) < table.minimum_rows:
        raise ContractError(f"{len(frame)} rows where at least {table.minimum_rows} are declared", where=f"table `{table.name}`",
                            mend="see why the step before it produced so few")
    result = typed_frame(table, frame)
    _validate(table, result)
    if table.primary_key:
        result = result.sort_values(list(table.primary_key), kind="stable", ignore_index=True)
    return result


def typed_frame(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """The entry's columns in their order with its types, an optional column that is absent as missing throughout; values
    are not checked against constraints.

    Raises
    ------
    ContractError
        A value is not of the declared type.
    """
    import pandas as pd

    nothing = pd.Series([None] * len(frame), dtype=object)
    typed = {c.name: _typed(table.name, c, frame[c.name] if c.name in frame.columns or not c.optional else nothing) for c in table.columns}
    return pd.DataFrame(typed, columns=[column.name for column in table.columns])


def empty_frame(table: Table) -> pd.DataFrame:
    """A frame of no rows with the entry's columns and types."""
    import pandas as pd

    return typed_frame(table, pd.DataFrame({column.name: pd.Series([], dtype=object) for column in table.columns}))


def _typed(table: str, column: Column, values: pd.Series) -> pd.Series:
    """The values in the declared type; nothing is changed in value."""
    import pandas as pd

    where = f"table `{table}`, column `{column.name}`"
    values = values.reset_index(drop=True)
    try:
        if column.type == "string":
            present = values.astype(object).dropna()
            if len(present) and not isinstance(values.dtype, pd.StringDtype):
                wrong = ~present.map(lambda v: isinstance(v, str))
                if wrong.any():
                    raise TypeError(f"row {wrong.idxmax()} holds {present[wrong.idxmax()]!r:.40}")
            return values.astype("str").where(values.notna(), None).astype("str")
        if column.type == "boolean":
            if not (pd.api.types.is_bool_dtype(values.dtype) or values.dropna().map(pd.api.types.is_bool).all()):
                raise TypeError("values other than true and false")
            nullable = values.astype("boolean")
            return nullable if nullable.isna().any() else nullable.astype(bool)
        if column.type == "date":
            if not pd.api.types.is_datetime64_any_dtype(values.dtype):
                wrong = ~values.dropna().map(lambda v: isinstance(v, date) or isinstance(v, str) and bool(_ISO_DATE.fullmatch(v)))
                if wrong.any():
                    raise TypeError(f"row {wrong.idxmax()} is no date and no text of the form YYYY-MM-DD")
            dates = pd.to_datetime(values, format=None if pd.api.types.is_datetime64_any_dtype(values.dtype) else "ISO8601")
            if dates.dt.tz is not None or (dates.dropna() != dates.dropna().dt.normalize()).any():
                raise TypeError("values that are not plain dates")
            return dates.astype("datetime64[us]")
        if pd.api.types.is_bool_dtype(values.dtype) or (len(values) and values.dtype == object and values.map(pd.api.types.is_bool).any()):
            raise TypeError("true or false where a number is declared")
        if pd.api.types.is_complex_dtype(values.dtype) or values.dtype.kind in "mM" or isinstance(values.dtype, (pd.DatetimeTZDtype, pd.PeriodDtype)):
            raise TypeError(f"values of type {values.dtype} where a number is declared")
        if column.type == "integer" and values.dtype == object and values.map(lambda v: isinstance(v, numbers_.Integral)).any():
            present = values.dropna()
            if not present.map(lambda v: isinstance(v, numbers_.Integral) and abs(int(v)) < 2**63).all():
                raise TypeError("values that are no whole numbers of 64 bits")
            values = pd.Series(pd.array([None if pd.isna(v) else int(v) for v in values], dtype="Int64"))
        if column.type == "integer" and pd.api.types.is_unsigned_integer_dtype(values.dtype) and (values.dropna() >= 2**63).any():
            raise TypeError("values above 64 bits")
        numbers = values if pd.api.types.is_numeric_dtype(values.dtype) else _numbers(values)
        if column.type == "number":
            return numbers.astype("Float64").astype("float64") if numbers.isna().any() else numbers.astype("float64")
        whole = numbers.astype("Int64")
        return whole if whole.isna().any() else whole.astype("int64")
    except (TypeError, ValueError, OverflowError) as error:
        raise ContractError(f"declared {column.type}, but {error}", where=where,
                            mend=f"write values of type {column.type}, or correct data_dictionary/{table}.yaml") from error


def _numbers(values: pd.Series) -> pd.Series:
    import pandas as pd

    if values.dropna().map(lambda v: isinstance(v, str)).any():
        raise TypeError("text where a number is declared")
    return pd.to_numeric(values)


def _validate(table: Table, frame: pd.DataFrame) -> None:
    """Hold values against the declared constraints; the first fault is named."""
    fault = find_fault(table, frame)
    if fault is None:
        return
    row = "" if fault.row is None else f", row {fault.row}"
    value = "" if table.sensitivity != "aggregate" or fault.value is None else f" (value {fault.value!r:.40})"
    raise ContractError(
        f"{fault.rule}: {rule_in_words(table, fault.column, fault.rule)}{value}; {fault.count} value(s) break a rule of this table",
        where=f"table `{table.name}`, column `{fault.column}`{row}",
        mend=f"correct what is written, or the rule in data_dictionary/{table.name}.yaml")


def find_fault(table: Table, frame: pd.DataFrame) -> Fault | None:
    """The first fault of a typed frame, None if it keeps to its entry.

    Parameters
    ----------
    table : Table
    frame : DataFrame
        As :func:`typed_frame` returns it.
    """
    import pandas as pd
    from pandera.config import ValidationDepth, config_context
    from pandera.errors import SchemaErrors

    try:
        with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            pandera_schema(table).validate(frame, lazy=True)
    except SchemaErrors as error:
        cases: pd.DataFrame = error.failure_cases
        first = cases.iloc[0]
        check = str(first["check"])
        rule = {"not_nullable": "missing", "multiple_fields_uniqueness": "repeated key", "field_uniqueness": "repeated value"}.get(check, check)
        by_name = {r.name: r.column for r in table.rules} | {rule: column.name for column, rule in rules_of_codes(table)}
        column = str(first["column"]) if first["schema_context"] == "Column" else by_name.get(rule, "+".join(table.primary_key))
        row = None if pd.isna(first["index"]) else int(first["index"])
        # pandera lists a row that breaks a rule between columns once for each of its columns.
        of_column = cases["column"].where(cases["schema_context"] == "Column", "")
        count = int((~pd.DataFrame({"column": of_column, "check": cases["check"].astype(str), "row": cases["index"]}).duplicated()).sum())
        value = frame[column].iloc[row] if row is not None and column in frame.columns else first["failure_case"]
        return Fault(column, rule, row, None if pd.isna(value) else value, count)
    return None


def pandera_schema(table: Table):
    """The entry as a pandera schema for DataFrames (types are settled before it is applied). The error of each check is
    the name of the rule."""
    import pandera.pandas as pa

    columns = {c.name: pa.Column(checks=_checks(table, c), nullable=not c.required, unique=c.unique) for c in table.columns}
    between = [pa.Check(lambda frame, rule=rule: ~rule.broken(frame), error=rule.name, ignore_na=False) for rule in table.rules]
    between += [pa.Check(lambda frame, column=column, rule=rule: ~broken_codes(column, frame, rule), error=rule, ignore_na=False)
                for column, rule in rules_of_codes(table)]
    return pa.DataFrameSchema(columns, checks=between, unique=list(table.primary_key) or None, report_duplicates="exclude_first")


def _checks(table: Table, column: Column) -> list:
    import numpy as np
    import pandera.pandas as pa

    checks = []
    if column.type == "number":
        checks.append(pa.Check(lambda values: ~np.isinf(values), error="not finite"))
    if table.extract and column.type == "string":
        checks += [pa.Check(lambda values: values.str.len() > 0, error="missing")] if column.required else []
        checks += [pa.Check(lambda values: values.str.len() <= LONGEST_TEXT, error="too long"),
                   pa.Check(lambda values: ~values.str.contains(CONTROL_CHARACTERS, regex=True), error="control character")]
    if column.minimum is not None:
        checks.append(pa.Check.ge(column.minimum, error="too low"))
    if column.maximum is not None:
        checks.append(pa.Check.le(column.maximum, error="too high"))
    if column.enum is not None:
        allowed = [*column.enum, ""] if table.extract and column.type == "string" else list(column.enum)
        checks.append(pa.Check.isin(allowed, error="not in list"))
    if column.pattern is not None:
        form = re.compile(column.pattern, re.ASCII)
        checks.append(pa.Check(lambda values: values.isin([v for v in values.unique() if form.fullmatch(v) or v == "" and table.extract]), error="form"))
    return checks
