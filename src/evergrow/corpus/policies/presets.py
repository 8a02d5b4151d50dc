"""The published rule sets. The source of a number stands on its line or above its group.

Every rule has one threshold, so that a recipe can move it by the rule's name.
"""

import math
from dataclasses import replace

from evergrow.corpus.policies.rule import Domain, Rule
from evergrow.corpus.stop_words import UNSPLIT


def _rules(preset: str, domain: Domain, *rules: Rule) -> tuple[Rule, ...]:
    return tuple(replace(r, name=f"{preset}.{r.name}", domain=domain) for r in rules)


# Splitting at spaces finds no words in these, and nothing here splits them.
_UNSPLIT_LOW, _UNSPLIT_HIGH = dict.fromkeys(UNSPLIT, 0.0), dict.fromkeys(UNSPLIT, math.inf)
# Of Mandarin, Japanese, Thai and German as FineWeb-2's configurations have them; Wu and Cantonese
# as Mandarin. Korean is our own: its words are short, and Gopher's 3 is their mean.
_SHORTEST = {"ja": 1.0, "ko": 2.0, "th": 2.0, "wuu": 1.0, "yue": 1.0, "zh": 1.0}
_LETTERS = {"de": 0.774, "ja": 0.759, "th": 0.9, "wuu": 0.735, "yue": 0.735, "zh": 0.735}
_LONGEST = {"de": 15.0, "ja": 5.0, "th": 10.0, "wuu": 5.0, "yue": 5.0, "zh": 5.0}

_QUALITY = (  # Rae et al. 2021, appendix A.1.1, "Quality Filtering"
    Rule(
        "min_words",
        "shape.num_real_words",
        "fewer than {low:g} words",
        low=50,
        by_language=_UNSPLIT_LOW,
    ),
    Rule("max_words", "shape.num_real_words", "more than {high:g} words", high=100_000),
    Rule(
        "min_word_length",
        "shape.mean_word_length",
        "words shorter than {low:g} letters",
        low=3,
        by_language=_SHORTEST,
    ),
    Rule(
        "max_word_length",
        "shape.mean_word_length",
        "words longer than {high:g} letters",
        high=10,
        by_language=_LONGEST | _UNSPLIT_HIGH,
    ),
    Rule("hashes", "shape.hashes_per_word", "more than {high:g} # a word", high=0.1),
    Rule("ellipses", "shape.ellipses_per_word", "more than {high:g} ellipses a word", high=0.1),
    Rule(
        "bullet_lines", "shape.bullet_lines", "over {high:.0%} of the lines are bullets", high=0.9
    ),
    Rule(
        "ellipsis_lines",
        "shape.ellipsis_lines",
        "over {high:.0%} of the lines end in an ellipsis",
        high=0.3,
    ),
    Rule(
        "alphabetic_words",
        "shape.alphabetic_words",
        "under {low:.0%} of the words have a letter",
        low=0.8,
        by_language=_LETTERS,
    ),
)


# Shares of repeated n-grams, n from 2 to 10, in scripts without spaces, as FineWeb-2 has them.
_NGRAMS = {
    "ja": (0.121, 0.129, 0.145, 0.307, 0.283, 0.264, 0.248, 0.234, 0.223),
    "th": (0.221, 0.197, 0.162, 0.185, 0.168, 0.152, 0.137, 0.124, 0.111),
    "zh": (0.256, 0.201, 0.171, 0.198, 0.182, 0.167, 0.154, 0.140, 0.127),
}


def _unspaced_ngrams(n: int) -> dict[str, float]:
    return {language: shares[n - 2] for language, shares in _NGRAMS.items()}


def _repetition() -> tuple[Rule, ...]:
    """Rae et al. 2021, table A1, measured as datatrove does."""
    pieces = (
        Rule(
            "repeated_lines", "repetition.lines", "{high:.0%} of the lines came before", high=0.30
        ),
        Rule(
            "repeated_paragraphs",
            "repetition.paragraphs",
            "{high:.0%} of the paragraphs came before",
            high=0.30,
        ),
        Rule(
            "repeated_line_characters",
            "repetition.line_characters",
            "{high:.0%} of the text is lines that came before",
            high=0.20,
        ),
        Rule(
            "repeated_paragraph_characters",
            "repetition.paragraph_characters",
            "{high:.0%} of the text is paragraphs that came before",
            high=0.20,
        ),
    )
    tops = ((2, 0.20), (3, 0.18), (4, 0.16))
    duplicates = ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
    return (
        *(replace(rule, reason=f"more than {rule.reason}") for rule in pieces),
        *(
            Rule(
                f"top_{n}_gram",
                f"repetition.top_{n}_gram",
                f"the most frequent {n} words are over {{high:.0%}} of the text",
                high=share,
                by_language=_unspaced_ngrams(n),
            )
            for n, share in tops
        ),
        *(
            Rule(
                f"duplicate_{n}_grams",
                f"repetition.duplicate_{n}_grams",
                f"over {{high:.0%}} of the text is {n} words in a row that came before",
                high=share,
                by_language=_unspaced_ngrams(n),
            )
            for n, share in duplicates
        ),
    )


