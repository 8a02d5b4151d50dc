"""Chats that every install has: what a function of the standard library does, and the answer."""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from evergrow.corpus.installed import parsed

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
SHORTEST, LONGEST = 20, 300  # characters of an answer
SENTENCE = re.compile(r"[A-Z].*[.!]", re.DOTALL)  # a paragraph of prose, no signature or table


class Question(NamedTuple):
    """What is asked of a name, and the first paragraph of its docstring."""

    prompt: str
    completion: str


def questions(code: bytes, module: str) -> Iterator[Question]:
    """One question each public function, class and method that a docstring describes in prose.

    Raises SyntaxError and UnicodeDecodeError for code that does not parse here.
    """
    code.decode()
    for node, name in _public(parsed(code), module):
        answer = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
        if SHORTEST <= len(answer) <= LONGEST and SENTENCE.fullmatch(answer):
            yield Question(_asked(node, name), answer)


def _public(tree: ast.Module, module: str) -> Iterator[tuple[Definition, str]]:
    """What a module and its classes define, with the full name, in order."""
    waiting: list[tuple[ast.stmt, str]] = [(node, module) for node in reversed(tree.body)]
    while waiting:
        node, place = waiting.pop()
        if isinstance(node, Definition) and not node.name.startswith("_"):
            name = f"{place}.{node.name}"
            yield node, name
            if isinstance(node, ast.ClassDef):
                waiting += [(inner, name) for inner in reversed(node.body)]


def _asked(node: Definition, name: str) -> str:
    if isinstance(node, ast.ClassDef):
        return f"What is {name}?"
    arguments = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    shown = [argument for argument in arguments if argument not in ("self", "cls")]
    return f"What does {name}({', '.join(shown)}) do?"


def module_of(path: str) -> str:
    """The module that a file of the library is: ``json/decoder.py`` is ``json.decoder``."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
