"""What a notebook holds in its hand: validated parameters, tables in, tables out."""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import ContractError, ParameterError, StageError
from evaluation.protocol.load import resolved, validate
from evaluation.registers.dictionary import check_frame, empty_frame, load_table, typed_frame

from .files import read_json, sha256_of, write_json
from .root import PACKAGE
from .stages import Kind, Stage, find_kind, model_of, section_model

if TYPE_CHECKING:
    import pandas as pd

CONTEXT_VARIABLE = "EVALUATION_STAGE_CONTEXT"
CONTEXT_FILE = "stage_context.json"
RECEIPTS = "receipts.json"


@dataclass(frozen=True)
class OpenStage:
    """An open stage. ``parameters`` is the section's validated model, ``seed`` the run's seed, ``label`` says whether
    the data are simulated, published or restricted, ``kind`` whether this is a run ("full") or by hand ("interactive")."""

    name: str
    parameters: Any
    seed: int
    label: str
    kind: str
    root: Path
    folder: Path
    declared: Stage
    sources: Mapping[str, str]
    skipped: tuple[str, ...]
    data: Path | None
    truth_path: Path | None
    protocol_values: dict[str, Any] | None
    study_kind: Kind
    notes: Mapping[str, str] = field(default_factory=dict)

    def read(self, name: str) -> pd.DataFrame:
        """A table of an earlier stage, with the dictionary's types; of no rows where a formative run left its stage out.

        Raises
        ------
        ContractError
            The stage does not declare that it reads this table.
        """
        if name not in self.declared.reads:
            raise ContractError(f"stage `{self.name}` does not declare that it reads `{name}`",
                                mend=f"it declares {', '.join(self.declared.reads) or 'none'}; add it in evaluation/runs/stages.py")
        table = load_table(self.root, name)
        if name in self.skipped:
            return empty_frame(table)
        return typed_frame(table, read_parquet(Path(self.sources[name])))

    def write(self, name: str, frame: pd.DataFrame) -> None:
        """Check a table against its dictionary entry, sort it by its key and keep it.

        Raises
        ------
        ContractError
            The table is not declared or does not match its entry.
        StageError
            The disk is full.
        """
        if name not in self.declared.writes:
            near = difflib.get_close_matches(name, self.declared.writes, n=1)
            raise ContractError(f"stage `{self.name}` does not declare table `{name}`" + (f"; did you mean `{near[0]}`?" if near else ""),
                                mend=f"it declares {', '.join(self.declared.writes)}; add it in evaluation/runs/stages.py and data_dictionary/")
        table = load_table(self.root, name)
        path = self.folder / "tables" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        checked = check_frame(table, frame)
        beside = path.with_name(f"{path.name}.partial")
        try:
            _write_parquet(table, checked, beside)
            os.replace(beside, path)
            receipts = self.folder / RECEIPTS
            known = read_json(receipts) if receipts.is_file() else {}
            known[name] = {"sha256": sha256_of(path), "rows": len(checked), "columns": len(table.columns), "sensitivity": table.sensitivity}
            write_json(receipts, known)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise StageError(f"the disk is full: table `{name}` could not be written", where=f"stage `{self.name}`",
                                 mend="free some space and give the same command again; finished stages are kept") from error
            raise

    def write_all(self, frames: Mapping[str, pd.DataFrame]) -> None:
        """Write several tables by name, each as :meth:`write` does."""
        for name, frame in frames.items():
            self.write(name, frame)

    @property
    def extracts(self) -> Path:
        """The folder of the extracts, for a stage that declares raw tables."""
        if not self.declared.raw or self.data is None:
            raise ContractError(f"stage `{self.name}` declares no raw tables", mend="read the tables of an earlier stage")
        return self.data

    @property
    def protocol(self) -> Any:
        """The whole protocol, for the report stage."""
        if self.protocol_values is None:
            raise ContractError(f"stage `{self.name}` sees its own section alone", mend="use stage.parameters")
        return validate(model_of(self.study_kind), self.protocol_values, where="protocol")

    def truth(self) -> pd.DataFrame | None:
        """The simulated truth by pupil and half-term; None unless the data are simulated."""
        if not self.declared.truth:
            raise ContractError(f"stage `{self.name}` may not read the truth", mend="only the stage that compares estimate and truth may")
        if self.truth_path is None:
            return None
        import pandas as pd

        return pd.read_parquet(self.truth_path)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>Stage <code>{escape(self.name)}</code>, data {escape(self.label)}, {escape(self.kind)}.</p>"


