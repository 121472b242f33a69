"""Formulas in prose as MathML, which browsers and screen readers read without any script: a small, plain part of LaTeX.

Known: letters, numbers, operators, ``^`` and ``_``, ``\\frac``, ``\\sqrt``, ``\\text``, ``\\bar``, ``\\hat``, Greek letters and the signs in
:data:`SIGNS`. Anything else is refused, so that no formula is ever shown wrongly.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from evaluation.errors import GateError

GREEK = {
    name: chr(code) for name, code in (
        ("alpha", 945), ("beta", 946), ("gamma", 947), ("delta", 948), ("epsilon", 949), ("theta", 952), ("lambda", 955), ("mu", 956), ("pi", 960), ("rho", 961),
        ("sigma", 963), ("tau", 964), ("phi", 966), ("chi", 967), ("psi", 968), ("omega", 969), ("Delta", 916), ("Sigma", 931), ("Phi", 934), ("Omega", 937))
}  # fmt: skip
SIGNS = {
    "times": "\u00d7", "cdot": "\u22c5", "pm": "\u00b1", "le": "\u2264", "leq": "\u2264", "ge": "\u2265", "geq": "\u2265", "ne": "\u2260", "neq": "\u2260",
    "approx": "\u2248", "sum": "\u2211", "prod": "\u220f", "in": "\u2208", "mid": "|", "to": "\u2192", "infty": "\u221e", "ldots": "\u2026", "quad": "\u2003", ",": "\u2009",
    "%": "%", "{": "{", "}": "}",
}  # fmt: skip
TRUE_MINUS = "\u2212"
ACCENTS = {"bar": "\u00af", "hat": "^"}
_TOKEN = re.compile(r"\\([A-Za-z]+|[,%{}])|(\d+(?:\.\d+)?)|([A-Za-z])|([-+=<>/*()\[\]|,.:;!'])|([{}^_])|(\s+)")


def mathml(source: str, *, block: bool = False) -> str:
    """Return a formula as MathML.

    Parameters
    ----------
    source : str
        LaTeX between its dollar signs.
    block : bool
        On a line of its own.

    Raises
    ------
    GateError
        The formula uses something that is not known, or its braces do not match.
    """
    reader = _Formula(source, _tokens(source))
    body = reader.row(until=None)
    shown = ' display="block"' if block else ""
    return f'<math{shown} alttext="{html.escape(source.strip(), quote=True)}">{body}</math>'


def _tokens(source: str) -> list[tuple[str, str]]:
    tokens, place = [], 0
    while place < len(source):
        found = _TOKEN.match(source, place)
        if found is None:
            raise _refusal(source, f"the sign {source[place]!r}")
        command, number, letter, operator, special, _ = found.groups()
        for kind, value in (("command", command), ("number", number), ("letter", letter), ("operator", operator), ("special", special)):
            if value is not None:
                tokens.append((kind, value))
        if command == "text":
            brace = re.compile(r"\s*\{([^{}]*)\}").match(source, found.end())
            if brace is None:
                raise _refusal(source, "\\text without braces")
            tokens[-1] = ("text", brace[1])
            place = brace.end()
            continue
        place = found.end()
    return tokens


@dataclass
class _Formula:
    """Reads a formula's tokens from left to right."""

    source: str
    tokens: list[tuple[str, str]]
    place: int = 0

    def row(self, until: str | None) -> str:
        parts = []
        while self.place < len(self.tokens):
            if self.tokens[self.place] == ("special", "}"):
                if until is None:
                    raise _refusal(self.source, "a closing brace too many")
                self.place += 1
                return f"<mrow>{''.join(parts)}</mrow>"
            parts.append(self._scripted())
        if until is not None:
            raise _refusal(self.source, "an opening brace without its end")
        return f"<mrow>{''.join(parts)}</mrow>"

    def _scripted(self) -> str:
        base, scripts = self._atom(), {}
        while self.place < len(self.tokens) and self.tokens[self.place] in (("special", "^"), ("special", "_")):
            sign = self.tokens[self.place][1]
            if sign in scripts:
                raise _refusal(self.source, f"two {sign} in a row")
            self.place += 1
            scripts[sign] = self._atom()
        if len(scripts) == 2:
            return f"<msubsup>{base}{scripts['_']}{scripts['^']}</msubsup>"
        if "_" in scripts:
            return f"<msub>{base}{scripts['_']}</msub>"
        return f"<msup>{base}{scripts['^']}</msup>" if scripts else base

    def _atom(self) -> str:
        if self.place >= len(self.tokens):
            raise _refusal(self.source, "an end where something must follow")
        kind, value = self.tokens[self.place]
        self.place += 1
        if kind == "special":
            if value == "{":
                return self.row(until="}")
            raise _refusal(self.source, f"{value} without what it belongs to")
        if kind == "command":
            return self._command(value)
        tag = {"number": "mn", "letter": "mi", "operator": "mo", "text": "mtext"}[kind]
        return f"<{tag}>{html.escape(TRUE_MINUS if value == '-' else value)}</{tag}>"

    def _command(self, name: str) -> str:
        if name == "frac":
            return f"<mfrac>{self._atom()}{self._atom()}</mfrac>"
        if name == "sqrt":
            return f"<msqrt>{self._atom()}</msqrt>"
        if name in ACCENTS:
            return f'<mover accent="true">{self._atom()}<mo>{ACCENTS[name]}</mo></mover>'
        if name in GREEK:
            return f"<mi>{GREEK[name]}</mi>"
        if name in SIGNS:
            return f"<mo>{html.escape(SIGNS[name])}</mo>"
        raise _refusal(self.source, f"\\{name}")


def _refusal(source: str, what: str) -> GateError:
    return GateError(f"the formula ${source.strip()[:60]}$ holds {what}, which cannot be shown without scripts",
                     mend="write it with what evaluation/reporting/render/maths.py knows, or in words")
