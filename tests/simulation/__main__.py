"""Regenerates every part of ``RESULTS.md``: ``python -m tests.simulation``, or ``python -m tests.simulation.<part>`` for one."""

from pathlib import Path

from tests.results_page import regenerate

if __name__ == "__main__":
    regenerate(__package__, Path(__file__).parent)
