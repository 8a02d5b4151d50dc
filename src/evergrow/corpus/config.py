"""Where a source's documents come from, what of them is read, and how much is held out."""

import codecs
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from evergrow.config import Config, Fraction, OneOrMore, PositiveCount
from evergrow.made import chosen

Installed = Literal["english", "python", "cpp"]
Format = Literal["auto", "text", "jsonl", "json", "csv", "tsv", "parquet", "arrow", "html", "warc"]
VERSION = 5  # of reading; raise by hand when the same files and settings give other documents
WITHOUT_ROWS = ("text", "html", "warc")
NOT_OF_TEXT = ("unicode-escape", "raw-unicode-escape", "idna", "punycode", "utf-7", "undefined")
WITHOUT_ENCODING = ("parquet", "arrow", "warc")  # these say themselves what their text is in


def _is_of_text(encoding: str) -> bool:
    try:
        "".encode(encoding)
    except LookupError:
        return False
    return codecs.lookup(encoding).name not in NOT_OF_TEXT


class SourceConfig(Config):
    """One named source of documents: files, or text that every install has."""

    form: ClassVar[Literal["tokens"]] = "tokens"

    files: OneOrMore = Field(
        default=[],
        description="Globs, relative to the recipe's folder or absolute, data/**/*.jsonl.gz; "
        "folders, for every file below; addresses that fsspec reads, s3://bucket/*.parquet or "
        "hf://datasets/owner/name/*.parquet; or owner/name, for a data set of the hub",
    )
    trees: OneOrMore = Field(
        default=[],
        description="Globs of folders of code: checkouts give what git tracks, with repository, "
        "licence and the date of the last commit",
    )
    installed: Installed | None = Field(
        default=None,
        description="Text on every install: docstrings, the standard library, or torch's headers",
    )
    format: Format = Field(
        default="auto",
        description="auto goes by the suffix before .gz, .zst, .bz2 or .xz; unknown suffixes are "
        "text. Of .zip and .tar every file in them is read by its own name",
    )
    encoding: str | None = Field(
        default=None,
        description="Of text, JSON, CSV and HTML, as Python names it: utf-16, windows-1252, "
        "shift_jis; default: UTF-8, and what pages say of themselves",
    )
    text_field: str = Field(
        default="text",
        description="JSON key, CSV, Parquet or Arrow column of the text; data.text is text in data",
    )
    id_field: str | None = Field(
        default=None, description="Of the document's own id; a missing one is bad"
    )
    date_field: str | None = Field(
        default=None, description="Of the document's date, which is kept as ISO 8601"
    )
    license_field: str | None = Field(default=None, description="Of the document's licence")
    meta_fields: list[str] = Field(default=[], description="What else is kept, in `meta`")
    max_bad: Fraction = Field(
        default=0.001, description="Stop when more than this share of documents cannot be read"
    )
    max_bytes: PositiveCount | None = Field(
        default=None, description="Stop after so many bytes of text, taken from all files in turn"
    )
    drop_repeated_lines: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Drop lines of prose of at least so many characters that occurred before in "
        "this source; of code, the comments that a file begins with",
    )
    max_epochs: Annotated[float, Field(gt=0)] = Field(
        default=4, description="Refuse to read the source more often (Muennighoff et al. 2023)"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> "SourceConfig":
        origins = {"files": self.files, "trees": self.trees, "installed": self.installed}
        given = [name for name, value in origins.items() if value]
        if len(given) != 1:
            raise ValueError(
                "give one of files (globs), trees (folders of code) or installed (english, python, "
                f"cpp), got {' and '.join(given) or 'none'}"
            )
        if self.encoding and (self.installed or self.format in WITHOUT_ENCODING):
            raise ValueError(
                f"encoding belongs to files of text; remove it, got {self.installed or self.format}"
            )
        if given != ["files"]:
            self._refuse_rows(given[0], ("auto",))
        elif self.format in WITHOUT_ROWS:
            self._refuse_rows(f"format {self.format}", (self.format,))
        return self

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str | None) -> str | None:
        if encoding is None or _is_of_text(encoding):
            return encoding
        raise ValueError(
            f"no encoding of text: {encoding!r}; expected one such as utf-16 or windows-1252"
        )

    def _refuse_rows(self, origin: str, formats: tuple[str, ...]) -> None:
        """Raise ValueError for settings about rows where there are none."""
        plain = SourceConfig.model_construct()
        asked = ("text_field", "id_field", "date_field", "license_field", "meta_fields")
        used = [name for name in asked if getattr(self, name) != getattr(plain, name)]
        used += [] if self.format in formats else ["format"]
        if used:
            raise ValueError(
                f"{' and '.join(used)} belong to files of rows (jsonl, json, csv, tsv, parquet, "
                f"arrow); remove them, got {origin}"
            )

    @property
    def content_settings(self) -> dict[str, JsonValue]:
        """What decides the text beside the files themselves; part of the data's key."""
        left_out = {"files", "trees", "max_epochs", "max_bad"}
        return {**chosen(self, left_out), "version": VERSION}


class ChatSourceConfig(Config):
    """One named source of chats: rows of messages, or of a prompt and its completion."""

    form: ClassVar[Literal["examples"]] = "examples"

    chats: OneOrMore = Field(
        default=[],
        description="Globs of JSONL or Parquet files, relative to the recipe's folder",
    )
    installed: Literal["questions"] | None = Field(
        default=None,
        description="Instead of files: what functions of the standard library do, as they say",
    )
    messages_field: str = Field(
        default="messages", description="Field of the turns: a list of {role, content}"
    )
    prompt_field: str | None = Field(
        default=None, description="Instead of messages: field of what a user says ..."
    )
    completion_field: str | None = Field(
        default=None, description="... and field of what is answered"
    )
    max_bad: Fraction = Field(
        default=0.001, description="Stop when more than this share of rows is no chat"
    )
    max_epochs: Annotated[float, Field(gt=0)] = Field(
        default=4, description="Refuse to read the source more often"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> "ChatSourceConfig":
        if bool(self.chats) == (self.installed is not None):
            raise ValueError("give chats (globs of files) or installed: questions, one of the two")
        return self

    @model_validator(mode="after")
    def _both_or_none(self) -> "ChatSourceConfig":
        if (self.prompt_field is None) != (self.completion_field is None):
            raise ValueError("prompt_field and completion_field belong together; give both or none")
        return self


class HeldOutConfig(Config):
    """How much of every source is kept out of training: the larger of the two, to a limit."""

    fraction: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.02, description="Of the source's bytes, 0 to 0.5"
    )
    tokens: PositiveCount = Field(default=20_000, description="At least so many tokens")
    most_tokens: PositiveCount = Field(
        default=4_000_000,
        description="The fraction gives no more: a measurement reads all that is held out",
    )
