"""Languages about which rules for prose have nothing to say: found in a corpus, and warned of."""

from collections import Counter
from typing import Any

from evergrow.corpus.curate.columns import text_signals
from evergrow.corpus.curate.known import Known
from evergrow.corpus.languages import NO_LANGUAGE
from evergrow.corpus.policies.rule import DOMAIN_SIGNAL, LANGUAGE_SIGNAL
from evergrow.corpus.stop_words import STOP_WORDS, UNSPLIT

ABOUT_STOP_WORDS = ("shape.distinct_stop_words", "shape.stop_words")
LEAST_SHARE = 0.001  # of the prose: fewer are mostly texts whose language is mistaken


def unlisted(known: Known) -> dict[str, Any]:
    """By what is missing (``stop_words``, ``words``) documents of prose by language, those of at
    least LEAST_SHARE; empty when no rule asks for them."""
    asked = {rule.signal for rule in known.judged.rules}
    by_language: Counter[str] = Counter()
    for shard in known.shards if asked.intersection(ABOUT_STOP_WORDS) else ():
        columns = (
            text_signals(known.folder, shard, known.keys, signal)
            for signal in (LANGUAGE_SIGNAL, DOMAIN_SIGNAL)
        )
        languages, domains = (column or [] for column in columns)
        pairs = zip(languages, domains, strict=True)
        by_language.update(language or "und" for language, domain in pairs if domain == "prose")
    least = LEAST_SHARE * by_language.total()
    many = [item for item in by_language.items() if item[1] >= least]
    found = sorted(many, key=lambda item: (-item[1], item[0]))
    return {
        "stop_words": {n: c for n, c in found if n not in STOP_WORDS and n not in NO_LANGUAGE},
        "words": {n: c for n, c in found if n in UNSPLIT},
    }


def warnings(missing: dict[str, Any]) -> list[str]:
    """What a person should know of that, a sentence each."""
    told = {
        "stop_words": "no stop words are listed for {languages}; rules about them keep these texts",
        "words": "words of {languages} cannot be told apart; rules about their number and length "
        "keep these texts",
    }
    return [
        sentence.format(languages=", ".join(f"{n} (documents: {c:,})" for n, c in by.items()))
        for what, sentence in told.items()
        if (by := missing[what])
    ]
