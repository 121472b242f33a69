"""What may leave a run, decided once: the clearance of all its tables, which report and release both rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.protocol.load import digest_of
from evaluation.registers.dictionary import load_table

from .files import sha256_of
from .fingerprint import dictionary_digest

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.registers.entries import Table
    from evaluation.reporting.disclosure import Clearance, Profile
    from evaluation.reporting.disclosure.matching import Sources

    from .reports import Material

NO_PROFILE = "the protocol registers no disclosure rules, so nothing of data that are not published may leave the run"
NO_PROFILE_MEND = "register them in the section `report` (disclosure: {profile: ..., changes: null}) and run the study again"


@dataclass(frozen=True)
class RunClearance:
    """A run's tables, its profile, and what that lets through; made when it is first asked for, and then kept.

    Parameters
    ----------
    material : Material
    root : Path
        Holds the data dictionary.
    earlier : Path, optional
        The folder ``release`` of an earlier run, which nothing may be set off against.
    """

    material: Material
    root: Path
    earlier: Path | None = None

    @cached_property
    def profile(self) -> Profile | None:
        """The disclosure profile that the protocol registers for its report; None where it registers none."""
        from evaluation.reporting.disclosure import find_profile

        chosen = self.material.values.get("report", {}).get("disclosure")
        return None if chosen is None else find_profile(chosen["profile"], chosen["changes"])

    @property
    def published(self) -> bool:
        """Whether the data are published statistics, whose publisher protected the pupils behind them."""
        return self.material.label == "published"

    @cached_property
    def stages(self) -> dict[str, str]:
        """Stage of every table of the run."""
        return {Path(name).stem: stage for stage in self.material.stages for name in self.material.results[stage].step["outputs"] if name.startswith("tables/")}

    @cached_property
    def content(self) -> str:
        """Name of everything that the clearance is made from, the code apart."""
        results = self.material.results
        return digest_of({
            "tables": {name: results[stage].step["outputs"][f"tables/{name}.parquet"]["sha256"] for name, stage in self.stages.items()},
            "dictionary": {name: dictionary_digest(Path(self.root) / "data_dictionary" / f"{name}.yaml") for name in self.stages},
            "profile": None if self.profile is None else asdict(self.profile), "label": self.material.label,
            "earlier": sha256_of(Path(self.earlier) / "release.json") if self.earlier is not None else None,
        })

    @cached_property
    def tables(self) -> Mapping[str, tuple[Table, pd.DataFrame]]:
        """Dictionary entry and frame of every table of the run."""
        from .stage import read_parquet

        return {name: (load_table(self.root, name), read_parquet(self.material.results[stage].table(name))) for name, stage in self.stages.items()}

    @cached_property
    def clearance(self) -> Clearance:
        """What may leave, with the proof that no suppressed count can be worked out.

        Raises
        ------
        GateError
            The proof failed: nothing of the run is written.
        ContractError
            The earlier folder is no release.
        """
        from evaluation.reporting.disclosure import clear_tables, read_earlier
        from evaluation.reporting.release.build import refuse_recovered

        assert self.profile is not None
        clearance = clear_tables(self.tables, self.profile, self.material.label, read_earlier(self.earlier) if self.earlier is not None else None)
        refuse_recovered(clearance)
        return clearance

    @cached_property
    def sources(self) -> Sources:
        """What the notebooks' results are held against."""
        from evaluation.reporting.disclosure.matching import sources_of

        return sources_of(self.clearance, self.tables)
