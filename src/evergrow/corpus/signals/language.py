"""The natural language of a document, by py3langid, whose model comes with the package."""

from functools import lru_cache
from importlib.metadata import version

import pyarrow as pa
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from evergrow.corpus.document import Document
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.words import Words

LOOKED_AT = 2000  # characters from the beginning


def language(document: Document, words: Words) -> tuple[str, float]:
    """ISO 639 code and probability; "und" and 0 when these have no letter."""
    text = document.text[:LOOKED_AT]
    if not any(map(str.isalpha, text)):
        return "und", 0.0
    code, probability = _identifier().classify(text)
    return code, probability


@lru_cache(1)
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


LANGUAGE = SignalGroup(
    name="language",
    version=1,
    fields={"language": pa.string(), "probability": pa.float64()},
    compute=language,
    parameters={"py3langid": version("py3langid"), "characters": LOOKED_AT},
)
