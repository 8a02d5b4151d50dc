"""Text that every install has: English in docstrings, Python and C++ in the libraries."""

import ast
import importlib.metadata
import importlib.util
import re
import sysconfig
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from evergrow.corpus.config import Installed
from evergrow.corpus.document import Document
from evergrow.corpus.files import SourceFile, inside
from evergrow.errors import EvergrowError

PACKAGES = ["torch", "transformers", "numpy", "scipy", "pyarrow", "pydantic", "sympy", "networkx"]
PACKAGES += ["mpmath", "huggingface_hub", "fsspec", "rich", "typer", "jinja2", "tokenizers"]
PACKAGES += ["safetensors"]
MIN_PROSE_CHARACTERS = 200
MIN_PROSE_FRACTION = 0.78  # letters, spaces and , . among all characters: tables have fewer
MIN_QUOTED_FRACTION = 0.2  # of a module's bytes; halves the time
MAX_HEADER_BYTES = 200_000  # longer headers are generated dispatch tables
# Python 2 text, data in the form of code, and turtle-sized demonstrations
LEFT_OUT_OF_LIBRARY = {"test", "tests", "idlelib", "lib2to3", "site-packages", "turtledemo"}
LEFT_OUT_OF_LIBRARY |= {"encodings", "pydoc_data", "__pycache__", "ensurepip"}
GENERATED = re.compile(rb"@generated|[Gg]enerated (by|from)|DO NOT EDIT|GENERATED")
_WithDocstring = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class InstalledFile(NamedTuple):
    """``name`` is relative to where the packages or the library lie, so that it moves with them."""

    path: Path
    name: str


def read_installed(
    kind: Installed, source: str, files: list[SourceFile]
) -> Generator[Document, None, None]:
    """The documents of one built-in source, in an order fixed by a hash of the files' names.

    Every file is appended to ``files`` when it is read, so a reader that stops early lists no more.
    Code that is not UTF-8 or does not parse here gives no documents.
    Raises EvergrowError when a package that the text comes from is not there.
    """
    candidates, extract = KINDS[kind]
    for path, name in candidates():
        data = path.read_bytes()
        files.append(SourceFile(path, name, len(data), blake3(data).hexdigest()))
        try:
            texts = list(extract(data))
        except (UnicodeDecodeError, SyntaxError):
            continue
        for place, text in enumerate(texts):
            key = f"{name}#{place}" if place else name
            is_file = kind != "english"  # docstrings are prose, whatever they stand in
            yield Document.of(text, source, name, key=key, file_name=name if is_file else None)


def installed_path(kind: Installed, name: str) -> Path:
    """Where the file that ``read_installed`` recorded under ``name`` lies now.

    Raises InputError for a name that leads out of the packages or the library.
    """
    return inside(library() if kind == "python" else _package("torch").parent, name)


def library() -> Path:
    """Where the standard library lies."""
    return Path(sysconfig.get_paths()["stdlib"])


def _package(name: str) -> Path:
    specification = importlib.util.find_spec(name)
    if specification is None or specification.origin is None:
        raise EvergrowError(f"{name}: not installed; install evergrow again, it depends on {name}")
    return Path(specification.origin).parent


def _ordered(paths: Iterable[Path], root: Path) -> list[InstalledFile]:
    files = [InstalledFile(path, path.relative_to(root).as_posix()) for path in paths]
    return sorted(files, key=lambda file: blake3(file.name.encode()).digest())


def _english_files() -> list[InstalledFile]:
    """The packages' descriptions, then their modules."""
    descriptions, modules = [], []
    root = _package("torch").parent
    for name in PACKAGES:
        package = _package(name)
        modules += [p for p in package.rglob("*.py") if "tests" not in p.parts]
        recorded = importlib.metadata.files(name) or []
        descriptions += [Path(str(f.locate())) for f in recorded if f.name == "METADATA"]
    return _ordered(descriptions, root) + _ordered(modules, root)


