"""Where a source's documents come from, what of them is read, and how much is held out."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from evergrow.config import Config, Fraction, PositiveCount

Installed = Literal["english", "python", "cpp"]
Format = Literal["auto", "text", "jsonl", "csv", "tsv", "parquet", "html", "warc"]
VERSION = 3  # of reading; raise by hand when the same files and settings give other documents
WITHOUT_ROWS = ("text", "html", "warc")


class SourceConfig(Config):
    """One named source of documents: files, or text that every install has."""

    files: list[str] = Field(
        default=[],
        description="Globs, relative to the recipe's folder or absolute, data/**/*.jsonl.gz; or "
        "addresses that fsspec reads, s3://bucket/*.parquet",
    )
    trees: list[str] = Field(
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
        description="auto goes by the suffix before .gz or .zst; unknown suffixes are text",
    )
    text_field: str = Field(
        default="text", description="JSONL key, CSV or Parquet column of the text"
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
        description="Drop lines of at least so many characters that occurred before in this source",
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
        if given != ["files"]:
            self._refuse_rows(given[0], ("auto",))
        elif self.format in WITHOUT_ROWS:
            self._refuse_rows(f"format {self.format}", (self.format,))
        return self

    def _refuse_rows(self, origin: str, formats: tuple[str, ...]) -> None:
        """Raise ValueError for settings about rows where there are none."""
        plain = SourceConfig.model_construct()
        asked = ("text_field", "id_field", "date_field", "license_field", "meta_fields")
        used = [name for name in asked if getattr(self, name) != getattr(plain, name)]
        used += [] if self.format in formats else ["format"]
        if used:
            raise ValueError(
                f"{' and '.join(used)} belong to files of rows (jsonl, csv, tsv, parquet); remove "
                f"them, got {origin}"
            )

    @property
    def content_settings(self) -> dict[str, object]:
        """What decides the text beside the files themselves; part of the data's key."""
        left_out = {"files", "trees", "max_epochs", "max_bad"}
        return {**self.model_dump(mode="json", exclude=left_out), "version": VERSION}


class HeldOutConfig(Config):
    """How much of every source is kept out of training: the larger of the two."""

    fraction: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.02, description="Of the source's bytes, 0 to 0.5"
    )
    tokens: PositiveCount = Field(default=20_000, description="At least so many tokens")
