"""Personal data: found with its borders, and nothing like it that is none."""

import time
from typing import NamedTuple

import pytest

from evergrow.corpus.document import Document
from evergrow.corpus.edits import MASKED, edit
from evergrow.corpus.signals.personal import FINDERS, KINDS

KEYS = {
    "aws": "AKIA" + "Z7Q2" * 4,
    "github": "ghp_" + "a1B2" * 9,
    "github, fine-grained": "github_pat_" + "a1B2_" * 8,
    "gitlab": "glpat-" + "a1B2-" * 4,
    "slack": "xoxb-" + "12345-" * 4 + "abcde",
    "google": "AIza" + "a1B2-" * 7,
    "stripe": "sk_live_" + "a1B2" * 6,
    "openai": "sk-proj-" + "a1B2" * 12,
    "hugging face": "hf_" + "aBcD" * 8,
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4\nabc=\n-----END RSA PRIVATE KEY-----",
    "pem without end": "-----BEGIN PRIVATE KEY-----\nabcdef",
    "jwt": "eyJ" + "hbGciOiJ" * 3 + ".eyJ" + "zdWIiOiI" * 3 + "." + "SflKxwRJ" * 3,
}


class Found(NamedTuple):
    kind: str
    start: int
    end: int


def find_personal(text: str) -> list[Found]:
    return [Found(kind, *span) for kind, find in FINDERS.items() for span in find(text)]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "first.last+tag@mail.example.co.uk"),
        ("email", "a@b.io"),
        ("email", "bob@uni-köln.de"),
        ("email", "иван@пример.рф"),
        ("email", "info@xn--bcher-kva.example"),
        ("email", "a@example.xn--p1ai"),
        ("email", "用户@例子.中国"),
        ("email", "someone@ministry.gov.pl"),
        ("ip_address", "52.95.110.1"),
        ("phone", "+1 (415) 555-2671"),
        ("phone", "+49 30 901820"),
        ("phone", "(415) 555-2671"),
        ("phone", "415-555-2671"),
        ("card", "4111 1111 1111 1111"),
        ("card", "378282246310005"),
        ("iban", "DE89370400440532013000"),
        ("iban", "GB29 NWBK 6016 1331 9268 19"),
        ("ip_address", "8.8.8.8"),
        ("ip_address", "2001:4860:4860::8888"),
        *(("key", key) for key in KEYS.values()),
    ],
)
def test_found_with_its_borders(kind: str, text: str) -> None:
    assert [(f.kind, f.start, f.end) for f in find_personal(f"is {text}")] == [
        (kind, 3, 3 + len(text))
    ]
    if not text.startswith("-----BEGIN PRIVATE"):
        assert [f.end for f in find_personal(f"({text}), so")] == [1 + len(text)]


@pytest.mark.parametrize(
    ("before", "found", "after"),
    [
        ("电邮", "foo@bar.com", "谢谢"),
        ("IP是", "8.8.8.8", "是"),
        ("log: ", "2606:4700:4700::1111", ": ok"),
        ("net ", "2606:4700:4700::", " is"),
        ("(", "_foo@bar.com", ")"),
        ("von ", "müller@bar.de", "."),
        ("", "名前太郎@example.jp", "へ"),
        ("at http://", "93.184.216.34", ":8080/"),
        ("Section 4.2.1.3 of ", "66.249.66.1", ""),
        ("", "66.249.66.1", " - - [27/Nov/2026] GET"),
        ("IBAN ", "DE89 3704 0044 0532 0130 00", " BIC COBADEFF"),
    ],
)
def test_letters_of_scripts_without_spaces_may_touch_it(
    before: str, found: str, after: str
) -> None:
    places = find_personal(before + found + after)
    assert [(f.start, f.end) for f in places] == [(len(before), len(before + found))]


@pytest.mark.parametrize(
    "text",
    [
        "@name",
        "version 1.2.3.4",
        "a@b",
        "user@host",
        "10.0.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "1.2.3.4.5",
        "v1.2.3.4x",
        "300.1.2.3",
        "2001:db8::1",  # for documentation
        "12:30:45",
        "std::vector",
        "AKIAIOSFODNN7",
        "task-" + "a" * 60,
        "ghp_short",
        "Release 1.84.1.0 of it",
        "VERSION 1.128.1.7",
        '"version": "1.128.1.7"',
        'AssemblyVersion("4.0.30.42")',
        "v1.2.3.4",
        "versions 1.2.3.4, 1.2.3.5 and 1.2.3.6",
        "Chrome/114.0.57.199 Safari",
        "tool-1.2.3.4.tar.gz",
        "tool==1.2.3.4",
        "1.2.3.4-beta",
        "Section 4.2.1.3",
        "§ 4.2.1.3",
        "OID 1.3.6.1",
        "id 2.5.29.15",
        "git@github.com:owner/repo.git",
        "ssh://git@example.org/x",
        "foo@bar.js",
        "icon@2x.png",
        "x@y.mean(0)",
        "@app.route",
        "image@sha256:abc",
        "4111 1111 1111 1112",  # its check digit is wrong
        "1234 5678 9012 3456",
        "DE89370400440532013001",
        "2026-11-27 12:30:45",
        "1415-555-26712",
        "252.227-7013",
        "+2.0000714765E-1f",
        "example.org/post/659305450250141696/x",
        "847F 6963 6973 7164 7442 7996",
        "upgraded to 4.6.85.25 from 4.5.103.35",
        "-----BEGIN PUBLIC KEY-----",
    ],
)
def test_what_is_none_is_left(text: str) -> None:
    assert find_personal(f"see {text} here") == []


@pytest.mark.parametrize(
    "line",
    [
        "## [1.10.0.3] - 2026-09-02",
        "4.2.1.3 Of Sections",
        "[1.2.3.4]: x",
        "// [3.7.2.7] null pointer",
        " * 4.3.1.1. Video",
        "// 23.2.2.1 construct/copy",
    ],
)
def test_a_line_that_begins_with_a_number_of_its_own(line: str) -> None:
    assert find_personal(f"before\n{line}\nafter") == find_personal(line) == []


def test_every_kind_is_counted_and_can_be_masked() -> None:
    assert set(KINDS) == FINDERS.keys() == MASKED.keys()
    document = Document.of("call +49 30 901820, pay DE89370400440532013000", "s", "p")
    kept, _ = edit(document, ["mask_phones", "mask_ibans"])
    assert kept.text == "call <PHONE>, pay <IBAN>"


@pytest.mark.parametrize(
    "piece",
    [
        *("a", "a.", "a@", "1.", "2001:", ":", "-----BEGIN PRIVATE KEY-----", "eyJ", "sk-", "-"),
        *("+1", "4 ", "DE12", "1.1.1.", "é", "漢", "@漢.", "415-"),
    ],
)
def test_no_pattern_runs_away(piece: str) -> None:
    begun = time.process_time()
    find_personal(piece * (100_000 // len(piece)))
    assert time.process_time() - begun < 2
