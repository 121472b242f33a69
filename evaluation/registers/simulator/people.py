"""Schools and pupils of a simulated study: who is where and when, with which characteristics and inclinations."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from evaluation.protocol.simulation import PHASE_YEAR_GROUPS, SimulationSection
from evaluation.registers.calendar import HALF_TERMS_A_YEAR

from .moves import Moves, draw_duals, draw_moves, move_in_september
from .streams import stream

YEARS = 3
HALF_TERMS = YEARS * HALF_TERMS_A_YEAR
LAST_YEAR_GROUP, LAST_FOR_YEAR_11 = 11, 5  # Year 11 leaves in the second half of the summer term
PHASES = ("primary", "secondary", "special")
SEN = ("none", "support", "ehcp")
IDACI_SCHOOL = 0.1            # how far a school's mean IDACI score follows its deprivation


@dataclass(frozen=True)
class Schools:
    """Schools, one element each; ``phase`` is a position in ``PHASES``; ``model`` and ``mentor`` are -1 and ``opens`` 0 where
    there are no mentors; ``first_group`` and ``groups`` are the first year group and how many there are."""

    area: np.ndarray
    phase: np.ndarray
    mentored: np.ndarray
    opens: np.ndarray
    model: np.ndarray
    mentor: np.ndarray
    size: np.ndarray
    first_group: np.ndarray
    groups: np.ndarray
    deprivation: np.ndarray
    attendance: np.ndarray

    def __len__(self) -> int:
        return len(self.area)

    def names(self, section: SimulationSection) -> list[str]:
        """Names that nobody can take for real schools."""
        return [f"Simulated school {i + 1:02d} ({section.areas[a].name})" for i, a in enumerate(self.area)]


@dataclass
class Pupils:
    """Pupils, one element each. ``year_group`` has a column for each academic year (0: not in a year group of the phase).

    ``entry`` and ``exit`` are the first and the last half-term on roll; ``exit`` moves forward when a pupil leaves, and
    ``excluded`` says who left by permanent exclusion. ``school`` has a column for each half-term: the school at its start.
    ``passing`` has a column for each half-term; ``inclination`` is the lasting log odds of
    attending without school, year group and time; ``part_time`` says whose circumstances (code C) are a part-time timetable.
    """

    entry: np.ndarray
    exit: np.ndarray
    phase: np.ndarray
    school: np.ndarray
    year_group: np.ndarray
    female: np.ndarray
    fsm: np.ndarray
    sen: np.ndarray
    idaci: np.ndarray
    part_time: np.ndarray
    inclination: np.ndarray
    passing: np.ndarray
    moves: Moves
    excluded: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def __len__(self) -> int:
        return len(self.entry)

    def on_roll(self, half_term: int) -> np.ndarray:
        """Positions of the pupils on roll in a half-term."""
        return np.flatnonzero((self.entry <= half_term) & (half_term <= self.exit))

    def identifiers(self) -> np.ndarray:
        """Pseudonyms in sorted order."""
        return np.array([f"P{i + 1:06d}" for i in range(len(self))])


def academic_year_of(half_term: int) -> int:
    """Position of the academic year of a half-term (0 for half-terms 1 to 6)."""
    return (half_term - 1) // HALF_TERMS_A_YEAR


def draw_schools(section: SimulationSection, seed: int) -> Schools:
    """Schools by area: secondary ones with mentors first, then without, then other phases; delivery models in turn."""
    rng = stream(seed, "schools")
    area, phase, opens, model, mentor = [], [], [], [], []
    mentors = 0
    for position, place in enumerate(section.areas):
        numbers = {"secondary": place.mentor_schools + place.comparison_schools, "primary": place.primary_schools, "special": place.special_schools}
        for name, count in numbers.items():
            for number in range(count):
                has_mentor = name == "secondary" and number < place.mentor_schools
                area.append(position)
                phase.append(PHASES.index(name))
                opens.append(place.first_mentor_half_term if has_mentor else 0)
                model.append(number % len(section.support.delivery_models) if has_mentor else -1)
                mentor.append(-1)
        mentors = _assign_mentors(area, opens, model, mentor, position, section.support.schools_per_mentor, mentors)
    area, phase, count, spread = np.array(area), np.array(phase), len(area), section.roll.size_spread
    designs = {p: section.phase(PHASES[p]) for p in np.unique(phase)}
    of = lambda value: np.array([value(designs[p]) for p in phase], dtype=float)  # noqa: E731 - one short use a column
    size = np.empty(count)
    for p in designs:
        mine = phase == p
        size[mine] = designs[p].pupils_per_school * (1 + rng.permutation(np.linspace(-spread, spread, mine.sum()) if mine.sum() > 1 else np.zeros(1)))
    cell = area * len(PHASES) + phase
    return Schools(
        area=area, phase=phase, mentored=np.array(opens) > 0, opens=np.array(opens), model=np.array(model), mentor=np.array(mentor),
        size=np.rint(size).astype(int), first_group=np.array([PHASE_YEAR_GROUPS[PHASES[p]][0] for p in phase]),
        groups=np.array([len(PHASE_YEAR_GROUPS[PHASES[p]]) for p in phase]),
        deprivation=of(lambda d: d.characteristics.fsm_school_spread) * _within(rng, cell),
        attendance=of(lambda d: d.attendance.school_spread) * _within(rng, cell),
    )


def _within(rng: np.random.Generator, cell: np.ndarray) -> np.ndarray:
    """Standard normal draws that sum to zero in every area and phase, so that these keep their registered level."""
    draws = rng.standard_normal(len(cell))
    for place in np.unique(cell):
        mine = cell == place
        count = mine.sum()
        draws[mine] = (draws[mine] - draws[mine].mean()) * np.sqrt(count / max(count - 1, 1))
    return draws


def _assign_mentors(area: list, opens: list, model: list, mentor: list, position: int, sharing: int, used: int) -> int:
    """Give the mentor schools of one area their mentors: a mentor works by one delivery model, in up to ``sharing`` schools."""
    mine = [i for i, a in enumerate(area) if a == position and opens[i]]
    for kind in sorted({model[i] for i in mine}):
        schools = [i for i in mine if model[i] == kind]
        for order, school in enumerate(schools):
            mentor[school] = used + order // sharing
        used += -(-len(schools) // sharing)
    return used


def draw_pupils(section: SimulationSection, schools: Schools, seed: int) -> Pupils:
    """Everyone who is ever on roll: the cohorts that pass through, and joiners at the start of a term."""
    school, entry, first_group, first_year = _arrivals(section, schools, stream(seed, "arrivals"))
    count = len(school)
    years, last_group = np.arange(YEARS), (schools.first_group + schools.groups - 1)[school]
    group = first_group[:, None] + years[None, :] - first_year[:, None]
    group = np.where((years[None, :] >= first_year[:, None]) & (group <= last_group[:, None]), group, 0).astype(np.int8)
    last_year = np.minimum(YEARS - 1, first_year + last_group - first_group)
    early = (first_group + last_year - first_year == LAST_YEAR_GROUP) & (last_group == LAST_YEAR_GROUP)
    exit = (last_year + 1) * HALF_TERMS_A_YEAR - np.where(early, HALF_TERMS_A_YEAR - LAST_FOR_YEAR_11, 0)
    where, changes = move_in_september(section.roll, schools, school, group, stream(seed, "movers"), HALF_TERMS, HALF_TERMS_A_YEAR)
    moves = draw_moves(section.roll, schools, where, entry, exit, changes, stream(seed, "moves within the year"))
    moves = draw_duals(section.roll, schools, where, entry, exit, moves, stream(seed, "dual registration"), HALF_TERMS_A_YEAR)
    phase = schools.phase[school]
    traits = _traits(section, schools, school, phase, stream(seed, "characteristics"))
    inclination, passing = _inclinations(section, phase, group, traits, stream(seed, "inclinations"), stream(seed, "onset"))
    return Pupils(entry=entry, exit=exit, phase=phase, school=where, year_group=group, inclination=inclination, passing=passing,
                  moves=moves, excluded=np.zeros(count, dtype=bool), **traits)


def _arrivals(section: SimulationSection, schools: Schools, rng: np.random.Generator):
    """School, first half-term, first year group and first academic year of everyone, in order of arrival."""
    per_group = np.maximum(1, np.rint(schools.size / schools.groups).astype(int))
    parts = []
    for year in range(YEARS):
        for term_start in (1, 3, 5):
            half_term = year * HALF_TERMS_A_YEAR + term_start
            for step in range(schools.groups.max()):
                have = schools.groups > step
                if term_start == 1 and (year == 0 or step == 0):
                    number = np.where(have, per_group, 0)
                else:
                    number = np.where(have, rng.poisson(section.roll.joining * per_group), 0)
                who = np.repeat(np.arange(len(schools)), number)
                parts.append((who, half_term, schools.first_group[who] + step, year))
    school, group = (np.concatenate([p[i] for p in parts]) for i in (0, 2))
    entry, year = (np.concatenate([np.full(len(p[0]), p[i]) for p in parts]) for i in (1, 3))
    return school, entry, group, year


def _traits(section: SimulationSection, schools: Schools, school: np.ndarray, phase: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Sex, free school meals, special educational needs and IDACI score, correlated through the school's intake."""
    count = len(school)
    draws = rng.random((5, count))
    noise = rng.standard_normal(count)
    share = np.array([place.fsm_share for place in section.areas])[schools.area]
    odds = np.log(share / (1 - share)) + schools.deprivation
    found = {name: np.zeros(count, dtype=kind) for name, kind in
             {"female": bool, "fsm": bool, "sen": np.int8, "idaci": float, "part_time": bool}.items()}
    for p in np.unique(phase):
        mine, design = np.flatnonzero(phase == p), section.phase(PHASES[p])
        traits = design.characteristics
        fsm = draws[0, mine] < (1 / (1 + np.exp(-odds - traits.fsm_shift)))[school[mine]]
        relative = np.where(fsm, traits.sen_fsm_ratio, 1.0)
        need = draws[1, mine] / (relative / relative.mean())
        sen = np.where(need < traits.ehcp_share, 2, np.where(need < traits.ehcp_share + traits.sen_support_share, 1, 0))
        idaci = traits.idaci_mean + traits.idaci_fsm_difference * fsm + IDACI_SCHOOL * schools.deprivation[school[mine]]
        found["fsm"][mine], found["sen"][mine] = fsm, sen
        found["idaci"][mine] = np.clip(np.round(idaci + traits.idaci_spread * noise[mine], 3), 0.01, 0.95)
        found["female"][mine] = draws[2, mine] < traits.female_share
        found["part_time"][mine] = draws[3, mine] < design.reasons.part_time_share
    return found


