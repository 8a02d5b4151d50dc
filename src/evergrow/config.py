"""Frozen settings decoded from strict YAML; errors name the path, the value and the way out."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from evergrow.errors import InputError


class Config(BaseModel):
    """A frozen record of settings; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


_COUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([kMBT]?)")
_FACTORS = {"": 1, "k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def parse_count(value: object) -> object:
    """Turn ``20B``, ``500M``, ``4k`` or ``1_000`` into an integer; pydantic judges other types.

    Raises ValueError for text that is no count, for a fraction, and for true and false.
    """
    if isinstance(value, bool):
        raise ValueError(f"expected a count such as 20B, 500M or 4k, got {value}")
    if isinstance(value, float):
        if not value.is_integer():
            raise ValueError(f"expected a whole number, got {value!r}")
        return int(value)
    if not isinstance(value, str):
        return value
    match = _COUNT.fullmatch(value.replace("_", "").strip())
    if match is None:
        raise ValueError(f"expected a count such as 20B, 500M or 4k, got {value!r}")
    number = float(match[1]) * _FACTORS[match[2]]
    if not number.is_integer():
        raise ValueError(f"expected a whole number, got {value!r}")
    return int(number)


_CountText = Annotated[str, Field(pattern=r"^[0-9][0-9_.]* ?[kMBT]?$")]
_ParseCount = BeforeValidator(parse_count, json_schema_input_type=int | _CountText)  # for editors
Count = Annotated[int, _ParseCount, Field(ge=0)]
PositiveCount = Annotated[int, _ParseCount, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class _StrictLoader(yaml.SafeLoader):
    """YAML whose ``no`` is a word and whose dates are text; a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = []
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise InputError(f"line {line}: key {key!r} is given twice; keep one of them")
            seen.append(key)
        return super().construct_mapping(node, deep)


# YAML 1.1 reads no, yes, on and off as booleans; a stage may well be called "no".
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if not tag.endswith((":bool", ":timestamp"))]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF")
)


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; raises InputError for a missing, empty, broken or non-mapping file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); give the path of a file"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 text at byte {error.start}; save it as UTF-8"
        ) from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """Decode YAML text that must be a mapping; ``where`` opens the error's sentence."""
    try:
        data = yaml.load(text, _StrictLoader)
    except yaml.YAMLError as error:
        raise InputError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from error
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if not isinstance(data, dict):
        found = "nothing" if data is None else type(data).__name__
        raise InputError(f"{where}: expected settings as 'key: value' lines, found {found}")
    return data


ConfigType = TypeVar("ConfigType", bound=BaseModel)


def decode(kind: type[ConfigType], data: Mapping[str, Any], where: str) -> ConfigType:
    """Validate plain data into ``kind``; raises InputError that names path, value and rule."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        sentences = [_sentence(kind, e, data, where) for e in error.errors()[:3]]
        raise InputError("; ".join(sentences)) from error


def _sentence(kind: type[BaseModel], error: ErrorDetails, data: object, where: str) -> str:
    path, context = where + _path(error, data), error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        options = _options_at(kind, error["loc"][:-1])
        known = sorted({k for o in options for k in o.get("properties", {})})
        return f"{path}: unknown key; {nearest(str(error['loc'][-1]), known, 'known keys')}"
    if error["type"] == "missing":
        return f"{path}: missing; this key is required"
    if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
        options = _options_at(kind, error["loc"])
        tags = ", ".join(tag for o in options if (tag := _tag(o)))
        found = repr(context["tag"]) if "tag" in context else "nothing"
        return f"{path}.kind: expected one of {tags}, got {found}"
    if error["type"] == "value_error":  # our own sentence, which holds the value
        return f"{path}: {error['msg'].removeprefix('Value error, ')}"
    rule = _RULES.get(error["type"], error["msg"].replace("Input should be", "expected a value"))
    return f"{path}: {rule.format(**context)}, got {_short(error['input'])}"


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


def _path(error: ErrorDetails, data: object) -> str:
    """Where in ``data`` the error lies; pydantic's location also holds the tags of unions."""
    path, here = "", data
    for part in error["loc"]:
        if isinstance(here, list) and isinstance(part, int):
            path, here = f"{path}[{part}]", here[part]
        elif isinstance(here, Mapping) and part in here:
            path, here = f"{path}.{part}", here[part]
    return f"{path}.{error['loc'][-1]}" if error["type"] == "missing" else path


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _options_at(kind: type[BaseModel], path: Sequence[int | str]) -> list[dict[str, Any]]:
    """The object schemas that may stand at ``path`` inside ``kind``, from its JSON schema."""
    schema = kind.model_json_schema()
    definitions = schema.get("$defs", {})
    candidates = [schema]
    for part in path:
        candidates = [s for c in candidates for s in _step(_options(c, definitions), part)]
    return [o for c in candidates for o in _options(c, definitions)]


def _options(schema: dict[str, Any], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """The object schemas that ``schema`` may stand for: references and unions followed."""
    if "$ref" in schema:
        return _options(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    unions = schema.get("anyOf", []) + schema.get("oneOf", [])
    return [o for s in unions for o in _options(s, definitions)] or [schema]


def _step(options: list[dict[str, Any]], part: int | str) -> list[dict[str, Any]]:
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


def _tag(schema: dict[str, Any]) -> str | None:
    return schema.get("properties", {}).get("kind", {}).get("const")


def override(data: dict[str, Any], dotted: str, value: Any) -> dict[str, Any]:
    """A copy of ``data`` with ``stages.0.tokens``-like path ``dotted`` set to ``value``.

    Absent and null settings on the way become mappings. Raises InputError when the path leads
    through something that has no such place.
    """
    return _with(data, dotted.split("."), value, dotted)


def _with(data: Any, parts: list[str], value: Any, dotted: str) -> Any:
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
    copy[place] = _with(below, rest, value, dotted) if rest else value
    return copy


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``key.path=value``; the value is read as YAML. Raises InputError without ``=``."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InputError(f"{text!r}: expected key=value, for example train.batch_size=8")
    try:
        return key, yaml.load(value, _StrictLoader)
    except yaml.YAMLError as error:
        raise InputError(f"{text!r}: the value is not valid YAML") from error
    except InputError as error:
        raise InputError(f"{text!r}: {error}") from error
