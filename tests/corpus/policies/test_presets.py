"""Every rule of every preset meets a document that breaks it, and the reason is checked."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from evergrow.corpus.document import Document
from evergrow.corpus.policies.presets import PRESETS
from evergrow.corpus.policies.rule import DOMAIN_SIGNAL, LANGUAGE_SIGNAL, Rule, judge
from evergrow.corpus.signals import GROUPS, measure_documents

RULES = {rule.name: rule for rules in PRESETS.values() for rule in rules}

SENTENCES = (
    "The river had frozen before anyone thought of moving the boats.",
    "A teacher from town walked up to measure how thick it was.",
    "Nobody believed her figures, though she wrote them down twice.",
    "By evening some children were already crossing with lanterns.",
    "Their mothers called from windows that faced the northern bank.",
    "Old Marten kept saying that in his youth winters lasted longer.",
    "He would be right about many things and wrong about this one.",
    "Records in the church show warmer months than people remember.",
    "Still, eleven boats lay trapped until somebody found dry rope.",
    "With horses, two ladders and much shouting they got three free.",
    "What remained of the fleet was left for spring to deal with.",
    "Every family agreed never to trust an early autumn again.",
)
GOOD = "\n".join(SENTENCES)
CODE = "\n".join(
    ["# adds up what the table holds", "def add(rows):", "    return sum(rows)"]
    + [f"value_{n} = add([{n}, first_{n}])" for n in range(20)]
)


@dataclass(frozen=True)
class Bad:
    """A text that breaks the rule; ``path`` decides whether it is code."""

    text: str
    reason: str
    path: str = "page.txt"


def words(count: int, length: int = 6) -> str:
    """Different words of this length."""
    return " ".join(f"{n:x}".translate(_TO_LETTERS).rjust(length, "q") for n in range(count))


_TO_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def in_row(phrase: str, times: int) -> str:
    """The phrase again and again among other words, so that no longer phrase repeats."""
    return " ".join(f"{phrase} {other}" for other in words(times).split())


def quality(stop_words: Bad) -> dict[str, Bad]:
    """Documents that break the rules which Gopher and DCLM share."""
    return {
        "min_words": Bad("the garden with walls", "fewer than 50 words"),
        "max_words": Bad(words(100_001), "more than 100000 words"),
        "min_word_length": Bad("it is an ox " * 20, "words shorter than 3 letters"),
        "max_word_length": Bad(words(60, 11), "words longer than 10 letters"),
        "hashes": Bad(GOOD + " #" * 40, "more than 0.1 # a word"),
        "ellipses": Bad(GOOD + " it..." * 40, "more than 0.1 ellipses a word"),
        "bullet_lines": Bad(
            "\n".join(f"- {line}" for line in SENTENCES),
            "over 90% of the lines are bullets",
        ),
        "ellipsis_lines": Bad(
            "\n".join(line + "…" * (n < 4) for n, line in enumerate(SENTENCES)),
            "over 30% of the lines end in an ellipsis",
        ),
        "alphabetic_words": Bad(GOOD + " 12" * 60, "under 80% of the words have a letter"),
        "stop_words": stop_words,
        "repeated_lines": Bad(
            "\n".join([GOOD, *["yes"] * 7]), "more than 30% of the lines came before"
        ),
        "repeated_paragraphs": Bad(
            "\n\n".join([*SENTENCES, *["yes"] * 7]),
            "more than 30% of the paragraphs came before",
        ),
        "repeated_line_characters": Bad(
            GOOD + ("\n" + SENTENCES[5]) * 4,
            "more than 20% of the text is lines that came before",
        ),
        "repeated_paragraph_characters": Bad(
            "\n\n".join([*SENTENCES, *[SENTENCES[5]] * 4]),
            "more than 20% of the text is paragraphs that came before",
        ),
        "top_2_gram": Bad(
            in_row("over there", 40), "the most frequent 2 words are over 20% of the text"
        ),
        "top_3_gram": Bad(
            in_row("over there now", 40), "the most frequent 3 words are over 18% of the text"
        ),
        "top_4_gram": Bad(
            in_row("over there now then", 40),
            "the most frequent 4 words are over 16% of the text",
        ),
        **{
            f"duplicate_{n}_grams": Bad(
                in_row("one two three four five six seven eight nine ten", 5),
                f"over {20 - n}% of the text is {n} words in a row that came before",
            )
            for n in range(5, 11)
        },
    }


EVERY: dict[str, Bad] = {
    **{
        f"gopher.{name}": bad
        for name, bad in quality(
            Bad("the " + words(60), "fewer than 2 different stop words")
        ).items()
    },
    **{
        f"dclm.{name}": bad
        for name, bad in quality(Bad("the " + words(60), "fewer than 2 stop words")).items()
    },
    "dclm.removed_words": Bad(
        GOOD + "\n12 likes" * 6, "line edits would remove over 5% of the words"
    ),
    "c4.lorem_ipsum": Bad(GOOD + "\nAnd lorem ipsum dolor.", "says lorem ipsum"),
    "c4.brace": Bad(GOOD + "\nAnd { is one.", "has a curly bracket"),
    "c4.sentences": Bad(
        "It went on. It stopped. Then not. Then again.",
        "fewer than 5 sentences in the lines to keep",
    ),
    "fineweb.min_lines": Bad(" \n\t\n", "no line but blank ones"),
    "fineweb.ended_lines": Bad(
        GOOD.replace(".", ","), "under 12% of the lines end like a sentence"
    ),
    "fineweb.short_lines": Bad(
        GOOD + "".join(f"\n{n} then." for n in range(40)),
        "over 67% of the lines have at most 30 characters",
    ),
    "fineweb.repeated_line_characters": Bad(
        GOOD + "\n" + SENTENCES[5], "over 1% of the text is lines that came before"
    ),
    "fineweb.newlines": Bad(words(60).replace(" ", "\n"), "more than 0.3 newlines a word"),
    "olmo2.repeats": Bad(GOOD + " so it is" * 32, "an n-gram more than 31 times in a row"),
    "olmo2.most_frequent_word": Bad("x = 0\n" * 30, "one word is over 30% of the words", "a.py"),
    "olmo2.two_most_frequent_words": Bad(
        "x = 0\n" * 30, "two words are over 50% of the words", "a.py"
    ),
    "code.longest_line": Bad(CODE + "\n" + words(200), "a line over 1000 characters", "a.py"),
    "code.mean_line": Bad(words(200), "lines of over 100 characters on average", "a.py"),
    "code.letters_and_digits": Bad("+-*/ " * 50 + "a", "under 25% letters and digits", "a.py"),
    "code.letters_per_word": Bad("1 + 2 - 3 * x\n" * 9, "under 1.5 letters a word", "a.py"),
    "code.min_comments": Bad("first = second\n" * 9, "under 1% comments", "a.py"),
    "code.max_comments": Bad("# only this\n" * 9, "over 80% comments", "a.py"),
    "code.xml_template": Bad('<?xml version="1.0"?>', "begins as XML and is not called so", "a.py"),
    "code.visible": Bad(
        "<p>" + "<br class='a wide one'>" * 40 + words(20),
        "a page of which a reader sees under 20%",
        "a.html",
    ),
    "code.visible_characters": Bad(
        "<p>short</p>", "a page of which a reader sees under 100 characters", "a.html"
    ),
    "code.min_data": Bad('{"a": "b"}', "data of under 50 characters", "a.json"),
    "code.max_data": Bad(words(900), "data of over 5000 characters", "a.yaml"),
    "code.data_letters": Bad("[" + "1, " * 90 + "]", "data with under 50% letters", "a.json"),
    "code.generated": Bad(
        "// Code generated automatically.\n" + CODE, "says that it is generated", "a.go"
    ),
    "code.longest_encoded": Bad(
        CODE + "\n" + "QUJD" * 300, "over 1024 characters of encoded data in a row", "a.py"
    ),
    "code.encoded": Bad("x = '" + "QUJD" * 20 + "'", "over 50% encoded data", "a.py"),
}


def failed(text: str, path: str, rules: list[Rule]) -> list[str]:
    """The names of the rules that the document fails."""
    document = Document.of(text, "source", path)
    wanted = {signal.partition(".")[0] for rule in rules for signal in rule.signals}
    tables = measure_documents([document], [GROUPS[name] for name in wanted])
    columns = {
        f"{name}.{field}": table[field].to_numpy()
        for name, table in tables.items()
        for field in table.column_names
    }
    fails_DR = judge(columns, rules)
    return [rule.name for rule, fails in zip(rules, fails_DR[0], strict=True) if fails]


def test_every_rule_has_its_document() -> None:
    assert EVERY.keys() == RULES.keys()


@pytest.mark.parametrize("name", EVERY)
def test_the_document_breaks_the_rule(name: str) -> None:
    bad = EVERY[name]
    assert failed(bad.text, bad.path, [RULES[name]]) == [name]
    assert RULES[name].told() == bad.reason


@pytest.mark.parametrize("preset", PRESETS)
def test_good_prose_and_good_code_break_none(preset: str) -> None:
    assert failed(GOOD, "page.txt", list(PRESETS[preset])) == []
    assert failed(CODE, "a.py", list(PRESETS[preset])) == []


def test_rules_for_prose_leave_code_alone_and_the_reverse() -> None:
    brace = Bad("int main() { return 0; }.", "")
    assert failed(brace.text, "page.md", [RULES["c4.brace"]]) == ["c4.brace"]
    assert failed(brace.text, "main.c", [RULES["c4.brace"]]) == []
    assert failed(words(200), "page.md", [RULES["code.mean_line"]]) == []


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_is_at_its_threshold_still_kept(rule: Rule) -> None:
    threshold = rule.high if rule.low is None else rule.low
    assert threshold is not None
    beyond = np.nextafter(threshold, np.inf if rule.low is None else -np.inf)
    domain = "prose" if rule.domain == "any" else rule.domain
    values = np.array([threshold, beyond, np.nan])
    columns = {rule.signal: values, DOMAIN_SIGNAL: np.array([domain] * 3, object)}
    columns[LANGUAGE_SIGNAL] = np.array(["en"] * 3, object)
    assert judge(columns, [rule]).tolist() == [[False], [True], [False]]
    assert rule.moved(threshold) == replace(rule, by_language={})


def test_a_language_has_its_own_threshold_until_it_is_moved() -> None:
    rule = Rule("short", "a.b", "below {low:g}", low=3, by_language={"zh": 1})
    columns = {"a.b": np.array([2, 2, 0.5]), LANGUAGE_SIGNAL: np.array(["en", "zh", "zh"], object)}
    assert judge(columns, [rule])[:, 0].tolist() == [True, False, True]
    assert judge(columns, [rule.moved(2.5)])[:, 0].tolist() == [True, True, True]
    assert (rule.within("zh").low, rule.within("en").low) == (1, 3)
    assert rule.signals == {"a.b", LANGUAGE_SIGNAL}


def test_a_word_that_is_not_allowed_fails() -> None:
    rule = Rule("language.allowed", "language.language", "not {allowed}", allowed=("en", "de"))
    columns = {"language.language": np.array(["de", "fr", "en"], object)}
    assert judge(columns, [rule]).tolist() == [[False], [True], [False]]
    assert rule.told() == "not en, de"


def test_no_documents_are_judged_by_many_rules() -> None:
    rules = list(PRESETS["c4"])
    columns = {rule.signal: np.array([]) for rule in rules} | {DOMAIN_SIGNAL: np.array([], object)}
    assert judge(columns, rules).shape == (0, 3)
