"""The data dictionary: what every table holds, and the check that a frame keeps to it."""

from __future__ import annotations

import numbers as numbers_
import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from evaluation.errors import ContractError

if TYPE_CHECKING:
    import pandas as pd

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
TYPES = ("string", "integer", "number", "boolean", "date")
SENSITIVITIES = ("aggregate", "pseudonymous", "personal")


@dataclass(frozen=True)
class Column:
    """One field of a table."""

    name: str
    type: str
    title: str
    description: str
    required: bool
    unique: bool
    minimum: float | None
    maximum: float | None
    enum: tuple[Any, ...] | None
    pattern: str | None
    unit: str | None
    sensitivity: str
    synonyms: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One entry of the data dictionary."""

    name: str
    title: str
    description: str
    row: str
    stage: str | None
    sensitivity: str
    primary_key: tuple[str, ...]
    foreign_keys: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...]
    columns: tuple[Column, ...]
    minimum_rows: int
    published_sha256: tuple[str, ...]
    path: Path

    def column(self, name: str) -> Column:
        """The column called ``name``; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def load_table(root: Path, name: str) -> Table:
    """Read ``data_dictionary/<name>.yaml`` below ``root``.

    Raises
    ------
    ContractError
        The entry is absent or is not in the dictionary's form.
    """
    return _load_table(Path(root) / "data_dictionary" / f"{name}.yaml")


@lru_cache(maxsize=None)
def _load_table(path: Path) -> Table:
    name = path.stem
    if not path.is_file():
        raise ContractError(f"the data dictionary has no table `{name}`", where=f"data_dictionary/{name}.yaml",
                            mend="add the entry, or correct the table's name where it is declared")
    where = f"data_dictionary/{path.name}"
    try:
        entry = yaml.load(path.read_text(encoding="utf-8"), Loader=_SAFE_LOADER)
    except (yaml.YAMLError, ValueError) as error:
        raise ContractError(f"not valid YAML: {' '.join(str(error).split()):.200}", where=where, mend="correct the file") from error
    if not isinstance(entry, dict) or entry.get("name") != name or not entry.get("fields"):
        raise ContractError("an entry needs `name` equal to its file's name, and `fields`", where=where,
                            mend="write the entry in Table Schema form")
    table_sensitivity = entry.get("x-sensitivity", "pseudonymous")
    columns = tuple(_column(field, where, table_sensitivity) for field in entry["fields"])
    names = [column.name for column in columns]
    doubled = sorted({n for n in names if names.count(n) > 1})
    key = tuple(_as_list(entry.get("primaryKey", [])))
    unknown = [k for k in key if k not in names]
    if doubled or unknown or table_sensitivity not in SENSITIVITIES:
        raise ContractError(
            f"fields named twice: {doubled}; key columns that are no fields: {unknown}; sensitivity `{table_sensitivity}`",
            where=where, mend="name each field once, list the key among them, use a known sensitivity")
    foreign = tuple(
        (tuple(_as_list(f["fields"])), f["reference"]["resource"], tuple(_as_list(f["reference"]["fields"])))
        for f in entry.get("foreignKeys", [])
    )
    return Table(
        name=name, title=entry.get("title", name), description=" ".join(str(entry.get("description", "")).split()),
        row=entry.get("x-row", ""), stage=entry.get("x-stage"), sensitivity=table_sensitivity, primary_key=key,
        foreign_keys=foreign, columns=columns, minimum_rows=int(entry.get("x-minimum-rows", 0)),
        published_sha256=tuple(entry.get("x-published-sha256", [])), path=path,
    )


_SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _as_list(value: Any) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _column(field: dict, where: str, table_sensitivity: str) -> Column:
    if not isinstance(field, dict) or "name" not in field or field.get("type") not in TYPES:
        raise ContractError(f"field {field!r:.80} needs a `name` and a `type` out of {', '.join(TYPES)}", where=where,
                            mend="correct the field")
    rules = field.get("constraints", {}) or {}
    unknown = set(rules) - {"required", "minimum", "maximum", "enum", "pattern", "unique"}
    if unknown:
        raise ContractError(f"field `{field['name']}` has constraints that nothing checks: {sorted(unknown)}", where=where,
                            mend="use required, unique, minimum, maximum, enum or pattern")
    return Column(
        name=str(field["name"]), type=field["type"], title=str(field.get("title", field["name"])),
        description=" ".join(str(field.get("description", "")).split()), required=bool(rules.get("required", False)), unique=bool(rules.get("unique", False)),
        minimum=rules.get("minimum"), maximum=rules.get("maximum"),
        enum=tuple(rules["enum"]) if "enum" in rules else None, pattern=rules.get("pattern"), unit=field.get("x-unit"),
        sensitivity=field.get("x-sensitivity", table_sensitivity), synonyms=tuple(field.get("x-synonyms", ())),
    )


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
    missing = [name for name in names if name not in frame.columns]
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
    """The entry's columns in their order with its types; values are not checked against constraints.

    Raises
    ------
    ContractError
        A value is not of the declared type.
    """
    import pandas as pd

    typed = {column.name: _typed(table.name, column, frame[column.name]) for column in table.columns}
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
    """Hold values against the declared constraints with pandera; the first fault is named."""
    import numpy as np
    import pandas as pd

    for column in table.columns:
        if column.type == "number" and np.isinf(frame[column.name].to_numpy(dtype=float, na_value=np.nan)).any():
            row = int(np.isinf(frame[column.name].to_numpy(dtype=float, na_value=np.nan)).argmax())
            raise ContractError("an infinite value", where=f"table `{table.name}`, column `{column.name}`, row {row}",
                                mend="write a missing value where a number does not exist")
    from pandera.config import ValidationDepth, config_context
    from pandera.errors import SchemaErrors

    try:
        with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            pandera_schema(table).validate(frame, lazy=True)
    except SchemaErrors as error:
        cases: pd.DataFrame = error.failure_cases
        first = cases.iloc[0]
        row = "" if pd.isna(first["index"]) else f", row {int(first['index'])}"
        value = "" if table.sensitivity != "aggregate" else f" (value {first['failure_case']!r:.40})"
        name = first["column"] if first["schema_context"] == "Column" else ", ".join(table.primary_key)
        rule = {"not_nullable": "a value is required", "multiple_fields_uniqueness": "the key must be unique"}.get(
            str(first["check"]), str(first["check"]))
        raise ContractError(
            f"{rule}{value}; {len(cases)} value(s) break a rule of this table",
            where=f"table `{table.name}`, column `{name}`{row}",
            mend=f"correct what is written, or the rule in data_dictionary/{table.name}.yaml") from error


def pandera_schema(table: Table):
    """The entry as a pandera schema for DataFrames (types are settled before it is applied)."""
    import pandera.pandas as pa

    columns = {}
    for column in table.columns:
        checks = []
        if column.minimum is not None:
            checks.append(pa.Check.ge(column.minimum, error=f"at least {column.minimum} is declared"))
        if column.maximum is not None:
            checks.append(pa.Check.le(column.maximum, error=f"at most {column.maximum} is declared"))
        if column.enum is not None:
            checks.append(pa.Check.isin(list(column.enum), error=f"one of {list(column.enum)} is declared"))
        if column.pattern is not None:
            checks.append(pa.Check.str_matches(rf"(?:{column.pattern})\Z", error=f"the form {column.pattern} is declared"))
        columns[column.name] = pa.Column(checks=checks, nullable=not column.required, unique=column.unique)
    return pa.DataFrameSchema(columns, unique=list(table.primary_key) or None, report_duplicates="exclude_first")


def table_names(root: Path) -> list[str]:
    """All tables that the dictionary holds, in order of name."""
    return sorted(path.stem for path in (Path(root) / "data_dictionary").glob("*.yaml"))
