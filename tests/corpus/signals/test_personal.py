"""Personal data: found with its borders, and nothing like it that is none."""

import time

import pytest

from evergrow.corpus.signals.personal import find_personal

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


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "first.last+tag@mail.example.co.uk"),
        ("email", "a@b.io"),
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
        "-----BEGIN PUBLIC KEY-----",
    ],
)
def test_what_is_none_is_left(text: str) -> None:
    assert list(find_personal(f"see {text} here")) == []


@pytest.mark.parametrize(
    "piece", ["a", "a.", "a@", "1.", "2001:", ":", "-----BEGIN PRIVATE KEY-----", "eyJ", "sk-", "-"]
)
def test_no_pattern_runs_away(piece: str) -> None:
    begun = time.process_time()
    list(find_personal(piece * (100_000 // len(piece))))
    assert time.process_time() - begun < 2
