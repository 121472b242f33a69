"""The entries of the data dictionary, read from their YAML files: tables, columns, and the rules between columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from evaluation.errors import ContractError

from .row_rules import RowRule, read_rule

TYPES = ("string", "integer", "number", "boolean", "date")
SENSITIVITIES = ("aggregate", "pseudonymous", "personal")
CONSTRAINTS = ("required", "unique", "minimum", "maximum", "enum", "pattern")
FIELD_KEYS = (
    "name", "type", "title", "description", "constraints", "x-unit", "x-sensitivity", "x-synonyms", "x-optional", "x-personal", "x-value-names",
    "x-code-list", "x-open-data-label", "x-simulator",
)
TABLE_KEYS = (
    "name", "title", "description", "source", "primaryKey", "foreignKeys", "missingValues", "fields", "x-row", "x-stage", "x-sensitivity", "x-extract",
    "x-optional", "x-links", "x-rules", "x-minimum-rows", "x-published-sha256", "x-simulator", "x-layouts",
    "x-disclosure",
)
LAYOUT_KEYS = ("name", "description", "fields")


@dataclass(frozen=True)
class Personal:
    """Names under which a column arrives with raw identifiers, their form (``upn`` or none), and what intake makes of
    them: a keyed ``pseudonym``, or the ``month`` of a date."""

    names: tuple[str, ...]
    becomes: str
    form: str | None


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
    optional: bool = False
    personal: Personal | None = None
    value_names: tuple[tuple[str, str], ...] = ()
    code_list: str | None = None
    valid_by: str | None = None
    open_data_label: str | None = None
    simulator: str | None = None


@dataclass(frozen=True)
class Layout:
    """Another form in which a table may arrive; ``columns`` stand in place of those that it puts together."""

    name: str
    description: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Table:
    """One entry of the data dictionary.

    ``foreign_keys`` are held row by row; ``links`` name the same kind of reference where a row without a partner stays
    and is counted. ``extract`` says that the table comes from a supplier, ``optional`` that its file may be absent.
    """

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
    extract: bool = False
    optional: bool = False
    links: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = ()
    rules: tuple[RowRule, ...] = ()
    source: str = ""
    simulator: str | None = None
    layouts: tuple[Layout, ...] = ()
    layout: str = "long"
    disclosure: dict[str, Any] | None = field(default=None, hash=False)

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


def table_names(root: Path) -> list[str]:
    """All tables that the dictionary holds, in order of name."""
    return sorted(path.stem for path in (Path(root) / "data_dictionary").glob("*.yaml"))


@lru_cache(maxsize=None)
def _load_table(path: Path) -> Table:
    name = path.stem
    if not path.is_file():
        raise ContractError(f"the data dictionary has no table `{name}`", where=f"data_dictionary/{name}.yaml",
                            mend="add the entry, or correct the table's name where it is declared")
    where = f"data_dictionary/{path.name}"
    entry = _read(path, name, where)
    sensitivity = entry.get("x-sensitivity", "pseudonymous")
    columns = tuple(_column(field, where, sensitivity) for field in entry["fields"])
    names = [column.name for column in columns]
    key = tuple(_as_list(entry.get("primaryKey", [])))
    _check_names(where, names, key, sensitivity)
    _check_aliases(where, columns)
    return Table(
        name=name, title=entry.get("title", name), description=_one_line(entry.get("description", "")), row=entry.get("x-row", ""),
        stage=entry.get("x-stage"), sensitivity=sensitivity, primary_key=key, foreign_keys=_references(entry, "foreignKeys", where),
        columns=columns, minimum_rows=int(entry.get("x-minimum-rows", 0)), published_sha256=tuple(entry.get("x-published-sha256", [])),
        path=path, extract=bool(entry.get("x-extract", False)), optional=bool(entry.get("x-optional", False)),
        links=_references(entry, "x-links", where), rules=tuple(read_rule(rule, {c.name: c.type for c in columns}, where) for rule in entry.get("x-rules", [])),
        source=_one_line(entry.get("source", "")), simulator=entry.get("x-simulator"),
        layouts=tuple(_layout(layout, where, sensitivity) for layout in entry.get("x-layouts", [])),
        disclosure=entry.get("x-disclosure"),
    )


def _layout(given: dict, where: str, sensitivity: str) -> Layout:
    _refuse_unknown(given, LAYOUT_KEYS, "a layout", where)
    return Layout(str(given["name"]), _one_line(given.get("description", "")), tuple(_column(field, where, sensitivity) for field in given.get("fields", [])))


_SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _read(path: Path, name: str, where: str) -> dict:
    try:
        entry = yaml.load(path.read_text(encoding="utf-8"), Loader=_SAFE_LOADER)
    except (yaml.YAMLError, ValueError) as error:
        raise ContractError(f"not valid YAML: {_one_line(error):.200}", where=where, mend="correct the file") from error
    if not isinstance(entry, dict) or entry.get("name") != name or not entry.get("fields"):
        raise ContractError("an entry needs `name` equal to its file's name, and `fields`", where=where,
                            mend="write the entry in Table Schema form")
    _refuse_unknown(entry, TABLE_KEYS, "the entry", where)
    return entry


def _refuse_unknown(given: dict, known: tuple[str, ...], what: str, where: str) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ContractError(f"{what} has keys that nothing reads: {', '.join(map(str, unknown))}", where=where,
                            mend=f"use {', '.join(known)}")


def _check_names(where: str, names: list[str], key: tuple[str, ...], sensitivity: str) -> None:
    doubled = sorted({n for n in names if names.count(n) > 1})
    unknown = [k for k in key if k not in names]
    if doubled or unknown or sensitivity not in SENSITIVITIES:
        raise ContractError(
            f"fields named twice: {doubled}; key columns that are no fields: {unknown}; sensitivity `{sensitivity}`",
            where=where, mend="name each field once, list the key among them, use a known sensitivity")


def _check_aliases(where: str, columns: tuple[Column, ...]) -> None:
    """No name, synonym or personal name may stand for two columns."""
    seen: dict[str, str] = {}
    for column in columns:
        for alias in {plain(a) for a in (column.name, *column.synonyms, *(column.personal.names if column.personal else ()))}:
            if alias in seen:
                raise ContractError(f"`{alias}` stands for both `{seen[alias]}` and `{column.name}`", where=where, mend="give each name to one column")
            seen[alias] = column.name


def _references(entry: dict, key: str, where: str) -> tuple:
    try:
        return tuple((tuple(_as_list(f["fields"])), f["reference"]["resource"], tuple(_as_list(f["reference"]["fields"]))) for f in entry.get(key, []))
    except (TypeError, KeyError) as error:
        raise ContractError(f"`{key}` is not in Table Schema form", where=where, mend="give fields, and reference with resource and fields") from error


def plain(name: str) -> str:
    """A column name without case, spaces, underscores and hyphens: names that agree in it mean the same column."""
    return "".join(c for c in name.casefold() if c not in " _-")


def _one_line(value: Any) -> str:
    return " ".join(str(value).split())


def _as_list(value: Any) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _column(field: dict, where: str, table_sensitivity: str) -> Column:
    if not isinstance(field, dict) or "name" not in field or field.get("type") not in TYPES:
        raise ContractError(f"field {field!r:.80} needs a `name` and a `type` out of {', '.join(TYPES)}", where=where,
                            mend="correct the field")
    name = str(field["name"])
    _refuse_unknown(field, FIELD_KEYS, f"field `{name}`", where)
    rules = field.get("constraints", {}) or {}
    unknown = set(rules) - set(CONSTRAINTS)
    sensitivity = field.get("x-sensitivity", table_sensitivity)
    if unknown or sensitivity not in SENSITIVITIES:
        raise ContractError(f"field `{name}` has constraints that nothing checks: {sorted(unknown)}, or sensitivity `{sensitivity}`", where=where,
                            mend=f"use {', '.join(CONSTRAINTS)}, and {', '.join(SENSITIVITIES)}")
    code_list = field.get("x-code-list") or {}
    return Column(
        name=name, type=field["type"], title=str(field.get("title", name)), description=_one_line(field.get("description", "")),
        required=bool(rules.get("required", False)), unique=bool(rules.get("unique", False)), minimum=rules.get("minimum"), maximum=rules.get("maximum"),
        enum=tuple(rules["enum"]) if "enum" in rules else None, pattern=rules.get("pattern"), unit=field.get("x-unit"), sensitivity=sensitivity,
        synonyms=tuple(field.get("x-synonyms", ())), optional=bool(field.get("x-optional", False)), personal=_personal(field, where),
        value_names=tuple((str(k), str(v)) for k, v in (field.get("x-value-names") or {}).items()), code_list=code_list.get("name"),
        valid_by=code_list.get("valid_by"), open_data_label=field.get("x-open-data-label"), simulator=field.get("x-simulator"),
    )


def _personal(field: dict, where: str) -> Personal | None:
    given = field.get("x-personal")
    if given is None:
        return None
    fits = isinstance(given, dict) and set(given) <= {"names", "becomes", "form"} and given.get("names") and given.get("becomes") in ("pseudonym", "month")
    if not fits or given.get("form") not in (None, "upn") or field["type"] != "string":
        raise ContractError(f"field `{field['name']}`: `x-personal` needs names, and becomes out of pseudonym, month; form is upn or left out", where=where,
                            mend="correct the field; it must be of type string")
    return Personal(tuple(given["names"]), given["becomes"], given.get("form"))
