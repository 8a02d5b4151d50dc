"""Frozen settings decoded from strict YAML: unknown keys are errors that name the nearest right one."""

import difflib
import re
from collections.abc import Mapping
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
    """Turn ``20B``, ``500M``, ``4k`` or ``1_000`` into an integer; other types pass through to pydantic.

    Raises ValueError when the text is no count or not a whole number.
    """
    if isinstance(value, float) and value.is_integer():
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


Count = Annotated[int, BeforeValidator(parse_count), Field(ge=0)]
PositiveCount = Annotated[int, BeforeValidator(parse_count), Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class _StrictLoader(yaml.SafeLoader):
    """YAML without silent overwrites: a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                line = node.start_mark.line + 1
                raise InputError(f"line {line}: key {key!r} is given twice; keep one of them")
        return super().construct_mapping(node, deep)


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
    """Validate plain data into ``kind``; raises InputError naming the path, the value and the rule."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise InputError(
            "; ".join(_sentence(kind, e, where) for e in error.errors()[:3])
        ) from error


def _sentence(kind: type[BaseModel], error: ErrorDetails, where: str) -> str:
    path = where + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error["loc"])
    if error["type"] == "extra_forbidden":
        key = str(error["loc"][-1])
        known = _known_keys(kind, error["loc"][:-1])
        nearest = difflib.get_close_matches(key, known, 1, 0.5)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known keys: {', '.join(known)}"
        return f"{path}: unknown key; {hint}"
    if error["type"] == "missing":
        return f"{path}: missing; this key is required"
    message = error["msg"].removeprefix("Value error, ")
    if "got " in message:
        return f"{path}: {message}"
    return f"{path}: {message}, got {_short(error['input'])}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _known_keys(kind: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys allowed at ``path`` inside ``kind``, read from its JSON schema."""
    schema = kind.model_json_schema()
    definitions = schema.get("$defs", {})
    candidates = [schema]
    for part in path:
        candidates = [
            s for c in candidates for s in _step(_options(c, definitions), part, definitions)
        ]
    found = {
        k for c in candidates for o in _options(c, definitions) for k in o.get("properties", {})
    }
    return sorted(found)


def _options(schema: dict[str, Any], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """The object schemas that ``schema`` may stand for: references and unions followed."""
    if "$ref" in schema:
        return _options(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    unions = schema.get("anyOf", []) + schema.get("oneOf", [])
    return [o for s in unions for o in _options(s, definitions)] or [schema]


def _step(
    options: list[dict[str, Any]], part: int | str, definitions: dict[str, Any]
) -> list[dict[str, Any]]:
    """The schemas one path part further down; a union's tag names one of its members."""
    found = []
    for schema in options:
        if isinstance(part, int):
            found += [schema["items"]] if isinstance(schema.get("items"), dict) else []
        elif part in schema.get("properties", {}):
            found.append(schema["properties"][part])
        elif isinstance(schema.get("additionalProperties"), dict):
            found.append(schema["additionalProperties"])
    if found:
        return found
    return [s for s in options if s.get("properties", {}).get("kind", {}).get("const") == part]


def override(data: dict[str, Any], dotted: str, value: Any) -> dict[str, Any]:
    """A copy of ``data`` with ``stages.0.tokens``-like path ``dotted`` set to ``value``.

    Raises InputError when the path leads through something that has no such place.
    """
    head, _, rest = dotted.partition(".")
    copy: Any = dict(data) if isinstance(data, dict) else list(data)
    if isinstance(copy, list):
        if not head.isdigit() or int(head) >= len(copy):
            raise InputError(
                f"{dotted}: expected a position from 0 to {len(copy) - 1}, got {head!r}"
            )
        place: Any = int(head)
    else:
        place = head
    if not rest:
        copy[place] = value
        return copy
    below = copy[place] if isinstance(copy, list) else copy.get(head, {})
    if not isinstance(below, dict | list):
        raise InputError(f"{dotted}: {head!r} holds {_short(below)} and has nothing below it")
    copy[place] = override(below, rest, value)  # pyright: ignore[reportArgumentType]
    return copy


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``key.path=value``; the value is read as YAML. Raises InputError without ``=``."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InputError(f"{text!r}: expected key=value, for example train.batch_size=8")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"{text!r}: the value is not valid YAML") from error
