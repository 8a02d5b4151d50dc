"""What a made thing was made of: its key by content and by wish, and what has changed since.

A key holds the room's VERSION, the settings that somebody chose (defaults are left out, so a new
setting with a default changes no key) and the hashes of what goes in (never a path).
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from blake3 import blake3
from pydantic import BaseModel, JsonValue

from evergrow.config import Config

Settings = dict[str, Any]  # plain data as JSON holds it
_DEFAULT = object()  # what a setting that is left out has; null is a choice


def chosen(config: BaseModel, without: Collection[str] = ()) -> Settings:
    """The settings of ``config`` that are not their defaults, those inside other settings too.

    What a field stands ``without`` is left out at the top. The tag of a union (``kind``) always
    stays: it says whose defaults are left out.
    """
    found = {}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        is_tag = get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
        if name in without or (
            not is_tag and value == field.get_default(call_default_factory=True)
        ):
            continue
        found[field.alias or name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return chosen(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


class Made(Config):
    """What goes into a made thing: the room's version, chosen settings, hashes by name."""

    version: int
    settings: dict[str, JsonValue]
    inputs: dict[str, str] = {}

    @property
    def key(self) -> str:
        """64 hex digits that stand for all of it."""
        parts = [self.version, self.settings, self.inputs]
        return blake3(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def changes(before: Made, now: Made) -> list[str]:
    """What differs, in words: settings first, then what went in, then the version."""
    found = [*_other_settings(before.settings, now.settings)]
    for name in sorted({*before.inputs, *now.inputs}, key=_natural):
        old, new = before.inputs.get(name), now.inputs.get(name)
        if old != new:
            found.append(
                f"{name} {'is new' if old is None else 'is gone' if new is None else 'changed'}"
            )
    if before.version != now.version:
        found.append(f"evergrow makes it otherwise (version {now.version}, was {before.version})")
    return found


def _other_settings(before: Any, now: Any, path: str = "") -> Iterator[str]:
    """``path was X, and is Y now`` of every difference; an absent setting has its default."""
    if before == now:
        return
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            inner = f"{path}.{name}".lstrip(".")
            old, new = before.get(name, _DEFAULT), now.get(name, _DEFAULT)
            yield from _other_settings(old, new, inner)
        return
    yield f"{path} was {_said(before)}, and is {_said(now)} now"


def _said(value: Any) -> str:
    if value is _DEFAULT:
        return "its default"
    return "null" if value is None else repr(value)


def _natural(name: str) -> list[Any]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]