_STOP_WORDS = Rule(
    "stop_words", "shape.distinct_stop_words", "fewer than {low:g} different stop words", low=2
)

GOPHER = _rules("gopher", "prose", *_QUALITY, _STOP_WORDS, *_repetition())

# Raffel et al. 2020, section 2.2, on the lines that C4 keeps; in code a brace means nothing.
C4 = _rules(
    "c4",
    "prose",
    Rule("lorem_ipsum", "c4.lorem_ipsum_lines", "says lorem ipsum", high=0),
    Rule("brace", "c4.brace_lines", "has a curly bracket", high=0),
    Rule("sentences", "c4.sentences", "fewer than {low:g} sentences in the lines to keep", low=5),
)

FINEWEB = _rules(  # Penedo et al. 2024, section 3.6; the last rule as in their code
    "fineweb",
    "prose",
    Rule("min_lines", "fineweb.num_lines", "no line but blank ones", low=1),
    Rule(
        "ended_lines",
        "fineweb.ended_lines",
        "under {low:.0%} of the lines end like a sentence",
        low=0.12,
    ),
    Rule(
        "short_lines",
        "fineweb.short_lines",
        "over {high:.0%} of the lines have at most 30 characters",
        high=0.67,
    ),
    Rule(
        "repeated_line_characters",
        "fineweb.repeated_line_characters",
        "over {high:.0%} of the text is lines that came before",
        high=0.01,
    ),
    Rule("newlines", "fineweb.newlines_per_word", "more than {high:g} newlines a word", high=0.3),
)

# Li et al. 2024: Gopher's rules with stop words by occurrence, then RefinedWeb's line edits. Its
# language rule is fastText's English >= 0.65: say ``languages`` in the policy.
DCLM = _rules(
    "dclm",
    "prose",
    *_QUALITY,
    Rule("stop_words", "shape.stop_words", "fewer than {low:g} stop words", low=2),
    *_repetition(),
    Rule(
        "removed_words",
        "dclm.removed_words",
        "line edits would remove over {high:.0%} of the words",
        high=0.05,
    ),
)

OLMO2 = (
    *_rules(
        "olmo2",
        "any",
        Rule(  # OLMo 2 2025, section 3.1: 32 times or more is out
            "repeats", "olmo2.most_repeats", "an n-gram more than {high:g} times in a row", high=31
        ),
    ),
    *_rules(  # section 2.1, for its code; the rule about stars needs what documents do not say
        "olmo2",
        "code",
        Rule(
            "most_frequent_word",
            "olmo2.most_frequent_word",
            "one word is over {high:.0%} of the words",
            high=0.30,
        ),
        Rule(
            "two_most_frequent_words",
            "olmo2.two_most_frequent_words",
            "two words are over {high:.0%} of the words",
            high=0.50,
        ),
    ),
)

CODE = _rules(
    "code",
    "code",
    # RedPajama v1, GitHub
    Rule("longest_line", "code.longest_line", "a line over {high:g} characters", high=1000),
    Rule("mean_line", "code.mean_line", "lines of over {high:g} characters on average", high=100),
    Rule(
        "letters_and_digits",
        "code.letters_and_digits",
        "under {low:.0%} letters and digits",
        low=0.25,
    ),
    Rule("letters_per_word", "code.letters_per_word", "under {low:g} letters a word", low=1.5),
    # StarCoder (Li et al. 2023), section 3.1
    Rule("min_comments", "code.comments", "under {low:.0%} comments", low=0.01),
    Rule("max_comments", "code.comments", "over {high:.0%} comments", high=0.80),
    Rule("xml_template", "code.xml_template", "begins as XML and is not called so", high=0),
    Rule("visible", "code.visible", "a page of which a reader sees under {low:.0%}", low=0.20),
    Rule(
        "visible_characters",
        "code.visible_characters",
        "a page of which a reader sees under {low:g} characters",
        low=100,
    ),
    Rule("min_data", "code.data_characters", "data of under {low:g} characters", low=50),
    Rule("max_data", "code.data_characters", "data of over {high:g} characters", high=5000),
    Rule("data_letters", "code.data_letters", "data with under {low:.0%} letters", low=0.50),
    # StarCoder 2 (Lozhkov et al. 2024), section 3.1
    Rule("generated", "code.generated", "says that it is generated", high=0),
    Rule(
        "longest_encoded",
        "code.longest_encoded",
        "over {high:g} characters of encoded data in a row",
        high=1024,
    ),
    Rule("encoded", "code.encoded", "over {high:.0%} encoded data", high=0.50),
)

PRESETS: dict[str, tuple[Rule, ...]] = {
    "gopher": GOPHER,
    "c4": C4,
    "fineweb": FINEWEB,
    "dclm": DCLM,
    "olmo2": OLMO2,
    "code": CODE,
}
