"""How old a reader must be to follow an edition: the Flesch-Kincaid grade of its sentences, plus five years.

Flesch-Kincaid grade = 0.39 words per sentence + 11.8 syllables per word - 15.59 [Kincaid et al. 1975]; the first grade is
reached at six, so that a grade is a reading age less five. Read are paragraphs and list items of the main part: not tables,
captions, headings, code, folded parts, nor the provenance at the end. Syllables are counted by rule (groups of vowels, silent
endings left out), numbers as one word of one syllable, so that the formula measures the words around them.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

AGE_AT_GRADE_NOUGHT = 5.0
_READ = frozenset({"p", "li"})
_SKIPPED = frozenset({"table", "figure", "details", "pre", "code", "nav", "header", "footer", "style"})
_PASSED_OVER = frozenset({"hidden", "row-link", "note", "about"})
_VOID = frozenset("br col hr img input link meta source wbr".split())
_WORD = re.compile(r"[A-Za-z]+(?:['\u2019][A-Za-z]+)?|[\u2212£]*\d[\d,.]*\d|\d")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"\u2018\u201c\u2212£\d])")
_VOWELS = re.compile(r"[aeiouy]+")


class _Sentences(HTMLParser):
    """Collects the text of paragraphs and list items of the main part, outside tables and folded parts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[str] = []
        self._open: list[tuple[str, bool, bool]] = []  # tag, whether it holds words that are read, whether its words are passed over

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            return
        classes = set((dict(attrs).get("class") or "").split())
        reads = tag in _READ
        self._open.append((tag, reads, tag in _SKIPPED or bool(classes & _PASSED_OVER)))
        if reads and self._inside_main and not self._passed_over:
            self.blocks.append("")

    @property
    def _inside_main(self) -> bool:
        return any(tag == "main" for tag, _, _ in self._open)

    @property
    def _passed_over(self) -> bool:
        return any(passed for _, _, passed in self._open)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.blocks and self._inside_main and not self._passed_over and any(reads for _, reads, _ in self._open):
            self.blocks[-1] += data


def reading_age(html: str) -> float:
    """Return the reading age of an edition in years, to one decimal.

    Parameters
    ----------
    html : str
        A whole edition.

    Returns
    -------
    float
        Flesch-Kincaid grade plus five; 0 where there are no sentences.
    """
    reader = _Sentences()
    reader.feed(html)
    sentences = [part for block in reader.blocks for part in _SENTENCE_END.split(" ".join(block.split())) if _WORD.search(part)]
    words = [word for sentence in sentences for word in _WORD.findall(sentence)]
    if not words:
        return 0.0
    grade = 0.39 * len(words) / len(sentences) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59
    return round(grade + AGE_AT_GRADE_NOUGHT, 1)


def syllables(word: str) -> int:
    """Return the syllables of a word by rule: its groups of vowels, less a silent ending; at least one.

    Parameters
    ----------
    word : str
        One word; a number counts as one.
    """
    plain = re.sub(r"['\u2019].*$", "", word.lower())
    count = len(_VOWELS.findall(plain))
    if re.search(r"[^aeiouyl]es$|[^aeiouytd]ed$", plain) and not re.search(r"(s|x|z|ch|sh|c|g)es$", plain):
        count -= 1
    elif re.search(r"[^aeiouy]e$", plain) and not re.search(r"[^aeiouy]le$", plain):
        count -= 1
    if re.search(r"i[ao](?!u)", plain) and not re.search(r"[cstg]i[ao]", plain):  # ra-di-o, var-i-able, but na-tion
        count += 1
    if re.search(r"(?<![qg])ua", plain):  # us-u-al, e-val-u-a-tion
        count += 1
    return max(count, 1)
