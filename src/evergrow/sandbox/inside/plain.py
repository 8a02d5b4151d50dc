"""Plain values as JSON with their types kept: all that candidate and tests may hand one another.

A value is of exactly one of the types None, bool, int, float, str, bytes, list, tuple, dict, set
and frozenset; an object of a class of its own has no way across, and so no ``==`` of its own.
"""

import json
from typing import Any

MOST_DEEP = 64  # containers inside containers
_JSON_INT = 1 << 62  # larger ones go as hexadecimal: Python bounds the digits of decimal ones
_ORDERED = {list: "list", tuple: "tuple"}
_UNORDERED = {set: "set", frozenset: "frozenset"}
_MAKERS = {name: kind for kind, name in {**_ORDERED, **_UNORDERED}.items()}
# Equal to the dict of the same items, and made plain by whoever sends them.
_DICTS = {("builtins", "dict"), *(("collections", n) for n in ("defaultdict", "Counter"))}
_DICTS |= {("collections", "OrderedDict")}


class NotPlain(Exception):
    """A value that is not plain, or nested too deep; the text says which."""


def dumps(value: Any) -> bytes:
    """The bytes of a value; raises NotPlain."""
    return json.dumps(_pack(value, 0), separators=(",", ":")).encode()


def loads(data: bytes) -> Any:
    """The value of bytes that anybody may have written; raises NotPlain."""
    try:
        return _unpack(json.loads(data), 0)
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise NotPlain(f"no value as this side writes them: {error}") from None


def _pack(value: Any, depth: int) -> Any:
    if depth > MOST_DEEP:
        raise NotPlain(f"a value nested more than {MOST_DEEP} deep")
    kind = type(value)
    if value is None or kind in (bool, str, float):
        return value
    if kind is int:
        return value if -_JSON_INT < value < _JSON_INT else ["int", hex(value)]
    if kind is bytes:
        return ["bytes", value.hex()]
    if kind in _ORDERED or kind in _UNORDERED:
        name = _ORDERED.get(kind) or _UNORDERED[kind]
        return [name, *(_pack(v, depth + 1) for v in value)]
    if (kind.__module__, kind.__qualname__) in _DICTS and isinstance(value, dict):
        pairs = dict.items(value)
        return ["dict", *([_pack(k, depth + 1), _pack(v, depth + 1)] for k, v in pairs)]
    raise NotPlain(f"an object of the class {kind.__name__!r}, which is no plain value")


def _unpack(data: Any, depth: int) -> Any:
    if depth > MOST_DEEP:
        raise NotPlain(f"a value nested more than {MOST_DEEP} deep")
    if not isinstance(data, list):
        if isinstance(data, dict):
            raise NotPlain("no value as this side writes them: a JSON object")
        return data
    name, *rest = data
    if name == "int":
        return int(rest[0], 16)
    if name == "bytes":
        return bytes.fromhex(rest[0])
    if name == "dict":
        return {_unpack(k, depth + 1): _unpack(v, depth + 1) for k, v in rest}
    if not isinstance(name, str) or name not in _MAKERS:
        raise NotPlain("no value as this side writes them: an unknown type")
    return _MAKERS[name](_unpack(v, depth + 1) for v in rest)
