"""Which tokenizer a run uses."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from evergrow.config import Config, Name, parse_count

# The largest that are trained have a million (XLM-V, arXiv 2301.10472).
VocabSize = Annotated[int, BeforeValidator(parse_count), Field(ge=257, le=4_000_000)]
DEFAULT_VOCAB_SIZE = 2048


class TokenizerConfig(Config):
    """A tokenizer folder, or the size of a byte-level BPE vocabulary to train (2048 by default)."""

    folder: str | None = Field(
        default=None, description="A Hugging Face tokenizer folder, relative to the recipe's folder"
    )
    vocab_size: VocabSize | None = Field(
        default=None, description="Tokens to train: 256 bytes, the end-of-text token and merges"
    )
    sources: list[Name] | None = Field(
        default=None, description="Sources to train on; by default those of the first stage"
    )

    @model_validator(mode="before")
    @classmethod
    def _default_vocabulary(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("folder") is None:
            return data | {"vocab_size": data.get("vocab_size") or DEFAULT_VOCAB_SIZE}
        return data

    @model_validator(mode="after")
    def _one_origin(self) -> "TokenizerConfig":
        if self.folder is not None and (self.vocab_size or self.sources):
            raise ValueError(
                "folder holds a finished tokenizer; remove vocab_size and sources, "
                f"got folder {self.folder!r}"
            )
        return self
