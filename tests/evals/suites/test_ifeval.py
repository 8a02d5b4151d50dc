"""Every constraint with its arguments: a text that just keeps to it, and one that just does not."""

from typing import Any

import pytest

from evergrow.evals.suites.ifeval import CONSTRAINTS, Constraint, constraints_of

ENGLISH = "this is a plain answer in english and it has only small letters"
Case = tuple[dict[str, Any], list[str], list[str]]  # arguments, what keeps to it, what does not
CASES: dict[str, list[Case]] = {
    "keywords:existence": [
        ({"keywords": ["sea", "rain"]}, ["Rain on the SEA."], ["Rain.", "Rain on the seaside."])
    ],
    "keywords:frequency": [
        (
            {"keyword": "sea", "frequency": 2, "relation": "at least"},
            ["sea sea", "The sea, the sea, the sea"],
            ["sea", "sea seas"],
        ),
        (
            {"keyword": "sea", "frequency": 2, "relation": "less than"},
            ["sea", "land"],
            ["sea sea"],
        ),
    ],
    "keywords:forbidden_words": [
        ({"forbidden_words": ["sea", "rain"]}, ["the seaside"], ["the Sea", "no rain"])
    ],
    "keywords:letter_frequency": [
        (
            {"letter": "N", "let_frequency": 3, "let_relation": "at least"},
            ["banana No"],
            ["banana"],
        ),
        ({"letter": "!", "let_frequency": 1, "let_relation": "less than"}, ["so"], ["so!"]),
    ],
    "language:response_language": [
        (
            {"language": "de"},
            ["Das ist ein ganz gewöhnlicher Satz in deutscher Sprache."],
            ["This is a most ordinary sentence of the English language."],
        )
    ],
    "length_constraints:number_sentences": [
        (
            {"num_sentences": 3, "relation": "at least"},
            ["One. Two! Three?", "Dr. No went. He sat. It rained, at 3.5 degrees."],
            ["One. Two 3.5.", "Mr. A. Smith is here. He sits."],
        ),
        ({"num_sentences": 2, "relation": "less than"}, ["One, two."], ["One. Two"]),
    ],
    "length_constraints:number_paragraphs": [
        (
            {"num_paragraphs": 2},
            ["one\n***\ntwo", "***\none\n***\ntwo\n***"],
            ["one\n\ntwo", "one\n***\n***\ntwo", "one\n***\ntwo\n***\nthree"],
        )
    ],
    "length_constraints:number_words": [
        (
            {"num_words": 101, "relation": "less than"},
            ["word " * 100],
            ["word " * 101, "word " * 102],
        ),
        ({"num_words": 100, "relation": "at least"}, ["word " * 100], ["word " * 99]),
    ],
    "length_constraints:nth_paragraph_first_word": [
        (
            {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "rain"},
            ["Sun.\n\n\nRain, then."],
            ["Rain.\n\nSun.", "Sun.\n\nRain.\n\nSun.", "Sun.\nRain."],
        )
    ],
    "detectable_content:number_placeholders": [
        ({"num_placeholders": 2}, ["[name] at [address]"], ["[name]", "[] []", "(a) (b)"])
    ],
    "detectable_content:postscript": [
        (
            {"postscript_marker": "P.S."},
            ["Bye.\nP.S. Come.", "Bye.\n p. s. Come"],
            ["Bye. P.S. No"],
        ),
        ({"postscript_marker": "P.P.S"}, ["Bye.\nP.P.S come"], ["Bye.\nP.S come"]),
    ],
    "detectable_format:number_bullet_lists": [
        (
            {"num_bullets": 2},
            ["* a\n* b", "- a\n  - b\nc"],
            ["* a", "* a\n* b\n* c", "**bold**\n* a"],
        )
    ],
    "detectable_format:constrained_response": [
        ({}, ["My answer is yes.", "Well. My answer is maybe."], ["Yes.", "my answer is yes"])
    ],
    "detectable_format:number_highlighted_sections": [
        (
            {"num_highlights": 2},
            ["*one* and *two*", "**one** and *two*", "*a*, *b*, *c*"],
            ["*one*", "**one**", "* one\n* two"],
        )
    ],
    "detectable_format:multiple_sections": [
        (
            {"section_spliter": "SECTION", "num_sections": 2},
            ["SECTION 1\na\nSECTION 2\nb"],
            ["SECTION 1\na", "SECTION a\nSECTION b", "Section 1 Section 2"],
        )
    ],
    "detectable_format:json_format": [
        ({}, ['{"a": 1}', '```json\n{"a": [1]}\n```', "[1]"], ["{'a': 1}", 'So: {"a": 1}'])
    ],
    "detectable_format:title": [({}, ["<<joy>>\ntext"], ["<joy>", "<<>>", "<< >>"])],
    "combination:two_responses": [
        ({}, ["one\n******\ntwo"], ["one", "one******one", "one\n******\n", "a******b******c"])
    ],
    "combination:repeat_prompt": [
        (
            {"prompt_to_repeat": "Write a poem."},
            ["Write a poem.\nRoses are red.", " write a POEM. Roses"],
            ["Roses are red. Write a poem."],
        )
    ],
    "startend:end_checker": [
        (
            {"end_phrase": "Any other questions?"},
            ["No. any other questions?", '"No. Any other questions?" '],
            ["Any other questions? No.", "Any other question?"],
        )
    ],
    "startend:quotation": [({}, ['"so"', ' "a" and "b" '], ['"so', '"', "'so'"])],
    "change_case:capital_word_frequency": [
        (
            {"capital_frequency": 2, "capital_relation": "at least"},
            ["THE sea and THE land"],
            ["THE Sea and The Land"],
        ),
        (
            {"capital_frequency": 2, "capital_relation": "less than"},
            ["THE sea"],
            ["THE SEA"],
        ),
    ],
    "change_case:english_capital": [
        ({}, [ENGLISH.upper()], [ENGLISH.upper() + " a", "DAS IST EIN GANZ DEUTSCHER SATZ"])
    ],
    "change_case:english_lowercase": [
        ({}, [ENGLISH], ["T" + ENGLISH, "das ist ein ganz gewöhnlicher deutscher satz"])
    ],
    "punctuation:no_comma": [({}, ["one; two"], ["one, two"])],
}


