"""Strict YAML, counts, overrides, and the sentence of every mistake."""

import pickle
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from evergrow.config import (
    Config,
    Count,
    Fraction,
    Name,
    PositiveCount,
    WrongSettings,
    decode,
    override,
    parse_count,
    parse_override,
    refuse_alike,
)
from evergrow.errors import InputError
from evergrow.strict_yaml import lines_of, load_yaml, parse_yaml


class Round(Config):
    kind: Literal["round"] = "round"
    radius: float


class Square(Config):
    kind: Literal["square"] = "square"
    side: float
    colour: str = "red"

    @model_validator(mode="after")
    def _check(self) -> "Square":
        if self.side > 9:
            raise ValueError(f"side is at most 9, got {self.side:g}; make it smaller")
        return self


class Part(Config):
    tokens: PositiveCount
    shape: Annotated[Round | Square, Field(discriminator="kind")] | None = None


class Whole(Config):
    name: Name = "w"
    rate: float = 1.0
    share: Fraction = 0.5
    count: Count = 0
    tied: bool = False
    kept: Literal["keep", "reset"] | Part = "keep"
    parts: list[Part] = Field([Part(tokens=1)], min_length=1)
    named: dict[Name, Part] = {}


def sentence(**data: Any) -> str:
    with pytest.raises(InputError) as caught:
        decode(Whole, data, "whole")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("20B", 20_000_000_000),
        ("500M", 500_000_000),
        ("4k", 4000),
        ("1_000", 1000),
        ("2.5k", 2500),
        ("1.2T", 1_200_000_000_000),
        (" 7 ", 7),
        ("0", 0),
        ("1e4", 10_000),
        ("1.5e3k", 1_500_000),
        ("10,000", 10_000),
        ("1,000,000", 1_000_000),
        ("1000T", 10**15),
        ("0.5k", 500),
        (3e3, 3000),
        (12, 12),
    ],
)
def test_counts(text: object, number: int) -> None:
    assert parse_count(text) == number
    assert decode(Whole, {"count": text}, "whole").count == number


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2 billion", "expected a count such as 20B, 500M or 4k, got '2 billion'"),
        ("4K", "expected a count such as 20B, 500M or 4k, got '4K'"),
        ("-4k", "expected a count such as 20B, 500M or 4k, got '-4k'"),
        ("", "expected a count such as 20B, 500M or 4k, got ''"),
        (True, "expected a count such as 20B, 500M or 4k, got True"),
        ("1.5", "expected a whole number, got '1.5'"),
        ("1.0005k", "expected a whole number, got '1.0005k'"),
        (1.5, "expected a whole number, got 1.5"),
        ("010", "expected a count such as 20B, 500M or 4k, got '010'"),
        ("1:30", "expected a count such as 20B, 500M or 4k, got '1:30'"),
        ("0x10", "expected a count such as 20B, 500M or 4k, got '0x10'"),
        ("1,00", "expected a count such as 20B, 500M or 4k, got '1,00'"),
        ("1__0", "expected a count such as 20B, 500M or 4k, got '1__0'"),
        ("\u0663", "expected a count such as 20B, 500M or 4k, got '\u0663'"),
        ("999999999T", "expected a count of at most 1000T (10^15), got '999999999T'"),
        (10**29, f"expected a count of at most 1000T (10^15), got {10**29}"),
        (1e300, "expected a count of at most 1000T (10^15), got 1e+300"),
        (-4, "expected a value greater than or equal to 0, got -4"),
        ([4], "expected a whole number, got [4]"),
    ],
)
def test_what_is_no_count(text: object, said: str) -> None:
    assert sentence(count=text) == f"whole.count: {said}"


def test_editors_are_told_that_a_count_may_be_text() -> None:
    count = Whole.model_json_schema()["properties"]["count"]
    assert {option["type"] for option in count["anyOf"]} == {"integer", "string"}