def _write_parquet(table: Any, frame: pd.DataFrame, path: Path) -> None:
    """Parquet with NULL for what is missing, plain dates, and nothing that changes between two equal frames."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(), "date": pa.date32()}
    schema = pa.schema([pa.field(c.name, kinds[c.type]) for c in table.columns])
    arrays = [pa.array(frame[c.name], type=kinds[c.type], from_pandas=True) for c in table.columns]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, compression="zstd")


def read_parquet(path: Path) -> pd.DataFrame:
    """A stage table with types that keep missing whole numbers and missing truth values as they are."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype(), pa.string(): pd.StringDtype(na_value=np.nan)}
    return pq.read_table(path).to_pandas(types_mapper=types.get, date_as_object=False)


def open_stage(name: str, variables: Mapping[str, Any], kind: str | None = None) -> OpenStage:
    """Open a stage from its notebook.

    Parameters
    ----------
    name : str
        The stage.
    variables : mapping
        ``globals()`` of the notebook: the section's fields are taken from it and validated with the same model
        that the runner uses.
    kind : str, optional
        The kind of study, where several have a stage of this name.

    Returns
    -------
    OpenStage
        Under a runner or in a working copy, with that run's tables; by hand, with those of the default study, whose
        missing earlier stages are run first.

    Raises
    ------
    ParameterError
        A parameter is missing, mistyped, unknown or out of range.
    """
    context = _context()
    if context is None:
        from .interactive import default_context

        context = default_context(name, kind)
    if Path(context["package"]) != PACKAGE:
        raise ContractError("this kernel imports another `evaluation` than the command that started it", where=str(PACKAGE),
                            mend="install this checkout into the environment: python -m pip install -e . -c constraints.txt")
    study_kind: Kind = find_kind(import_module(context["kind_module"]).KINDS, name, context["kind"])
    stage = study_kind.stage(name)
    if context["stage"] != name:
        raise ContractError(f"this notebook opens stage `{name}` but runs as `{context['stage']}`", mend="open the stage whose notebook this is")
    parameters = _parameters(section_model(study_kind, stage.section), variables, stage)
    if context["mode"] == "full" and resolved(parameters) != context["parameters"]:
        raise ContractError("the parameters in the kernel are not those of the protocol", where=f"stage `{name}`",
                            mend="assign parameters in the parameters cell only")
    folder = Path(context["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    from evaluation.reporting.show import set_context

    set_context(name, context["label"], folder / "figures")
    opened = OpenStage(
        name=name, parameters=parameters, seed=context["seed"], label=context["label"], kind=context["mode"], root=Path(context["root"]),
        folder=folder, declared=stage, sources=context["tables"], skipped=tuple(context["skipped"]),
        data=Path(context["data"]) if context["data"] else None,
        truth_path=Path(context["truth"]) if context["truth"] and stage.truth else None,
        protocol_values=context["protocol"] if stage.whole_protocol else None, study_kind=study_kind, notes=context.get("notes") or {})
    return opened


def _context() -> dict[str, Any] | None:
    given = os.environ.get(CONTEXT_VARIABLE)
    path = Path(given) if given else Path.cwd() / CONTEXT_FILE
    if not path.is_file():
        if given:
            raise StageError("the runner's context is gone", where=str(path), mend="start the run again")
        return None
    return read_json(path)


def _parameters(model: Any, variables: Mapping[str, Any], stage: Stage) -> Any:
    values, own = {}, set(model.model_fields)
    for field in model.model_fields:
        if field not in variables:
            candidates = [n for n in variables if not n.startswith("_") and n not in own and isinstance(variables[n], (int, float, str, bool, list, dict, tuple, type(None)))]
            near = difflib.get_close_matches(field, candidates, n=1, cutoff=0.6)
            raise ParameterError(f"parameter `{field}` is not set" + (f"; there is `{near[0]}`: misspelt?" if near else ""),
                                 where=f"stage `{stage.name}`", mend="set it in the parameters cell")
        values[field] = variables[field]
    return validate(model, values, where=f"stage `{stage.name}`, parameters cell")


