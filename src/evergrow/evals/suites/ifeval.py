"""The constraints of IFEval (Zhou et al. 2023, 2311.07911, table 1) by their ids.

Words are runs of letters, digits and underscores.
Checks are functions (text, arguments) -> bool in CONSTRAINTS, with the arguments that they need.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from evergrow.config import nearest
from evergrow.corpus.languages import identify

Arguments = Mapping[str, Any]
Check = Callable[[str, Arguments], bool]
AT_LEAST, LESS_THAN = "at least", "less than"
CONSTRAINED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_WORD = re.compile(r"\w+")
# Marks before white space or the end; the dots of initials and of these words end nothing.
_SENTENCE_END = re.compile(
    r"(?<!\b[A-Z])(?<!\b(?:Mr|Ms|Dr|vs))(?<!\bMrs)[.!?\u3002]+[\"'\u201d\u2019)\]]*(?=\s|$)"
)


@dataclass(frozen=True)
class Constraint:
    """One constraint by its id, with its arguments as JSON has them."""

    id: str
    arguments: Mapping[str, Any]

    def holds(self, text: str) -> bool:
        """Whether the text keeps to it; an empty one keeps to nothing."""
        return bool(text.strip()) and CONSTRAINTS[self.id].check(text, self.arguments)


def constraints_of(row: Mapping[str, Any]) -> tuple[Constraint, ...]:
    """The constraints of a row: ``instruction_id_list``, and ``kwargs`` one by one.

    Arguments that are null are not there, as in the published file. Raises ValueError for an
    unknown id, for arguments that are missing or unknown, and for relations but the two.
    """
    names, arguments = row["instruction_id_list"], row.get("kwargs")
    if not isinstance(arguments, list) or len(arguments) != len(names) or not names:
        raise ValueError("expected 'kwargs' with the arguments of every 'instruction_id_list'")
    return tuple(_constraint(n, a) for n, a in zip(names, arguments, strict=True))


def _constraint(name: str, given: Mapping[str, Any]) -> Constraint:
    if name not in CONSTRAINTS:
        raise ValueError(
            f"no constraint {name!r} is known; {nearest(name, CONSTRAINTS, 'constraints')}"
        )
    arguments = {key: value for key, value in given.items() if value is not None}
    wanted = CONSTRAINTS[name].arguments
    if arguments.keys() != wanted.keys():
        raise ValueError(f"{name} takes {_said(wanted)}, got {_said(arguments)}")
    for key, kind in wanted.items():
        value = arguments[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{name}: {key} is {value!r}, expected {kind.__name__}")
        if key.endswith("relation") and value not in (AT_LEAST, LESS_THAN):
            raise ValueError(f"{name}: {key} is {value!r}, expected {AT_LEAST!r} or {LESS_THAN!r}")
    return Constraint(name, arguments)


def _said(arguments: Mapping[str, object]) -> str:
    return ", ".join(arguments) or "no arguments"


def _related(count: int, relation: str, bound: int) -> bool:
    return count >= bound if relation == AT_LEAST else count < bound


def _times(word: str, text: str) -> int:
    """How often a word or phrase stands in a text as whole words, in any case."""
    return len(re.findall(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE))


def _existence(text: str, a: Arguments) -> bool:
    return all(_times(word, text) for word in a["keywords"])


def _frequency(text: str, a: Arguments) -> bool:
    return _related(_times(a["keyword"], text), a["relation"], a["frequency"])


def _forbidden(text: str, a: Arguments) -> bool:
    return not any(_times(word, text) for word in a["forbidden_words"])


def _letters(text: str, a: Arguments) -> bool:
    count = text.lower().count(a["letter"].lower())
    return _related(count, a["let_relation"], a["let_frequency"])


def _language(text: str, a: Arguments) -> bool:
    return identify(text)[0] == a["language"].partition("-")[0]


def _sentences(text: str, a: Arguments) -> bool:
    marks = len(_SENTENCE_END.findall(text))
    rest = _SENTENCE_END.split(text)[-1].strip()
    return _related(marks + bool(rest), a["relation"], a["num_sentences"])


def _words(text: str, a: Arguments) -> bool:
    return _related(len(_WORD.findall(text)), a["relation"], a["num_words"])


def _parts(text: str, divider: str) -> list[str]:
    """What lies between dividers; nothing before the first or after the last is no part."""
    parts = [part.strip() for part in re.split(divider, text)]
    return parts[bool(not parts[0]) : len(parts) - bool(not parts[-1])]


def _paragraphs(text: str, a: Arguments) -> bool:
    parts = _parts(text, r"\s?\*\*\*\s?")
    return all(parts) and len(parts) == a["num_paragraphs"]


def _nth_paragraph(text: str, a: Arguments) -> bool:
    parts = [part for part in re.split(r"\n\n+", text) if part.strip()]
    place = a["nth_paragraph"]
    if len(parts) != a["num_paragraphs"] or not 0 < place <= len(parts):
        return False
    first = _WORD.search(parts[place - 1])
    return first is not None and first[0].lower() == a["first_word"].lower()


def _placeholders(text: str, a: Arguments) -> bool:
    return len(re.findall(r"\[[^\[\]\n]+\]", text)) >= a["num_placeholders"]


def _postscript(text: str, a: Arguments) -> bool:
    letters = re.escape(a["postscript_marker"].strip().lower()).replace(r"\.", r"\.\s?")
    return re.search(rf"^\s*{letters}", text.lower(), re.MULTILINE) is not None


def _bullets(text: str, a: Arguments) -> bool:
    return len(re.findall(r"^\s*(?:\*(?!\*)|-)\s*\S", text, re.MULTILINE)) == a["num_bullets"]


def _constrained(text: str, a: Arguments) -> bool:
    return any(answer in text for answer in CONSTRAINED)


def _highlights(text: str, a: Arguments) -> bool:
    double = re.findall(r"\*\*([^*\n]+)\*\*", text)
    single = re.findall(r"\*([^*\n]+)\*", re.sub(r"\*\*[^*\n]+\*\*", "", text))
    return sum(bool(part.strip()) for part in double + single) >= a["num_highlights"]


def _sections(text: str, a: Arguments) -> bool:
    marks = re.findall(rf"\s?{re.escape(a['section_spliter'])}\s?\d+\s?", text)
    return len(marks) >= a["num_sections"]


def _json(text: str, a: Arguments) -> bool:
    fenced = re.fullmatch(r"\s*```(?:json)?\s*\n?(.*?)\s*```\s*", text, re.DOTALL | re.IGNORECASE)
    try:
        json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, a: Arguments) -> bool:
    return any(title.strip() for title in re.findall(r"<<([^\n]+?)>>", text))


def _two_responses(text: str, a: Arguments) -> bool:
    parts = _parts(text, r"\*{6}")
    return len(parts) == 2 and all(parts) and parts[0] != parts[1]


def _repeat(text: str, a: Arguments) -> bool:
    return text.strip().lower().startswith(a["prompt_to_repeat"].strip().lower())


def _end(text: str, a: Arguments) -> bool:
    return text.strip().strip('"').lower().endswith(a["end_phrase"].strip().lower())


def _quotation(text: str, a: Arguments) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def _capital_words(text: str, a: Arguments) -> bool:
    count = sum(word.isupper() for word in _WORD.findall(text))
    return _related(count, a["capital_relation"], a["capital_frequency"])


def _capitals(text: str, a: Arguments) -> bool:
    return text.isupper() and identify(text.lower())[0] == "en"  # py3langid reads small letters


def _lowercase(text: str, a: Arguments) -> bool:
    return text.islower() and identify(text)[0] == "en"


def _no_comma(text: str, a: Arguments) -> bool:
    return "," not in text


class Checked(NamedTuple):
    """A check and the arguments it takes, with the kind of each."""

    check: Check
    arguments: Mapping[str, type]


CONSTRAINTS: dict[str, Checked] = {
    "keywords:existence": Checked(_existence, {"keywords": list}),
    "keywords:frequency": Checked(_frequency, {"keyword": str, "frequency": int, "relation": str}),
    "keywords:forbidden_words": Checked(_forbidden, {"forbidden_words": list}),
    "keywords:letter_frequency": Checked(
        _letters, {"letter": str, "let_frequency": int, "let_relation": str}
    ),
    "language:response_language": Checked(_language, {"language": str}),
    "length_constraints:number_sentences": Checked(
        _sentences, {"num_sentences": int, "relation": str}
    ),
    "length_constraints:number_paragraphs": Checked(_paragraphs, {"num_paragraphs": int}),
    "length_constraints:number_words": Checked(_words, {"num_words": int, "relation": str}),
    "length_constraints:nth_paragraph_first_word": Checked(
        _nth_paragraph, {"first_word": str, "num_paragraphs": int, "nth_paragraph": int}
    ),
    "detectable_content:number_placeholders": Checked(_placeholders, {"num_placeholders": int}),
    "detectable_content:postscript": Checked(_postscript, {"postscript_marker": str}),
    "detectable_format:number_bullet_lists": Checked(_bullets, {"num_bullets": int}),
    "detectable_format:constrained_response": Checked(_constrained, {}),
    "detectable_format:number_highlighted_sections": Checked(_highlights, {"num_highlights": int}),
    "detectable_format:multiple_sections": Checked(
        _sections, {"section_spliter": str, "num_sections": int}
    ),
    "detectable_format:json_format": Checked(_json, {}),
    "detectable_format:title": Checked(_title, {}),
    "combination:two_responses": Checked(_two_responses, {}),
    "combination:repeat_prompt": Checked(_repeat, {"prompt_to_repeat": str}),
    "startend:end_checker": Checked(_end, {"end_phrase": str}),
    "startend:quotation": Checked(_quotation, {}),
    "change_case:capital_word_frequency": Checked(
        _capital_words, {"capital_frequency": int, "capital_relation": str}
    ),
    "change_case:english_capital": Checked(_capitals, {}),
    "change_case:english_lowercase": Checked(_lowercase, {}),
    "punctuation:no_comma": Checked(_no_comma, {}),
}
