"""Chats to examples, once: rendered by the tokenizer's template, marked, split, stored."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerFast

from evergrow.corpus.changes import differences
from evergrow.corpus.chats import Chat, Message, NoChat, base_of, chat_files, read_chats
from evergrow.corpus.config import ChatSourceConfig, HeldOutConfig
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.records import FileRecord
from evergrow.data.prepared import (
    Asked,
    CreatedFrom,
    finished_folder,
    made_of,
    remove_left_overs,
    stands,
)
from evergrow.disk import new_folder
from evergrow.errors import InputError
from evergrow.made import Settings, chosen
from evergrow.stream.examples import Example, ExampleSource, Marked, write_examples
from evergrow.stream.tokenizer import load_tokenizer, tokenizer_hash

VERSION = 1  # raise by hand when the same files and settings would give other bytes
CONTEXT, ANSWER, LAST = 0, 1, 2
GENERATION = "{% generation"  # how templates mark what an assistant says
# For a tokenizer that has none: roles in words, an answer ends with the end-of-text token.
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}"
    "{{ eos_token if message['role'] == 'assistant' else '' }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def prepare_examples(
    asked: Asked, sources: Mapping[str, ChatSourceConfig], held_out: HeldOutConfig, folder: Path
) -> dict[str, Path]:
    """Make data/<source>-<hash12> for every source of chats with the tokenizer in ``folder``.

    The tokenizer's chat template decides what a model reads; one that has none gets ours. Raises
    InputError for a template that marks nothing or rewrites what was said before, for chats without
    answers, and for changed settings of what a stage has read.
    """
    if not sources:
        return {}
    remove_left_overs(asked.data)
    tokenizer = load_tokenizer(folder)
    if tokenizer.chat_template is None:
        tokenizer.chat_template = TEMPLATE
        tokenizer.save_pretrained(folder)
        asked.say("tokenizer: has no chat template; roles are written as <|user|>, <|assistant|>")
    paths = {}
    for name, config in sources.items():
        kept = None if name in asked.only_measured else held_out
        settings = _settings(config, kept)
        finished = finished_folder(asked.data, name)
        files = partial(_changed_files, name, config, asked.base)
        if stands(asked, name, finished, VERSION, settings, files):
            assert finished is not None
            paths[name] = finished
        else:
            asked.say(f"{name}: reading chats")
            paths[name] = _made(asked, name, config, kept, settings, tokenizer)
    return paths


def _settings(config: ChatSourceConfig, held_out: HeldOutConfig | None) -> Settings:
    kept = {"fraction": 1.0} if held_out is None else chosen(held_out)
    return {**chosen(config, {"chats", "max_bad", "max_epochs"}), "held_out": kept}


def _changed_files(
    name: str, config: ChatSourceConfig, base: Path, recorded: list[FileRecord]
) -> list[str] | None:
    root = base_of(config, base)
    if not any((root / file.path).exists() for file in recorded):
        return None
    now = {file.name: file.record() for file in chat_files(config, base, name)}
    return differences(now, recorded)


def _made(
    asked: Asked,
    name: str,
    config: ChatSourceConfig,
    held_out: HeldOutConfig | None,
    settings: Settings,
    tokenizer: PreTrainedTokenizerFast,
) -> Path:
    quarantine = Quarantine(name, config.max_bad)
    files = chat_files(config, asked.base, name)
    examples = _examples(read_chats(config, files, quarantine), tokenizer, name)
    out = _held_out(examples, held_out, name)
    digest = tokenizer_hash(tokenizer)
    template = blake3(str(tokenizer.chat_template).encode()).hexdigest()
    records = [file.record() for file in files]
    made = made_of(VERSION, settings, records, [], digest)
    made = made.model_copy(update={"inputs": {**made.inputs, "template": template}})
    manifest = {
        "format": 1,
        "source": name,
        "key": made.key,
        "made": made.model_dump(mode="json"),
        "created_from": CreatedFrom(files=records).to_data(),
        "tokenizer": digest,
        "template": template,
        "num_dropped": quarantine.num_documents - len(quarantine.records) - len(examples),
        "quarantine": [asdict(q) for q in quarantine.records],
    }
    parts = {
        "train": [e for e in examples if e.content_hash not in out],
        "held_out": [e for e in examples if e.content_hash in out],
    }
    target = asked.data / f"{name}-{made.key[:12]}"
    with new_folder(target) as unfinished:
        write_examples(unfinished, parts, len(tokenizer), manifest)
    ExampleSource.open(target)
    return target


def _examples(chats: Any, tokenizer: PreTrainedTokenizerFast, name: str) -> list[Example]:
    """One example a chat, each chat once."""
    found: dict[str, Example] = {}
    for chat in chats:
        if chat.content_hash not in found:
            found[chat.content_hash] = example_of(chat, tokenizer, name)
    return list(found.values())


def _held_out(examples: Sequence[Example], config: HeldOutConfig | None, name: str) -> set[str]:
    """The chats held out, by a hash of what they say: the larger of the share and the tokens."""
    if config is None:
        return {example.content_hash for example in examples}
    sizes = {e.content_hash: sum(len(s.ids) for s in e.sequences) for e in examples}
    wanted = max(config.fraction * sum(sizes.values()), config.tokens)
    if 2 * wanted > sum(sizes.values()):
        raise InputError(
            f"sources.{name}: its chats have {sum(sizes.values()):,} tokens, {2 * wanted:,.0f} are "
            f"needed to hold out {wanted:,.0f}; give it more or lower held_out.tokens"
        )
    found: set[str] = set()
    total = 0
    for digest in sorted(sizes):
        if total >= wanted and len(found) > 1:
            break
        found.add(digest)
        total += sizes[digest]
    return found


def example_of(chat: Chat, tokenizer: PreTrainedTokenizerFast, source: str) -> Example:
    """A chat as the template writes it, every token marked: context, an answer, the last answer.

    Raises InputError for a template that refuses it, marks nothing or rewrites what was said.
    """
    for message in chat.messages:
        _refuse_special(message, tokenizer, source, chat.path)
    try:
        if GENERATION in str(tokenizer.chat_template):
            sequence = _by_own_marks(chat.messages, tokenizer)
        else:
            sequence = _by_segments(chat.messages, tokenizer)
    except (TemplateError, NoChat) as error:
        raise InputError(
            f"sources.{source}: the chat template cannot write {chat.path}: {error}; leave it out "
            "or give the tokenizer another chat_template"
        ) from error
    answers = [m["content"] for m in chat.messages if m["role"] == "assistant"]
    return Example(
        sequences=[sequence],
        content_hash=chat.content_hash,
        group=chat.content_hash,
        path=chat.path,
        num_bytes=sum(len(answer.encode()) for answer in answers),
        prompt=_written(chat.messages[:-1], tokenizer, asks=True),
        reference=answers[-1],
    )


def _refuse_special(
    message: Message, tokenizer: PreTrainedTokenizerFast, source: str, path: str
) -> None:
    """Letters that spell a special token would become one, and end or begin a turn."""
    for token in tokenizer.all_special_tokens:
        if token in message["content"]:
            raise InputError(
                f"sources.{source}: {path} says {token!r}, which the tokenizer takes for its own; "
                "leave the chat out or spell it otherwise"
            )


def _written(
    messages: Sequence[Message], tokenizer: PreTrainedTokenizerFast, asks: bool = False
) -> str:
    """The messages as text; ``asks`` for the next answer."""
    if not messages and not asks:
        return ""
    settings: dict[str, Any] = {"tokenize": False, "add_generation_prompt": asks}
    return str(tokenizer.apply_chat_template(list(messages), **settings))


def _by_own_marks(messages: Sequence[Message], tokenizer: PreTrainedTokenizerFast) -> Marked:
    found: Any = tokenizer.apply_chat_template(
        list(messages), tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    marks = np.array(found["assistant_masks"], np.uint8)
    if not marks.any():
        raise NoChat("its own marks ({% generation %}) cover no token of an answer")
    starts = np.flatnonzero(np.diff(marks, prepend=0) == 1)
    marks[starts[-1] :] *= LAST
    return Marked(np.array(found["input_ids"], np.int64), marks)


def _by_segments(messages: Sequence[Message], tokenizer: PreTrainedTokenizerFast) -> Marked:
    """Each turn encoded by itself and joined: no token spans the border of an answer.

    An answer is what the template writes after it asked for one, its end token included.
    """
    ids: list[int] = []
    marks: list[int] = []
    before = ""
    last = max(i for i, m in enumerate(messages) if m["role"] == "assistant")
    for i, message in enumerate(messages):
        pieces = [(_written(messages[: i + 1], tokenizer), CONTEXT)]
        if message["role"] == "assistant":
            asked = _written(messages[:i], tokenizer, asks=True)
            pieces = [(asked, CONTEXT), (pieces[0][0], LAST if i == last else ANSWER)]
        for text, mark in pieces:
            if not text.startswith(before):
                raise NoChat("it writes earlier turns otherwise once a later one follows")
            piece = tokenizer(text[len(before) :], add_special_tokens=False)["input_ids"]
            ids += piece
            marks += [mark] * len(piece)
            before = text
    found = np.array(ids, np.int64)
    return Marked(found, _without_tail(found, np.array(marks), tokenizer))


def _without_tail(
    ids: np.ndarray, marks: np.ndarray, tokenizer: PreTrainedTokenizerFast
) -> np.ndarray:
    """What a template writes after an answer's end token (a line break) is no part of it."""
    ends = set(tokenizer.all_special_ids)
    kept = marks.astype(np.uint8)
    starts = np.flatnonzero((marks > 0) & (np.diff(marks, prepend=0) != 0))
    for start in starts:
        stop = start + int(np.argmax(np.append(marks[start:] != marks[start], True)))
        found = [i for i in range(start, stop) if ids[i] in ends]
        if found:
            kept[found[-1] + 1 : stop] = CONTEXT
    return kept
