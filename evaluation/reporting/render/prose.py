"""The prose of notebooks as HTML: headings below the document's own, raw HTML shown as text, ids unique."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from evaluation.reporting.render.maths import mathml
from evaluation.reporting.text import slug, visible_lines

DEEPEST_IN_CONTENTS = 3
DEEPEST_HEADING = 6
_TAG = re.compile(r"<[^>]+>")


@dataclass(frozen=True)
class Heading:
    """One entry of the contents list: level in the document, id, and words (already escaped)."""

    level: int
    identifier: str
    html: str


@lru_cache(maxsize=1)
def _renderer_class() -> type:
    import mistune

    class ProseRenderer(mistune.HTMLRenderer):
        """Moves headings and gives them ids; everything that is not Markdown is escaped."""

        def __init__(self, stage: str, used: set[str], headings: list[Heading], titled: bool):
            super().__init__(escape=True)
            self.stage, self.used, self.headings, self.titled = stage, used, headings, titled

        def heading(self, text: str, level: int, **attrs: Any) -> str:
            if self.titled and level == 1 and not self.headings:
                return ""
            stem = f"section-{slug(self.stage)}-{slug(_TAG.sub('', text))}".rstrip("-")
            identifier, copy = stem, 1
            while identifier in self.used:
                copy += 1
                identifier = f"{stem}-{copy}"
            self.used.add(identifier)
            level = max(level, 2) if self.titled else min(level + 1, DEEPEST_HEADING)
            self.headings.append(Heading(level, identifier, _TAG.sub("", text)))
            return f'<h{level} id="{identifier}">{text}</h{level}>\n'

        def inline_math(self, text: str) -> str:
            return mathml(text)

        def block_math(self, text: str) -> str:
            return f"<p>{mathml(text, block=True)}</p>\n"

    return ProseRenderer


def prose_html(source: str, stage: str, used: set[str], headings: list[Heading], *, titled: bool = False) -> str:
    """Return one Markdown cell as HTML.

    Parameters
    ----------
    source : str
        Markdown. Raw HTML in it is shown as text.
    stage : str
        Prefix of the ids of headings.
    used : set of str
        Ids already in the document; added to.
    headings : list of Heading
        Headings of the document so far; added to.
    titled : bool
        The document's title stands for the notebook's own: its first heading is left out, the others keep their level.

    Returns
    -------
    str
        HTML, formulas as MathML, in which, unless ``titled``, a heading of the first level has become one of the second, and so on.

    Raises
    ------
    GateError
        A formula holds what cannot be shown without scripts.
    """
    import mistune

    renderer = _renderer_class()(stage, used, headings, titled)
    markdown = mistune.create_markdown(renderer=renderer, plugins=["table", "math"])
    return str(markdown(visible_lines(source)))
