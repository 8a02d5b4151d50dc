"""Writes the pages that the code itself tells, so that they cannot lie; a test compares.

verbs.md from the commands' own --help, keys.md from the JSON schema of recipes, python.md from the
package's docstrings. ``growth`` writes the exactness table of growth.md instead, from measurements
(10 s), ``models`` the families of models.md, each of which lives a life (3 min).
"""

import ast
import inspect
import json
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from typer.core import TyperGroup
from typer.main import get_group
from typer.testing import CliRunner

import evergrow
from evergrow.cli import app
from evergrow.python import results
from evergrow.recipe import Recipe

VERBS = """# Verbs

What every command says of itself. Exit codes: 0, 1 failed, 2 wrong input, 130 and 143 stopped with
everything saved. Before anything is restored, a verb prints what is restored, what is
re-initialised and which rate comes next. `evergrow --debug VERB ...` shows a traceback instead of
one sentence; `evergrow --version` says the version; `python -m evergrow` is the same command.
"""


def verbs_page() -> str:
    """The page, 96 characters wide."""
    os.environ["COLUMNS"] = "96"
    runner = CliRunner()
    parts = [VERBS]
    for words in _commands(get_group(app)):
        text = runner.invoke(app, [*words, "--help"]).output
        text = text.replace("Usage: root", "Usage: evergrow").strip()
        parts.append(f"## {' '.join(words)}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def _commands(group: TyperGroup) -> list[list[str]]:
    """The words of every command, such as ["grow", "plan"]."""
    found = []
    for name, command in group.commands.items():
        below = _commands(command) if isinstance(command, TyperGroup) else [[]]
        found += [[name, *words] for words in below]
    return found


KEYS = """# All keys of a recipe

Every key there is, made from the JSON schema (`evergrow schema`). What they are for, with examples,
stands in [Recipes](recipes.md). A count may be written `20B`, `500M`, `4k`, `1e4` or `10,000`. Keys
that are not required may be left out; where no default stands, "what" says what happens then.
"""
Schema = dict[str, Any]
LARGEST = 1e15  # bounds above are those of machines
# What tells the members of a union apart that have no kind.
SOURCES = {"SourceConfig": "text", "ImageSourceConfig": "pictures", "ChatSourceConfig": "chats"}


def keys_page() -> str:
    """A section for each object of the schema, where it first stands in a recipe."""
    schema = Recipe.model_json_schema(by_alias=True)
    titles: dict[str, str] = {}
    _walk(schema, schema["$defs"], "", titles)
    parts = [KEYS, _keys_table(schema, titles, schema["$defs"])]
    for name, title in titles.items():
        told = schema["$defs"][name]
        about = _prose(told.get("description", ""))
        parts.append(f"## {title}\n\n{about}\n\n{_keys_table(told, titles, schema['$defs'])}")
    return "\n".join(parts)


def _walk(schema: Schema, defs: dict[str, Schema], place: str, titles: dict[str, str]) -> None:
    """Give each object below ``schema`` a title, its place, in the order of the keys."""
    for key, found in schema.get("properties", {}).items():
        there = f"{place}.{key}".lstrip(".")
        for name in _objects(found):
            if name in titles or "properties" not in defs[name]:
                continue
            kind = defs[name]["properties"].get("kind", {}).get("const") or SOURCES.get(name)
            titles[name] = f"{there} ({kind})" if kind else there
            _walk(defs[name], defs, there, titles)


def _objects(schema: Any) -> Iterator[str]:
    """The names of the objects that a key's schema refers to."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rsplit("/", 1)[-1]
        for key, below in schema.items():
            if key not in ("properties", "discriminator"):
                yield from _objects(below)
    elif isinstance(schema, list):
        for each in schema:
            yield from _objects(each)


def _keys_table(schema: Schema, titles: dict[str, str], defs: dict[str, Schema]) -> str:
    rows = ["| key | takes | default | what |", "|---|---|---|---|"]
    for key, found in schema["properties"].items():
        if "const" in found and key == "kind":
            rows.append(f"| `kind` | `{found['const']}` | | which of them |")
            continue
        default = "required" if key in schema.get("required", []) else _default(found)
        cells = (f"`{key}`", _takes(found, titles), default, _cell(what_of(found, defs)))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    """Text that Markdown shows as it is, code left alone: globs have stars, places <names>."""
    parts = text.split("`")
    for marks in (("<", "&lt;"), ("*", "\\*"), ("|", "&#124;")):
        parts[::2] = [part.replace(*marks) for part in parts[::2]]
    return "`".join(parts)


def what_of(found: Schema, defs: dict[str, Schema]) -> str:
    """A key's own description, else the first sentence on the only object it takes."""
    if told := found.get("description"):
        return _prose(told)
    names = list(dict.fromkeys(_objects(found)))
    said = defs[names[0]].get("description", "") if len(names) == 1 else ""
    return _prose(said.partition("\n\n")[0]) or ("see there" if names else "")


def _default(found: Schema) -> str:
    value = found.get("default")
    if value is None or value == "" or isinstance(value, dict):
        return ""  # of objects the defaults stand in their own section
    return f"`{json.dumps(value)}`"


def _takes(found: Schema, titles: dict[str, str]) -> str:
    """The types of a key in words; objects lead to their section."""
    if "$ref" in found:
        name = found["$ref"].rsplit("/", 1)[-1]
        if name not in titles:
            return "any value"
        return f"[{titles[name]}](#{_slug(titles[name])})"
    if members := found.get("anyOf") or found.get("oneOf"):
        words = [_takes(member, titles) for member in members if member.get("type") != "null"]
        if "a count" in words:
            return "a count"
        return " or ".join(sorted(dict.fromkeys(words), key=lambda word: word.startswith("a list")))
    if "enum" in found:
        return ", ".join(f"`{value}`" for value in found["enum"])
    if "const" in found:
        return f"`{found['const']}`"
    if found.get("type") == "array":
        return f"a list of {_takes(found.get('items', {}), titles)}"
    if found.get("type") == "object":
        return f"by name {_takes(_values(found), titles)}"
    return _plain(found)


def _values(found: Schema) -> Schema:
    patterns = found.get("patternProperties")
    below = next(iter(patterns.values())) if patterns else found.get("additionalProperties")
    return below if isinstance(below, dict) else {}


def _plain(found: Schema) -> str:
    if "kMBT" in found.get("pattern", ""):
        return "a count"
    words = {"string": "text", "integer": "a whole number", "number": "a number"}
    name = words.get(found.get("type", ""), "true or false" if "type" in found else "any value")
    low = _bound(found, "minimum", "from", "above")
    high = _bound(found, "maximum", "to", "below")
    return " ".join(word for word in (name, low, high) if word)


def _bound(found: Schema, end: str, word: str, other: str) -> str:
    exclusive = found.get(f"exclusive{end.capitalize()}")
    if found.get(end, exclusive) is None or abs(found.get(end, exclusive)) > LARGEST:
        return ""
    return f"{word} {found[end]:g}" if end in found else f"{other} {exclusive:g}"


def _slug(title: str) -> str:
    return re.sub(r"[^\w\s-]", "", title).strip().lower().replace(" ", "-")


def _prose(text: str) -> str:
    """A docstring as Markdown: its lines joined, code in single ticks."""
    return re.sub(r"(?<!\n)\n(?!\n)\s*", " ", inspect.cleandoc(text)).replace("``", "`")


PYTHON = """# Python

`import evergrow` costs a fraction of a millisecond; a verb imports what it needs when it is first
called. The names are those of the [command line](verbs.md), with an underscore where Python has the
word itself. How to use them stands in [From a notebook](how-to/notebook.md).

`PathLike` is text or a path, and a result is one too. `Files` is one or many of them, folders and
globs among them. `Settings` are keys by dotted path, as on the command line:
`{"train.batch_size": 8}`. `Count` is a number or text such as `"2M"`. What is wrong in what you
said is an `evergrow.errors.InputError`, one sentence with the value, the rule and the way out.
"""
RESULTS = (results.Result, results.Release, results.Rows, results.Record, evergrow.Listener)


def python_page() -> str:
    """Every public name with its signature as it stands in the code, then the results."""
    parts = [PYTHON]
    for name in sorted(set(evergrow.__all__) - {"Listener"}):
        function = getattr(evergrow, name)
        parts.append(f"## evergrow.{name}\n\n{_signature(function, f'evergrow.{name}')}")
        parts.append(f"{_prose(function.__doc__)}\n")
    parts.append("## Results\n")
    for kind in RESULTS:
        parts.append(f"### {kind.__name__}\n\n{_prose(kind.__doc__ or '')}{_fields(kind)}\n")
        parts += [_method(kind, name) for name in vars(kind) if not name.startswith("_")]
    return "\n".join(part for part in parts if part)


def _fields(kind: type) -> str:
    if not is_dataclass(kind):
        return ""
    return f" It has {', '.join(f'`{field.name}`' for field in fields(kind))}."


def _method(kind: type, name: str) -> str:
    found = vars(kind)[name]
    function = found.fget if isinstance(found, property) else found
    if not inspect.isfunction(function) or function.__name__ != name:
        return ""
    called = f"{kind.__name__.lower()}.{name}"
    head = f"`{called}`\n" if isinstance(found, property) else _signature(function, called)
    return f"{head}\n{_prose(function.__doc__ or '')}\n"


def _signature(function: Any, called: str) -> str:
    """As the code has it, names of types and all; a line an argument when it is long."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    tree.args.args = [each for each in tree.args.args if each.arg != "self"]
    returned = ast.unparse(tree.returns).strip("'") if tree.returns else "None"
    arguments = ast.unparse(tree.args).replace("'", '"').replace("=", " = ")
    line = f"{called}({arguments}) -> {returned}"
    if len(line) > 96:
        below = re.sub(r", (?=\w+(: |=)|\*,)", ",\n    ", arguments).replace("*, ", "*,\n    ")
        line = f"{called}(\n    {below},\n) -> {returned}"
    return f"```python\n{line}\n```\n"


def growth_page(page: str) -> str:
    """docs/growth.md with its table measured again."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from grow.table import measured_page

    marks = re.compile(r"(<!-- exactness -->\n).*(<!-- /exactness -->)", re.DOTALL)
    return marks.sub(lambda found: f"{found[1]}{measured_page()}\n{found[2]}", page)


def models_page(page: str) -> str:
    """docs/models.md with every family brought again."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from flow.lives import measured_table

    marks = re.compile(r"(<!-- families -->\n).*(\n<!-- /families -->)", re.DOTALL)
    return marks.sub(lambda found: f"{found[1]}{measured_table()}{found[2]}", page)


MEASURED = {"growth": growth_page, "models": models_page}
PAGES = {"verbs.md": verbs_page, "keys.md": keys_page, "python.md": python_page}

if __name__ == "__main__" and (asked := [name for name in MEASURED if name in sys.argv]):
    for name in asked:
        path = Path(__file__).with_name(f"{name}.md")
        path.write_text(MEASURED[name](path.read_text(encoding="utf-8")), encoding="utf-8")
elif __name__ == "__main__":
    for name, page in PAGES.items():
        Path(__file__).with_name(name).write_text(page(), encoding="utf-8")
