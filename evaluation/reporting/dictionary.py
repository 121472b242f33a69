"""The data dictionary as people read it: a page, a workbook, the meta rows of open data, and the tables in SQL."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.registers.entries import Column, Table, load_table, table_names
from evaluation.registers.rules import duckdb_table
from evaluation.registers.wording import column_rules_in_words

from .text import slug, spreadsheet_safe

if TYPE_CHECKING:
    import pandas as pd

SENSITIVITY_WORDS = {
    "aggregate": "About no single pupil", "pseudonymous": "About single pupils, under a pseudonym", "personal": "Identifies a person: never kept",
}
SUPPLIED, PUBLISHED = "Tables that are supplied", "Published tables"
# In the order in which a reader meets them; others follow by name.
STAGES = ("registers", "cohort", "matching", "impact", "delivery", "value for money", "area panel", "area comparison", "area impact", "report")
# Forms of the dictionary in words; others are shown as they are.
FORM_WORDS = {
    r"^\d{4}/\d{2}$": "such as 2022/23", r"^\d{4}(/\d{2})?$": "such as 2022/23 or 2023", r"^\d{4}-(0[1-9]|1[0-2])$": "such as 2010-09",
    "^[0-9a-f]{64}$": "64 digits or letters a to f",
}
META_COLUMNS = ("col_name", "col_type", "label", "indicator_grouping", "indicator_unit", "indicator_dp", "filter_hint", "filter_grouping_column")
LONGEST_LABEL, LONGEST_NAME = 80, 50  # limits of Explore Education Statistics
PAGE, WORKBOOK, META, SQL = "data_dictionary.html", "data_dictionary.xlsx", "open_data.meta.csv", "data_dictionary.sql"


@dataclass(frozen=True)
class Group:
    """Tables that stand together on the page: those supplied, or those that one stage writes."""

    title: str
    identifier: str
    tables: tuple[Table, ...]


def dictionary_groups(root: Path) -> tuple[Group, ...]:
    """Every table of the dictionary: supplied ones first, then by the stage that writes them."""
    tables = [load_table(root, name) for name in table_names(root)]
    found: dict[str, list[Table]] = {SUPPLIED: [], PUBLISHED: []}
    for table in tables:
        title = PUBLISHED if table.extract and table.published_sha256 else SUPPLIED if table.extract else f"Made by stage {(table.stage or 'unknown').replace('_', ' ')}"
        found.setdefault(title, []).append(table)
    stages = [f"Made by stage {stage}" for stage in STAGES]
    ordered = [*dict.fromkeys([SUPPLIED, PUBLISHED, *(title for title in stages if title in found), *sorted(found)])]
    return tuple(Group(title, slug(title), tuple(found[title])) for title in ordered if found[title])


def column_frame(table: Table) -> pd.DataFrame:
    """One row per column in words: ``name, holds, type, rules, also, sensitivity``."""
    import pandas as pd

    return pd.DataFrame([{
        "name": c.name, "title": c.title, "holds": c.description, "type": type_words(c), "rules": "; ".join(rules_of(table, c)) or "no rule",
        "also": ", ".join(also_read_as(c)), "sensitivity": SENSITIVITY_WORDS[c.sensitivity],
    } for c in table.columns])


def type_words(column: Column) -> str:
    """Type and unit."""
    kind = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "date": "date (YYYY-MM-DD)"}[column.type]
    return f"{kind}, {column.unit}" if column.unit else kind


def rules_of(table: Table, column: Column) -> list[str]:
    """What is asked of a column, a clause each; limits of all text are left to the page's own words."""
    words = {rule: said for rule, said in column_rules_in_words(column).items() if rule not in ("type", "not finite", "too long", "control character")}
    said = []
    if "missing" in words:
        said.append("required")
    elif column.optional:
        said.append("the column may be left out")
    if column.enum is not None:
        said.append("one of: " + ", ".join(str(v) for v in column.enum))
    said += [{"too low": f"at least {column.minimum}", "too high": f"at most {column.maximum}", "form": FORM_WORDS.get(column.pattern or "", f"of the form {column.pattern}"),
              "repeated value": "each value once"}[rule] for rule in words if rule in ("too low", "too high", "form", "repeated value")]
    if column.code_list:
        said.append(f"a code of the list {column.code_list.replace('_', ' ')}, in use on the day in `{column.valid_by}`")
    for columns, resource, _ in table.foreign_keys:
        said += [f"must be found in `{resource}`"] if column.name in columns else []
    for columns, resource, _ in table.links:
        said += [f"looked up in `{resource}`; a row without a partner stays and is counted"] if column.name in columns else []
    return said


def also_read_as(column: Column) -> list[str]:
    """Other names under which a column is read, with what becomes of raw identifiers and of a source's own values."""
    coded = ", ".join(f"{short} as {long}" for short, long in column.value_names)
    names = [f"{name} ({coded})" if coded else name for name in column.synonyms]
    if column.personal:
        becomes = "cut to year and month" if column.personal.becomes == "month" else "replaced by a keyed pseudonym"
        names += [f"{name} ({becomes})" for name in column.personal.names]
    return names


def table_facts(table: Table) -> list[tuple[str, str]]:
    """What the page says of a table beside its columns, as pairs of term and words."""
    facts = [("Name", f"{table.name}"), ("One row is", table.row.removeprefix("one row per ").capitalize() or "Not stated")]
    facts += [("Comes from", table.source)] if table.source else []
    facts.append(("Key", ", ".join(table.primary_key) or "None"))
    facts.append(("Sensitivity", SENSITIVITY_WORDS[table.sensitivity]))
    if table.optional:
        facts.append(("May be left out", "Yes"))
    if table.simulator:
        facts.append(("In simulated data", table.simulator))
    return facts


