"""Times secondary suppression with its proof: ``BENCH_TAUARGUS_PYTHON=... python -m tests.benchmarks.disclosure``.

pytauargus is under the EUPL and has an environment of its own; without it our rows stand alone.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np

from tests.benchmarks.timing import HEADER, ROUNDS, by_turns, data_folder, here, job_or_part, line, machine, measure, part_writer

PART = "disclosure"
PEER = Path(__file__).with_name("peers") / "disclosure_tauargus.py"
THRESHOLD = 10
# name: shape, mean count, and the share of cells made small
TABLES = {"30 x 20, few small": ((30, 20), 60, 0.05), "30 x 20, many small": ((30, 20), 12, 0.0), "8 x 8 x 6, three dimensions": ((8, 8, 6), 25, 0.1)}
PEER_TABLES = {"30 x 20, few small": "MOD(1,5,1,1,1)", "6 x 5": "OPT(1)"}


def table_file(name: str) -> Path:
    """An invented table of counts, the same at every call."""
    shape, mean, small = TABLES.get(name, ((6, 5), 60, 0.1))
    random = np.random.default_rng(11)
    counts = random.poisson(random.gamma(2.0, mean / 2, shape)) + (THRESHOLD if small else 0)
    chosen = random.random(shape) < small
    counts[chosen] = random.integers(1, THRESHOLD, int(chosen.sum()))
    path = data_folder() / f"disclosure_{'_'.join(map(str, shape))}_{mean}.json"
    path.write_text(json.dumps(counts.tolist()), encoding="utf-8")
    return path


def run(path: str) -> None:
    """Our program: suppresses, plays the intruder, prints JSON."""
    from evaluation.reporting.disclosure import prove, suppress_cells, table_system

    import scipy.optimize  # noqa: F401 - its import is no part of the time

    system = table_system(np.array(json.loads(Path(path).read_text(encoding="utf-8"))))
    values = system.numbers()
    primary = (values > 0) & (values < THRESHOLD)
    begin = time.perf_counter()
    result = suppress_cells(system, primary, threshold=THRESHOLD)
    weak = prove(system, primary, result.suppressed, threshold=THRESHOLD)[1]
    print(json.dumps({"seconds": time.perf_counter() - begin, "suppressed": int(result.suppressed.sum()), "primary": int(primary.sum()), "unsafe": len(weak) + len(result.unsafe)}))


def results_text() -> str:
    """The part of the page: times, memory, cells."""
    found = by_turns({name: [*here("tests.benchmarks.disclosure"), str(table_file(name))] for name in (*TABLES, "6 x 5")}, ROUNDS)
    lines = []
    for name, runs in found.items():
        said = runs[0].printed
        lines.append(line(f"ours: {name}", f"{said['primary']} small counts", runs, f"{said['suppressed']} cells suppressed, {said['unsafe']} unsafe"))
        peer = os.environ.get("BENCH_TAUARGUS_PYTHON")
        if peer and name in PEER_TABLES:
            theirs = measure([peer, str(PEER), str(table_file(name)), PEER_TABLES[name]])
            lines.append(line(f"pytauargus 0.6.0: {name}, {PEER_TABLES[name].partition('(')[0]}", "the same", [theirs],
                              f"ours {runs[0].seconds / theirs.seconds:.2f} of the peer; {theirs.printed['suppressed']} cells suppressed"))
    words = ("Tables of counts with all totals, threshold 10: secondary suppression and the intruder's linear programmes on every suppressed cell, one thread. "
             "The peer runs once; its optimum protects 0 to twice the count, ours 0 to the threshold. Taken while the machine did other work.")  # fmt: skip
    return "\n".join(["## Disclosure control", "", words, f"`python -m tests.benchmarks.disclosure`; {machine()}", "", *HEADER, *lines])


main = part_writer(PART, results_text)

if __name__ == "__main__":
    job_or_part(run, main)
