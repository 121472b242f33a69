"""Pages of results that commands regenerate part by part: ``RESULTS.md`` of the simulations and of the benchmarks."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path


def _marks(part: str) -> tuple[str, str]:
    return f"<!-- part: {part} -->", f"<!-- end: {part} -->"


def read_part(page: Path, part: str) -> str | None:
    """The text of one part of a page, None if the page does not hold it."""
    first, last = (re.escape(mark) for mark in _marks(part))
    found = re.search(f"{first}\n(.*?){last}", page.read_text(encoding="utf-8"), re.S)
    return found.group(1) if found else None


def write_part(page: Path, part: str, text: str) -> None:
    """Replace one part of a page and leave the others as they are; a new part goes to the end."""
    first, last = _marks(part)
    block = f"{first}\n{text.strip()}\n{last}"
    whole = page.read_text(encoding="utf-8")
    if read_part(page, part) is None:
        whole = f"{whole.rstrip()}\n\n{block}\n"
    else:
        whole = re.sub(f"{re.escape(first)}\n.*?{re.escape(last)}", lambda _: block, whole, flags=re.S)
    page.write_text(whole, encoding="utf-8")


def regenerate(package: str, folder: Path) -> None:
    """Run the ``main`` of every module of a package that makes a part of its page."""
    for path in sorted(folder.glob("[a-z]*.py")):
        if path.stem.startswith("test_"):
            continue
        module = import_module(f"{package}.{path.stem}")
        if hasattr(module, "PART"):
            print(f"{module.PART} ...", flush=True)
            module.main()
