"""Times every format of a finished run: ``BENCH_RUN=reports/RUN BENCH_PDF_PYTHON=... python -m tests.benchmarks.formats``.

The checkers of PDF (page-validation, outloud, pdfua) have an environment of their own; without it the times stand alone.
"""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from statistics import median

from tests.benchmarks.timing import ROOT, ROUNDS, here, job_or_part, machine, measure, part_writer

PART = "formats"
PEER = Path(__file__).with_name("peers") / "pdf_checkers.py"
LIMIT = 20


def run(folder: str) -> None:
    """Our program: makes every format once, prints processor seconds by format as JSON."""
    from evaluation.registers.dictionary import load_table
    from evaluation.reporting.disclosure import clear_tables, find_profile, prove_clearance
    from evaluation.reporting.documents import edition_docx, edition_pdf
    from evaluation.reporting.release.editions import release_editions
    from evaluation.reporting.release.open_data import open_data_pair
    from evaluation.reporting.release.tables import table_csv
    from evaluation.reporting.release.workbook import workbook_bytes
    from evaluation.runs.stage import read_parquet

    spent: dict[str, float] = {}

    @contextmanager
    def part(name: str) -> Iterator[None]:
        begin = _processor()
        yield
        spent[name] = spent.get(name, 0.0) + _processor() - begin

    root, values = Path(folder), json.loads((Path(folder) / "run.json").read_text(encoding="utf-8"))
    chosen, label = values["protocol"]["report"]["disclosure"], values["data_label"]
    profile = find_profile(chosen["profile"], chosen["changes"])
    with part("clearing and its proof"):
        clearance = clear_tables({p.stem: (load_table(ROOT, p.stem), read_parquet(p)) for p in sorted(root.glob("*/tables/*.parquet"))}, profile, label)
        prove_clearance(clearance)
    with part("tables and open data"):
        for cleared in clearance.cleared:
            table_csv(cleared)
            if cleared.spec.about != "sentences":
                open_data_pair(cleared, label=label, year="2024/25")
    with part("workbook"):
        workbook_bytes(clearance.cleared, title="Benchmark", label=label, facts=["Benchmark"], rounding_base=profile.rounding_base)
    with part("HTML of the release"):
        pages = {f"release, {name.removesuffix('.html')}": page for name, page in release_editions(root / "release").items()}
    pages |= {f"report, {name}": (root / "report" / f"{name}.html").read_text(encoding="utf-8") for name in ("summary", "technical")}
    for name, page in pages.items():
        with part(f"PDF of {name}"):
            edition_pdf(page, date(2026, 1, 5))
        with part(f"DOCX of {name}"):
            edition_docx(page, date(2026, 1, 5))
    print(json.dumps({"seconds": sum(spent.values()), "parts": spent}))


def _processor() -> float:
    """Seconds of processor of this process and of those it started."""
    used = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


def results_text() -> str:
    """The part of the page: seconds by format, and what the checkers found."""
    folder = os.environ["BENCH_RUN"]
    found = [measure([*here("tests.benchmarks.formats"), folder]) for _ in range(ROUNDS)]
    parts = {name: median(f.printed["parts"][name] for f in found) for name in found[0].printed["parts"]}
    total = median(f.seconds for f in found)
    rows = [f"| {name} | {seconds:.2f} |" for name, seconds in parts.items()] + [f"| all, limit {LIMIT} | {total:.2f} |"]
    words = ("Every format of the default study, one after another, in seconds of processor; a run makes PDF and DOCX two at a time. "
             f"Peak memory {max(f.megabytes for f in found):,.0f} MB. The HTML of the report is rendered with the run and not counted here.")  # fmt: skip
    text = ["## Formats", "", words, f"`BENCH_RUN=reports/RUN python -m tests.benchmarks.formats`; {machine()}", "", "| Format | Processor seconds (median) |", "|:---|---:|", *rows]
    return "\n".join([*text, *_checked(Path(folder))])


def _checked(folder: Path) -> list[str]:
    """What the checkers of PDF find in the run's files."""
    import subprocess

    peer = os.environ.get("BENCH_PDF_PYTHON")
    if not peer:
        return []
    files = sorted([*folder.glob("report/*.pdf"), *folder.glob("release/editions/*.pdf")])
    said = json.loads(subprocess.run([peer, str(PEER), *map(str, files)], capture_output=True, check=True, text=True).stdout)
    rows = [f"| {checker} | {Path(file).parent.name}/{Path(file).name} | {words} |" for checker, file, words in said["found"]]
    words = ("Independent checkers of PDF without a virtual machine for Java. page-validation passes the corpus of veraPDF; it takes a stream whose last byte is a carriage return "
             "for one that is a byte too long (`STREAM-LENGTH`), which veraPDF's own reader does not and the standard does not ask. outloud takes headers of a table that are "
             "repeated on the next page for content marked as artifact (`TAG-002`; ISO 14289-1, 7.8 wants them as artifacts), rows of two columns for shredded headers (`TBL-010`) and rows of numbers at "
             "the head of a page for running lines (`PAG-001`), and words that list shares by band for no language (`FIG-012`).")  # fmt: skip
    return ["", words, f"`BENCH_PDF_PYTHON=...`; {', '.join(said['versions'])}.", "", "| Checker | File | Found |", "|:---|:---|:---|", *rows]


main = part_writer(PART, results_text)

if __name__ == "__main__":
    job_or_part(run, main)