def test_every_constraint_has_a_case() -> None:
    assert CASES.keys() == CONSTRAINTS.keys()
    assert len(CONSTRAINTS) == 25


@pytest.mark.parametrize("name", CASES)
def test_the_edges_of_a_constraint(name: str) -> None:
    for arguments, keeps, breaks in CASES[name]:
        row = {"instruction_id_list": [name], "kwargs": [arguments]}
        (constraint,) = constraints_of(row)
        told = {text: constraint.holds(text) for text in (*keeps, *breaks)}
        assert told == {**dict.fromkeys(keeps, True), **dict.fromkeys(breaks, False)}


def test_an_empty_answer_keeps_to_nothing() -> None:
    assert not Constraint("punctuation:no_comma", {}).holds("  \n")


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("punctuation:no_coma", {}, "no constraint 'punctuation:no_coma' is known; did you mean"),
        ("punctuation:no_comma", {"n": 1}, "takes no arguments, got n"),
        ("detectable_format:title", {"n": None}, None),
        ("length_constraints:number_words", {"num_words": 3}, "takes num_words, relation, got"),
        (
            "length_constraints:number_words",
            {"num_words": "3", "relation": "at least"},
            "num_words is '3', expected int",
        ),
        (
            "length_constraints:number_words",
            {"num_words": 3, "relation": "at most"},
            "relation is 'at most', expected 'at least' or 'less than'",
        ),
    ],
)
def test_what_is_refused(name: str, arguments: dict[str, Any], says: str | None) -> None:
    row = {"instruction_id_list": [name], "kwargs": [arguments]}
    if says is None:
        assert constraints_of(row)[0].arguments == {}
        return
    with pytest.raises(ValueError, match=says):
        constraints_of(row)


def test_constraints_without_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 'kwargs'"):
        constraints_of({"instruction_id_list": ["punctuation:no_comma"]})
