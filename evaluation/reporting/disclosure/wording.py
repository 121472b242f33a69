"""Numbers of people in a sentence: in digits or words, on either side of the word for whom they count."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evaluation.registers.entries import Column

SMALL_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
               "eighteen", "nineteen")
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
NUMBER_WORDS = {word: value for value, word in enumerate(SMALL_WORDS)} | {word: 10 * (i + 2) for i, word in enumerate(TENS)} | {
    f"{ten}-{one}": 10 * (i + 2) + j for i, ten in enumerate(TENS) for j, one in enumerate(SMALL_WORDS[:10]) if j}
GROUP_WORDS = {"single": 1, "sole": 1, "lone": 1, "couple": 2, "pair": 2, "handful": 5, "dozen": 12}
"""Words for a number when people follow ("a couple of pupils", "a single child")."""

PEOPLE = frozenset(
    "pupil pupils child children referral referrals boy boys girl girls student students learner learners person persons people individual individuals respondent respondents "
    "participant participants parent parents family families sibling siblings leaver leavers starter starters absentee absentees teenager teenagers youngster youngsters adolescent "
    "adolescents case cases exclusion exclusions refusal refusals dropout dropouts barrier barriers suspension suspensions".split())
"""Words for those whom the tables count. Barriers and suspensions belong to single pupils and are counted like them."""

UNITS = frozenset(
    "day days point points percent percentage pound pounds pence half-term half-terms term terms year years week weeks month months hour hours minute minutes second seconds session sessions "
    "school schools area areas authority authorities trust trusts region regions check checks test tests branch branches match matches stack stacks model models item items scale scales "
    "decimal decimals option options estimate estimates draw draws table tables row rows column columns file files degree degrees deviation deviations error errors time times fold figure "
    "figures run runs outcome outcomes group groups band bands level levels mentor mentors meeting meetings contract contracts code codes place places way ways kind kinds reason reasons "
    "amendment amendments change changes question questions side sides arm arms variable variables covariate covariates cluster clusters seed seeds assumption assumptions scenario scenarios "
    "choice choices programme programmes rating stage stages digit digits character characters number numbers assignment assignments share shares interval intervals control controls cell cells "
    "line lines page pages version versions comparison comparisons placebo placebos effect effects window windows wave waves mark marks step steps rule rules design designs town towns "
    "threat threats criterion criteria input inputs cost costs price prices term-time clock subgroup subgroups answer answers component components measure measures pool pools method methods "
    "sign score scores grade grades third thirds quarter quarters half halves fifth fifths delivery deliveries register registers district districts perspective perspectives".split())
"""Words for what is counted or measured without being people."""

_STOPS = frozenset("about for in on with by from to at per among between beside besides than as and or but that which because while when where if so is are be been being has have will would can "
                   "could should may might into over under within without during against after before since until also not".split())
"""Words that end the phrase in which a number counts."""

_VERBS = frozenset("who whom whose were was had did left lost came went met began fell stayed got kept took gave said withdrew dropped dropped-out moved died started completed referred returned "
                   "eligible declined refused agreed consented answered attended improved joined transferred missed passed emigrated".split())
"""What people do or had happen to them, directly after their number."""

_PERSONAL = frozenset("declined who whom whose left moved died started completed withdrew dropped refused consented agreed joined transferred returned referred emigrated".split())
"""Of these, what only people do."""

_NAMES_OF_NUMBERS = frozenset("year years stage half-term stack row version level band step figure table wave week term grade section page rule window position rank place chapter key note item "
                              "appendix option".split())
"""Words whose number is a name and counts nothing: Year 11, key stage 4."""

_MONTHS = frozenset("january february march april may june july august september october november december".split())
_BOUNDS = re.compile(r"(?:\b(?:fewer|less|more|greater|smaller|larger|other) than|\bat (?:least|most)|\b(?:below|above|under|over|exceeds?|up to|no more than|minimum of|maximum of|threshold of))\s*$", re.I)
_PAST = re.compile(r"\b(?:a|an|another)\s+(?:[a-z-]+\s+){0,2}?(?:pupil|child|boy|girl|student|learner|person)\s+(?:(?:in|of|from|at|with)\s+(?:[\w-]+\s+){1,2})?"
                   r"(?:was|had|did|left|lost|came|went|stayed|moved|died|withdrew|dropped|returned|refused|transferred)\b", re.I)
_ONLY = re.compile(r"\b(?:the only|the sole|but a|but one|only a|just a|by a single)\s+(?:[a-z-]+\s+){0,2}?(?:pupil|child|boy|girl|student|learner|person)\b", re.I)
_TOKEN = re.compile(r"(?P<number>(?<![\w.,/])[-+\u2212]?\d(?:[\d,]*\d)?(?:\.\d+)?)|(?P<word>[A-Za-z]+(?:[-'\u2019][A-Za-z]+)*)|(?P<mark>[^\w\s])|(?P<other>\w+)")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\u201c\"(])|\n+")
_SHARE = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?\s?(?:%|per cent\b|percent\b)", re.I)
_NO_SHARE = re.compile(r"^\s*(?:confidence|interval|set\b|level|power|band|significance|limit|points?\b|of the \u00a3|of \u00a3)|^\s*\)?\s*(?:interval|power)", re.I)
_OF_SESSIONS = re.compile(r"%\s*of (?:all |possible |their )?(?:sessions|days|marks)\b", re.I)
_PEOPLE_WORD = "(?:" + "|".join(sorted(PEOPLE - {"case", "cases"}, key=len, reverse=True)) + ")"
_OF_PEOPLE = re.compile(rf"\s*of (?:the |all |these |those |our )?(?!(?:all |possible |their )?(?:sessions|days|marks)\b)(?:[\w-]+ ){{0,3}}{_PEOPLE_WORD}\b", re.I)
_MEASURE = re.compile(r"(?<![\w.,])(?:\u00a3[\d,.]*\d|\d[\d,]*\.\d+%?|\d[\d,]*%)")
_ALL = re.compile(rf"(?<!had )(?<!have )(?<!with )\b(?:all|none|no|neither|both|hardly any) (?:of )?(?:the |these |those |them\b ?)?(?:[\w-]+ ){{0,3}}?{_PEOPLE_WORD}\b|\b(?:nobody|no one|none of them|everyone|everybody|all of them)\b", re.I)
_LEVEL = re.compile(r"\s*\)?\s*(?:confidence|interval|level|power|set\b)", re.I)
_FEW_WORDS = 5


@dataclass(frozen=True)
class PeopleCount:
    """A number of people that a sentence states. ``bound``: as a limit ("fewer than 10 pupils"), which is no count unless it is itself small."""

    value: int
    bound: bool = False


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int
    value: int | None = None

    @property
    def low(self) -> str:
        return self.text.lower()


def people_counts(text: str) -> list[PeopleCount]:
    """Whole numbers of people that a text states.

    Parameters
    ----------
    text : str
        One sentence or several.

    Returns
    -------
    list of PeopleCount
        In order, as often as they occur. Where the words leave it open whom a number counts, it is taken to count
        people; days, points, percentages, money, half-terms, years and schools are not.
    """
    found: list[PeopleCount] = []
    for sentence in _SENTENCE.split(text.replace("\u00a0", " ")):
        found += _in_sentence(sentence)
    return found


@dataclass(frozen=True)
class ShareStated:
    """A percentage of people as a sentence states it."""

    text: str
    value: float
    decimals: int


def shares_stated(text: str, *, of_anything: bool = False) -> list[ShareStated]:
    """Percentages of people in a text: a count follows from one where the whole is known. Levels, probabilities and shares of sessions are none.

    Parameters
    ----------
    of_anything : bool
        Take percentages, too, that no word near them calls a share of people.
    """
    found = []
    for sentence in _SENTENCE.split(text):
        of_sessions = _OF_SESSIONS.search(sentence)
        for share in _SHARE.finditer(sentence):
            after, before = sentence[share.end():], sentence[: share.start()]
            if not _OF_PEOPLE.match(after):
                if of_sessions or _NO_SHARE.match(after) or re.search(r"\b(?:probability|chance|power|at)\b[^;.]{0,80}$", before, re.I):
                    continue
                near = re.split(r"[;:]", before)[-1] + " " + re.split(r"[;:.](?!\d)", after)[0]
                if not of_anything and not set(_words(near)) & (PEOPLE - {"case", "cases"} | {"whom", "started", "referred"}):
                    continue
            number = re.match(r"[\d,.]+", share.group()).group().replace(",", "")  # type: ignore[union-attr]
            found.append(ShareStated(share.group(), float(number), len(number.partition(".")[2])))
    return found


def states_measure(text: str) -> bool:
    """Whether a text states a number with decimals, money or a percentage other than of people or of a level: a mean, an effect, a share of sessions."""
    shares = {s.text for s in shares_stated(text)}
    return any(m.group() not in shares and not _LEVEL.match(text[m.end():]) for m in _MEASURE.finditer(text))


def speaks_of_all(text: str) -> bool:
    """Whether a text says that all or none of some people did something, which is a count in words."""
    return bool(_ALL.search(text))


def names_people(column: Column) -> bool:
    """Whether the name, title or unit of a column says that it counts people (not a measure per person, nor of their days)."""
    if column.unit is not None and (words := _words(column.unit)):
        return bool(set(words) & PEOPLE) and words[0] in PEOPLE and "per" not in words
    said = _words(column.name.replace("_", " ")), _words(column.title)
    return any(set(words) & PEOPLE and not set(words) & (UNITS | {"per", "mean", "median"}) for words in said)


def _words(text: str) -> list[str]:
    return [w.lower() for w in re.findall(r"[A-Za-z]+(?:-[A-Za-z]+)*", text)]


def _in_sentence(sentence: str) -> list[PeopleCount]:
    tokens = _tokens(sentence)
    kinds: dict[int, str] = {}
    found = []
    for at in range(len(tokens) - 1, -1, -1):  # from the right: "3 and 5 pupils" takes its kind from what follows
        if tokens[at].value is not None:
            kinds[at] = _kind(sentence, tokens, at, kinds)
    for at in sorted(kinds):
        if kinds[at] == "people" or (kinds[at] == "open" and _open_means_people(tokens, at, kinds)):
            found.append(PeopleCount(tokens[at].value or 0, bool(_BOUNDS.search(sentence[: tokens[at].start]))))
    found += [PeopleCount(1)] * (len(_PAST.findall(sentence)) + len(_ONLY.findall(sentence)))
    return found


def _tokens(sentence: str) -> list[_Token]:
    made = []
    for match in _TOKEN.finditer(sentence):
        kind, text = match.lastgroup or "other", match.group()
        value = None
        if kind == "number":
            value = int(text.replace(",", "")) if re.fullmatch(r"\d+|\d{1,3}(?:,\d{3})+", text) else None
        elif kind == "word" and text.lower() in NUMBER_WORDS:
            value = NUMBER_WORDS[text.lower()]
        elif kind == "word" and text.lower() in GROUP_WORDS:
            value = GROUP_WORDS[text.lower()]
        made.append(_Token(kind, text, match.start(), match.end(), value))
    return made


def _kind(sentence: str, tokens: list[_Token], at: int, kinds: dict[int, str]) -> str:
    """"people", "unit", "none" (a name, a date, money), or "open" where only what was said before can tell."""
    token, before, after = tokens[at], tokens[at - 1] if at else None, sentence[tokens[at].end:]
    if _is_name(sentence, tokens, at):
        return "none"
    right = [t for t in tokens[at + 1 : at + 12]]
    if not right:
        return _from_the_left(tokens, at)
    if re.match(r"\s*(?:in|out of every|of every)\s+(?:\d+|[a-z]+)\b", after) and len(right) > 1 and right[1].value is not None and right[1].value <= 10 and token.value == 1:
        kinds[at + 2] = "none"  # one in five: a rate
        return "none"
    if right[0].low in ("and", "to", "or", "-", "\u2013", "\u2014") and len(right) > 1 and right[1].value is not None:
        return kinds.get(at + 2, "open")
    if right[0].low in (",",) and len(right) > 2 and right[1].value is not None and before is not None and before.low == ",":
        return kinds.get(at + 2, "open")
    if right[0].low == "in" and len(right) > 1 and kinds.get(at + 2) == "people":
        return "people"
    if right[0].text == "+" or (right[0].low == "or" and len(right) > 1 and right[1].low in ("fewer", "less", "more", "over")):
        right = right[1 if right[0].text == "+" else 2 :]
    head = _head(right)
    if head in ("people", "unit"):
        part_of = _of_a_number(right)
        if head == "unit" and part_of and _parallel(tokens, at):
            return "people"
        if token.low in GROUP_WORDS and head != "people":
            return "none"
        return head
    if token.low in GROUP_WORDS:
        return "none"
    if head == "open":
        return "open"
    return _from_the_left(tokens, at)


def _is_name(sentence: str, tokens: list[_Token], at: int) -> bool:
    """Whether a number is money, a percentage, a date, a fraction or a name, and so counts nothing."""
    token, low = tokens[at], sentence[: tokens[at].start].rstrip()
    after = sentence[token.end:]
    if token.kind == "number" and (low.endswith(("\u00a3", "$", "\u20ac")) or re.match(r"\s?(?:%|per cent\b|percent\b|/\d\d\b|p\b|pp\b|st\b|nd\b|rd\b|th\b|:\d\d|-year|-point|-day)", after)):
        return True
    word = re.search(r"([A-Za-z-]+)\W?$", low)
    if word and token.kind == "number" and word.group(1).lower() in _NAMES_OF_NUMBERS and low.endswith(word.group(1)):
        return True
    following = re.match(r"\s+([A-Za-z]+)", after)
    if following and token.kind == "number" and following.group(1).lower() in _MONTHS and following.group(1)[0].isupper():
        return True
    if token.kind == "number" and re.fullmatch(r"(?:19|20)\d\d", token.text) and word and word.group(1).lower() in {*_MONTHS, "in", "since", "by", "until", "from", "to", "before", "after", "during", "of", "and"}:
        return True
    return token.low == "one" and _is_pronoun(low, after)


def _is_pronoun(before: str, after: str) -> bool:
    """Whether "one" stands for a thing spoken of ("the registered one", "one whose reach changed", "a matter of pupils, not one of schools")."""
    if re.match(r"\s+(?:whose|can|may|must|should|could|would|might)\b|\s+of\s+(?:pupils|children|people|referrals)\b", after):
        return True
    if re.match(r"\s+(?:[a-z-]+\s+){0,2}(?:pupil|child|boy|girl|student|learner|person)\b", after):
        return False
    return bool(re.search(r"\b(?:a|an|the|this|that|each|every|any|no|which|another)(?:\s+[\w-]+){0,2}$|\b(?:to|for|with|without|than|into|as)$", before, re.I)) and not re.match(r"\s+of (?:the|them|these|those)\b", after)


def _head(right: list[_Token]) -> str:
    """What the words after a number say that it counts: "people", "unit", "open" (people unless something else was counted just before) or ""."""
    words = 0
    opened = False
    named = -1
    for i, token in enumerate(right):
        low = token.low.removesuffix("'s").removesuffix("\u2019s")
        if i == named or (low == "year" and i + 1 < len(right) and right[i + 1].kind == "number"):
            named = i + 1 if low == "year" else -1  # Year 11 describes those who are counted
            continue
        if token.text == "," and i + 1 < len(right):
            if i == 0 and right[1].low in ("all", "most", "both") and len(right) > 2 and right[2].low in ("of", "boys", "girls"):
                opened = True
                continue
            if 0 < i and not opened and right[i + 1].low not in PEOPLE | _STOPS | UNITS and right[i + 1].value is None:
                continue
        if low in PEOPLE or (low == "young" and i + 1 < len(right) and right[i + 1].low == "people"):
            return "people"
        if low in UNITS or low == "%":
            return "unit"
        if token.kind == "mark" and token.text not in "('\u2019\"\u201c\u2018)" or token.kind == "other":
            break
        if i == 0 and low == "like":
            return "people" if len(right) > 1 and right[1].low in ("them", "these", "those", "him", "her") else ""
        if low in ("of", "(", "out", "all"):
            opened = opened or low in ("of", "out")
            continue
        if low in ("them", "these", "those", "whom", "us", "others", "more", "other"):
            opened = True
            continue
        if low in ("the", "our", "all", "a", "an"):
            continue
        if low in _VERBS:
            if low in _PERSONAL and (i == 0 or opened):
                return "people"
            opened = True
            rest = [t.low for t in right[i + 1 : i + 5]]
            if any(w in PEOPLE for w in rest[: rest.index("and") if "and" in rest else None]):
                return "people"
            break
        if low in _STOPS and token.value is None:
            break
        words += token.value is None
        if words > _FEW_WORDS:
            break
    return "open" if opened else ""


def _of_a_number(right: list[_Token]) -> bool:
    return len(right) > 1 and right[0].low == "of" and right[1].value is not None


def _parallel(tokens: list[_Token], at: int) -> bool:
    """"12 pupils of 6 schools and 3 of 7 others": the second number counts what the first does."""
    words = [t.low for t in tokens[:at]]
    return any(words[i] in PEOPLE and words[i + 1] == "of" and tokens[i + 2].value is not None for i in range(len(words) - 2))


def _from_the_left(tokens: list[_Token], at: int) -> str:
    """"pupils: 4", "n = 4", "the number of pupils was 4": the number follows what it counts."""
    if not at:
        return ""
    link = tokens[at - 1].low
    if link == "=" and at > 1 and tokens[at - 2].low == "n":
        return "people"
    if link == "n" and tokens[at - 1].text in ("n", "N"):
        return "people"
    if link in PEOPLE:
        return "people"
    if link in (":", "=") and at > 1 and tokens[at - 2].low in _VERBS and any(t.low in PEOPLE for t in tokens[:at]):
        return "people"
    if link not in (":", "=", "(", "is", "was", "were", "are", "only", "just", "numbered", "to", "by", "but"):
        return ""
    for token in reversed(tokens[max(at - 9, 0) : at - 1]):
        if token.low in PEOPLE:
            return "people"
        if token.low in UNITS or token.text in (".", ";") or token.value is not None:
            return ""
    return "open" if link == "but" else ""


def _open_means_people(tokens: list[_Token], at: int, kinds: dict[int, str]) -> bool:
    """People, unless what was counted last before was something else and no word for people stands since."""
    for i in range(at - 1, -1, -1):
        if tokens[i].low in PEOPLE:
            return True
        if tokens[i].low in UNITS and (kinds.get(i - 1) == "unit" or kinds.get(i - 2) == "unit" or kinds.get(i - 3) == "unit" or tokens[i].low in ("rating", "score", "grade", "scale")):
            return False
    return True
