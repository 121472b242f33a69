"""Writing files so that a reader never sees half of one, and knowing a file by its content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

CHUNK = 1 << 20


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as handle:
        while chunk := handle.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write beside and rename: the file is there whole or not at all."""
    path = Path(path)
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.partial")
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        with beside.open("xb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def to_json(values: Any) -> str:
    """JSON as this project writes it: sorted keys, no NaN, a newline at the end."""
    return json.dumps(values, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, values: Any) -> None:
    """Write JSON whole or not at all."""
    write_atomically(path, to_json(values))


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def link_tree(source: Path, target: Path) -> None:
    """Make ``target`` hold the files of ``source``: hard-linked where the file system can, else copied."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, place)
            except OSError:
                shutil.copy2(path, place)
