"""Languages about which rules for prose have nothing to say: found in a corpus, and warned of."""

from collections import Counter
from collections.abc import Sequence

from evergrow.corpus.curate.columns import text_signals
from evergrow.corpus.curate.known import Known
from evergrow.corpus.languages import NO_LANGUAGE
from evergrow.corpus.policies.rule import DOMAIN_SIGNAL, LANGUAGE_SIGNAL
from evergrow.corpus.stop_words import STOP_WORDS, UNSPLIT

ABOUT_STOP_WORDS = ("shape.distinct_stop_words", "shape.stop_words")
LEAST_SHARE = 0.001  # of the prose: fewer are mostly texts whose language is mistaken


def warnings(known: Known) -> list[str]:
    """What a person should know of languages that rules of the policy ask for in vain."""
    found = _languages(known)
    no_list = [f for f in found if f[0] not in STOP_WORDS and f[0] not in NO_LANGUAGE]
    no_words = [f for f in found if f[0] in UNSPLIT]
    told = []
    if no_list:
        told.append(
            f"no stop words are listed for {_said(no_list)}; rules about them keep these texts"
        )
    if no_words:
        told.append(
            f"words of {_said(no_words)} cannot be told apart; rules about their number and "
            "length keep these texts"
        )
    return told


def _languages(known: Known) -> list[tuple[str, int]]:
    """Documents of prose by language, those of at least LEAST_SHARE, most first; none when no rule
    asks for stop words."""
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
    return sorted(many, key=lambda item: (-item[1], item[0]))


def _said(languages: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{name} (documents: {count:,})" for name, count in languages)
