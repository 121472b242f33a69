"""Keyed pseudonyms: raw identifiers are replaced while a file is read, by HMAC-SHA-256 with a key from outside the project."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.errors import DataError

if TYPE_CHECKING:
    import duckdb

KEY_VARIABLE = "EVALUATION_PSEUDONYM_KEY"
KEY_FILE_VARIABLE = "EVALUATION_PSEUDONYM_KEY_FILE"
SHORTEST_KEY = 16  # bytes; a shorter key could be found by trial
BLOCK = 64  # bytes of a block of SHA-256
PREFIX, DIGITS = "p", 32  # a pseudonym is "p" and 128 bits: no two of 8.5 million pupils share one by chance (p < 1e-24)
HIDDEN_DIGITS = 12
WITHHELD = "withheld"
UNREADABLE = "?"  # stands before the pseudonym of a value that is not in the form of its identifier
# Letters and digits of a unique pupil number, in the order of their values (digits modulo 23); I, O and S are left out.
UPN_ALPHABET = "ABCDEFGHJKLMNPQRTUVWXYZ0123456789"
UPN_FORM = "[A-HJ-NP-RT-Z][0-9]{11}[0-9A-HJ-NP-RT-Z]"
KEY_MEND = (f"put a key of at least {SHORTEST_KEY} characters into the environment variable {KEY_VARIABLE}, or the path of a file outside the "
            f"project that holds it into {KEY_FILE_VARIABLE}; keep it: the same key gives the same pseudonyms")


def read_key(root: Path) -> bytes | None:
    """The key of this machine's user, None where none is set.

    Parameters
    ----------
    root : Path
        Root of the project: a key file inside it is refused.

    Raises
    ------
    DataError
        Both variables are set, the file is absent or inside the project, or the key is too short.
    """
    text, file = os.environ.get(KEY_VARIABLE), os.environ.get(KEY_FILE_VARIABLE)
    if text and file:
        raise DataError(f"{KEY_VARIABLE} and {KEY_FILE_VARIABLE} are both set", where="pseudonym key", mend="set one of them")
    if file:
        path = Path(file)
        if not path.is_file():
            raise DataError(f"the file that {KEY_FILE_VARIABLE} names is not there", where="pseudonym key", mend=KEY_MEND)
        if Path(root).resolve() in path.resolve().parents:
            raise DataError("the key file lies inside the project", where="pseudonym key", mend="move it to a place that only its users can read")
        text = path.read_bytes().decode("utf-8", "surrogateescape").strip()
    if not text:
        return None
    key = text.encode("utf-8", "surrogateescape")
    if len(key) < SHORTEST_KEY:
        raise DataError(f"the key has {len(key)} bytes", where="pseudonym key", mend=KEY_MEND)
    return key


def key_mark(key: bytes | None) -> str:
    """What tells two keys apart without giving either away; empty without a key."""
    return hmac.new(key, b"which key", hashlib.sha256).hexdigest()[:HIDDEN_DIGITS] if key else ""


def pseudonym(key: bytes, value: str) -> str:
    """The pseudonym of one raw identifier (RFC 2104 with SHA-256, first 128 bits)."""
    return PREFIX + hmac.new(key, value.encode("utf-8"), hashlib.sha256).hexdigest()[:DIGITS]


def load_key(con: duckdb.DuckDBPyConnection, key: bytes | None) -> None:
    """Give a connection the key, as two variables; the text of a query never holds it."""
    if key is None:
        return
    padded = (hashlib.sha256(key).digest() if len(key) > BLOCK else key).ljust(BLOCK, b"\0")
    for name, pad in (("pseudonym_inner", 0x36), ("pseudonym_outer", 0x5C)):
        con.execute(f"SET VARIABLE {name} = $1::BLOB", [bytes(byte ^ pad for byte in padded)])


def has_key(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the connection was given a key."""
    return con.execute("SELECT getvariable('pseudonym_inner') IS NOT NULL").fetchone()[0]


def pseudonym_sql(value: str) -> str:
    """SQL of the pseudonym of a text; :func:`load_key` comes first."""
    return f"'{PREFIX}' || substr({_hmac(f'encode({value})')}, 1, {DIGITS})"


def hidden_sql(con: duckdb.DuckDBPyConnection, value: str) -> str:
    """SQL of what a reject may show of a personal or pseudonymous value: twelve digits of its keyed hash.

    Without a key it is "withheld": the hash of a date or a year group without a key gives the value away.
    """
    shown = f"substr({_hmac(f'''encode('reject ' || {value})''')}, 1, {HIDDEN_DIGITS})" if has_key(con) else f"'{WITHHELD}'"
    return f"CASE WHEN {value} IS NULL THEN NULL ELSE {shown} END"


def _hmac(message: str) -> str:
    return f"sha256(getvariable('pseudonym_outer') || unhex(sha256(getvariable('pseudonym_inner') || {message})))"


def upn_sql(value: str) -> str:
    """SQL that is true for a text in the form of a unique pupil number whose check letter is right.

    Department for Education, "Unique pupil numbers": the letter is the sum of position times value over positions 2 to
    13, modulo 23. The number of the authority is not looked up: new authorities would be refused.
    """
    total = " + ".join(f"{place} * (strpos('{UPN_ALPHABET}', substr({value}, {place}, 1)) - 1)" for place in range(2, 14))
    return f"(length({value}) = 13 AND regexp_full_match({value}, '{UPN_FORM}') AND left({value}, 1) = substr('{UPN_ALPHABET}', ({total}) % 23 + 1, 1))"


def replaced_sql(form: str, column: str, kind: str) -> str:
    """SQL of what intake reads in place of a raw identifier.

    Parameters
    ----------
    form : str
        ``upn``, ``pseudonym`` (any text) or ``month`` (of a date of birth).
    column : str
        The raw column as SQL.
    kind : str
        DuckDB's type of it.
    """
    if form == "month":
        if kind != "VARCHAR":
            return f"strftime({column}, '%Y-%m')"
        good = f"regexp_full_match({column}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') AND TRY_CAST({column} AS DATE) IS NOT NULL"
        return f"CASE WHEN {column} IS NULL OR {column} = '' THEN {column} WHEN {good} THEN left({column}, 7) ELSE '{UNREADABLE}' END"
    made = pseudonym_sql(column)
    if form == "upn":
        made = f"CASE WHEN {upn_sql(column)} THEN {made} ELSE '{UNREADABLE}' || {made} END"
    return f"CASE WHEN {column} IS NULL OR {column} = '' THEN {column} ELSE {made} END"
