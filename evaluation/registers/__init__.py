"""From raw extracts to an analysis panel, and the data dictionary that says what every table holds."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Loaded when asked for: commands read the dictionary alone, without pandas.
_PUBLIC = {
    "attendance_codes": "codes", "code_class": "codes", "default_calendar": "calendar", "half_terms": "calendar",
    "load_table": "dictionary", "check_frame": "dictionary", "take_in": "intake", "TakenIn": "intake",
    "code_mix": "mark_patterns", "weekday_pattern": "mark_patterns", "school_weeks": "mark_patterns", "reconciliation_summary": "reconciliation",
    "working_days": "calendar", "bank_holidays": "calendar",
    "absence_by_half_term": "quality", "annual_absence": "quality", "annual_bands": "quality", "completeness_by_area": "quality", "mark_mix": "quality",
    "register_quality": "quality", "reject_summary": "quality", "simulate_extracts": "simulator",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
