"""The notebooks of a run as a report may show them: each table, figure and sentence cleared, or a notice in its place that says why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluation.errors import GateError
from evaluation.reporting import markup
from evaluation.reporting.disclosure.content import identifiers_in, scan_frame
from evaluation.reporting.disclosure.matching import PEOPLE_COLUMN, HeldBack, Record, Sources, clear_record, known_values
from evaluation.reporting.disclosure.points import judge_points
from evaluation.reporting.disclosure.result import REFUSED, SUPPRESSED, WITHHELD, LogEntry
from evaluation.reporting.disclosure.wording import people_counts
from evaluation.reporting.headline_block import headline_html
from evaluation.reporting.numbers import numbers_without_rows
from evaluation.reporting.text import WITHHELD as SIGN
from evaluation.reporting.text import is_missing, number_text, slug

LEFT_OUT = "A sentence is left out here because it rests on a number that is withheld."
PROTOCOL = "protocol"
_WHOLE = re.compile(r"(?<![\w.,\u00a3/])(?<!Year )(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d*)(?![\w%/]|[.,]\d)")
"""Whole numbers that may count pupils: no money, share, decimal or year group."""

_FEWER = re.compile(r"\bfewer than (\d+)\b", re.I)


@dataclass
class Tally:
    """What clearing a report did, for ``checks.json`` and the disclosure log."""

    shown: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("tables", "figures", "texts"), 0))
    cells_hidden: int = 0
    held_back: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("tables", "figures", "texts", "sentences"), 0))
    log: list[LogEntry] = field(default_factory=list)
    named: int = 0

    def name(self, stage: str, kind: str) -> str:
        """An id that says nothing of what stands under it."""
        self.named += 1
        return "-".join(part for part in (slug(stage), "cleared", kind, str(self.named)) if part)

    def show(self, kind: str) -> None:
        self.shown[kind] += 1

    def hold(self, kind: str, where: str, column: str, reason: str) -> None:
        self.held_back[kind] += 1
        self.log.append(LogEntry(where, "", column, WITHHELD if kind in ("texts", "sentences") else REFUSED, reason))

    def hide(self, where: str, cells: int, named: Sequence[str]) -> None:
        if cells:
            self.cells_hidden += cells
            self.log.append(LogEntry(where, "", "", SUPPRESSED, f"{cells} {'cell' if cells == 1 else 'cells'} withheld as in {' and '.join(named)}"))


def clear_notebook(stage: str, notebook: Mapping[str, Any], sources: Sources, protocol: Mapping[str, Any], tally: Tally) -> dict[str, Any]:
    """Return a copy of an executed notebook that shows only what may leave the run.

    Parameters
    ----------
    stage : str
    notebook : mapping
        As it was executed.
    sources : Sources
        The run's tables as they were cleared.
    protocol : mapping
        Registered values: a text that names ``protocol`` may state them.
    tally : Tally
        What was shown and held back is added to it.

    Raises
    ------
    GateError
        The prose of a cell states a number of people below the threshold: it is typed, so that nothing can be hidden in it.
    """
    cells = []
    for position, cell in enumerate(notebook["cells"]):
        where = f"{stage}/{cell.get('id') or f'cell-{position + 1}'}"
        if cell.get("cell_type") == "markdown":
            _check_prose(_text(cell.get("source", "")), where, sources)
            cells.append(cell)
        else:
            outputs = [_cleared_output(output, where, sources, protocol, tally) for output in cell.get("outputs", ())]
            cells.append({**cell, "outputs": [output for output in outputs if output is not None]} if "outputs" in cell else cell)
    return {**notebook, "cells": cells}


def _check_prose(text: str, where: str, sources: Sources) -> None:
    """Prose is typed and held against no table: a few pupils in it, in digits, refuse the report."""
    few = [c.value for c in people_counts(text) if 0 < c.value < sources.clearance.profile.threshold]
    if any(re.search(rf"(?<![\d.,]){value} (?:[\w-]+ ){{0,2}}(?:pupils?|child(?:ren)?|referrals?|people|persons?|famil(?:y|ies))\b", text) for value in few):
        raise GateError("the report was not written: the prose of a cell states a number of people below the threshold", where=where,
                        mend="take the number out of the prose; a sentence with numbers is built from rows and shown with show_text")


def _cleared_output(output: Mapping[str, Any], where: str, sources: Sources, protocol: Mapping[str, Any], tally: Tally) -> dict[str, Any] | None:
    mark = output.get("metadata", {}).get("evaluation") or {}
    makers: dict[str, Callable[..., str]] = {"table": _table, "figure": _figure, "headline": _headline}
    if mark.get("kind") == "text":
        html = _sentences(mark, where, sources, protocol, tally)
    elif mark.get("kind") in makers:
        html = makers[mark["kind"]](mark, _text(output["data"]["text/html"]), where, sources, tally)
    elif _text(output.get("text", "")).strip() or output.get("data"):
        tally.hold("texts", where, "", "printed text is not held against any table")
        return None
    else:
        return dict(output)
    kept = {name: mark[name] for name in ("kind", "stage", "label") if name in mark}
    return {**output, "data": {"text/html": html, "text/plain": ""}, "metadata": {"evaluation": kept}}


def _table(mark: Mapping[str, Any], html: str, where: str, sources: Sources, tally: Tally) -> str:
    del html
    caption, identifier, label = mark["caption"], mark["id"], mark.get("label")
    try:
        _refuse_words([caption], sources)
        record = _clear(mark, f"table {identifier}", sources, tally)
    except HeldBack as why:
        caption, identifier = _safe(caption, identifier, "table", mark, sources, tally)
        tally.hold("tables", f"table {identifier}", "", str(why))
        return markup.held_back_html("table", caption, str(why), identifier, label)
    tally.show("tables")
    return markup.record_html(record, caption=caption, identifier=identifier, label=label)


def _figure(mark: Mapping[str, Any], html: str, where: str, sources: Sources, tally: Tally) -> str:
    caption, identifier, label = mark["caption"], mark["id"], mark.get("label")
    try:
        judge_figure(mark, sources)
        record = _clear(mark, f"figure {identifier}", sources, tally)
    except HeldBack as why:
        caption, identifier = _safe(caption, identifier, "figure", mark, sources, tally)
        tally.hold("figures", f"figure {identifier}", "", str(why))
        notice = markup.held_back_html("figure", caption, str(why), identifier, label)
        return notice + _numbers_alone(mark, sources, tally)
    tally.show("figures")
    drawing, end, _ = html.partition("</figure>")
    return f"{drawing}{end}{markup.numbers_html(record, caption=caption, identifier=identifier, label=label)}"


def _numbers_alone(mark: Mapping[str, Any], sources: Sources, tally: Tally) -> str:
    """The numbers of a figure that is held back, as far as they may be shown."""
    if "table" not in mark or mark.get("about"):
        return ""
    try:
        _refuse_words([mark["caption"]], sources)
        record = _clear(mark, f"figure {mark['id']}", sources, tally)
    except HeldBack:
        return ""
    return markup.numbers_html(record, caption=mark["caption"], identifier=mark["id"], label=mark.get("label"))


def judge_figure(mark: Mapping[str, Any], sources: Sources) -> int | None:
    """Fewest pupils behind a point of a shown figure; None where it is about no pupils.

    Parameters
    ----------
    mark : mapping
        What ``show_figure`` noted of it.
    sources : Sources

    Raises
    ------
    HeldBack
        The figure may not leave.
    """
    if "table" not in mark:
        raise HeldBack("what it plots was not noted when it was shown")
    if mark.get("about"):
        _refuse_words([mark["caption"], mark["alt"]], sources)
        _look_through(mark["table"])
        return None
    smallest = judge_points(mark["table"], mark["source"], sources)
    _refuse_words([mark["caption"]], sources)
    columns = [column["values"] for column in mark["table"]["columns"]]
    values = _as_rows([*(v for column in columns for v in column), mark["table"]["rows"], *(n for column in columns for n in Counter(v for v in column if isinstance(v, str)).values()),
                       *(int(n) for column in columns for v in column if isinstance(v, str) for n in re.findall(r"\d{1,9}", v))])
    whole = [number for words in mark.get("drawn", ()) for number in _WHOLE.findall(words)]
    if any(numbers_without_rows(number, {"plotted": values}) for number in whole):
        raise HeldBack("its drawing says a number that is not among those plotted")
    plotted = {v for column in mark["table"]["columns"] for v in column["values"] if isinstance(v, (int, float)) and not isinstance(v, bool)}
    if reason := sources.wrong(mark["alt"], plotted):  # what is plotted unhidden may be said
        raise HeldBack(f"in its words, {reason}")
    if kinds := identifiers_in(mark["alt"]):
        raise HeldBack(f"its words hold what looks like a {kinds[0]}")
    return smallest


def _clear(mark: Mapping[str, Any], where: str, sources: Sources, tally: Tally) -> Record:
    """The record of a shown table as it may be shown."""
    if mark.get("about"):
        _look_through(mark["table"])
        return mark["table"]
    cleared = clear_record(mark["table"], mark["source"], sources)
    tally.hide(where, cleared.hidden, mark["source"])
    if cleared.left_out or cleared.rows_left_out:
        tally.log.append(LogEntry(where, "", ", ".join(cleared.left_out), WITHHELD, "no table that may leave holds it" if cleared.left_out else f"{cleared.rows_left_out} rows may not leave"))
    return cleared.record


def _look_through(record: Record) -> None:
    """What says that it is about no pupils must hold none.

    Raises
    ------
    HeldBack
        It holds an identifier or a column of people.
    """
    import pandas as pd

    frame = pd.DataFrame({place: pd.Series(column["values"], dtype=object) for place, column in enumerate(record["columns"])})
    found = scan_frame(frame.rename(columns=lambda place: record["columns"][place]["name"]).loc[:, lambda f: ~f.columns.duplicated()])
    if found:
        raise HeldBack(f"it is said to be about no pupils, but {found[0].rule}")
    for column in record["columns"]:
        numbers = [v for v in column["values"] if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if numbers and all(float(v).is_integer() for v in numbers) and (PEOPLE_COLUMN.search(column["name"]) or PEOPLE_COLUMN.search(column["head"])):
            raise HeldBack(f"it is said to be about no pupils, but the column {column['head']} counts people")


def _refuse_words(texts: Sequence[str], sources: Sources) -> None:
    for text in texts:
        if kinds := identifiers_in(text):
            raise HeldBack(f"its words hold what looks like a {kinds[0]}")
        if reason := sources.wrong(text):
            raise HeldBack(f"in its words, {reason}")


def _safe(caption: str, identifier: str, kind: str, mark: Mapping[str, Any], sources: Sources, tally: Tally) -> tuple[str, str]:
    """Caption and id for a notice; neither where the caption itself may not be shown, since the id repeats it."""
    if sources.wrong(caption) or identifiers_in(caption):
        return "its words are withheld", tally.name(str(mark.get("stage") or ""), kind)
    return caption, identifier


def _headline(mark: Mapping[str, Any], html: str, where: str, sources: Sources, tally: Tally) -> str:
    """The headline block, each sentence as it was cleared."""
    import pandas as pd

    del html
    columns = {column["name"]: column["values"] for column in mark["table"]["columns"]}
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    source = sources.tables.get("headline")
    for row in frame.index:
        found = source.rows(["key", "text"], [columns["key"][row], columns["text"][row]]) if source is not None else []
        at = source.place[found[0]] if len(found) == 1 and source is not None else None
        if source is not None and at is not None:
            for name in ("value", "conf_low", "conf_high"):
                frame.at[row, name] = _as_released(source.cleared.frame.at[at, name]) if name in source.cleared.frame else None
            continue
        frame.at[row, "text"] = LEFT_OUT
        for name in ("value", "conf_low", "conf_high"):
            if not is_missing(frame.at[row, name]):
                frame.at[row, name] = SIGN
        tally.hold("sentences", "headline", str(columns["key"][row]), "it is not among the cleared sentences of the table headline")
    tally.show("texts")
    return headline_html(frame, mark["titles"], mark["id"], mark.get("label"))


def _as_released(value: Any) -> Any:
    """A number with the digits that it is released with."""
    return None if is_missing(value) else number_text(value, len(f"{float(value):.6f}".rstrip("0").partition(".")[2]))


def _sentences(mark: Mapping[str, Any], where: str, sources: Sources, protocol: Mapping[str, Any], tally: Tally) -> str:
    """A text, each paragraph and item that rests on something withheld replaced by a sentence that says so."""
    given, identifier = mark["rows"], tally.name(str(mark.get("stage") or ""), "text")  # the id in the notebook repeats the text's first words
    named = list(given)
    records = {name: _rows_behind(name, record, sources) for name, record in given.items()} if isinstance(given, Mapping) else {}
    known: dict[str, Any] = {}
    for name in named:
        if name in records:
            if "held" not in records[name]:
                known[name] = _as_rows([v for v in records[name]["known"] if not (_is_place(v) and _holds_sentences(name, sources))])
        elif table_of(name) == PROTOCOL:
            known[name] = _as_rows(_leaves(protocol))
        elif (source := sources.tables.get(table_of(name))) is not None:
            known[name] = known_values([(source, row) for row in _rows_named(name, source.raw)])
            if _holds_sentences(name, sources):
                known[name] = known[name].loc[~known[name]["value"].map(_is_place)]
    blocks, gone = [], 0
    for block in _blocks(mark["sentence"]):
        lines = []
        for line in block:
            if reason := _wrong_sentence(line, known, sources):
                gone += 1
                tally.hold("sentences", f"text of cell {where}", "", reason)
                line = f"- {LEFT_OUT}" if line.startswith("- ") else LEFT_OUT
            if not lines or lines[-1] != line or LEFT_OUT not in line:
                lines.append(line)
        blocks.append("\n".join(lines))
    tally.show("texts")
    rows = {name: record.get("shown", record) for name, record in records.items()} if isinstance(given, Mapping) else named
    for name, record in records.items():
        if "held" in record:
            tally.hold("tables", f"rows of {name} behind a text of cell {where}", "", record["held"])
        else:
            tally.hide(f"rows of {name} behind a text of cell {where}", record["hidden"], [table_of(name)])
    opening = "a sentence that is left out" if blocks and blocks[0].removeprefix("- ").startswith(LEFT_OUT) else ""
    return markup.sentence_html("\n\n".join(blocks), rows, identifier, mark.get("label"), mark.get("part", ""), opening)


def _blocks(sentence: str) -> Iterator[list[str]]:
    """Paragraphs as one line each, lists as a line for each item."""
    for block in sentence.strip().split("\n\n"):
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        if lines:
            yield lines if all(line.startswith("- ") for line in lines) else [" ".join(lines)]


def table_of(name: str) -> str:
    """Table of ``"table"``, ``"table: remark"`` or ``"table (remark)"``."""
    return re.split(r"[:(]", name, maxsplit=1)[0].strip()


def _rows_named(name: str, raw: Mapping[str, Sequence[Any]]) -> list[int]:
    """Rows of a table in which a word after the colon stands; all where none does."""
    words = {word.strip() for word in name.partition(":")[2].split(",") if word.strip()}
    size = len(next(iter(raw.values()), ()))
    rows = [row for row in range(size) if any(values[row] in words for values in raw.values())]
    return rows or list(range(size))


def _tells_of_no_pupil(name: str, sources: Sources) -> bool:
    """Whether rows are of registered values, or of a table that is about none of the study's pupils."""
    return table_of(name) == PROTOCOL or sources.tables[table_of(name)].public


