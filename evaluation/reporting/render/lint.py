"""The rules that every edition keeps before it is written: structure, alternatives, privacy, no outside calls.

The rules are those of WCAG 2.2 that a document can be read for without a browser (1.1.1, 1.3.1, 2.4.1, 2.4.2,
2.4.6, 2.4.10, 3.1.1, 4.1.2), and those of a report that may be passed on: nothing loaded from elsewhere, nothing that runs,
no trace of the machine it was made on.
"""

from __future__ import annotations

import getpass
import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

from evaluation.reporting.render.contrast import contrast_faults
from evaluation.reporting.text import SIMULATED

SIBLINGS = ("technical.html", "summary.html")
"""The only files that an edition may link to."""

VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
ACTIVE = frozenset("script iframe object embed applet form input button select textarea base link audio video font marquee blink".split())
SHORTEST_ALT = 20

_EMPTY_ALT = re.compile(r"^(an? )?(image|picture|figure|chart|graph|plot)\b[\s\d.:]*$|\.(png|jpe?g|svg)$", re.I)
_STYLE_CALL = re.compile(r"@import|url\(\s*['\"]?(?!data:|#)", re.I)
_PATH = re.compile(
    r"(?<![\w./:<-])/(?:home|root|Users|tmp|var|opt|usr|mnt|srv|private|etc|media|Volumes|work|workspace|app)/[\w.@~-]+"
    r"|(?<![\w])[A-Za-z]:\\{1,2}[\w.~ -]+"
    r"|(?<!\\)\\\\[\w.-]+\\[\w.$-]+"
    r"|\bfile://"
)
_TRACEBACK = re.compile(r"Traceback \(most recent call last\)|^-{20,}\s*$\n\w+(Error|Exception)\b", re.M)


@dataclass(frozen=True)
class Finding:
    """One broken rule: its name, what is wrong, where (edition or notebook cell), and how to mend it."""

    rule: str
    message: str
    where: str
    mend: str


@dataclass
class _Table:
    where: str
    identifier: str
    caption: str | None = None
    headers: int = 0
    rows_with_header: int = 0
    rows: int = 0
    row_header: bool = False


