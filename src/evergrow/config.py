"""Frozen settings decoded from strict YAML; errors name the path, the value and the way out."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from evergrow.errors import InputError
from evergrow.strict_yaml import Raw, parse_value


class Config(BaseModel):
    """A frozen record of settings; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Record(BaseModel):
    """What a file or a line of one says; a reader takes no notice of what it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def damage(error: Exception) -> str:
    """What is wrong with a file that cannot be read into its record, on one line."""
    if not isinstance(error, ValidationError):
        return f"damaged ({error})"
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"damaged at {place or 'its start'}: {first['msg']}"


_COUNT = re.compile(
    r"((?:0|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]*(?:_[0-9]+)*)(?:\.[0-9]+)?)"
    r"(?:[eE]\+?([0-9]{1,2}))?\s?([kMBT]?)"
)
_ZEROS = {"": 0, "k": 3, "M": 6, "B": 9, "T": 12}
LARGEST_COUNT = 10**15  # 1000T; all that is counted below it is exact in a float


def parse_count(value: object) -> object:
    """Turn ``20B``, ``500M``, ``4k``, ``1e4``, ``10_000`` or ``10,000`` into an integer.

    pydantic judges other types. Raises ValueError for text that is no count (``010`` is none: it
    means 8 elsewhere), for a fraction, for true and false, and above 1000T.
    """
    if isinstance(value, bool):
        raise ValueError(f"expected a count such as 20B, 500M or 4k, got {value}")
    if isinstance(value, str):
        return _small_enough(_whole(_number_of(value), value), value)
    if isinstance(value, float):
        return _small_enough(_whole(Decimal(value), value), value)
    return _small_enough(value, value) if isinstance(value, int) else value


def _number_of(text: str) -> Decimal:
    match = _COUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a count such as 20B, 500M or 4k, got {_short(text)}")
    number = Decimal(re.sub("[,_]", "", match[1]))
    return number.scaleb(int(match[2] or 0) + _ZEROS[match[3]])


def _whole(number: Decimal, value: object) -> int:
    if not number.is_finite() or number != number.to_integral_value():
        raise ValueError(f"expected a whole number, got {value!r}")
    return int(number)


def _small_enough(number: int, value: object) -> int:
    if number > LARGEST_COUNT:
        raise ValueError(f"expected a count of at most 1000T (10^15), got {_short(value)}")
    return number


_CountText = Annotated[str, Field(pattern=r"^[0-9][0-9_,.]*(e[0-9]+)? ?[kMBT]?$")]
_ParseCount = BeforeValidator(parse_count, json_schema_input_type=int | _CountText)  # for editors
Count = Annotated[int, _ParseCount, Field(ge=0)]
PositiveCount = Annotated[int, _ParseCount, Field(gt=0)]
Workers = Annotated[PositiveCount, Field(le=1_000)]  # processes, or threads of one
Fraction = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


OneOrMore = Annotated[
    list[str],
    BeforeValidator(
        lambda value: [value] if isinstance(value, str) else value,
        json_schema_input_type=list[str] | str,
    ),
]

ConfigType = TypeVar("ConfigType", bound=BaseModel)
Schema = dict[str, Any]  # a JSON schema, or a part of one


class WrongSettings(InputError):
    """Settings that are refused: by dotted path (``stages[0].tokens``, "" for all) and reason."""

    def __init__(self, where: str, problems: Sequence[tuple[str, str]]) -> None:
        places = (f"{where}.{path}" if path else where for path, _ in problems)
        found = zip(places, problems, strict=True)
        super().__init__("; ".join(f"{place}: {reason}" for place, (_, reason) in found))
        self.where, self.problems = where, problems

    def __reduce__(self) -> tuple[type["WrongSettings"], tuple[str, Sequence[tuple[str, str]]]]:
        return WrongSettings, (self.where, self.problems)


def decode(kind: type[ConfigType], data: Mapping[str, Any], where: str) -> ConfigType:
    """Validate plain data into ``kind``; raises WrongSettings that names path, value and rule."""
    try:
        decoded = kind.model_validate(data)
    except ValidationError as error:
        problems = [_problem(kind, e, data) for e in error.errors()[:3]]
        raise WrongSettings(where, problems) from error
    for path, value in _false_numbers(data, decoded, ""):
        raise WrongSettings(where, [(path, f"expected a number, got {value}")])
    return decoded


def _false_numbers(data: object, decoded: object, path: str) -> Iterator[tuple[str, bool]]:
    """Where ``data`` says true or false and a number was made of it, as Python would have it."""
    if isinstance(data, bool) and not isinstance(decoded, bool | str | None):
        yield path, data
    elif isinstance(data, list) and isinstance(decoded, list) and len(data) == len(decoded):
        for i, (said, made) in enumerate(zip(data, decoded, strict=True)):
            yield from _false_numbers(said, made, f"{path}[{i}]")
    elif isinstance(data, Mapping):
        made = _by_key(decoded)
        for key, said in data.items():
            yield from _false_numbers(said, made.get(key), f"{path}.{key}".lstrip("."))


def _by_key(decoded: object) -> Mapping[str, Any]:
    """Settings by the key that a file has for them."""
    if isinstance(decoded, BaseModel):
        fields = type(decoded).model_fields
        return {field.alias or name: getattr(decoded, name) for name, field in fields.items()}
    return decoded if isinstance(decoded, Mapping) else {}


def _problem(kind: type[BaseModel], error: ErrorDetails, data: object) -> tuple[str, str]:
    """Where the mistake lies, and the sentence on it."""
    path, context = _path(error, data), error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        options = _options_at(kind, error["loc"][:-1])
        known = sorted({k for o in options for k in o.get("properties", {})})
        return path, f"unknown key; {nearest(str(error['loc'][-1]), known, 'known keys')}"
    if error["type"] == "missing":
        return path, "missing; this key is required"
    if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
        options = _options_at(kind, error["loc"])
        tags = ", ".join(tag for o in options if (tag := _tag(o)))
        found = repr(context["tag"]) if "tag" in context else "nothing"
        return f"{path}.kind".lstrip("."), f"expected one of {tags}, got {found}"
    if error["type"] == "value_error":  # our own sentence, which holds the value
        return path, error["msg"].removeprefix("Value error, ")
    rule = _RULES.get(error["type"], error["msg"].replace("Input should be", "expected a value"))
    return path, f"{rule.format(**context)}, got {_short(error['input'])}"


_RULES = {
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "dict_type": "expected settings as 'key: value' pairs",
    "finite_number": "expected a finite number",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "list_type": "expected a list",
    "literal_error": "expected {expected}",
    "model_attributes_type": "expected settings as 'key: value' pairs",
    "model_type": "expected settings as 'key: value' pairs",
    "string_pattern_mismatch": "expected a name of at most 64 letters, digits, - and _",
    "string_type": "expected text, between quotes where YAML reads something else",
    "too_short": "expected a list of at least {min_length}",
}


def nearest(word: str, known: Iterable[str], label: str) -> str:
    """The way out for a misspelt ``word``: the most similar known one, else all under ``label``."""
    words = list(known)
    similar = difflib.get_close_matches(word, words, 1)
    return f"did you mean {similar[0]!r}?" if similar else f"{label}: {', '.join(words)}"


def refuse_alike(names: Iterable[str]) -> None:
    """Raise ValueError for names that differ in case alone: they become folders, which may not."""
    known: dict[str, str] = {}
    for name in names:
        if (other := known.setdefault(name.lower(), name)) != name:
            raise ValueError(
                f"{other!r} and {name!r} differ in case alone, which is one folder on some "
                "systems; rename one of them"
            )


def _path(error: ErrorDetails, data: object) -> str:
    """Where in ``data`` the error lies; pydantic's location also holds the tags of unions."""
    path, here = "", data
    for part in error["loc"]:
        if isinstance(here, list) and isinstance(part, int):
            path, here = f"{path}[{part}]", here[part]
        elif isinstance(here, Mapping) and part in here:
            path, here = f"{path}.{part}".lstrip("."), here[part]
    return f"{path}.{error['loc'][-1]}".lstrip(".") if error["type"] == "missing" else path


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _options_at(kind: type[BaseModel], path: Sequence[int | str]) -> list[Schema]:
    """The object schemas that may stand at ``path`` inside ``kind``, from its JSON schema."""
    schema = kind.model_json_schema()
    definitions = schema.get("$defs", {})
    candidates = [schema]
    for part in path:
        candidates = [s for c in candidates for s in _step(_options(c, definitions), part)]
    return [o for c in candidates for o in _options(c, definitions)]


