"""YAML that means what it looks like: words stay words, numbers are decimal, keys come once."""

import re
from pathlib import Path
from typing import Any

import yaml

from evergrow.errors import InputError

Raw = dict[str, Any]  # settings as a file has them, before a model has decoded them
MOST_LEVELS = 60  # of brackets within brackets; recipes have six
MOST_VALUES = 100_000  # an alias of aliases is a million values in ten lines


class _Mistake(yaml.YAMLError):
    """A rule of this file that YAML itself does not have."""

    def __init__(self, mark: yaml.Mark, reason: str) -> None:
        super().__init__(reason)
        self.line, self.reason = mark.line + 1, reason


class _StrictLoader(yaml.SafeLoader):
    """YAML whose ``no`` is a word and whose dates are text; a key given twice is an error."""

    level = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.level += 1
        if self.level > MOST_LEVELS:
            reason = f"nested more than {MOST_LEVELS} levels deep; close the brackets"
            raise _Mistake(self.peek_event().start_mark, reason)
        event = self.peek_event()
        if getattr(event, "tag", None) is not None:
            reason = f"not valid YAML here: {event.tag}; write the value without a tag"
            raise _Mistake(event.start_mark, reason)
        node = super().compose_node(parent, index)
        self.level -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = []
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                reason = f"key {key!r} is given twice; keep one of them"
                raise _Mistake(key_node.start_mark, reason)
            seen.append(key)
        return super().construct_mapping(node, deep)


# YAML 1.1 reads no, yes, on and off as booleans, and a stage may well be called "no"; 010 as 8 and
# 1:30 as 90. Both are text here, which a count refuses; so is a number too long for an integer.
_OWN_RULES = (":bool", ":timestamp", ":int", ":float", ":value")
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if not tag.endswith(_OWN_RULES)]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,40})$"),
    list("-+0123456789"),
)
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def load_yaml(path: Path) -> Raw:
    """Read a YAML mapping; raises InputError for a missing, empty, broken or non-mapping file."""
    return parse_yaml(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a file; raises InputError for one that is missing or no UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); give the path of a file"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 text at byte {error.start}; save it as UTF-8"
        ) from error


def parse_yaml(text: str, where: str) -> Raw:
    """Decode YAML text that must be a mapping; ``where`` opens the error's sentence."""
    data = parse_value(text, where)
    if not isinstance(data, dict):
        found = "nothing" if data is None else type(data).__name__
        raise InputError(f"{where}: expected settings as 'key: value' lines, found {found}")
    return data


def parse_value(text: str, where: str) -> Any:
    """Decode any YAML text; raises InputError for what is broken, too deep or too large."""
    try:
        data = yaml.load(text, _StrictLoader)
    except _Mistake as error:
        raise InputError(f"{where}:{error.line}: {error.reason}") from error
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
        raise InputError(f"{where}{line}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from error
    _refuse_endless(data, where)
    return data


def _refuse_endless(data: Any, where: str) -> None:
    """Raise InputError for more values than any recipe has: aliases of aliases, or of itself."""
    rest, found = [data], 0
    while rest:
        value = rest.pop()
        found += 1
        if found > MOST_VALUES:
            raise InputError(
                f"{where}: more than {MOST_VALUES:,} values, with those that aliases repeat; write "
                "out what is meant"
            )
        if isinstance(value, dict):
            rest += value.values()
        elif isinstance(value, list):
            rest += value


def lines_of(text: str) -> dict[str, int]:
    """The line, from 1, at which each setting of a YAML text stands: ``stages[0].tokens: 12``."""
    found: dict[str, int] = {}
    rest: list[tuple[str, Any]] = [("", yaml.compose(text, _StrictLoader))]
    while rest:
        path, node = rest.pop()
        if isinstance(node, yaml.MappingNode):
            below = [(f"{path}.{key.value}".lstrip("."), key, value) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            below = [(f"{path}[{i}]", value, value) for i, value in enumerate(node.value)]
        else:
            continue
        for inner, marked, value in below:
            if inner not in found:  # an alias may lead back
                found[inner] = marked.start_mark.line + 1
                rest.append((inner, value))
    return found
