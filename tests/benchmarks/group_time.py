"""Times group-time effects beside csdid and diff-diff: ``BENCH_PEER_PYTHON=... python -m tests.benchmarks.group_time``."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.benchmarks.data_panels import panel_file
from tests.benchmarks.timing import HEADER, ROUNDS, Measured, by_turns, here, job_or_part, line, machine, part_writer, peer_python, ratio

PART = "group_time"
PEERS = Path(__file__).with_name("peers")
OURS = "ours: `group_time_effects`"
CSDID, DIFF_DIFF = "csdid: `ATTgt`", "diff-diff: `CallawaySantAnna`"
PROGRAMS = {CSDID: PEERS / "group_time_csdid.py", DIFF_DIFF: PEERS / "group_time_diff_diff.py"}
# Thousand pupils, kind of errors, peers.
JOBS = ((200, "analytic", (CSDID, DIFF_DIFF)), (1000, "draws", (CSDID,)), (200, "missing", (CSDID,)))
WORDS = {"analytic": "analytic errors", "missing": "10% of rows missing, kept; analytic errors", "draws": "999 draws clustered by school"}
SHARE_MISSING = 0.1


def run(path: str, errors: str) -> None:
    """Our program: reads the panel, times effects and event-time averages, prints JSON."""
    import numpy as np
    import pandas as pd

    from evaluation.impact import group_time_effects

    rows = pd.read_parquet(path)
    options = {"cluster": "school", "draws": 999} if errors == "draws" else {}
    if errors == "missing":
        rows, options = rows[np.random.default_rng(0).random(len(rows)) >= SHARE_MISSING].reset_index(drop=True), {"unbalanced": "keep"}
    begin = time.perf_counter()
    fit = group_time_effects(rows, "y", unit="pupil_id", time="t", start="g", covariates=["fsm", "idaci", "prior_abs"], **options)
    overall = fit.aggregate("event").overall
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "estimate": overall.estimate, "std_error": overall.std_error}))


def _against(found: dict[str, list[Measured]], peer: str) -> str:
    ours, theirs = found[OURS][0], found[peer][0]
    apart = [f"{said} apart by {abs(ours.printed[name] / theirs.printed[name] - 1):.0e}"
             for name, said in (("estimate", "overall effect"), ("std_error", "its standard error")) if name in theirs.printed]  # fmt: skip
    memory = max(m.megabytes for m in found[OURS]) / max(m.megabytes for m in found[peer])
    return f"{peer.split(':')[0]}: {ratio(found, OURS, peer):.3f} of its time, {memory:.2f} of its memory; {', '.join(apart)}"


def results_text() -> str:
    """The part of the page: times, memory and agreement."""
    python, lines = peer_python(), []
    for thousands, errors, peers in JOBS:
        path = str(panel_file(thousands))
        commands = {OURS: here("tests.benchmarks.group_time", path, errors)}
        if python:
            commands |= {peer: [python, str(PROGRAMS[peer]), path, errors] for peer in peers}
        found = by_turns(commands, ROUNDS)
        size = f"{thousands * 1000:,} pupils x 9 periods, {WORDS[errors]}"
        for name, measured in found.items():
            lines.append(line(name, size, measured, "; ".join(_against(found, peer) for peer in found if peer != OURS) if name == OURS else ""))
    words = ("Doubly robust effects by cohort and period with three covariates against never-treated pupils, and their averages by event time. "
             "Differences are relative; diff-diff's doubly robust term is another one, and with draws standard errors differ by chance.")  # fmt: skip
    return "\n".join(["## Group-time effects", "", words, f"`python -m tests.benchmarks.group_time`; {machine()}", "", *HEADER, *lines])


main = part_writer(PART, results_text)

if __name__ == "__main__":
    job_or_part(run, main)
