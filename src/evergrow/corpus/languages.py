"""The natural language of a text, by py3langid, whose model comes with the package."""

from functools import lru_cache
from importlib.metadata import version

from py3langid.langid import MODEL_FILE, LanguageIdentifier

LOOKED_AT = 2000  # characters from the beginning
IDENTIFIER = {"py3langid": version("py3langid"), "characters": LOOKED_AT}
UNKNOWN = ("und", 0.0)
NO_LANGUAGE = ("und", "zxx")  # the second says that there is no language in it


def identify(text: str) -> tuple[str, float]:
    """ISO 639 code and probability; UNKNOWN when the beginning has no letter."""
    beginning = text[:LOOKED_AT]
    return _identifier().classify(beginning) if any(map(str.isalpha, beginning)) else UNKNOWN


@lru_cache(1)
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
