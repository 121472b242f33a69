"""Regenerates every part of ``RESULTS.md``: ``python -m tests.simulation``, or ``python -m tests.simulation.<part>`` for one."""

from importlib import import_module
from pathlib import Path


def main() -> None:
    """Run the ``main`` of every module of this folder that makes a part."""
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        if path.stem.startswith("test_"):
            continue
        module = import_module(f"{__package__}.{path.stem}")
        if hasattr(module, "PART"):
            print(f"{module.PART} ...", flush=True)
            module.main()


if __name__ == "__main__":
    main()