@pytest.mark.parametrize("text", ["010", "1:30", "0x1F", "0b1", "1:30.5", "9" * 5000])
def test_numbers_of_other_bases_are_text(text: str) -> None:
    assert parse_yaml(f"a: {text}", "f") == {"a": text}


@pytest.mark.parametrize(
    "text", ["trueish", "Falsehood", "true(x)", "0 to 9", "1.5x", "5 words", "="]
)
def test_words_that_begin_like_something_else_are_text(text: str) -> None:
    assert parse_yaml(f"a: {text}", "f") == {"a": text}


@pytest.mark.parametrize(
    "text", ["!!int x", "!!bool 2", "!!float [1]", "!!binary x", "! 1", "!x {}"]
)
def test_tags_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"f:1: not valid YAML here: .*write the value wi"):
        parse_yaml(f"a: {text}", "f")


def test_decimal_numbers_are_numbers() -> None:
    text = "[0, -1, 1_000, 1.5, 1.0e+4, .5, .inf]"
    assert parse_yaml(f"a: {text}", "f") == {"a": [0, -1, 1000, 1.5, 1e4, 0.5, float("inf")]}


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"rate": True}, "rate"),
        ({"share": False}, "share"),
        (
            {"parts": [{"tokens": 1}, {"tokens": 1, "shape": {"kind": "round", "radius": True}}]},
            "parts[1].shape.radius",
        ),
        (
            {"named": {"a": {"tokens": 1, "shape": {"kind": "square", "side": True}}}},
            "named.a.shape.side",
        ),
    ],
)
def test_true_is_no_rate(data: dict[str, Any], path: str) -> None:
    assert sentence(**data).startswith(f"whole.{path}: expected a number, got ")


def test_refused_settings_travel_between_processes() -> None:
    with pytest.raises(WrongSettings) as caught:
        decode(Whole, {"shar": 1, "rate": "x"}, "whole")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.problems) == (str(caught.value), caught.value.problems)
    assert [path for path, _ in again.problems] == ["rate", "shar"]


def test_where_settings_stand() -> None:
    text = "a: 1\nb:\n  - {c: 1}\n  - c: 2\n    d.e: 3\n"
    assert lines_of(text) == {
        "a": 1,
        "b": 2,
        "b[0]": 3,
        "b[0].c": 3,
        "b[1]": 4,
        "b[1].c": 4,
        "b[1].d.e": 5,
    }


def test_another_kind_starts_from_its_own_defaults() -> None:
    square = {"kind": "square", "side": 3.0, "colour": "red"}  # its default, written out
    data = {"parts": [{"tokens": 1, "shape": square}], "name": "w"}
    changed = override(data, "parts.0.shape.kind", "round", Whole)
    assert changed["parts"][0]["shape"] == {"kind": "round"}  # what is missing is said so
    assert override(changed, "parts.0.shape.kind", "square", Whole)["parts"][0]["shape"] == {
        "kind": "square"
    }
    kept = override(
        {"parts": [{"shape": {"kind": "square", "side": 3, "colour": "blue"}}]},
        "parts.0.shape.kind",
        "square",
        Whole,
    )
    assert kept["parts"][0]["shape"] == {"kind": "square", "side": 3, "colour": "blue"}


def test_names_that_one_folder_could_have() -> None:
    with pytest.raises(ValueError, match="'x' and 'X' differ in case alone"):
        refuse_alike(["x", "y", "X"])


def test_a_float_without_a_point_is_a_float() -> None:
    data = parse_yaml("rate: 3e-4", "f")
    assert data == {"rate": "3e-4"}  # YAML 1.1
    assert decode(Whole, data, "whole").rate == 0.0003


@pytest.mark.parametrize("number", ["nan", "inf", float("nan")])
def test_a_rate_is_finite(number: object) -> None:
    assert sentence(rate=number) == f"whole.rate: expected a finite number, got {number!r}"