def _holds_sentences(name: str, sources: Sources) -> bool:
    """Whether rows are sentences that the gate judged: what they say of people may be said again, and no other number of theirs counts anyone."""
    return table_of(name) != PROTOCOL and sources.tables[table_of(name)].cleared.spec.about == "sentences"


def _is_place(value: Any) -> bool:
    """Whether a value is a whole number, which in a table of sentences is a place in their order."""
    return isinstance(value, int) and not isinstance(value, bool)


def _rows_behind(name: str, record: Record, sources: Sources) -> dict[str, Any]:
    """The rows behind a text as they may be shown, and the raw values of what is shown; or why they are held back."""
    try:
        if table_of(name) == PROTOCOL:
            _look_through(record)
            return {"shown": record, "known": [v for column in record["columns"] for v in column["values"]], "hidden": 0}
        cleared = clear_record(record, [table_of(name)], sources)
    except HeldBack as why:
        return {"held": str(why)}
    return {"shown": cleared.record, "known": cleared.known, "hidden": cleared.hidden}


def _as_rows(values: Sequence[Any]) -> Any:
    import pandas as pd

    return pd.DataFrame({"value": pd.Series(list(values), dtype=object)})


def _leaves(value: Any) -> list[Any]:
    """Every registered value, and how many stand in each list."""
    if isinstance(value, Mapping):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, (list, tuple)):
        return [len(value), *(leaf for inner in value for leaf in _leaves(inner))]
    return [value]