def library_files() -> list[InstalledFile]:
    """The modules of the standard library, in an order fixed by a hash of their names."""
    root = library()
    modules = root.rglob("*.py")
    return _ordered(
        (p for p in modules if not LEFT_OUT_OF_LIBRARY & set(p.relative_to(root).parts)), root
    )


def _header_files() -> list[InstalledFile]:
    include = _package("torch") / "include"
    headers = [p for suffix in ("h", "hpp", "cuh") for p in include.rglob(f"*.{suffix}")]
    operators = include / "ATen" / "ops"
    return _ordered((p for p in headers if operators not in p.parents), _package("torch").parent)


def docstrings(code: bytes) -> Iterator[str]:
    """The docstrings that read like prose: 200 characters and more, mostly words.

    Modules with little between triple quotes are not parsed: that would take most of the time.
    """
    if sum(map(len, code.split(b'"""')[1::2])) < MIN_QUOTED_FRACTION * len(code):
        return
    for node in _definitions(parsed(code)):
        text = ast.get_docstring(node)
        if text and len(text) >= MIN_PROSE_CHARACTERS and _is_prose(text):
            yield text.rstrip() + "\n"


def _definitions(tree: ast.Module) -> Iterator[_WithDocstring]:
    """The module, its classes and functions and what is defined directly inside them, in order."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, _WithDocstring):
            yield node
            waiting += reversed(node.body)


def parsed(code: bytes) -> ast.Module:
    """The syntax tree, without the warnings that other people's code gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # other people's invalid escapes
        warnings.simplefilter("ignore", DeprecationWarning)
        return ast.parse(code)


def _is_prose(text: str) -> bool:
    num_words = sum(c.isalpha() or c in " ,." for c in text)
    return num_words >= MIN_PROSE_FRACTION * len(text)


def description(metadata: bytes) -> Iterator[str]:
    """The long description of a package: what follows the header fields."""
    _, _, text = metadata.decode().replace("\r\n", "\n").partition("\n\n")
    if text.strip():
        yield text


def without_docstrings(code: bytes) -> Iterator[str]:
    """Python code without docstrings; comments and layout stay, an emptied body becomes ``pass``.

    Works on bytes because ``ast`` counts columns in UTF-8 bytes.
    """
    code.decode()
    starts = [0]
    for line in code.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    spans = []
    for node in ast.walk(parsed(code)):
        if not isinstance(node, _WithDocstring) or ast.get_docstring(node, clean=False) is None:
            continue
        literal = node.body[0]
        assert literal.end_lineno is not None and literal.end_col_offset is not None
        first = starts[literal.lineno - 1] + literal.col_offset
        last = starts[literal.end_lineno - 1] + literal.end_col_offset
        spans.append((first, last, len(node.body) == 1 and not isinstance(node, ast.Module)))
    for first, last, alone in sorted(spans, reverse=True):
        code = _cut_out(code, first, last, alone)
    if code.strip():
        yield code.decode()


def _cut_out(code: bytes, first: int, last: int, alone: bool) -> bytes:
    """Remove a docstring with its lines when nothing else stands on them."""
    line_start = code.rfind(b"\n", 0, first) + 1
    line_end = code.find(b"\n", last) + 1 or len(code)
    if alone or code[line_start:first].strip() or code[last:line_end].strip():
        return code[:first] + b"pass" + code[last:]
    return code[:line_start] + code[line_end:]


def header(code: bytes) -> Iterator[str]:
    """A C++ header, unless it was generated."""
    if len(code) <= MAX_HEADER_BYTES and not GENERATED.search(code[:2000]):
        yield code.decode()


def _english(data: bytes) -> Iterator[str]:
    return description(data) if data.startswith(b"Metadata-Version:") else docstrings(data)


KINDS: dict[
    Installed, tuple[Callable[[], list[InstalledFile]], Callable[[bytes], Iterator[str]]]
] = {
    "english": (_english_files, _english),
    "python": (library_files, without_docstrings),
    "cpp": (_header_files, header),
}
