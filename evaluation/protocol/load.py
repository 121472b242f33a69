"""Reading a params file: strict YAML, errors that name file, line and key, and a digest of what was registered."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from evaluation.errors import ParameterError

from .base import ProtocolHeader

MAX_BYTES = 1_000_000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class LoadedProtocol:
    """A protocol with the file it came from, the digest of its resolved values, and what stands beside each value.

    ``notes`` maps a key such as "matching.caliper" to the comment above it, on its line and below it: where the value comes from.
    """

    protocol: ProtocolHeader
    path: Path
    digest: str
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        """The resolved values as plain JSON types."""
        return resolved(self.protocol)

    def section(self, name: str) -> dict[str, Any]:
        """The resolved values of one section."""
        return self.values[name]


def protocol_kinds() -> dict[str, type[ProtocolHeader]]:
    """The model of each kind of study."""
    from .area import AreaProtocol
    from .trial import TrialProtocol

    return {"trial": TrialProtocol, "area": AreaProtocol}


def load_protocol(path: Path, kinds: dict[str, type[ProtocolHeader]] | None = None) -> LoadedProtocol:
    """Read and check a params file.

    Parameters
    ----------
    path : Path
        The YAML file of a study.
    kinds : dict, optional
        Model by kind of study; the project's own when not given.

    Raises
    ------
    ParameterError
        Names the file, the line, the key and the rule, with the nearest known key for a misspelt one.
    """
    path = Path(path)
    values, lines = _read_yaml(path)
    kinds = protocol_kinds() if kinds is None else kinds
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise ParameterError(f"`kind` is {kind!r}; known kinds of study are {', '.join(sorted(kinds))}",
                             where=_where(path, lines, ("kind",)), mend="set `kind` to one of them")
    protocol = validate(kinds[kind], values, path=path, lines=lines)
    return LoadedProtocol(protocol=protocol, path=path, digest=digest_of(resolved(protocol)), notes=_notes(path.read_text(encoding="utf-8-sig"), lines))


def _notes(text: str, lines: dict[tuple, int]) -> dict[str, str]:
    """The comment of each key: the block right above it, on its line, and on lines of comment alone that follow further to the right."""
    rows = text.splitlines()
    taken: dict[int, tuple] = {}
    for location, line in lines.items():
        if all(isinstance(part, str) for part in location):
            taken.setdefault(line, location)
    found = {}
    for line, location in taken.items():
        row, said = rows[line - 1], []
        indent, above = len(row) - len(row.lstrip()), line - 2
        while above >= 0 and (alone := _COMMENT_ALONE.fullmatch(rows[above])) and len(alone[1]) == indent and not set(alone[2]) <= {"-", " "}:
            said.insert(0, alone[2])
            above -= 1
        beside = _COMMENT.search(row)
        if beside:
            said += [*([";"] if said else []), beside[1]]
            for later in rows[line:]:
                alone = _COMMENT_ALONE.fullmatch(later)
                if alone is None or len(alone[1]) <= indent:
                    break
                said.append(alone[2])
        if said:
            found[".".join(location)] = " ".join(part.strip() for part in said).replace(" ; ", "; ")
    return found


def resolved(model: Any) -> dict[str, Any]:
    """A model's values as plain JSON types."""
    return model.model_dump(mode="json")


