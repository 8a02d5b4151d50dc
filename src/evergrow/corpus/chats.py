"""Chats from files: rows of messages, or of a prompt and its completion; what is none is said."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from blake3 import blake3

from evergrow.corpus.config import ChatSourceConfig
from evergrow.corpus.files import SourceFile, described
from evergrow.corpus.globs import match_files
from evergrow.corpus.hashes import Hashes
from evergrow.corpus.installed import library, library_files
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.questions import module_of, questions
from evergrow.corpus.unpack import open_unpacked, read_lines
from evergrow.errors import InputError

Message = dict[str, str]  # role and content
ROLES = ("system", "user", "assistant", "tool")
WAY_OUT = "give every row a list of {role, content}, or set prompt_field and completion_field"


class Chat(NamedTuple):
    """The turns of one row, where it stands, and a hash of what is said."""

    messages: list[Message]
    path: str
    content_hash: str


class NoChat(Exception):
    """Why a row is no chat that can be learnt from."""


def chat_files(config: ChatSourceConfig, base: Path, source: str) -> list[SourceFile]:
    """The files of a source, below ``base_of`` it; raises InputError for what is missing."""
    if config.installed:
        files = {file.path: None for file in library_files()}
    else:
        files = match_files(config.chats, base, source).files
    return described(files, base_of(config, base), Hashes({}, {}))


def base_of(config: ChatSourceConfig, base: Path) -> Path:
    """What the names of a source's files are relative to; ``base`` is the recipe's folder."""
    return library() if config.installed else base


def read_chats(
    config: ChatSourceConfig, files: list[SourceFile], quarantine: Quarantine
) -> Iterator[Chat]:
    """Every chat of the files in their order; rows that are none go to the quarantine.

    Raises InputError past its share, and when there is no chat at all.
    """
    num_chats = 0
    for file in files:
        for place, row in _questions(file) if config.installed else _rows(file):
            try:
                messages = chat_of(row, config)
            except NoChat as bad:
                head = repr(row)[:200].encode()
                quarantine.add(file.name, place, str(bad), WAY_OUT, head)
                continue
            quarantine.num_documents += 1
            num_chats += 1
            digest = blake3(json.dumps(messages, sort_keys=True).encode()).hexdigest()
            yield Chat(messages, f"{file.name}#{place}", digest)
    quarantine.check()
    if not num_chats:
        raise InputError(
            f"sources.{quarantine.source}: no chat with an assistant's turn in "
            f"{', '.join(config.chats)}; {WAY_OUT}"
        )


def _rows(file: SourceFile) -> Iterator[tuple[int, Any]]:
    """Rows of a JSONL or Parquet file with their place: byte offset, or number."""
    if file.suffixes[0] == ".parquet":
        from pyarrow import parquet

        first = 0
        for batch in parquet.ParquetFile(file.path).iter_batches(1024):
            yield from enumerate(batch.to_pylist(), first)
            first += len(batch)
        return
    with open_unpacked(file) as stream:
        for line in read_lines(stream):
            if line.data.strip():
                yield line.offset, _parsed(line.data)


def _questions(file: SourceFile) -> Iterator[tuple[int, Any]]:
    """A row a question of a module; one that does not parse here has none."""
    with suppress(SyntaxError, UnicodeDecodeError):
        found = questions(Path(str(file.path)).read_bytes(), module_of(file.name))
        for place, (prompt, completion) in enumerate(found):
            turns = zip(("user", "assistant"), (prompt, completion), strict=True)
            yield place, {"messages": [{"role": r, "content": text} for r, text in turns]}


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def chat_of(row: Any, config: ChatSourceConfig) -> list[Message]:
    """The messages of a row; raises NoChat for one without an assistant's turn."""
    if not isinstance(row, Mapping):
        raise NoChat("rows that are no objects")
    if config.prompt_field is not None and config.completion_field is not None:
        said = (row.get(config.prompt_field), row.get(config.completion_field))
        found: Any = [
            {"role": role, "content": text}
            for role, text in zip(("user", "assistant"), said, strict=True)
        ]
    else:
        found = row.get(config.messages_field)
    if not isinstance(found, list) or not found:
        raise NoChat(f"rows without a list in {config.messages_field!r}")
    messages = [_message(turn) for turn in found]
    if not any(m["role"] == "assistant" and m["content"].strip() for m in messages):
        raise NoChat("chats in which no assistant says anything")
    for earlier, later in pairwise(messages):
        if earlier["role"] == later["role"] != "tool":
            raise NoChat(f"chats in which {later['role']} speaks twice in a row")
    if messages[-1]["role"] != "assistant":
        messages = messages[
            : 1 + max(i for i, m in enumerate(messages) if m["role"] == "assistant")
        ]
    return messages


def _message(turn: Any) -> Message:
    """A turn; ShareGPT's from and value are taken for role and content."""
    if not isinstance(turn, Mapping):
        raise NoChat("turns that are no objects")
    role = turn.get(
        "role", {"human": "user", "gpt": "assistant"}.get(turn.get("from", ""), turn.get("from"))
    )
    content = turn.get("content", turn.get("value"))
    if role not in ROLES or not isinstance(content, str):
        raise NoChat(f"turns without a role ({', '.join(ROLES)}) and a text")
    return {"role": role, "content": content}