@dataclass
class _Reader(HTMLParser):
    """Walks a document once and notes what the rules ask about."""

    name: str
    found: list[Finding] = field(default_factory=list)
    ids: Counter = field(default_factory=Counter)
    id_places: dict[str, str] = field(default_factory=dict)
    targets: list[tuple[str, str]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)
    lang: str = ""
    label: str = ""
    title: str = ""
    has_main: bool = False
    labelled_parts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[tuple[str, str]] = []
        self.tables: list[_Table] = []
        self.caption: list[str] | None = None
        self.heading: list[str] | None = None

    @property
    def where(self) -> str:
        return self.stack[-1][1] if self.stack else self.name

    def note(self, rule: str, message: str, mend: str, where: str | None = None) -> None:
        self.found.append(Finding(rule, message, where or self.where, mend))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {key: value or "" for key, value in attrs}
        where = attributes.get("data-cell") or self.where
        if tag not in VOID:
            self.stack.append((tag, where))
        self._attributes(tag, attributes, where)
        if tag == "html":
            self.lang = attributes.get("lang", "")
        elif tag == "body":
            self.label = attributes.get("data-label", "")
        elif tag == "main":
            self.has_main = True
        elif re.fullmatch("h[1-6]", tag):
            self.heading = []
            self.headings.append((int(tag[1]), where))
        elif tag == "img":
            self._image(attributes, where)
        elif tag in ("table", "caption", "figcaption", "tr", "th"):
            self._tabular(tag, attributes, where)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def _attributes(self, tag: str, attributes: dict[str, str], where: str) -> None:
        if tag in ACTIVE:
            self.note("active content", f"holds <{tag}>", "show results with the show functions only", where)
        for key, value in attributes.items():
            if key.startswith("on"):
                self.note("active content", f"<{tag}> runs code ({key})", "take the attribute out", where)
            elif key == "id":
                self.ids[value] += 1
                self.id_places.setdefault(value, where)
            elif key in ("aria-labelledby", "aria-describedby"):
                self.targets += [(target, where) for target in value.split()]
            elif key in ("src", "srcset", "poster", "data", "background") and not value.startswith("data:"):
                self.note("outside call", f"<{tag}> loads {value[:80]!r}", "keep the picture in the report", where)
            elif key == "href" and tag == "a":
                self._link(value, where)
            elif key == "style" or (key in ("color", "bgcolor") and tag != "meta"):
                if _STYLE_CALL.search(value):
                    self.note("outside call", "a style loads from elsewhere", "take the style out", where)
                self.note("colour", f"<{tag}> sets its own look ({key}={value[:40]!r}), which no rule of contrast or meaning covers",
                          "take the attribute out and say the meaning in words", where)  # fmt: skip
            if key not in ("src", "href") and len(value) > 3:
                self.texts.append((value, where))

    def _link(self, address: str, where: str) -> None:
        if address.startswith("#"):
            self.targets.append((address[1:], where))
        elif address.partition("#")[0] not in SIBLINGS and not re.match(r"https://|mailto:", address):
            self.note(
                "link", f"links to {address[:80]!r}, which does not travel with the report",
                "link to a heading of the report or to a public https address", where,
            )  # fmt: skip

    def _image(self, attributes: dict[str, str], where: str) -> None:
        alt = attributes.get("alt", "").strip()
        if len(alt) < SHORTEST_ALT or _EMPTY_ALT.search(alt):
            self.note(
                "alternative text", f"an image has the alternative text {alt!r}",
                "say in show_figure(alt=...) what a reader sees", where,
            )  # fmt: skip

    def _tabular(self, tag: str, attributes: dict[str, str], where: str) -> None:
        if tag == "table":
            self.tables.append(_Table(where, attributes.get("id", "")))
        elif tag in ("caption", "figcaption"):
            self.caption = []
        elif self.tables and tag == "tr":
            self.tables[-1].rows += 1
            self.tables[-1].row_header = False
        elif self.tables and tag == "th":
            self.tables[-1].headers += 1
            if not self.tables[-1].row_header:
                self.tables[-1].rows_with_header += 1
                self.tables[-1].row_header = True
            if attributes.get("scope") not in ("col", "row", "colgroup", "rowgroup"):
                self.note("table header", "a table header has no scope", "show tables with show_table", where)

    def handle_endtag(self, tag: str) -> None:
        where = self.where
        if tag in ("caption", "figcaption") and self.caption is not None:
            text = " ".join("".join(self.caption).split())
            self.caption = None
            if tag == "caption" and self.tables:
                self.tables[-1].caption = text
            if self.label == "simulated" and SIMULATED not in text:
                self.note("simulated label", f"the caption {text[:60]!r} does not say {SIMULATED!r}",
                          "show it with the show functions inside an opened stage", where)  # fmt: skip
        elif tag == "table" and self.tables:
            self._close_table(self.tables.pop())
        elif re.fullmatch("h[1-6]", tag) and self.heading is not None:
            if not "".join(self.heading).strip():
                self.note("headings", f"an empty heading <{tag}>", "give the heading words", where)
            self.heading = None
        if any(open_tag == tag for open_tag, _ in self.stack):
            while self.stack and self.stack.pop()[0] != tag:
                pass

    def _close_table(self, table: _Table) -> None:
        mend = "show tables with show_table(frame, caption=...)"
        if not table.caption:
            self.note("table caption", "a table has no caption", mend, table.where)
        if table.headers == 0 or table.rows_with_header < table.rows:
            self.note("table header", "a table has a row without a header", mend, table.where)

    def handle_data(self, data: str) -> None:
        if self.caption is not None:
            self.caption.append(data)
        if self.heading is not None:
            self.heading.append(data)
        tag = self.stack[-1][0] if self.stack else ""
        if SIMULATED in data:
            self.labelled_parts |= {open_tag for open_tag, _ in self.stack}
        if tag == "title":
            self.title += data
        elif tag == "style":
            if _STYLE_CALL.search(data):
                self.note("outside call", "a style sheet loads from elsewhere", "keep the style in the report")
            for message in contrast_faults(data):
                self.note("contrast", message, "choose colours with a contrast of at least 4.5 to 1 in the style of the editions")
        elif data.strip():
            self.texts.append((data, self.where))


