"""Where the project is: the nearest parent that holds the notebooks, the params and the data dictionary."""

from __future__ import annotations

from pathlib import Path

from evaluation.errors import ContractError

MARKS = ("notebooks", "params", "data_dictionary")
PACKAGE = Path(__file__).resolve().parents[1]


def find_root(start: Path) -> Path:
    """The nearest parent of ``start`` (itself included) with the folders of a project.

    Raises
    ------
    ContractError
        There is none, or this Python's ``evaluation`` comes from another checkout than the one found.
    """
    start = Path(start).resolve()
    for folder in (start, *start.parents):
        if all((folder / mark).is_dir() for mark in MARKS):
            _same_checkout(folder)
            return folder
    raise ContractError(
        f"no folder here or above holds {', '.join(f'{m}/' for m in MARKS)}",
        where=str(start), mend="run the command inside the project's folder, or name a params file that lies in it")


def _same_checkout(root: Path) -> None:
    own = root / "evaluation"
    if (own / "__init__.py").is_file() and own.resolve() != PACKAGE:
        raise ContractError("the installed `evaluation` comes from another checkout than these notebooks",
                            where=str(root), mend="install this checkout: python -m pip install -e . -c constraints.txt")


def shown(path: Path, root: Path | None = None) -> str:
    """A path as messages show it: relative to the root, else to the working directory, where that is possible."""
    for base in (root, Path.cwd()):
        if base is not None:
            try:
                return str(Path(path).resolve().relative_to(Path(base).resolve()))
            except ValueError:
                continue
    return str(path)
