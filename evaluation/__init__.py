"""The Attendance Mentors evaluation: tested estimators and all that the notebooks call."""

__version__ = "0.1.0"
