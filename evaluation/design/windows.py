"""Windows: which half-terms around a pupil's eligibility are baseline, which are follow-up.

Pupils enter because their attendance was bad in the eligibility window. Part of that passes by itself, so a baseline
that holds the window, or that lies closer to it than the follow-up does, makes any programme look good. With a window
of w half-terms, a gap of g and a measured length of K, baseline and follow-up lie symmetrically around the window and
are the same half-terms one year apart exactly when 2g + K + w = 6 [Chabe-Ferret 2017; Daw and Hatfield 2018].
"""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.errors import ParameterError
from evaluation.protocol.trial import HALF_TERMS_A_YEAR


@dataclass(frozen=True)
class Windows:
    """Half-terms relative to the last half-term of the eligibility window, which has event time 0.

    Attributes
    ----------
    eligibility, baseline, follow_up : tuple of int
        Event times, in order of time.
    """

    eligibility: tuple[int, ...]
    baseline: tuple[int, ...]
    follow_up: tuple[int, ...]

    @property
    def event_times(self) -> tuple[int, ...]:
        """All event times from the first of the baseline to the last of the follow-up."""
        return tuple(range(self.baseline[0], self.follow_up[-1] + 1))

    def role(self, event_time: int) -> str:
        """What a half-term is used for, in plain words."""
        if event_time in self.eligibility:
            return "eligibility window"
        if event_time in self.baseline:
            return "baseline"
        return "follow-up" if event_time in self.follow_up else "left out"


def season_matched_windows(*, window_length: int = 1, gap: int = 1, measured_length: int = 3) -> Windows:
    """Lay baseline and follow-up around an eligibility window.

    Parameters
    ----------
    window_length, gap, measured_length : int
        In half-terms; ``2 * gap + measured_length + window_length`` must be 6.

    Returns
    -------
    Windows
        With the usual 1, 1, 3: baseline -4 to -2, window 0, follow-up 2 to 4.

    Raises
    ------
    ParameterError
        The sum is not 6, or a length is not positive.
    """
    if window_length < 1 or measured_length < 1 or gap < 0:
        raise ParameterError(f"a window of {window_length}, a gap of {gap} and a measured length of {measured_length} half-terms cannot be laid out",
                             where="windows", mend="give lengths of at least 1 and a gap of at least 0")
    total = 2 * gap + measured_length + window_length
    if total != HALF_TERMS_A_YEAR:
        raise ParameterError(
            f"2 x gap + measured length + window length is {total}, not {HALF_TERMS_A_YEAR}: baseline and follow-up would be different seasons",
            where="windows", mend="choose lengths that add up to a year, for example a window of 1, a gap of 1 and a measured length of 3")
    first = 1 - window_length
    return Windows(
        eligibility=tuple(range(first, 1)),
        baseline=tuple(range(first - gap - measured_length, first - gap)),
        follow_up=tuple(range(gap + 1, gap + measured_length + 1)),
    )
