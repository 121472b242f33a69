"""Disclosure control: what may leave a run, proved, and a log of what may not."""

from evaluation.reporting.disclosure.bounds import Bounds, cell_bounds, shown_as
from evaluation.reporting.disclosure.content import identifiers_in, scan_frame
from evaluation.reporting.disclosure.earlier import Earlier, read_earlier
from evaluation.reporting.disclosure.gate import clear_tables, prove_clearance
from evaluation.reporting.disclosure.primary import check_points, check_sum, risky_counts
from evaluation.reporting.disclosure.profiles import PROFILES, Profile, find_profile
from evaluation.reporting.disclosure.result import Clearance, ClearedTable, LogEntry
from evaluation.reporting.disclosure.secondary import Suppression, prove, suppress_cells
from evaluation.reporting.disclosure.sentences import judge_sentence
from evaluation.reporting.disclosure.spec import Disclosure, disclosure_of
from evaluation.reporting.disclosure.system import CellSystem, table_system
from evaluation.reporting.disclosure.wording import PeopleCount, people_counts

__all__ = [
    "PROFILES", "Bounds", "CellSystem", "Clearance", "ClearedTable", "Disclosure", "Earlier", "LogEntry", "PeopleCount", "Profile", "Suppression", "cell_bounds", "check_points",
    "check_sum", "clear_tables", "disclosure_of", "find_profile", "identifiers_in", "judge_sentence", "people_counts", "prove", "prove_clearance", "read_earlier", "risky_counts", "scan_frame", "shown_as",
    "suppress_cells", "table_system",
]