def _wrong_sentence(line: str, known: Mapping[str, Any], sources: Sources) -> str:
    """Why a paragraph may not be shown: a number in it stands in no row that may leave, or it counts people otherwise than these rows do."""
    if kinds := identifiers_in(line):
        return f"it holds what looks like a {kinds[0]}"
    if not known and (reason := sources.wrong(line)):
        return reason
    threshold = sources.clearance.profile.threshold
    public = {name: frame for name, frame in known.items() if _tells_of_no_pupil(name, sources)}
    whole = {v for frame in known.values() for v in frame["value"].tolist() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    judged = {count.value for name, frame in known.items() if _holds_sentences(name, sources) for text in frame["value"].tolist() if isinstance(text, str) for count in people_counts(text)}
    for count in people_counts(line):
        if count.value == 0 or count.value in judged or not numbers_without_rows(f"{count.value:,}", public):
            continue
        if count.value < threshold or (not count.bound and count.value not in whole):
            return "it states a number of people that is withheld or too small"
    said = _FEWER.sub(lambda match: "fewer than a few" if int(match[1]) == threshold else match[0], line)
    missing = numbers_without_rows(said, known)
    return f"{len(missing)} of its numbers stand in no row that may leave" if missing else ""


def _text(source: Any) -> str:
    return source if isinstance(source, str) else "".join(source)