def test_no_is_a_word_and_a_date_is_text() -> None:
    text = "name: no\nother: on\nday: 2024-01-02\nflag: true\nflags: [False, TRUE]"
    assert parse_yaml(text, "f") == {
        "name": "no",
        "other": "on",
        "day": "2024-01-02",
        "flag": True,
        "flags": [False, True],
    }
    assert decode(Whole, {"tied": "yes"}, "whole").tied is True


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "r:3: key 'a' is given twice; keep one of them"),
        ("a:\n  b: {c: 1, c: 2}\n", "r:2: key 'c' is given twice; keep one of them"),
        ("", "r: expected settings as 'key: value' lines, found nothing"),
        ("- 1\n", "r: expected settings as 'key: value' lines, found list"),
        ("a: [1\n", "r:2: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        (
            "a: \x07\n",
            "r: not valid YAML: unacceptable character #x0007: special characters are not "
            'allowed in "<unicode string>", position 3',
        ),
        ("a: " + "[" * 3000, "r:1: nested more than 60 levels deep; close the brackets"),
        (
            "a: &a [*a]",
            "r: more than 100,000 values, with those that aliases repeat; write out what is meant",
        ),
        (
            "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
            "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
            "e: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
            "r: more than 100,000 values, with those that aliases repeat; write out what is meant",
        ),
    ],
)
def test_what_is_no_mapping(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "r")
    assert str(caught.value) == said


def test_yaml_makes_no_objects() -> None:
    with pytest.raises(InputError, match=r"r:1: not valid YAML here: .*/apply:os.getpid; "):
        parse_yaml("a: !!python/object/apply:os.getpid []", "r")


def test_unreadable_files(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    with pytest.raises(InputError) as caught:
        load_yaml(path)
    assert str(caught.value) == (
        f"{path}: cannot be read (No such file or directory); give the path of a file"
    )
    with pytest.raises(InputError) as caught:
        load_yaml(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: cannot be read (Is a directory); give the path of a file"
    )
    path.write_bytes(b"name: caf\xe9\n")
    with pytest.raises(InputError) as caught:
        load_yaml(path)
    assert str(caught.value) == f"{path}: not UTF-8 text at byte 9; save it as UTF-8"
    path.write_text("name: café\n", encoding="utf-8")
    assert load_yaml(path) == {"name": "café"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"shar": 1}, ".shar: unknown key; did you mean 'share'?"),
        (
            {"zzz": 1},
            ".zzz: unknown key; known keys: count, kept, name, named, parts, rate, share, tied",
        ),
        (
            {"parts": [{"token": 1, "tokens": 1}]},
            ".parts[0].token: unknown key; did you mean 'tokens'?",
        ),
        (
            {"named": {"a": {"tokens": 1, "shap": 1}}},
            ".named.a.shap: unknown key; did you mean 'shape'?",
        ),
        (
            {"parts": [{"tokens": 1, "shape": {"kind": "square", "side": 1, "color": "x"}}]},
            ".parts[0].shape.color: unknown key; did you mean 'colour'?",
        ),
        (
            {"parts": [{"tokens": 1, "shape": {"kind": "round", "radius": 1, "side": 1}}]},
            ".parts[0].shape.side: unknown key; known keys: kind, radius",
        ),
        (
            {"kept": {"tokens": 1, "shap": 1}},
            ".kept: expected 'keep' or 'reset', got {'tokens': 1, 'shap': 1}; "
            "whole.kept.shap: unknown key; did you mean 'shape'?",
        ),
        ({"parts": [{}]}, ".parts[0].tokens: missing; this key is required"),
        (
            {"parts": [{"tokens": 1, "shape": {"kind": "round"}}]},
            ".parts[0].shape.radius: missing; this key is required",
        ),
        (
            {"parts": [{"tokens": 1, "shape": {"side": 1}}]},
            ".parts[0].shape.kind: expected one of round, square, got nothing",
        ),
        (
            {"parts": [{"tokens": 1, "shape": {"kind": "squar"}}]},
            ".parts[0].shape.kind: expected one of round, square, got 'squar'",
        ),
        (
            {"parts": [{"tokens": 1, "shape": {"kind": "square", "side": 10}}]},
            ".parts[0].shape: side is at most 9, got 10; make it smaller",
        ),
        ({"parts": [1]}, ".parts[0]: expected settings as 'key: value' pairs, got 1"),
        ({"parts": 1}, ".parts: expected a list, got 1"),
        ({"parts": []}, ".parts: expected a list of at least 1, got []"),
        (
            {"named": {"a b": {"tokens": 1}}},
            ".named.a b: expected a name of at most 64 letters, digits, - and _, got 'a b'",
        ),
        (
            {"name": 7},
            ".name: expected text, between quotes where YAML reads something else, got 7",
        ),
        ({"rate": "fast"}, ".rate: expected a number, got 'fast'"),
        ({"rate": None}, ".rate: expected a number, got None"),
        ({"tied": "maybe"}, ".tied: expected true or false, got 'maybe'"),
        ({"share": 1.5}, ".share: expected a value less than or equal to 1, got 1.5"),
        ({"rate": "x" * 99}, ".rate: expected a number, got '" + "x" * 56 + "..."),
        (
            {"count": -1, "share": 2, "rate": "a", "tied": 7},
            ".rate: expected a number, got 'a'; "
            "whole.share: expected a value less than or equal to 1, got 2; "
            "whole.count: expected a value greater than or equal to 0, got -1",
        ),
    ],
)
def test_the_sentence_names_path_value_and_rule(data: dict[str, Any], said: str) -> None:
    assert sentence(**data) == f"whole{said}"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Whole().rate = 2.0  # pyright: ignore


