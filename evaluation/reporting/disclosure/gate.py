"""The gate between a run and what leaves it: tables go in, cleared tables come out, with a reason for each thing held back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.errors import ContractError, GateError
from evaluation.registers.entries import Table
from evaluation.reporting.disclosure.content import scan_frame
from evaluation.reporting.disclosure.earlier import Earlier, tie_earlier
from evaluation.reporting.disclosure.honesty import contradiction
from evaluation.reporting.disclosure.network import Disagreement, Where, build_system
from evaluation.reporting.disclosure.primary import risky_counts
from evaluation.reporting.disclosure.profiles import Profile
from evaluation.reporting.disclosure.result import REFUSED, WITHHELD, Clearance, ClearedTable, LogEntry
from evaluation.reporting.disclosure.rows import Proof, clear_counts
from evaluation.reporting.disclosure.secondary import Suppression, prove, suppress_cells
from evaluation.reporting.disclosure.sentences import beside, judge_sentence, rows_named
from evaluation.reporting.disclosure.spec import Disclosure, disclosure_of
from evaluation.reporting.disclosure.stated import state_frame
from evaluation.reporting.disclosure.system import CellSystem
from evaluation.reporting.text import is_missing

if TYPE_CHECKING:
    import pandas as pd


def clear_tables(tables: Mapping[str, tuple[Table, pd.DataFrame]], profile: Profile, label: str, earlier: Earlier | None = None) -> Clearance:
    """Hold every table of a run against a profile.

    Parameters
    ----------
    tables : mapping
        By name, the dictionary entry and the frame.
    profile : Profile
    label : {"simulated", "published", "restricted"}
        Standing of the data: only what is published may pass as published.
    earlier : Earlier, optional
        What an earlier release shows.

    Returns
    -------
    Clearance
        Nothing is raised for a table that may not leave: it is refused, and the log says why.

    Raises
    ------
    GateError
        No table of counts fits what the entries say, so that nothing can be proved.
    """
    refused: list[LogEntry] = []
    admitted = _admit_all(tables, label, profile, refused)
    counted = {n: (s, f) for n, (_, s, f) in admitted.items() if s.about == "pupils"}
    system, where = _one_system(counted, admitted, refused)
    changed, kept = tie_earlier(system, earlier, profile) if earlier is not None else ({}, {})
    risky = risky_counts(system, profile, [a for s, _ in counted.values() for a in s.attributes])
    risky |= {at: reason for at, reason in changed.items() if at not in risky}
    suppression = _suppress(system, risky, profile, kept)
    log: list[LogEntry] = []
    cleared = []
    unsafe = set(suppression.unsafe) if suppression else set()
    unsafe |= {at for total, parts in system.equations if any(u in unsafe and not system.printed[u] for u in (total, *parts)) for at in (total, *parts)}
    proof = Proof(system, where, {**kept, **risky}, suppression)
    for name, (table, spec, frame) in admitted.items():
        if spec.about == "pupils" and any(where.get((name, r, c)) in unsafe for r in frame.index for c in spec.counts):
            refused.append(LogEntry(name, "", "", REFUSED, "a count in it can be worked out whatever else is suppressed"))
        elif spec.about == "pupils":
            cleared.append(clear_counts(table, spec, frame, profile, proof, log))
    shown = {c.table.name: c for c in cleared}
    for name, (table, spec, frame) in admitted.items():
        if spec.about in ("pupils", "sentences"):
            continue
        weak = next((on for on in spec.rests_on if _rests_on_little(on, shown)), None)
        given = next((what for what in spec.gives if _is_held_back(what, shown)), None)
        if given is not None:
            refused.append(LogEntry(name, "", "", REFUSED, f"the count `{given.partition(':')[0]}` could be worked out from it, which is held back"))
        elif weak is None:
            cleared.append(_as_it_is(table, spec, frame))
        else:
            refused.append(LogEntry(name, "", "", REFUSED, f"rests on `{weak}`, which was not released or holds results back"))
    numbers = Clearance(profile, tuple(cleared), tuple(refused), tuple(log), system, suppression, where)
    for table, spec, frame in admitted.values():
        if spec.about == "sentences":
            cleared.append(_clear_sentences(table, spec, frame, numbers, log))
    return Clearance(profile, tuple(cleared), tuple(refused), tuple(log), system, suppression, where)


def _admit_all(tables: Mapping[str, tuple[Table, pd.DataFrame]], label: str, profile: Profile, refused: list[LogEntry]) -> dict[str, tuple[Table, Disclosure, Any]]:
    """The tables that may be looked at further, with the rows of them that are declared; those of which nothing is declared, or
    whose data contradict what is, go to ``refused``."""
    admitted: dict[str, tuple[Table, Disclosure, Any]] = {}
    for name, (table, frame) in tables.items():
        spec, why = _admit(table, frame, label)
        if spec is None:
            refused.append(LogEntry(name, "", "", REFUSED, why))
        else:
            for column, values in spec.only.items():
                frame = frame[frame[column].isin(values)]
            frame = frame.reset_index(drop=True)
            found = contradiction(table, spec, frame, profile)
            if found is None:
                admitted[name] = (table, spec, frame)
            else:
                refused.append(LogEntry(name, found.row, found.column, REFUSED, found.reason))
    return admitted


def _one_system(counted: dict[str, tuple[Disclosure, Any]], admitted: dict[str, tuple[Table, Disclosure, Any]], refused: list[LogEntry]) -> tuple[CellSystem, Where]:
    """One system of sums over all tables of counts; a table that contradicts those before it is taken out and refused."""
    while True:
        try:
            return build_system(counted)
        except Disagreement as error:
            refused.append(LogEntry(error.table, "", "", REFUSED, error.message))
            del counted[error.table], admitted[error.table]


def _suppress(system: CellSystem, risky: Mapping[int, str], profile: Profile, kept: Iterable[int] = ()) -> Suppression | None:
    """What must go with the risky counts; None where nothing is counted."""
    if not system.size:
        return None
    primary = np.zeros(system.size, dtype=bool)
    primary[list(risky)] = True
    try:
        return suppress_cells(system, primary, threshold=profile.threshold, rounding_base=profile.rounding_base, kept=kept)
    except RuntimeError as error:
        raise GateError(f"the release was not written: {error}", where="disclosure control", mend="see which table's counts do not add up (x-disclosure)") from error


def prove_clearance(clearance: Clearance) -> list[str]:
    """Play the intruder against what was cleared; names of counts that can be worked out (none, if all is well)."""
    if clearance.suppression is None:
        return []
    risky = np.zeros(clearance.system.size, dtype=bool)
    reasons = risky_counts(clearance.system, clearance.profile)
    risky[list(reasons)] = True
    risky |= clearance.suppression.primary
    _, weak = prove(clearance.system, risky, clearance.suppression.suppressed | risky & ~np.asarray(clearance.system.printed),
                    threshold=clearance.profile.threshold, rounding_base=clearance.profile.rounding_base)
    return [clearance.system.names[c] for c in weak if c not in clearance.suppression.unsafe]


def _admit(table: Table, frame: pd.DataFrame, label: str) -> tuple[Disclosure | None, str]:
    """What stands behind a table if it may be looked at further, else why not."""
    if table.sensitivity != "aggregate":
        return None, f"it is a pupil-level table ({table.row or 'one row per pupil'}), which is never released"
    try:
        spec = disclosure_of(table)
    except ContractError as error:
        return None, f"what is declared about it does not fit: {error.message}"
    if spec is None:
        return None, f"nothing is declared about what stands behind it; add x-disclosure to data_dictionary/{table.name}.yaml"
    if spec.about == "not for release":
        return None, spec.why
    declared = {column.name for column in table.columns}
    missing, more = [c.name for c in table.columns if c.name not in frame and not c.optional], [str(c) for c in frame.columns if c not in declared]
    if missing or more:
        return None, f"its columns are not those of its entry (missing: {', '.join(missing) or 'none'}; not declared: {', '.join(more) or 'none'}); run the study again, or correct data_dictionary/{table.name}.yaml"
    if spec.about == "published statistics" and label != "published":
        return None, "declared as made from published statistics, but the run's data are not published"
    found = scan_frame(frame[[c for c in frame.columns if c not in spec.withheld]], skip=spec.codes)
    if found:
        row = f", row {found[0].row}" if found[0].row is not None else ""
        return None, f"column `{found[0].column}`{row}: {found[0].rule}"
    return spec, ""


def _as_it_is(table: Table, spec: Disclosure, frame: pd.DataFrame) -> ClearedTable:
    kept = state_frame(table, spec, frame[[c for c in frame.columns if c not in spec.withheld]])
    return ClearedTable(table, spec, kept, kept.isna() & False, None, spec.why or spec.about)


def _rests_on_little(named: str, shown: Mapping[str, ClearedTable]) -> bool:
    """Whether a table is not there, or holds back a result in the rows named."""
    table, wanted = _named_rows(named)
    if table not in shown:
        return True
    cleared = shown[table]
    results = [c for c in cleared.spec.based_on if c in cleared.hidden]
    rows = [r for r in cleared.frame.index if all(str(cleared.frame.at[r, column]) == value for column, value in wanted)]
    return bool(cleared.hidden.loc[rows, results].to_numpy().any())


def _is_held_back(what: str, shown: Mapping[str, ClearedTable]) -> bool:
    """Whether a count ("table.column: column=value") is not shown; in a run without that table, nothing gives it away."""
    place, _, conditions = what.partition(":")
    table, _, column = place.partition(".")
    if table not in shown:
        return False
    cleared = shown[table]
    if column not in cleared.hidden:
        return False
    return bool(cleared.hidden.loc[rows_named(f"{table}:{conditions}", cleared.frame), column].any())


def _named_rows(named: str) -> tuple[str, list[tuple[str, str]]]:
    """Table and conditions of "table" or "table: column=value, column=value"."""
    table, _, conditions = named.partition(":")
    return table, [(column, value) for column, _, value in (c.strip().partition("=") for c in conditions.split(",") if "=" in c)]


def _clear_sentences(table: Table, spec: Disclosure, frame: pd.DataFrame, clearance: Clearance, log: list[LogEntry]) -> ClearedTable:
    """Sentences leave unless they state a count that no released table shows, or rest on a table that holds one back."""
    kept = frame[[c for c in frame.columns if c not in spec.withheld]]
    named_by = next((c for c in ("key", "rule", "name") if c in kept), table.primary_key[0])
    drop = []
    for row in kept.index:
        text = " ".join(str(kept.at[row, c]) for c in spec.words if not is_missing(kept.at[row, c]))
        key = str(kept.at[row, named_by])
        named = [t for start, tables in spec.sentences.items() if key == start or (start.endswith("*") and key.startswith(start[:-1])) for t in tables]
        reason = judge_sentence(text, named, clearance, extra=beside(kept.loc[row]))
        if reason:
            drop.append(row)
            log.append(LogEntry(table.name, key, "", WITHHELD, reason))
    kept = state_frame(table, spec, kept.drop(index=drop).reset_index(drop=True))
    return ClearedTable(table, spec, kept, kept.isna() & False, None, "sentences built from other tables")
