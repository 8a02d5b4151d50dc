"""Where GGUF files are unpacked: once for each content, into a folder below the cache."""

from pathlib import Path

import yaml
from transformers import GenerationConfig

from evergrow.disk import checksum_once, locked, new_folder
from evergrow.errors import InputError
from evergrow.models.cache import cache
from evergrow.models.gguf.config import config_of
from evergrow.models.gguf.file import GgufFile, open_gguf
from evergrow.models.gguf.tokenizer import tokenizer_of
from evergrow.models.gguf.weights import model_of
from evergrow.models.origin import Origin, write_origin
from evergrow.models.quiet import undisturbed
from evergrow.models.save_tokenizer import save_tokenizer

VERSION = 3  # raise by hand when the same file is unpacked to other bytes
# The tokens that end a text: of a document, of a turn, of a message to a tool.
ENDS = ("eos", "eot", "eom")


def unpacked(path: Path) -> Path:
    """The Hugging Face folder of the model in a GGUF file, made at the first call for its content.

    It is there whole or not at all. Raises InputError for a file that holds no model that is known
    here, and EvergrowError on a full disk.
    """
    digest = checksum_once(path)
    folder = cache() / "gguf" / f"{path.stem}-{digest[:16]}-v{VERSION}"
    if folder.exists():
        return folder
    file = open_gguf(path)
    with locked(folder.parent):
        if not folder.exists():  # another process may have made it meanwhile
            _unpack(file, digest, folder)
    return folder


def _unpack(file: GgufFile, digest: str, folder: Path) -> None:
    config, tokenizer = config_of(file), tokenizer_of(file)
    if len(tokenizer) > config.vocab_size:
        raise InputError(
            f"{file.path}: its tokenizer has {len(tokenizer)} ids, its embedding "
            f"{config.vocab_size} rows; give the model as a folder"
        )
    model = model_of(file, config)
    model.generation_config = generation_of(file)
    origin = origin_of(file, digest)
    with new_folder(folder) as unfinished, undisturbed():
        model.save_pretrained(unfinished)
        save_tokenizer(tokenizer, unfinished)
        write_origin(unfinished, origin)
        (unfinished / "README.md").write_text(_card(file, origin), encoding="utf-8")


def generation_of(file: GgufFile) -> GenerationConfig:
    """How texts begin and end, by the ids that the head names."""
    ids = {name: file.metadata.get(f"tokenizer.ggml.{name}_token_id") for name in (*ENDS, "bos")}
    ends = list(dict.fromkeys(ids[name] for name in ENDS if ids[name] is not None))
    return GenerationConfig(
        bos_token_id=ids["bos"],
        eos_token_id=ends if len(ends) > 1 else next(iter(ends), None),
        pad_token_id=file.metadata.get("tokenizer.ggml.padding_token_id"),
    )


def origin_of(file: GgufFile, digest: str) -> Origin:
    """What everything made from the file has to say of it."""
    return Origin(
        file=file.path.name,
        blake3=digest,
        type=file.main_type,
        bits=file.bits,
        name=file.metadata.get("general.name"),
        licence=file.metadata.get("general.license"),
    )


def _card(file: GgufFile, origin: Origin) -> str:
    front = {"license": origin.licence} if origin.licence else {}
    head = f"---\n{yaml.safe_dump(front)}---\n\n" if front else ""
    return f"{head}# {origin.name or file.path.stem}\n\n{origin.said}\n"