def test_override_copies_and_reaches_everywhere() -> None:
    data: dict[str, Any] = {"a": {"b": 1}, "parts": [{"n": 1}, {"n": 2}], "none": None}
    assert override(data, "a.b", 5)["a"] == {"b": 5}
    assert override(data, "parts.1.n", 5)["parts"] == [{"n": 1}, {"n": 5}]
    assert override(data, "parts.0", 5)["parts"] == [5, {"n": 2}]
    assert override(data, "none.x.y", 5)["none"] == {"x": {"y": 5}}
    assert override(data, "absent.x", 5)["absent"] == {"x": 5}
    assert override(data, "a", None)["a"] is None
    assert data == {"a": {"b": 1}, "parts": [{"n": 1}, {"n": 2}], "none": None}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("parts.2.n", "parts.2.n: expected a position from 0 to 1, got '2'"),
        ("parts.-1.n", "parts.-1.n: expected a position from 0 to 1, got '-1'"),
        ("parts.first", "parts.first: expected a position from 0 to 1, got 'first'"),
        (
            "empty.0",
            "empty.0: expected a position in a list that is empty, so set it whole, got '0'",
        ),
        ("a.b.c", "a.b.c: 1 has no 'c' below it; set it whole"),
        ("parts.0.n.x", "parts.0.n.x: 1 has no 'x' below it; set it whole"),
    ],
)
def test_overrides_that_lead_nowhere(path: str, said: str) -> None:
    data = {"a": {"b": 1}, "parts": [{"n": 1}, {"n": 2}], "empty": []}
    with pytest.raises(InputError) as caught:
        override(data, path, 5)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=1", ("a.b", 1)),
        ("a=20B", ("a", "20B")),
        ("a={kind: cosine, peak_lr: 3e-4}", ("a", {"kind": "cosine", "peak_lr": "3e-4"})),
        ("a=[x, no]", ("a", ["x", "no"])),
        ("a=b=c", ("a", "b=c")),
        ("a=", ("a", None)),
    ],
)
def test_overrides_of_the_command_line(text: str, expected: tuple[str, object]) -> None:
    assert parse_override(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dry", "'dry': expected key=value, for example train.batch_size=8"),
        ("=1", "'=1': expected key=value, for example train.batch_size=8"),
        ("a=[1", "'a=[1':1: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("a={b: 1, b: 2}", "'a={b: 1, b: 2}':1: key 'b' is given twice; keep one of them"),
    ],
)
def test_what_is_no_override(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_override(text)
    assert str(caught.value) == said
