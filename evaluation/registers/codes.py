"""What each register code means for absence statistics, by the date of the session: the one place that knows."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import resources

from evaluation.errors import DataError

# The School Attendance (Pupil Registration) (England) Regulations 2024 came into force on this day.
CODE_CHANGE = date(2024, 8, 19)

CLASSES = (
    "attending", "approved_educational_activity", "authorised_absence", "unauthorised_absence", "not_possible", "no_mark",
)
PRESENT_CLASSES = ("attending", "approved_educational_activity")
ABSENT_CLASSES = ("authorised_absence", "unauthorised_absence")
# Codes that the panel counts on their own beside their class.
OWN_COUNTS = {"C2": "part_time", "L": "late", "E": "suspended", "U": "late_after_close", "B": "off_site", "K": "off_site",
              "M": "medical", "I": "illness"}


@dataclass(frozen=True)
class AttendanceCode:
    """One register code.

    ``class_before`` and ``class_from`` are its statistical class before and from 19 August 2024, None where the
    code was not in use. ``harmonised_class`` is one class for both sides of the change: interviews (J, J1) count
    as attending, C with C1 and C2 as one authorised class, B and K stay approved educational activity.
    """

    code: str
    meaning: str
    class_before: str | None
    class_from: str | None
    harmonised_class: str
    note: str

    def class_on(self, day: date) -> str | None:
        """The class on a day, None if the code was not in use then."""
        return self.class_before if day < CODE_CHANGE else self.class_from


@dataclass(frozen=True)
class CodeGroup:
    """Codes that every statistic treats alike on any one day; ``own_count`` is their value in ``OWN_COUNTS``, if any.

    ``class_before`` and ``class_from`` are the class of those that were in use then, None where none was.
    """

    codes: tuple[str, ...]
    class_before: str | None
    class_from: str | None
    harmonised_class: str
    own_count: str | None


@lru_cache(maxsize=1)
def attendance_codes() -> dict[str, AttendanceCode]:
    """Every code of the school attendance register, by code.

    Codes and classes follow the Department for Education's "Working together to improve school attendance"
    (statutory from 19 August 2024) and the codes in force before it.
    """
    text = resources.files(__package__).joinpath("codes.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {
        row["code"]: AttendanceCode(
            code=row["code"], meaning=row["meaning"], class_before=row["class_before"] or None,
            class_from=row["class_from"] or None, harmonised_class=row["harmonised_class"], note=row["note"],
        )
        for row in rows
    }


@lru_cache(maxsize=1)
def code_groups() -> tuple[CodeGroup, ...]:
    """The codes in groups that share the harmonised class, any count of their own, and the class of every day on which they are in use."""
    groups: list[CodeGroup] = []
    for code in sorted(attendance_codes().values(), key=lambda c: (c.class_before is None) + (c.class_from is None)):
        own = OWN_COUNTS.get(code.code)
        for place, group in enumerate(groups):
            alike = group.harmonised_class == code.harmonised_class and group.own_count == own
            if alike and _agree(group.class_before, code.class_before) and _agree(group.class_from, code.class_from):
                groups[place] = CodeGroup((*group.codes, code.code), group.class_before or code.class_before, group.class_from or code.class_from, code.harmonised_class, own)
                break
        else:
            groups.append(CodeGroup((code.code,), code.class_before, code.class_from, code.harmonised_class, own))
    return tuple(groups)


def _agree(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


def code_class(code: str, day: date) -> str:
    """The statistical class of a mark.

    Parameters
    ----------
    code : str
        Register code such as ``"/"`` or ``"C2"``; upper and lower case are different codes.
    day : date
        Day of the session.

    Returns
    -------
    str
        One of ``CLASSES``.

    Raises
    ------
    DataError
        The code does not exist, or was not in use on that day.
    """
    known = attendance_codes().get(code)
    if known is None:
        raise DataError(f"`{code}` is no register code", where=f"mark of {day}", mend=unknown_code_mend(code))
    found = known.class_on(day)
    if found is None:
        side = "from" if day >= CODE_CHANGE else "before"
        raise DataError(f"code `{code}` ({known.meaning}) was not in use {side} {CODE_CHANGE:%d %B %Y}",
                        where=f"mark of {day}", mend=withdrawn_code_mend(code, day))
    return found


def unknown_code_mend(code: str) -> str:
    """What to do about a code that does not exist: the code that was probably meant, where one is near."""
    known = attendance_codes()
    bare = code.strip()
    for near in (bare, bare.upper(), bare.upper().replace("O", "0").replace("I", "1")):
        if near in known and near != code:
            return f"did you mean `{near}`?"
    if bare == "":
        return "give `-` where no mark was recorded"
    return "use a code of the attendance register"


def withdrawn_code_mend(code: str, day: date) -> str:
    """What to do about a code that was not in use on a day."""
    note = attendance_codes()[code].note
    if day >= CODE_CHANGE:
        return {"J": "use `J1`", "H": "use `C`, or `G` if leave was not granted", "F": "use `C`, or `G` if leave was not granted", "Y": "use one of `Y1` to `Y7`"}.get(code, note)
    return {"J1": "use `J`", "K": "use `B`", "C1": "use `C`", "C2": "use `C`", "Q": "use `Y`"}.get(code, "use `Y`" if code.startswith("Y") else note)
