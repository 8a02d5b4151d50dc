"""Where a model's first weights come from when they are not its own: a file of fewer bits."""

import json
from pathlib import Path

from pydantic import JsonValue

from evergrow.config import Config, decode
from evergrow.errors import InputError

FILE = "derived_from.json"  # goes along with a model wherever it goes (models/brought.py)


class Origin(Config):
    """The GGUF file that a model was unpacked from; ``bits`` is None where nothing was lost."""

    file: str
    blake3: str
    type: str
    bits: int | None
    name: str | None = None
    licence: str | None = None

    @property
    def said(self) -> str:
        """A sentence for the cards of everything that is made of it."""
        lost = f"Derived from {self.bits}-bit weights" if self.bits else "Derived from weights"
        named = f" of {self.name}" if self.name else ""
        return f"{lost} ({self.type}): {self.file}{named}, blake3 {self.blake3}."


def write_origin(folder: Path, origin: Origin) -> None:
    """Leave in a model's folder what its weights were derived from."""
    text = json.dumps(origin.model_dump(mode="json"), indent=2, sort_keys=True)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read_origin(folder: Path) -> Origin | None:
    """What the weights in ``folder`` were derived from; None when they are their maker's own.

    Raises InputError for a damaged file.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        data: JsonValue = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}); copy the folder again") from error
    return decode(Origin, data, str(path))
