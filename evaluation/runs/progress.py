"""What a user sees while a study runs: one line a stage on a terminal, plain timestamped lines elsewhere."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from time import monotonic
from typing import Any, TextIO

from .kernel_progress import Progress
from .notebook import heading_before


class Reporter:
    """Tells the state of a run. On a terminal the line at work is rewritten in place; elsewhere each event is a line."""

    def __init__(self, stream: TextIO | None = None, terminal: bool | None = None):
        self.stream = stream if stream is not None else sys.stderr
        self.terminal = self.stream.isatty() if terminal is None else terminal
        self._started = monotonic()
        self._open = False
        self._heading = ""
        self._said = 0.0

    def say(self, text: str) -> None:
        """One line of its own."""
        self._clear()
        stamp = "" if self.terminal else f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} "
        print(f"{stamp}{text}", file=self.stream, flush=True)

    def stage_started(self, name: str, why: str) -> None:
        """A stage begins to run."""
        self._started, self._heading, self._said = monotonic(), "", monotonic()
        if not self.terminal:
            self.say(f"{name} runs: {why}")

    def tick(self, name: str, expected: float | None, progress: Progress, cells: list[Any]) -> None:
        """A running stage is somewhere: its heading, and elapsed of expected seconds."""
        heading = heading_before(cells, max(progress.index - 1, 0)) if cells else ""
        elapsed = monotonic() - self._started
        of = f" of about {expected:.0f}" if expected else ""
        if self.terminal:
            self._rewrite(f"  {name:<16} running  {progress.done:>2}/{progress.total:<2} {elapsed:5.0f}{of} s  {heading}")
        elif heading != self._heading and monotonic() - self._said > 2 or monotonic() - self._said > 30:
            self._heading, self._said = heading, monotonic()
            self.say(f"{name}: {heading} ({elapsed:.0f}{of} s)")

    def stage_done(self, name: str, seconds: float, why: str) -> None:
        """A stage succeeded."""
        self.say(f"  {name:<16} done     {seconds:6.1f} s  {why}" if self.terminal else f"{name} done in {seconds:.1f} s")

    def stage_reused(self, name: str) -> None:
        """A stage's stored result still holds."""
        self.say(f"  {name:<16} reused" if self.terminal else f"{name} reused: nothing it depends on changed")

    def _rewrite(self, text: str) -> None:
        import shutil

        width = shutil.get_terminal_size((100, 20)).columns - 1
        print(f"\r\x1b[2K{text[:width]}", end="", file=self.stream, flush=True)
        self._open = True

    def _clear(self) -> None:
        if self._open:
            print("\r\x1b[2K", end="", file=self.stream, flush=True)
            self._open = False
