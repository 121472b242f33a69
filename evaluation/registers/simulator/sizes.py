"""Sizes of simulated extracts: the design of a study, or that design with what `params/simulation_sizes.yaml` changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaluation.errors import ParameterError
from evaluation.protocol.load import read_values, validate
from evaluation.protocol.simulation import SimulationSection

FILE = Path("params") / "simulation_sizes.yaml"
OWN = "demo"
SIZES = (OWN, "trial", "national-sample")


def sized_design(root: Path, values: dict[str, Any], size: str) -> SimulationSection:
    """The design of simulated extracts of a size.

    Parameters
    ----------
    root : Path
        Root of the project, for ``params/simulation_sizes.yaml``.
    values : dict
        The ``simulation`` block of a study as plain values.
    size : str
        "demo" takes the block as it is; "trial" refers 1,665 pupils in five areas over three years; "national-sample" has
        primary, secondary and special schools in national proportions and no mentors.

    Raises
    ------
    ParameterError
        The size is unknown, or the changed block is not a design.
    """
    if size not in SIZES:
        raise ParameterError(f"there is no size `{size}`", where="--size", mend=f"give one of {', '.join(SIZES)}")
    if size == OWN:
        return validate(SimulationSection, values, where="simulation")
    changes = read_values(Path(root) / FILE)
    if size not in changes:
        raise ParameterError(f"the size `{size}` is not described", where=str(FILE), mend=f"add `{size}`")
    return validate(SimulationSection, merged(values, changes[size]), where=f"{FILE.as_posix()}: {size}")


def merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Values with some changed: mappings key by key, anything else as a whole. Neither argument is changed."""
    result = dict(values)
    for key, value in changes.items():
        result[key] = merged(result[key], value) if isinstance(value, dict) and isinstance(result.get(key), dict) else value
    return result
