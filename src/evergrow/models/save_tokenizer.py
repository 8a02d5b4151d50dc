"""A tokenizer as a Hugging Face folder."""

from pathlib import Path
from typing import Any

from transformers.tokenization_utils_base import PreTrainedTokenizerBase


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a Hugging Face tokenizer folder. Raises OSError when the disk is full."""
    # Its own writer raises a bare Exception on a full disk; the same bytes are tried before.
    backend: Any = tokenizer  # only a fast tokenizer has this file
    text = backend.backend_tokenizer.to_str(pretty=True)
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    tokenizer.save_pretrained(folder)