def digest_of(values: Any) -> str:
    """SHA-256 of values in one canonical JSON form."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def validate(model: type, values: dict[str, Any], *, path: Path | None = None, lines: dict | None = None,
             prefix: tuple = (), where: str | None = None):
    """Validate values against a model as JSON, so that dates and lists need no coercion and nothing else gets any.

    Raises
    ------
    ParameterError
        With one line for each fault.
    """
    from pydantic import ValidationError

    try:
        text = json.dumps(values, default=_iso, allow_nan=True)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"a value is not plain text, number, list or mapping: {error}",
                             where=where or (str(path) if path else None), mend="use plain values") from error
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        faults = [_fault(model, fault, path, lines or {}, prefix) for fault in error.errors(include_url=False)]
    first_where = where or faults[0][0]
    message = "; ".join(said if i == 0 or not w else f"{w}: {said}" for i, (w, said, _) in enumerate(faults[:20]))
    raise ParameterError(message, where=first_where, mend=faults[0][2])


def _fault(model: type, fault: dict, path: Path | None, lines: dict, prefix: tuple) -> tuple[str | None, str, str]:
    location = tuple(prefix) + tuple(part for part in fault["loc"])
    key = ".".join(str(part) for part in location) or "the file"
    where = _where(path, lines, location) if path is not None else None
    if fault["type"] == "extra_forbidden":
        known = _known_fields(model, fault["loc"][:-1])
        near = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1, cutoff=0.6)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        return where, f"unknown key `{key}`{hint}", "correct or remove the key"
    if fault["type"] == "missing":
        return where, f"key `{key}` is missing", f"add `{key}`: choices have no default in code"
    if fault["type"] == "json_invalid":
        return where, f"`{key}`: not a finite number", "give a finite number"
    given = fault.get("input")
    shown = f" (given {given!r:.60})" if not isinstance(given, (dict, list)) else ""
    return where, f"`{key}`: {fault['msg'].rstrip('.')}{shown}", "give a value of the right type within the range"


def _known_fields(model: Any, location: tuple) -> list[str]:
    """Names of the fields of the model at a location, following nested models, lists and optionals."""
    from typing import get_args

    from pydantic import BaseModel

    def models(annotation: Any) -> list[type]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return [annotation]
        return [m for arg in get_args(annotation) for m in models(arg)]

    current = [model]
    for part in location:
        if isinstance(part, int):
            continue
        current = [m for c in current if part in c.model_fields for m in models(c.model_fields[part].annotation)]
    return sorted({name for c in current for name in c.model_fields})


def _iso(value: Any) -> str:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    raise TypeError(f"{value!r:.60} ({type(value).__name__})")


def _where(path: Path, lines: dict, location: tuple) -> str:
    for length in range(len(location), 0, -1):
        if location[:length] in lines:
            return f"{path.name}, line {lines[location[:length]]}"
    return path.name


def read_values(path: Path) -> dict[str, Any]:
    """The values of a YAML file under the rules of params files, without holding them against a model.

    Raises
    ------
    ParameterError
        The file is absent, too large, or not strict YAML.
    """
    return _read_yaml(Path(path))[0]


def _read_yaml(path: Path) -> tuple[dict[str, Any], dict[tuple, int]]:
    """A params file as plain values, and the line on which each key stands. Doubled keys and aliases are refused."""
    if not path.is_file():
        raise ParameterError("there is no such params file", where=str(path), mend="give the path of a YAML file under params/")
    raw = path.read_bytes()
    if len(raw) > MAX_BYTES:
        raise ParameterError(f"a params file of {len(raw):,} bytes is not a params file (limit {MAX_BYTES:,})", where=path.name)
    try:
        text = raw.decode("utf-8-sig")
        if any(isinstance(token, (yaml.AliasToken, yaml.AnchorToken)) for token in yaml.scan(text, Loader=_LOADER)):
            raise ParameterError("anchors and aliases (`&`, `*`) are not allowed", where=path.name, mend="write the value out")
        node = yaml.compose(text, Loader=_LOADER)
        lines: dict[tuple, int] = {}
        if not isinstance(node, yaml.MappingNode):
            raise ParameterError("the file does not hold keys and values", where=path.name, mend="see params/ for examples")
        _collect_lines(node, (), lines, path)
        return yaml.load(text, Loader=_LOADER), lines
    except UnicodeDecodeError as error:
        raise ParameterError(f"not UTF-8 text (byte {error.start})", where=path.name, mend="save the file as UTF-8") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ParameterError(f"a value cannot be read: {str(error):.200}", where=path.name, mend="correct it: a date must exist, a number must be plain") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f", line {mark.line + 1}" if mark else ""
        raise ParameterError(f"not valid YAML: {getattr(error, 'problem', error)}", where=f"{path.name}{at}",
                             mend="correct the syntax at that line") from error


_COMMENT = re.compile(r"(?<=\s)#\s?(.*)$")
_COMMENT_ALONE = re.compile(r"(\s*)#\s?(.*)")
_PLAIN = {"int": re.compile(r"[-+]?(0|[1-9][0-9]{0,18})"), "float": re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+]?[0-9]+)?|[-+]?\.(inf|nan)|\.nan", re.I)}


def _check_scalar(node: yaml.ScalarNode, location: tuple, path: Path) -> None:
    """YAML reads 010 as 8, 1:10 as 70 and 2026-02-31 not at all: such numbers and dates are refused with their line."""
    kind = node.tag.rpartition(":")[2]
    said = None
    if kind in _PLAIN and not _PLAIN[kind].fullmatch(node.value):
        said = f"`{'.'.join(map(str, location))}` is written {node.value!r:.40}, which YAML would read as another number"
    if kind == "timestamp":
        try:
            date.fromisoformat(node.value)
        except ValueError as error:
            said = f"`{'.'.join(map(str, location))}`: {node.value!r:.40} is no date ({error})"
    if said:
        raise ParameterError(said, where=f"{path.name}, line {node.start_mark.line + 1}", mend="write plain digits, dates as YYYY-MM-DD, or put text in quotes")


def _collect_lines(node: yaml.Node, location: tuple, lines: dict[tuple, int], path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = key.value
            if not isinstance(key, yaml.ScalarNode) or name == "<<":
                raise ParameterError("a key must be a plain word; merge keys (`<<`) are not allowed",
                                     where=f"{path.name}, line {key.start_mark.line + 1}", mend="write the keys out")
            if name in seen:
                raise ParameterError(f"key `{'.'.join(map(str, location + (name,)))}` is given twice",
                                     where=f"{path.name}, line {key.start_mark.line + 1}", mend="keep one of them")
            seen.add(name)
            lines[location + (name,)] = key.start_mark.line + 1
            _collect_lines(value, location + (name,), lines, path)
    elif isinstance(node, yaml.ScalarNode):
        _check_scalar(node, location, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[location + (index,)] = value.start_mark.line + 1
            _collect_lines(value, location + (index,), lines, path)