def _options(schema: Schema, definitions: dict[str, Schema]) -> list[Schema]:
    """The object schemas that ``schema`` may stand for: references and unions followed."""
    if "$ref" in schema:
        return _options(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    unions = schema.get("anyOf", []) + schema.get("oneOf", [])
    return [o for s in unions for o in _options(s, definitions)] or [schema]


def _step(options: list[Schema], part: int | str) -> list[Schema]:
    """The schemas one path part further down; a union's tag names one of its members."""
    found = []
    for schema in options:
        if isinstance(part, int):
            found += [schema["items"]] if isinstance(schema.get("items"), dict) else []
        elif part in schema.get("properties", {}):
            found.append(schema["properties"][part])
        elif isinstance(schema.get("additionalProperties"), dict):
            found.append(schema["additionalProperties"])
        else:
            found += schema.get("patternProperties", {}).values()  # a dict whose keys are Names
    return found or [s for s in options if part in (_tag(s), s.get("title"))]


def _tag(schema: Schema) -> str | None:
    return schema.get("properties", {}).get("kind", {}).get("const")


def override(data: Raw, dotted: str, value: object, kind: type[BaseModel] | None = None) -> Raw:
    """A copy of ``data`` with ``stages.0.tokens``-like path ``dotted`` set to ``value``.

    Absent and null settings on the way become mappings. Of data that ``kind`` decodes, a new
    ``kind`` of a union's member starts from that member's defaults: what was said of the old one
    stays where the new one knows it, too, and it was no default. Raises InputError when the path
    leads through something that has no such place.
    """
    parts = dotted.split(".")
    if kind is not None and parts[-1] == "kind":
        return _with(data, parts[:-1], _as_member(data, parts[:-1], value, kind), dotted)
    return _with(data, parts, value, dotted)


def _as_member(data: Any, parts: list[str], tag: Any, kind: type[BaseModel]) -> Any:
    """The settings at ``parts`` as those of another member of their union."""
    path: list[int | str] = []
    for part in parts:
        if isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            path.append(int(part))
            data = data[int(part)]
        else:
            path.append(part)
            data = data.get(part) if isinstance(data, dict) else None
    members = {_tag(o): o.get("properties", {}) for o in _options_at(kind, path)}
    said = data if isinstance(data, dict) else {}
    old, new = members.get(said.get("kind"), {}), members.get(tag, {})
    kept = {k: v for k, v in said.items() if k in new and v != old.get(k, {}).get("default", _NONE)}
    return {**kept, "kind": tag}


_NONE = object()  # no setting equals it


def _with(data: Any, parts: list[str], value: Any, dotted: str) -> Any:
    if not parts:
        return value
    head, *rest = parts
    if data is None:
        data = {}
    if isinstance(data, list):
        if not head.isdecimal() or int(head) >= len(data):
            last = len(data) - 1
            places = f"from 0 to {last}" if data else "in a list that is empty, so set it whole"
            raise InputError(f"{dotted}: expected a position {places}, got {head!r}")
        copy: Any = list(data)
        place: Any = int(head)
        below = data[place]
    elif isinstance(data, Mapping):
        copy, place, below = dict(data), head, data.get(head)
    else:
        raise InputError(f"{dotted}: {_short(data)} has no {head!r} below it; set it whole")
    copy[place] = _with(below, rest, value, dotted)
    return copy


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``key.path=value``; the value is read as YAML. Raises InputError without ``=``."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InputError(f"{text!r}: expected key=value, for example train.batch_size=8")
    return key, parse_value(value, _short(text))
