"""Times the two-way event study beside pyfixest: ``BENCH_PEER_PYTHON=... python -m tests.benchmarks.event_study``."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.benchmarks.data_panels import panel_file
from tests.benchmarks.timing import HEADER, ROUNDS, by_turns, here, job_or_part, line, machine, part_writer, peer_python, ratio

PART = "event_study"
PEER = Path(__file__).with_name("peers") / "event_study_pyfixest.py"
OURS, THEIRS = "ours: `two_way_effects`", "pyfixest: `feols`"
# Thousand pupils, share of rows missing.
JOBS = ((200, 0.0), (200, 0.1), (1000, 0.0))


def run(path: str, missing: float) -> None:
    """Our program: reads the panel, times the call, prints JSON."""
    import numpy as np
    import pandas as pd

    from evaluation.impact import two_way_effects

    rows = pd.read_parquet(path)
    if missing:
        rows = rows[np.random.default_rng(0).random(len(rows)) >= missing].reset_index(drop=True)
    begin = time.perf_counter()
    fit = two_way_effects(rows, "y", unit="pupil_id", time="t", start="g", cluster="school")
    seconds = time.perf_counter() - begin
    row = fit.frame.set_index("event_time").loc[0]
    print(json.dumps({"seconds": seconds, "estimate": row["estimate"], "std_error": row["std_error"]}))


def results_text() -> str:
    """The part of the page: times, memory and agreement."""
    peer, lines = peer_python(), []
    for thousands, missing in JOBS:
        path = str(panel_file(thousands))
        commands = {OURS: here("tests.benchmarks.event_study", path, str(missing))}
        if peer:
            commands[THEIRS] = [peer, str(PEER), path, *([str(missing)] if missing else [])]
        found = by_turns(commands, ROUNDS)
        size = f"{thousands * 1000:,} pupils x 9 periods" + (f", {missing:.0%} of rows missing" if missing else "")
        against = ""
        if peer:
            ours, theirs = (found[name][0].printed for name in (OURS, THEIRS))
            apart = [abs(ours[name] / theirs[name] - 1) for name in ("estimate", "std_error")]
            against = f"{ratio(found, OURS, THEIRS):.3f} of pyfixest; effect at 0 apart by {apart[0]:.0e}, its standard error by {apart[1]:.0e}"
        lines.append(line(OURS, size, found[OURS], against))
        if peer:
            lines.append(line(THEIRS, size, found[THEIRS]))
    words = "Two-way event study with pupil and period effects, clustered by school; one thread. Differences are relative."
    return "\n".join(["## Event study", "", words, f"`python -m tests.benchmarks.event_study`; {machine()}", "", *HEADER, *lines])


main = part_writer(PART, results_text)

if __name__ == "__main__":
    job_or_part(lambda job, level: run(job, float(level)), main)
