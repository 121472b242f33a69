"""A release: everything that may leave a run, in one folder, and beside it what the output checker needs."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import GateError
from evaluation.registers.entries import Table
from evaluation.reporting.disclosure.earlier import RELEASE, Earlier
from evaluation.reporting.disclosure.gate import clear_tables, prove_clearance
from evaluation.reporting.disclosure.profiles import Profile
from evaluation.reporting.disclosure.result import REFUSED, Clearance, ClearedTable, LogEntry
from evaluation.reporting.disclosure.shown import Figure
from evaluation.reporting.documents import edition_docx, edition_pdf
from evaluation.reporting.release.editions import release_editions
from evaluation.reporting.release.open_data import open_data_pair
from evaluation.reporting.release.request import counts_behind, log_csv, manifest_log, request_csv
from evaluation.reporting.release.tables import FORM, describe_table, table_csv
from evaluation.reporting.release.workbook import workbook_bytes

if TYPE_CHECKING:
    import pandas as pd

RELEASE_FOLDER, CHECKER_FOLDER = "release", "disclosure"
ORDER = ("headline", "estimates", "area_estimates", "trajectories", "event_study", "cohort_flow", "attrition", "delivery_reach", "delivery_dose", "costs_by_perspective", "appraisal")


@dataclass(frozen=True)
class ReleaseFacts:
    """What identifies a release. ``meta`` holds the fields of the report's meta other than run and label; ``content`` names
    the results that it was made from, the same for every run that has them; ``year`` is the academic year that the study runs to."""

    study: str
    label: str
    meta: Mapping[str, Any]
    content: str
    year: str
    made: date


def refuse_recovered(clearance: Clearance) -> None:
    """Refuse a clearance under which a suppressed count can be worked out.

    Raises
    ------
    GateError
        Names the count and the mend.
    """
    known = prove_clearance(clearance)
    if known:
        raise GateError(f"nothing was written: {len(known)} suppressed counts could be worked out, the first of them {known[0]}", where=known[0],
                        mend="merge rows of that table, or leave it out (x-disclosure: about: not for release)")


def build_release(tables: Mapping[str, tuple[Table, pd.DataFrame]], profile: Profile, facts: ReleaseFacts, folder: Path, earlier: Earlier | None = None,
                  figures: Sequence[Figure] = (), clearance: Clearance | None = None) -> dict[str, Any]:
    """Clear a run's tables and write ``release/`` and ``disclosure/`` into a folder.

    Parameters
    ----------
    tables : mapping
        By name, dictionary entry and frame of every table of the run.
    profile : Profile
    facts : ReleaseFacts
    folder : Path
        Made if absent; must hold neither.
    earlier : Earlier, optional
    figures : sequence of Figure
        Figures of the run; those with a reason against them are logged and stay.
    clearance : Clearance, optional
        What the tables are already known to let through, proved; made here when not given.

    Returns
    -------
    dict
        ``files`` (digest by path), ``log`` (without counts), ``profile``, ``tables``, ``proof``.

    Raises
    ------
    GateError
        Nothing could be cleared, or the proof failed; nothing is left behind.
    """
    if clearance is None:
        clearance = clear_tables(tables, profile, facts.label, earlier)
        refuse_recovered(clearance)
    if not clearance.cleared:
        raise GateError(f"the release was not written: no table may leave; the first refusal: {clearance.refused[0].reason if clearance.refused else 'there is no table'}",
                        where=clearance.refused[0].table if clearance.refused else "release", mend="see x-disclosure of the data dictionary")
    ordered = sorted(clearance.cleared, key=lambda c: (ORDER.index(c.table.name) if c.table.name in ORDER else len(ORDER), c.table.name))
    try:
        return _write(clearance, ordered, profile, facts, Path(folder), figures)
    except BaseException:
        for name in (RELEASE_FOLDER, CHECKER_FOLDER):
            shutil.rmtree(Path(folder) / name, ignore_errors=True)
        raise


def _write(clearance: Clearance, ordered: Sequence[ClearedTable], profile: Profile, facts: ReleaseFacts, folder: Path,
           figures: Sequence[Figure]) -> dict[str, Any]:
    out, checker = folder / RELEASE_FOLDER, folder / CHECKER_FOLDER
    files: dict[str, ClearedTable | None] = {}
    more: list[LogEntry] = []

    def put(path: str, content: bytes, of: ClearedTable | None) -> None:
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(content)
        files[path] = of

    for cleared in ordered:
        put(f"tables/{cleared.table.name}.csv", table_csv(cleared), cleared)
    for cleared in ordered:
        if cleared.spec.about == "sentences":
            continue
        pair = open_data_pair(cleared, label=facts.label, year=facts.year)
        if pair.findings:
            found = pair.findings[0]
            more.append(LogEntry(cleared.table.name, "", "", REFUSED, f"not written as open data: rule `{found.rule}`, {found.message}"))
        else:
            put(f"open_data/{pair.name}", pair.data, cleared)
            put(f"open_data/{pair.meta_name}", pair.meta, cleared)
    drawn = []
    for figure in figures:
        if figure.reason:
            more.append(LogEntry(f"figure {figure.name}", "", "", REFUSED, figure.reason))
        else:
            put(f"figures/{figure.name}.png", figure.png.read_bytes(), None)
            drawn.append({"file": f"figures/{figure.name}.png", "stage": figure.stage, "caption": figure.caption, "alt": figure.alt, "smallest": figure.smallest})
    prefix = "simulated_" if facts.label == "simulated" else ""
    lines = [f"Study {facts.study}, {facts.content}.", f"Protocol version {facts.meta['protocol_version']}, digest {facts.meta['protocol_digest'][:12]}.",
             "Made from published statistics." if facts.label == "published" else f"Tables passed the disclosure rules of profile {profile.name}.", "Draft: not yet assured."]
    put(f"{prefix}{facts.study}.xlsx", workbook_bytes(ordered, title=facts.meta["title"], label=facts.label, facts=lines, rounding_base=profile.rounding_base if facts.label != "published" else 1), None)
    digests = {path: hashlib.sha256((out / path).read_bytes()).hexdigest() for path in files}
    told = {"form": FORM, "study": facts.study, "label": facts.label, "content": facts.content, "run_id": facts.content, "meta": dict(facts.meta), "year": facts.year,
            "made": facts.made.isoformat(), "profile": asdict(profile), "tables": [describe_table(c) for c in ordered],
            "figures": drawn, "files": digests}
    (out / RELEASE).write_text(json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    for name, content in edition_files(out, facts.made).items():
        put(f"editions/{prefix}{name}", content, None)
    checker.mkdir(parents=True, exist_ok=True)
    (checker / "disclosure_log.csv").write_bytes(log_csv(clearance, more))
    (checker / "output_request.csv").write_bytes(request_csv(clearance, files, {d["file"]: d for d in drawn}))
    for cleared in ordered:
        if cleared.spec.counts:
            (checker / "counts").mkdir(exist_ok=True)
            (checker / "counts" / f"{cleared.table.name}.csv").write_bytes(counts_behind(clearance, cleared))
    suppression = clearance.suppression
    return {
        "files": {f"{RELEASE_FOLDER}/{path}": hashlib.sha256((out / path).read_bytes()).hexdigest() for path in [*files, RELEASE]},
        "log": manifest_log(clearance, more), "profile": asdict(profile), "tables": [c.table.name for c in ordered],
        "proof": {"cells": clearance.system.size, "equations": len(clearance.system.equations),
                  "primary": int(suppression.primary.sum()) if suppression else 0, "secondary": int(suppression.secondary.sum()) if suppression else 0, "recovered": 0},
    }


def edition_files(release: Path, made: date) -> dict[str, bytes]:
    """Every edition in every format, from a release folder alone.

    Returns
    -------
    dict
        Content by name: ``summary.html``, ``summary.pdf``, ``summary.docx`` and the technical ones.
    """
    pages = release_editions(release)
    makers = {"pdf": edition_pdf, "docx": edition_docx}
    wanted = [(name, kind) for name in pages for kind in makers]
    with ThreadPoolExecutor(2) as pool:  # both write through programs of their own
        made_of = dict(zip(wanted, pool.map(lambda given: makers[given[1]](pages[given[0]], made), wanted), strict=True))
    files = {name: html.encode("utf-8") for name, html in pages.items()}
    return files | {name.replace(".html", f".{kind}"): content for (name, kind), content in made_of.items()}
