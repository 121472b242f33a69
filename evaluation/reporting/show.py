"""The only ways in which a notebook shows a result: figure, table, sentence, headline.

Each writes one HTML output with a plain-text fallback and marks it, so that the reports know it as safe.
Alternative text, captions and the plotted numbers are required arguments: a result without them is refused
while the analyst is still looking at it, not when the report is made.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evaluation.errors import ContractError
from evaluation.reporting import markup
from evaluation.reporting.arguments import check_alternative_text, check_caption, check_frame, check_points, check_standing
from evaluation.reporting.headline_block import headline_html
from evaluation.reporting.numbers import numbers_without_rows
from evaluation.reporting.text import SIMULATED, shorten, slug, spreadsheet_safe, visible, visible_lines

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Label = Literal["simulated", "published", "restricted"]
LABELS = ("simulated", "published", "restricted")

HEADLINE_COLUMNS = (
    "position", "key", "text", "value", "conf_low", "conf_high", "unit", "source_table", "source_key",
)  # fmt: skip


@dataclass
class _Context:
    stage: str | None = None
    label: Label | None = None
    figures: Path | None = None
    used: set[str] = field(default_factory=set)

    def identifier(self, kind: str, name: str | None, text: str) -> str:
        """Return an id that no other result of this notebook has, and whose prefix no other stage has."""
        stem = "-".join(part for part in (slug(self.stage or ""), kind, slug(name or text)) if part)
        identifier, copy = stem, 1
        while identifier in self.used:
            copy += 1
            identifier = f"{stem}-{copy}"
        self.used.add(identifier)
        return identifier


class _Shown:
    """What the kernel sends: HTML, plain text for where HTML is not read, and the mark of its kind."""

    def __init__(self, kind: str, identifier: str, html: str, text: str, more: Mapping[str, Any] | None = None):
        self._data = {"text/html": html, "text/plain": text}
        mark = {"kind": kind, "id": identifier, "stage": _context.stage, "label": _context.label}
        self._metadata = {"evaluation": mark | dict(more or {})}

    def __repr__(self) -> str:
        return self._data["text/plain"]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, str], dict[str, Any]]:
        return self._data, self._metadata


_context = _Context()


def set_context(stage: str | None, label: Label | None, figures: Path | None) -> None:
    """Say which stage is showing, what its data are, and where figures are kept beside the notebook.

    Parameters
    ----------
    stage : str or None
        Prefix of every id, so that ids stay unique when notebooks are joined.
    label : {"simulated", "published", "restricted"} or None
        Standing of the data. Simulated results carry words that say so.
    figures : pathlib.Path or None
        Folder for each figure's PNG and plotted numbers; made when first needed. None keeps nothing.

    Raises
    ------
    ContractError
        When the label is not one of the three.
    """
    global _context
    if label is not None and label not in LABELS:
        raise ContractError(f"the label {label!r} is not one of {', '.join(LABELS)}", where="set_context")
    _context = _Context(stage, label, figures)


def show_figure(
    fig: Figure,
    *,
    alt: str,
    caption: str,
    data: pd.DataFrame,
    name: str | None = None,
    units: Mapping[str, str] | None = None,
    decimals: Mapping[str, int] | None = None,
    labels: Mapping[str, str] | None = None,
    source: str | Sequence[str] | None = None,
    about: str | None = None,
) -> None:
    """Show a figure with alternative text, caption and the numbers that it plots.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
        From a figure function of this room.
    alt : str
        What the figure says, for readers who cannot see it: a sentence, not the caption again.
    caption : str
        What the figure shows.
    data : pandas.DataFrame
        The numbers plotted: shown folded under the figure, and written beside it as CSV.
    name : str, optional
        File name and id; otherwise made from the caption.
    units, decimals, labels : mapping, optional
        For the table of plotted numbers, by column.
    source : str or sequence of str, optional
        The written table (or tables) of which ``data`` are rows: by it the figure is held against the disclosure rules. Without it, and
        without ``about``, the figure stands in the working edition alone.
    about : {"no pupils"}, optional
        Says that the figure is about no pupils and needs no source; it is looked through for them all the same.

    Raises
    ------
    ContractError
        When alternative text, caption or data are missing or too short to say anything, no number is there to plot, or ``source`` and
        ``about`` contradict each other.
    """
    from evaluation.reporting.palette import png_bytes

    caption = check_caption(caption, "figure")
    where = f"figure {shorten(caption, 60)!r}"
    alt = check_alternative_text(alt, caption, where)
    check_frame(data, where, "data")
    stated = check_standing(source, about, where)
    check_points(data, where)
    identifier = _context.identifier("figure", name, caption)
    png = png_bytes(fig, SIMULATED if _context.label == "simulated" else None)
    data_file = _keep_beside(identifier, png, data)
    html = markup.figure_html(
        png,
        data,
        alt=alt,
        caption=caption,
        identifier=identifier,
        size=_size(fig),
        label=_context.label,
        data_file=data_file,
        units=units,
        decimals=decimals,
        labels=labels,
    )
    drawn = _drawn_words(fig)
    _close(fig)
    record = markup.table_record(data, units=units, decimals=decimals, labels=labels, whole=data_file or "the frame plotted")
    _display("figure", identifier, html, f"{_plain_caption(caption)}\n{visible(alt)}", {**stated, "caption": caption, "alt": alt, "drawn": drawn, "table": record})


def show_table(
    frame: pd.DataFrame,
    *,
    caption: str,
    units: Mapping[str, str] | None = None,
    decimals: Mapping[str, int] | None = None,
    labels: Mapping[str, str] | None = None,
    max_rows: int = markup.MOST_ROWS,
    source: str | Sequence[str] | None = None,
    about: str | None = None,
    name: str | None = None,
) -> None:
    """Show a table with its caption, units in the headers and a header for every row and column.

    Parameters
    ----------
    frame : pandas.DataFrame
        Shown in its order without its index; the first column heads each row.
    caption : str
        What the table shows.
    units, decimals, labels : mapping, optional
        By column name: unit, digits after the point, header in plain words.
    max_rows : int
        Rows shown at most; a sentence says where the whole is.
    source : str or sequence of str, optional
        The written table (or tables) of which the frame shows rows: by it the table is held against the disclosure rules, and it is named
        when rows are cut. Without it, and without ``about``, the table stands in the working edition alone.
    about : {"no pupils"}, optional
        Says that the table is about no pupils and needs no source; it is looked through for them all the same.
    name : str, optional
        Id; otherwise made from the caption.

    Raises
    ------
    ContractError
        When the caption is missing or too short, the frame has no columns or repeats one, a unit, label or
        number of decimals names a column that is not there, or ``source`` and ``about`` contradict each other.
    """
    caption = check_caption(caption, "table")
    where = f"table {shorten(caption, 60)!r}"
    check_frame(frame, where, "the frame")
    stated = check_standing(source, about, where)
    for argument, mapping in (("units", units), ("decimals", decimals), ("labels", labels)):
        unknown = [key for key in mapping or {} if key not in frame.columns]
        if unknown:
            raise ContractError(
                f"{argument} names columns that are not shown: {', '.join(map(str, unknown))}",
                where=where,
                mend=f"use the frame's columns: {', '.join(map(str, frame.columns))}",
            )
    identifier = _context.identifier("table", name, caption)
    named = stated["source"]
    whole = f"the table{'s' if len(named) > 1 else ''} {' and '.join(named)}" if named else "the tables of this stage"
    record = markup.table_record(frame, units=units, decimals=decimals, labels=labels, max_rows=max_rows, whole=f"{whole} in the run folder")
    html = markup.record_html(record, caption=caption, identifier=identifier, label=_context.label)
    plain = frame.head(20).to_string(index=False) if len(frame) else "No rows."
    _display("table", identifier, html, f"{_plain_caption(caption)}\n{visible_lines(plain)}", {**stated, "caption": caption, "table": record})


def show_text(sentence: str, *, rows: Sequence[str] | Mapping[str, pd.DataFrame] = ()) -> None:
    """Show sentences that were built from result rows.

    Parameters
    ----------
    sentence : str
        Plain text: a blank line begins a new paragraph, lines that begin with "- " make a list.
    rows : mapping of str to pandas.DataFrame, or sequence of str
        The result rows behind the numbers by table, shown folded below and linked from the text; or their names, such as
        ``"estimates: B_referred"``, linked to the table's line in the record of the run; ``"protocol: report"`` for what is registered.
        Tables by their written name, a remark behind it in brackets or after a colon. Of the rows themselves, the output records which
        numbers of the text none of them gives (``numbers_without_rows`` of its mark). A text leaves the working edition only if every
        number in it stands in rows that may leave.

    Raises
    ------
    ContractError
        When there is nothing to show, or a table of rows has no columns.
    """
    if not isinstance(sentence, str) or not sentence.strip():
        raise ContractError("there is no sentence to show", where="show_text")
    identifier = _context.identifier("text", None, sentence)
    part = "summary" if _context.stage == "report" else (_context.stage or "").replace("_", " ")
    more: dict[str, Any] = {"sentence": sentence, "part": part}
    if isinstance(rows, Mapping):
        for table, frame in rows.items():
            check_frame(frame, f"text {shorten(sentence, 60)!r}", f"rows of {table}")
        records = {table: markup.rows_record(table, frame) for table, frame in rows.items()}
        html = markup.sentence_html(sentence, records, identifier, _context.label, part)
        more |= {"rows": records, "numbers_without_rows": numbers_without_rows(sentence, rows)}
    else:
        names = [str(row) for row in rows]
        html = markup.sentence_html(sentence, names, identifier)
        more |= {"rows": names}
    _display("text", identifier, html, visible_lines(sentence), more)


def show_headline(headline: pd.DataFrame, *, titles: Mapping[str, str] | None = None) -> None:
    """Show the headline block from the table ``headline``.

    Parameters
    ----------
    headline : pandas.DataFrame
        Columns of the data dictionary's table ``headline``, one row per sentence.
    titles : mapping, optional
        Item names in plain words by key; otherwise those of the headline block.

    Raises
    ------
    ContractError
        When columns or rows are missing.
    """
    from evaluation.reporting.headline import ITEM_TITLES

    missing = [column for column in HEADLINE_COLUMNS if column not in getattr(headline, "columns", ())]
    if missing or len(headline) == 0:
        raise ContractError(
            f"the headline table lacks {', '.join(missing) or 'rows'}",
            where="headline",
            mend="build it with the headline function of this study's kind",
        )
    identifier = _context.identifier("headline", None, "")
    ordered = headline.sort_values("position", kind="stable")
    html = headline_html(ordered, titles or ITEM_TITLES, identifier, _context.label)
    more = {"table": markup.table_record(ordered[list(HEADLINE_COLUMNS)], codes=True, max_rows=len(ordered)), "titles": dict(titles or ITEM_TITLES)}
    _display("headline", identifier, html, visible_lines("\n".join(ordered["text"])), more)


def _display(kind: str, identifier: str, html: str, text: str, more: Mapping[str, Any] | None = None) -> None:
    from IPython.display import display

    display(_Shown(kind, identifier, html, text, more))


def _plain_caption(caption: str) -> str:
    return f"{SIMULATED}. {visible(caption)}" if _context.label == "simulated" else visible(caption)


def _size(fig: Figure) -> tuple[float, float]:
    from evaluation.reporting.palette import LABEL_STRIP_INCHES

    width, height = fig.get_size_inches()
    return float(width), float(height) + (LABEL_STRIP_INCHES if _context.label == "simulated" else 0.0)


def _drawn_words(fig: Figure) -> list[str]:
    """Texts with a number that the drawing itself holds, the scale of its axes apart."""
    from matplotlib.text import Text

    scale = {id(label) for axes in fig.axes for axis in (axes.xaxis, axes.yaxis) for label in (*axis.get_ticklabels(which="both"), axis.get_offset_text())
             if not any(letter.isalpha() for letter in label.get_text())}
    texts = (text.get_text() for text in fig.findobj(Text) if id(text) not in scale and text.get_visible())
    return sorted({" ".join(text.split()) for text in texts if any(letter.isdigit() for letter in text)})


def _keep_beside(identifier: str, png: bytes, data: pd.DataFrame) -> str | None:
    """Write the drawing and its numbers beside the notebook; return the name of the file of numbers."""
    if _context.figures is None:
        return None
    prefix = slug(_context.stage or "")
    stem = identifier.removeprefix(f"{prefix}-").removeprefix("figure-")
    if _context.label == "simulated":
        stem = f"simulated-{stem}"
    _context.figures.mkdir(parents=True, exist_ok=True)
    (_context.figures / f"{stem}.png").write_bytes(png)
    safe = data.map(spreadsheet_safe)
    safe.columns = [spreadsheet_safe(column) for column in data.columns]
    safe.to_csv(_context.figures / f"{stem}.csv", index=False, lineterminator="\n", encoding="utf-8")
    return f"figures/{stem}.csv"


def _close(fig: Figure) -> None:
    """Close a figure that was made through pyplot, which would otherwise show it a second time."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(fig)
