"""How far a running notebook has come (apart from the kernel's module, which is slow to import)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Progress:
    """Cells done, cells in all, and the index of the cell at work."""

    done: int = 0
    total: int = 0
    index: int = 0