def lint(html: str, name: str, *, user: str | None = None) -> list[Finding]:
    """Read an edition against the rules.

    Parameters
    ----------
    html : str
        The whole document. Elements with a ``data-cell`` attribute tell which notebook cell they come from.
    name : str
        File name of the edition, for findings that belong to no cell.
    user : str, optional
        Name of the person or account at work, which must not be in the report; otherwise asked of the system.

    Returns
    -------
    list of Finding
        Empty when every rule is kept.
    """
    reader = _Reader(name)
    reader.feed(html)
    reader.close()
    return [*reader.found, *_document(reader, html), *_headings(reader), *_references(reader), *_traces(reader, user)]


def _document(reader: _Reader, html: str) -> list[Finding]:
    rules = [
        (html.lstrip()[:15].lower() == "<!doctype html>", "document", "does not begin with <!DOCTYPE html>"),
        (reader.lang == "en-GB", "language", f"is declared as {reader.lang!r}, not en-GB"),
        (bool(reader.title.strip()), "title", "has no title"),
        (reader.has_main, "document", "has no main part"),
        (bool(reader.label), "label", "does not say what its data are (data-label)"),
    ]
    mend = "mend the template of the editions"
    found = [Finding(rule, message, reader.name, mend) for kept, rule, message in rules if not kept]
    if reader.label == "simulated":
        for part in ("title", "header", "footer"):
            if part not in reader.labelled_parts:
                found.append(Finding("simulated label", f"<{part}> does not say {SIMULATED!r}", reader.name, mend))
    return found


def _headings(reader: _Reader) -> list[Finding]:
    found = []
    firsts = [where for level, where in reader.headings if level == 1]
    if len(firsts) != 1:
        where = firsts[1] if len(firsts) > 1 else reader.name
        found.append(
            Finding("headings", f"{len(firsts)} headings of the first level, not one", where, "keep one h1")
        )
    before = 0
    for level, where in reader.headings:
        if level > before + 1:
            found.append(
                Finding(
                    "headings",
                    f"a heading jumps from level {before} to level {level} of the document",
                    where,
                    "begin each notebook with one # heading and go down one level at a time",
                )
            )
        before = level
    return found


def _references(reader: _Reader) -> list[Finding]:
    found = [
        Finding("unique ids", f"the id {key!r} stands {count} times", reader.id_places[key], "give results other names")
        for key, count in reader.ids.items()
        if count > 1
    ]
    found += [
        Finding("link", f"points to {target!r}, which is not in this edition", where, "link to an existing heading")
        for target, where in reader.targets
        if target not in reader.ids
    ]
    return found


def _traces(reader: _Reader, user: str | None) -> list[Finding]:
    found = []
    named = _user_pattern(user)
    for text, where in reader.texts:
        if _TRACEBACK.search(text):
            found.append(Finding("traceback", "shows an error's traceback", where, "mend the cell, or do not print it"))
        path = _PATH.search(text)
        if path:
            found.append(
                Finding("file path", f"shows the path {path[0][:60]!r}", where, "show a file's name, not where it lies")
            )
        elif named is not None and named.search(text):
            found.append(Finding("user name", "shows the name of the account at work", where, "take the name out"))
    return found


def _user_pattern(user: str | None) -> re.Pattern[str] | None:
    """Match the account's name where it can only be that: any mention of a telling name, else as part of an address.

    Accounts are often called by ordinary words ("runner", "test"); these are matched only next to @, a slash or
    "user".
    """
    if user is None:
        try:
            user = getpass.getuser()
        except (OSError, KeyError, ImportError):
            return None
    if len(user) < 3:
        return None
    name = re.escape(user)
    if re.search(r"[\d._-]", user):
        return re.compile(rf"(?<![\w.]){name}(?![\w.])")
    return re.compile(rf"\b{name}@|@{name}\b|[/\\]{name}[/\\]|\buser(?:name)?\s*[:=]\s*['\"]?{name}\b")
