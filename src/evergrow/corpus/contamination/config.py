"""Where the items of a test stand."""

from typing import Annotated

from pydantic import Field

from evergrow.config import Config, Name

FieldName = Annotated[str, Field(min_length=1)]


class SuiteConfig(Config):
    """A user's file of test items, with the names of its columns where they are unusual."""

    path: str = Field(
        description="JSONL, CSV or Parquet, the first two plain or .gz; relative to the recipe"
    )
    name: Name | None = Field(default=None, description="In reports; default: the file's name")
    id: FieldName | None = Field(default=None, description="Column; default: the usual names")
    prompt: FieldName | None = Field(default=None, description="Column; default: the usual names")
    solution: FieldName | None = Field(default=None, description="Column; default: the usual names")