def open_data_meta(root: Path) -> pd.DataFrame:
    """Meta rows of every column that has an open-data label, once each.

    Returns
    -------
    DataFrame
        ``META_COLUMNS``, as Explore Education Statistics reads them: text and true or false are filters, numbers are
        indicators; whole numbers have 0 decimals, others 1, money 2.

    Raises
    ------
    ContractError
        A label or a name is longer than allowed, or two columns of one name have different labels.
    """
    import pandas as pd

    from evaluation.errors import ContractError

    rows: dict[str, dict[str, Any]] = {}
    for name in table_names(root):
        for column in load_table(root, name).columns:
            if column.open_data_label is None:
                continue
            row = _meta_row(column)
            if len(row["label"]) > LONGEST_LABEL or len(row["col_name"]) > LONGEST_NAME or rows.get(column.name, row) != row:
                raise ContractError(f"field `{column.name}`: its open-data label is too long, or differs from that of another table", where=f"data_dictionary/{name}.yaml",
                                    mend=f"give one label of at most {LONGEST_LABEL} characters")
            rows[column.name] = row
    return pd.DataFrame([rows[name] for name in sorted(rows)], columns=list(META_COLUMNS))


def _meta_row(column: Column) -> dict[str, Any]:
    number = column.type in ("integer", "number")
    unit = (column.unit or "").split(" ")[0]
    unit = unit if unit in ("%", "pp", "£", "£m") else ""
    decimals = 0 if column.type == "integer" else 2 if unit.startswith("£") else 1
    return {"col_name": column.name, "col_type": "Indicator" if number else "Filter", "label": column.open_data_label, "indicator_grouping": "",
            "indicator_unit": unit if number else "", "indicator_dp": str(decimals) if number else "", "filter_hint": "" if number else column.title,
            "filter_grouping_column": ""}


def page_html(root: Path) -> str:
    """The dictionary as one accessible page that loads nothing from elsewhere."""
    groups = dictionary_groups(root)
    style = (Path(__file__).parent / "render" / "report.css").read_text(encoding="utf-8")
    supplied = sum(len(g.tables) for g in groups if g.title in (SUPPLIED, PUBLISHED))
    return _template().render(groups=groups, style=style, facts=table_facts, columns=lambda t: column_frame(t).to_dict("records"), supplied=supplied,
                              total=sum(len(g.tables) for g in groups)) + "\n"


@lru_cache(maxsize=1)
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("dictionary.html.j2")


def workbook_sheets(root: Path) -> dict[str, pd.DataFrame]:
    """Frames of the workbook: every table, every column, and the rules between columns; text that a spreadsheet would run is neutralised."""
    import pandas as pd

    tables = [t for g in dictionary_groups(root) for t in g.tables]
    about = pd.DataFrame([{"Table": t.name, "Title": t.title, "Holds": t.description, "One row is": t.row, "Comes from": t.source or "Not stated",
                           "Key": ", ".join(t.primary_key) or "None", "Sensitivity": SENSITIVITY_WORDS[t.sensitivity],
                           "Supplied": "Yes" if t.extract else "No", "May be left out": "Yes" if t.optional else "No"} for t in tables])
    columns = pd.concat([column_frame(t).assign(table=t.name) for t in tables], ignore_index=True)
    columns = columns.rename(columns={"table": "Table", "name": "Column", "title": "Title", "holds": "Holds", "type": "Type", "rules": "Rules", "also": "Also read as",
                                      "sensitivity": "Sensitivity"})[["Table", "Column", "Title", "Holds", "Type", "Rules", "Also read as", "Sensitivity"]]
    columns["Also read as"] = columns["Also read as"].replace("", "None")
    between = pd.DataFrame([{"Table": t.name, "Rule": r.name, "Says": r.said().replace("`", ""), "How to mend it": r.mend.replace("`", "")} for t in tables for r in t.rules])
    return {"Tables": about.map(spreadsheet_safe), "Columns": columns.map(spreadsheet_safe), "Rules": between.map(spreadsheet_safe)}


def write_dictionary(root: Path, folder: Path) -> tuple[Path, ...]:
    """Write page, workbook, meta rows and SQL into a folder; returns the files."""
    import gptables

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(page_html(root), encoding="utf-8")
    open_data_meta(root).map(spreadsheet_safe).to_csv(folder / META, index=False, lineterminator="\n")
    (folder / SQL).write_text("\n".join(duckdb_table(t) for g in dictionary_groups(root) for t in g.tables), encoding="utf-8")
    titles = {"Tables": "Tables of the evaluation", "Columns": "Columns of every table", "Rules": "Rules between the columns of a row"}
    sheets = {name: gptables.GPTable(table=frame, table_name=f"dictionary_{name.lower()}", title=titles[name], instructions="This worksheet has one table. Names are those of the files.")
              for name, frame in workbook_sheets(root).items()}
    cover = gptables.Cover(title="Data dictionary", intro=["What every table of the evaluation holds, and the rules that its rows must keep."])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gptables warns that there are no notes, and of what pandas will change
        gptables.write_workbook(filename=str(folder / WORKBOOK), sheets=sheets, cover=cover, contentsheet="Contents")
    return tuple(folder / name for name in (PAGE, WORKBOOK, META, SQL))
