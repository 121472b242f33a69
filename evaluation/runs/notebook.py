"""Reading a stage's notebook without running it: its parameters, its contract, its code and its prose."""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.errors import ContractError
from evaluation.protocol.load import validate

from .stages import Kind, Stage, section_model


@dataclass(frozen=True)
class StageSource:
    """A stage's notebook as it stands on disk."""

    path: Path
    cells: tuple[dict[str, Any], ...]
    notebook: dict[str, Any]

    @property
    def code(self) -> dict[str, str]:
        """Digest of each code cell, with its tags, by cell id, in order."""
        return {c["id"]: _digest(json.dumps([source_of(c), sorted(c.get("metadata", {}).get("tags", []))]))
                for c in self.cells if c["cell_type"] == "code"}

    @property
    def prose(self) -> dict[str, str]:
        """Text of each Markdown cell by cell id, in order."""
        return {c["id"]: source_of(c) for c in self.cells if c["cell_type"] == "markdown"}


def source_of(cell: dict[str, Any]) -> str:
    """A cell's text, however the file splits it."""
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def is_tagged(cell: dict[str, Any], tag: str) -> bool:
    """Whether a cell carries a tag."""
    return tag in cell.get("metadata", {}).get("tags", [])


def read_source(root: Path, stage: Stage) -> StageSource:
    """Read a stage's notebook.

    Raises
    ------
    ContractError
        It is absent or no notebook of format 4.5 with unique cell ids.
    """
    path = Path(root) / "notebooks" / stage.notebook_name
    where = f"notebooks/{path.name}"
    if not path.is_file():
        raise ContractError(f"stage `{stage.name}` has no notebook", where=where, mend="restore the file")
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells = tuple(notebook["cells"])
        ids = [cell["id"] for cell in cells]
    except (ValueError, KeyError, TypeError) as error:
        raise ContractError(f"not a notebook of format 4.5 with cell ids ({type(error).__name__}: {error})", where=where,
                            mend="open and save it in JupyterLab, or restore the file") from error
    doubled = sorted({i for i in ids if ids.count(i) > 1})
    if doubled:
        raise ContractError(f"cell ids stand twice: {', '.join(doubled)}", where=where, mend="give each cell an id of its own")
    return StageSource(path=path, cells=cells, notebook=notebook)


def notebook_parameters(source: StageSource) -> dict[str, Any]:
    """Names and values of the cell tagged ``parameters``, read without running it.

    Raises
    ------
    ContractError
        There is not exactly one such cell, or it holds anything but typed assignments of plain values.
    """
    where = f"notebooks/{source.path.name}"
    tagged = [c for c in source.cells if c["cell_type"] == "code" and is_tagged(c, "parameters")]
    if len(tagged) != 1:
        raise ContractError(f"{len(tagged)} code cells are tagged `parameters`; exactly one is wanted", where=where,
                            mend="tag the first code cell `parameters`, and no other")
    where = f"{where}, cell `{tagged[0]['id']}`"
    try:
        body = ast.parse(source_of(tagged[0])).body
    except SyntaxError as error:
        raise ContractError(f"not Python: {error.msg} (line {error.lineno})", where=where, mend="correct the cell") from error
    values: dict[str, Any] = {}
    for node in body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None):
            raise ContractError(f"line {node.lineno} is not a typed assignment (`name: type = value`)", where=where,
                                mend="keep only typed assignments in this cell")
        try:
            value = ast.literal_eval(node.value)
        except ValueError as error:
            raise ContractError(f"the value of `{node.target.id}` is not a plain value", where=where,
                                mend="write a number, text, list, dict, True, False or None") from error
        if node.target.id in values:
            raise ContractError(f"`{node.target.id}` is assigned twice", where=where, mend="keep one")
        values[node.target.id] = value
    return values


def check_notebook(root: Path, kind: Kind, stage: Stage) -> StageSource:
    """Hold a notebook against the model of its section and the stage contract; no kernel is started.

    Raises
    ------
    ContractError, ParameterError
        The notebook and the protocol's model have drifted apart, or the contract is broken.
    """
    source = read_source(root, stage)
    where = f"notebooks/{source.path.name}"
    values = notebook_parameters(source)
    model = section_model(kind, stage.section)
    names = set(model.model_fields)
    unknown, missing = sorted(set(values) - names), sorted(names - set(values))
    if unknown or missing:
        said = [f"`{n}` is no field of section `{stage.section}`" for n in unknown]
        said += [f"`{n}` of section `{stage.section}` is not set" for n in missing]
        raise ContractError(f"the parameters cell and the protocol's model have drifted apart: {'; '.join(said)}",
                            where=where, mend="make the parameters cell name the section's fields, all and only")
    validate(model, values, where=f"{where}, parameters cell")
    code = [c for c in source.cells if c["cell_type"] == "code" and source_of(c).strip()]
    first = next((i for i, c in enumerate(code) if is_tagged(c, "parameters")), 0)
    if first != 0 or len(code) < 2 or not _opens_stage(source_of(code[1]), stage.name):
        raise ContractError(f"the parameters cell must come first, and the next code cell must call open_stage(\"{stage.name}\", globals())",
                            where=where, mend="restore the order: parameters, then open_stage")
    if any(is_tagged(c, "injected-parameters") for c in source.cells):
        raise ContractError("the notebook holds a cell of injected parameters", where=where,
                            mend="remove that cell: it belongs to an executed copy")
    titles = [line for text in source.prose.values() for line in _headings(text) if line[0] == 1]
    if len(titles) != 1:
        raise ContractError(f"{len(titles)} headings of the first level; exactly one is wanted", where=where,
                            mend="start the notebook with one `# Title` and use `##` below")
    return source


def _opens_stage(code: str, name: str) -> bool:
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open_stage":
            return bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == name
    return False


def _headings(text: str) -> list[tuple[int, str]]:
    found, fenced = [], False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and line.startswith("#"):
            level = len(line) - len(line.lstrip("#"))
            if line[level:level + 1] == " ":
                found.append((level, line[level:].strip()))
    return found


def heading_before(cells: list[dict[str, Any]] | tuple[dict[str, Any], ...], index: int) -> str:
    """The nearest heading above a cell, for messages and progress."""
    for cell in reversed(list(cells)[: index + 1]):
        if cell["cell_type"] == "markdown":
            titles = _headings(source_of(cell))
            if titles:
                return titles[-1][1]
    return "the start of the notebook"


def rejoin_prose(executed: dict[str, Any], source: StageSource) -> dict[str, Any]:
    """Stored outputs with the prose as it stands now: Markdown cells come from the source, code cells with their
    outputs from the execution, joined by cell id, in the source's order.

    Raises
    ------
    ContractError
        The code cells differ: then it is not the prose alone that changed.
    """
    by_id = {cell["id"]: cell for cell in executed["cells"]}
    cells = []
    for cell in source.cells:
        if cell["cell_type"] == "code":
            stored = by_id.get(cell["id"])
            if stored is None or source_of(stored) != source_of(cell):
                raise ContractError(f"code cell `{cell['id']}` is not the one that ran", where=f"notebooks/{source.path.name}",
                                    mend="run the study again")
            cells.append(stored)
            if is_tagged(cell, "parameters"):
                cells += [c for c in executed["cells"] if is_tagged(c, "injected-parameters")]
        else:
            cells.append(cell)
    return {**executed, "cells": cells}
