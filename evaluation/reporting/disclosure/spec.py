"""What stands behind a table, as its dictionary entry says under ``x-disclosure``; a table about which nothing is said is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaluation.errors import ContractError
from evaluation.registers.entries import Table

KEYS = ("about", "why", "dimensions", "counts", "shares", "based_on", "parts", "partition", "chain", "sums", "residual", "words", "codes", "plain", "withheld", "reveals", "sentences",
        "attributes", "rests_on", "only", "apart", "not_parts", "near", "no_totals", "schools", "texts", "gives", "certain", "certain_rows", "together", "pooled", "decimals")
ABOUT = ("pupils", "sentences", "published statistics", "no pupils", "not for release")


@dataclass(frozen=True)
class Disclosure:
    """What stands behind a table.

    Parameters
    ----------
    about : str
        "pupils", "sentences" (built from other tables), "published statistics", "no pupils" (with the reason) or
        "not for release" (with the reason).
    dimensions : mapping
        Columns that say whom a row is about, with the value that stands for all of them (None where there is none).
    counts : mapping
        Columns of unweighted counts, with the name of the population counted: one name and one place in the dimensions
        is one count, in whichever table.
    by : mapping
        For counts that only some dimensions split (``column: [population, dimension, ...]``), those dimensions.
    shares : mapping
        Columns that are one count over another: (part, whole).
    based_on : mapping
        Other columns of statistics, with the counts behind them.
    parts : tuple
        Pairs of count columns, the first being pupils of the second: what is left is a group of its own.
    partition : mapping or None
        ``count`` summed ``over`` a dimension leaves, out of the column ``whole``, a group of its own.
    chain : mapping or None
        ``order``, ``kind``, ``kept``, ``left_out``: rows that follow from one another by what left (a flow of pupils).
    sums : tuple of mapping
        ``parts`` (count columns of one row, or one column summed ``over`` a dimension) that together are a count which
        tables of the populations ``equals`` show (``here``: only at the row's own place in the dimensions), or are pupils of
        counts that other rows show (``within``: a ``population``, the dimensions that are the ``same`` (by name, or own: theirs)
        and the place that it is ``at``; ``perhaps``: only where they are no more), so that what is left is a group of its own;
        in the ``rows`` with these values, or in all; or are ``out_of`` a count column (or a ``population`` and the place that it is
        ``at``), which ``leaves`` a population that nobody prints and that other tables may hold pupils of; it may itself lie within others
        (``left_within``, as ``within``).
    residual : mapping or None
        ``counts`` (columns) and ``parameters`` (at most so many are fitted): residual degrees of freedom are the one less the other.
    words, codes, plain : tuple of str
        Columns of registered wording; codes that look like identifiers and are none; numbers that tell of no pupil.
    withheld : tuple of str
        Columns that stay behind.
    reveals : mapping
        Columns from which a count can be worked out, with the counts: they go when a count goes.
    sentences : mapping
        For a table of sentences: their keys (``*`` for any ending), with the tables whose counts the sentence states; rows
        may be named ("delivery_reach: area_code=all").
    rests_on : tuple of str
        For a table of results without counts: tables (and rows, as in ``sentences``) that hold the groups behind it; it stays
        where a result of theirs is suppressed or they are refused.
    attributes : tuple of str
        Dimensions that are traits of pupils: there, a group all in one category is a class disclosure.
    only : mapping
        Columns with the values of the rows that leave at all: the rest would give small groups away by subtraction.
    apart : mapping
        Columns of numbers with decimals behind which no pupil is counted, with the reason.
    not_parts : tuple
        Lists of count columns of which none is declared to be part of another, so that their differences are no groups
        (``parts`` still hold).
    near : tuple
        Pairs of count columns of nearly the same pupils, either of which may be the larger: the difference is a group.
    no_totals : tuple of str
        Values of a dimension that read like a total and are groups like the others.
    schools : tuple of str
        Columns that say how many schools stand behind a row.
    texts : mapping
        Columns of sentences about their row, with the counts that they rest on: a sentence goes when one is small or suppressed.
    gives : tuple of str
        For a table without counts: counts of other tables that can be worked out from it ("table.column: column=value"); it
        stays where one of them is held back.
    certain : tuple
        Pairs of ``parts`` of which everybody knows that all of the whole may be in the part: no class disclosure.
    together : tuple
        Lists of count columns that go together, for one tells the others nearly (two partners for each pupil).
    pooled : str or None
        A dimension over whose groups the statistics make up that of all: the last small group's would follow from the rest.
    decimals : mapping
        Columns of statistics that are stated at fixed decimals.
    """

    about: str
    why: str
    dimensions: Mapping[str, Any]
    counts: Mapping[str, str]
    by: Mapping[str, tuple[str, ...]]
    shares: Mapping[str, tuple[str, str]]
    based_on: Mapping[str, tuple[str, ...]]
    parts: tuple[tuple[str, str], ...]
    partition: Mapping[str, str] | None
    chain: Mapping[str, Any] | None
    sums: tuple[Mapping[str, Any], ...]
    residual: Mapping[str, Any] | None
    words: tuple[str, ...]
    codes: tuple[str, ...]
    plain: tuple[str, ...]
    withheld: tuple[str, ...]
    reveals: Mapping[str, tuple[str, ...]]
    sentences: Mapping[str, tuple[str, ...]]
    attributes: tuple[str, ...]
    rests_on: tuple[str, ...]
    only: Mapping[str, tuple[Any, ...]]
    apart: Mapping[str, str]
    not_parts: tuple[tuple[str, ...], ...]
    near: tuple[tuple[str, str], ...]
    no_totals: tuple[str, ...]
    schools: tuple[str, ...]
    texts: Mapping[str, tuple[str, ...]]
    gives: tuple[str, ...]
    certain: tuple[tuple[str, str], ...]
    certain_rows: Mapping[str, Any]
    together: tuple[tuple[str, ...], ...]
    pooled: str | None
    decimals: Mapping[str, int]


def disclosure_of(table: Table) -> Disclosure | None:
    """The entry's ``x-disclosure`` in checked form; None if it has none.

    Raises
    ------
    ContractError
        The key is not in its form, or leaves a column unaccounted for.
    """
    given = table.disclosure
    if given is None:
        return None
    where = f"data_dictionary/{table.name}.yaml, x-disclosure"
    unknown = sorted(set(given) - set(KEYS))
    if unknown or given.get("about") not in ABOUT:
        raise ContractError(f"unknown keys {unknown}, or `about` is `{given.get('about')}`", where=where, mend=f"use {', '.join(KEYS)}; about is one of {', '.join(ABOUT)}")
    if given["about"] in ("no pupils", "not for release") and not given.get("why"):
        raise ContractError(f"a table that is `{given['about']}` needs `why`", where=where, mend="say why in one sentence")
    spec = Disclosure(
        about=given["about"], why=str(given.get("why", "")), dimensions=dict(given.get("dimensions", {})), counts={c: _population(v) for c, v in given.get("counts", {}).items()},
        by={c: tuple(v[1:]) for c, v in given.get("counts", {}).items() if isinstance(v, list)},
        shares={k: (str(v[0]), str(v[1])) for k, v in given.get("shares", {}).items()}, based_on={k: _names(v) for k, v in given.get("based_on", {}).items()},
        parts=tuple((str(a), str(b)) for a, b in given.get("parts", [])), partition=given.get("partition"), chain=given.get("chain"), sums=tuple(given.get("sums", [])), residual=given.get("residual"),
        words=_names(given.get("words", [])), codes=_names(given.get("codes", [])), plain=_names(given.get("plain", [])),
        withheld=_names(given.get("withheld", [])), reveals={k: _names(v) for k, v in given.get("reveals", {}).items()},
        sentences={k: _names(v) for k, v in given.get("sentences", {}).items()}, attributes=_names(given.get("attributes", [])),
        rests_on=_names(given.get("rests_on", [])), only={k: tuple(v) for k, v in given.get("only", {}).items()},
        apart={k: str(v) for k, v in given.get("apart", {}).items()}, not_parts=tuple(_names(v) for v in given.get("not_parts", [])), near=tuple((str(a), str(b)) for a, b in given.get("near", [])), no_totals=_names(given.get("no_totals", [])),
        schools=_names(given.get("schools", [])), texts={k: _names(v) for k, v in given.get("texts", {}).items()}, gives=_names(given.get("gives", [])),
        certain=tuple((str(a), str(b)) for a, b in given.get("certain", [])), certain_rows=dict(given.get("certain_rows", {})), together=tuple(_names(v) for v in given.get("together", [])), pooled=given.get("pooled"),
        decimals={k: int(v) for k, v in given.get("decimals", {}).items()})
    if spec.about == "pupils":
        _check_columns(table, spec, where)
    return spec


def nested(parts: tuple[tuple[str, str], ...]) -> set[tuple[str, str]]:
    """Pairs of part and whole, however many steps apart."""
    known = set(parts)
    while more := {(a, d) for a, b in known for c, d in known if b == c} - known:
        known |= more
    return known


def _population(given: Any) -> str:
    return str(given[0]) if isinstance(given, list) else str(given)


def _names(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(str(v) for v in given)


def _check_columns(table: Table, spec: Disclosure, where: str) -> None:
    """Every column has one standing, and every name is a column."""
    names = [column.name for column in table.columns]
    standing = [*spec.dimensions, *spec.counts, *spec.shares, *spec.based_on, *spec.words, *spec.codes, *spec.plain, *spec.withheld, *spec.reveals, *spec.apart, *spec.texts,
                *[c for c in spec.schools if c not in spec.reveals]]
    unaccounted = [name for name in names if name not in standing]
    missing = [name for name in standing if name not in names]
    doubled = sorted({name for name in standing if standing.count(name) > 1})
    behind = {name for pair in (*spec.shares.values(), *spec.based_on.values(), *spec.reveals.values(), *spec.texts.values(), *spec.parts, *spec.not_parts, *spec.near, *spec.certain, *spec.together) for name in pair} - set(spec.counts)
    if unaccounted or missing or doubled or behind or not spec.counts:
        raise ContractError(f"columns without a standing: {unaccounted}; that do not exist: {missing}; with two: {doubled}; named as counts but none: {sorted(behind)}",
                            where=where, mend="give every column one place among dimensions, counts, shares, based_on, reveals, words, texts, codes, schools, plain, apart and withheld; name at least one count")
    types = {column.name: column.type for column in table.columns}
    if unfounded := [name for name in spec.plain if types[name] == "number"]:
        raise ContractError(f"numbers with decimals behind which nothing is counted: {unfounded}", where=where,
                            mend="name the counts behind them under based_on or reveals, or say under `apart` why no pupil stands behind them")
