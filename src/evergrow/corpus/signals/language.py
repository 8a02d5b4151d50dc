"""The natural language of a document."""

import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.languages import IDENTIFIER
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.words import Words


def language(document: Document, words: Words) -> tuple[str, float]:
    """ISO 639 code and probability; "und" and 0 when the beginning has no letter."""
    return words.language


LANGUAGE = SignalGroup(
    name="language",
    version=1,
    fields={"language": pa.string(), "probability": pa.float64()},
    compute=language,
    parameters=IDENTIFIER,
)
