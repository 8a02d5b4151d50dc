"""Where a source's documents come from and how much of them is held out."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from evergrow.config import Config, PositiveCount

Installed = Literal["english", "python", "cpp"]


class SourceConfig(Config):
    """One named source of documents: files, or text that every install has."""

    files: list[str] = Field(
        default=[],
        description="Globs, relative to the recipe's folder or absolute: data/**/*.jsonl.gz",
    )
    installed: Installed | None = Field(
        default=None,
        description="Text on every install: docstrings, the standard library, or torch's headers",
    )
    format: Literal["auto", "text", "jsonl", "parquet"] = Field(
        default="auto",
        description="auto goes by the suffix after .gz or .zst; unknown suffixes are text",
    )
    text_field: str = Field(default="text", description="JSONL key or Parquet column of the text")
    date_field: str | None = Field(
        default=None, description="JSONL key or Parquet column of the document's date"
    )
    max_bytes: PositiveCount | None = Field(
        default=None, description="Stop after so many bytes of text, taken from all files in turn"
    )
    drop_repeated_lines: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Drop lines of at least so many characters that occurred before in this source",
    )
    max_epochs: Annotated[float, Field(gt=0)] = Field(
        default=4, description="Refuse to read the source more often (Muennighoff et al. 2023)"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> "SourceConfig":
        if bool(self.files) == (self.installed is not None):
            found = "both" if self.files else "neither"
            raise ValueError(
                f"give either files (globs) or installed (english, python, cpp), got {found}"
            )
        reading = (self.format, self.text_field, self.date_field)
        if self.installed and reading != ("auto", "text", None):
            raise ValueError(
                "format, text_field and date_field belong to files; remove them, "
                f"got installed: {self.installed}"
            )
        if self.format == "text" and self.date_field is not None:
            raise ValueError(
                "text files carry no date_field; remove it or use jsonl or parquet, "
                f"got {self.date_field!r}"
            )
        return self

    @property
    def content_settings(self) -> dict[str, object]:
        """What decides the text beside the files themselves; part of the data's key."""
        return self.model_dump(mode="json", exclude={"files", "max_epochs"})


class HeldOutConfig(Config):
    """How much of every source is kept out of training: the larger of the two."""

    fraction: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.02, description="Of the source's bytes, 0 to 0.5"
    )
    tokens: PositiveCount = Field(default=20_000, description="At least so many tokens")