def _inclinations(section: SimulationSection, phase: np.ndarray, group: np.ndarray, traits: dict[str, np.ndarray],
                  rng: np.random.Generator, later: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Lasting log odds, and passing log odds by half-term.

    Who hardly attends does so throughout, but for the registered share of them who begin to within the study: until then they
    attend as others do, which the passing part holds. That breaks parallel trends for pupils referred on their window. How
    common it is follows the year group of the first year; later arrivals have the mean.
    """
    count = len(phase)
    lasting, luck = rng.standard_normal(count), rng.random(count)
    shocks = rng.standard_normal((HALF_TERMS, count), dtype=np.float32)
    inclination = np.zeros(count, dtype=np.float32)
    passing = np.empty((count, HALF_TERMS), dtype=np.float32, order="F")
    for p in np.unique(phase):
        mine, design = np.flatnonzero(phase == p), section.phase(PHASES[p])
        mine = slice(None) if len(mine) == count else mine  # not copied where there is one phase
        attends, effects = design.attendance, design.characteristics
        fsm, sen = traits["fsm"][mine], traits["sen"][mine]
        fixed = effects.fsm * fsm + effects.idaci * (traits["idaci"][mine] - effects.idaci_mean)
        fixed += np.array([0.0, effects.sen_support, effects.ehcp])[sen] + attends.lasting_spread * lasting[mine]
        odds = np.where(fsm, attends.disengaged_fsm_ratio, 1.0) * np.where(sen > 0, attends.disengaged_sen_ratio, 1.0)
        chance = attends.disengaged_share * odds / odds.mean()
        begins = group[mine, 0]
        factor = np.where(begins > 0, np.array(attends.disengaged_year_group)[np.maximum(begins - PHASE_YEAR_GROUPS[PHASES[p]][0], 0)], 1.0)
        hardly = luck[mine] < chance * factor
        inclination[mine] = fixed + attends.disengaged_shift * hardly
        rho, state = np.float32(attends.passing_correlation), shocks[0, mine]
        fresh = np.float32(np.sqrt(1 - attends.passing_correlation**2))
        passing[mine, 0] = attends.passing_spread * state
        for t in range(1, HALF_TERMS):
            state = rho * state + fresh * shocks[t, mine]
            passing[mine, t] = attends.passing_spread * state
        if attends.disengaging_share:
            passing[mine] -= attends.disengaged_shift * _still_attending(hardly, attends.disengaging_share, later)
    return inclination, passing


def _still_attending(hardly: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Half-terms in which pupils who come to attend hardly (a share of those who do) attend as others, pupils x half-terms.

    The first half-term of hardly attending is equally likely to be any from the second to the last.
    """
    begins = np.where(hardly & (rng.random(len(hardly)) < share), rng.integers(1, HALF_TERMS, len(hardly)), 0)
    return np.arange(HALF_TERMS)[None, :] < begins[:, None]
