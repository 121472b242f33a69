"""The record of a run at the end of the technical edition: how to repeat it, what went in, and every table that came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evaluation.reporting.markup import TABLE_PREFIX, plain_table_html
from evaluation.reporting.render.prose import Heading
from evaluation.reporting.text import escape, number_text

if TYPE_CHECKING:
    from evaluation.reporting.render.model import ReportMeta

SHORT_DIGEST = 16
"""Characters of a digest that are printed; the whole stands in run.json."""


def record_parts(meta: ReportMeta) -> list[tuple[Heading, str]]:
    """Return the parts of the record, each with its heading and its HTML; none where nothing is known.

    Parameters
    ----------
    meta : ReportMeta
        Its ``origin`` and ``tables`` are told.
    """
    parts = []
    if meta.origin:
        parts.append((Heading(3, "record-repeat", "How to repeat this run"), _repeat(meta.origin, bool(meta.profile))))
        if meta.origin.get("inputs"):
            parts.append((Heading(3, "record-inputs", "What went in"), _inputs(meta.origin["inputs"], meta.label, bool(meta.profile))))
    if meta.tables:
        parts.append((Heading(3, "record-tables", "Every result table of this run"), _tables(meta.tables, meta.label, bool(meta.profile))))
    return parts


def _repeat(origin: Mapping[str, Any], cleared: bool) -> str:
    commit = origin.get("commit")
    state = "a checkout without version control" if not commit else f"commit <code>{escape(commit[:12])}</code>{', with changes that are not in it' if origin.get('dirty') else ''}"
    versions = ", ".join(f"{escape(name)} {escape(version)}" for name, version in sorted(origin.get("versions", {}).items()))
    where = "the digests of the tables, in run.json and in the working edition," if cleared else "the digests below"
    return (
        f"<p>Check out {state}, install with <code>constraints.txt</code> and give the command <code>{escape(str(origin.get('command', '')))}</code> with the inputs below. "
        f"The seed is {origin.get('seed')}. The run used Python {escape(str(origin.get('python')))} with {versions}. Equal inputs give equal tables, to the last byte; "
        f"{where} show whether they did.</p>"
    )


def _inputs(inputs: Sequence[Mapping[str, Any]], label: str, cleared: bool) -> str:
    """Files read. Their rows count pupils and referrals, so that a cleared edition leaves them out."""
    heads, numeric = (["Table", "File", "SHA-256 begins"], set()) if cleared else (["Table", "File", "Rows", "SHA-256 begins"], {2})
    rows = [[said["table"], said["file"], *([] if cleared else [_count(said["rows"])]), said["sha256"][:SHORT_DIGEST]] for said in inputs]
    return plain_table_html(heads, rows, caption="Files that the run read", identifier="record-inputs-table", label=label, numeric=numeric)


def _tables(tables: Sequence[Mapping[str, Any]], label: str, cleared: bool) -> str:
    """Result tables. A cleared edition tells neither their rows, which count pupils, nor their digests, by which a guess at a withheld number could be tried."""
    heads, numeric = (["Table", "Stage", "Columns", "Sensitivity"], {2}) if cleared else (["Table", "Stage", "Rows", "Columns", "Sensitivity", "SHA-256 begins"], {2, 3})
    rows = [[said["table"], said["stage"].replace("_", " "), *([] if cleared else [_count(said["rows"])]), _count(said["columns"]), said["sensitivity"] or "",
             *([] if cleared else [said["sha256"][:SHORT_DIGEST]])] for said in tables]
    return plain_table_html(heads, rows, caption="Result tables and how sensitive they are" if cleared else "Result tables, their size and how sensitive they are",
                            identifier="record-tables-table", label=label, numeric=numeric, row_ids=[f"{TABLE_PREFIX}{said['table']}" for said in tables])


def _count(value: Any) -> str:
    return "" if value is None else number_text(int(value), 0)
