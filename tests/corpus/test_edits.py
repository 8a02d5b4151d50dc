"""Edits: spans recorded, made in one pass, and nothing else changed."""

import pytest

from evergrow.corpus.document import Document
from evergrow.corpus.edits import EDITS, Edit, apply, edit, withheld
from evergrow.errors import InputError

TEXT = "Ask a@b.io about it.[3]\nno end\nFrom 8.8.8.8 it came.\r\nToken hf_" + "aBcD" * 8 + " {\n"


def test_edits_are_made_where_they_are_recorded() -> None:
    document = Document.of(TEXT, "s", "p")
    kept, edits = edit(document, list(EDITS))
    assert kept.text == "Ask <EMAIL> about it.\nFrom <IP_ADDRESS> it came.\r\n"
    assert [e.kind for e in edits] == [
        "mask.email",
        "citations",
        "c4_lines.not_ended",
        "mask.ip_address",
        "c4_lines.not_ended",  # the key goes with its line
    ]
    assert edits[0] == Edit("mask.email", 4, 10, "<EMAIL>")
    assert apply(TEXT, edits) == kept.text
    assert kept.parent == document.content_hash and kept.id == document.id


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c4_lines", "Ask a@b.io about it.[3]\nFrom 8.8.8.8 it came.\r\n"),
        ("citations", TEXT.replace("[3]", "")),
        ("mask_emails", TEXT.replace("a@b.io", "<EMAIL>")),
        ("mask_ip_addresses", TEXT.replace("8.8.8.8", "<IP_ADDRESS>")),
        ("mask_keys", TEXT.replace("hf_" + "aBcD" * 8, "<KEY>")),
    ],
)
def test_each_edit_alone(name: str, text: str) -> None:
    assert edit(Document.of(TEXT, "s", "p"), [name])[0].text == text


def test_code_keeps_its_lines_and_loses_its_keys() -> None:
    code = Document.of('x[0] = 1\nkey = "hf_' + "aBcD" * 8 + '"\n', "s", "a.py")
    kept, edits = edit(code, ["c4_lines", "citations", "mask_keys"])
    assert kept.text == 'x[0] = 1\nkey = "<KEY>"\n'
    assert [e.kind for e in edits] == ["mask.key"]


def test_a_key_that_begins_in_a_cut_line_is_masked_to_its_end() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nabc def ghi.\n-----END PRIVATE KEY-----"
    document = Document.of(f"A good line it is.\nmy {pem}\nAnother good one.", "s", "a")
    edited, spans = edit(document, ["c4_lines", "mask_keys"])
    assert edited.text == "A good line it is.\n<KEY>Another good one."
    assert [s.kind for s in spans] == ["c4_lines.not_ended", "mask.key", "c4_lines.not_ended"]


def test_nothing_to_edit_is_the_same_document() -> None:
    document = Document.of("Nothing of that kind.", "s", "p")
    assert edit(document, list(EDITS)) == (document, [])


def test_an_unknown_edit_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected some of c4_lines, .*, got 'mask'"):
        edit(Document.of("a", "s", "p"), ["mask"])


def test_every_edit_says_what_it_is_for_and_leaves_the_rest_alone() -> None:
    text = TEXT + "Call +49 30 901820, pay by 4111111111111111 or DE89370400440532013000.\n"
    for name, rule in EDITS.items():
        for domain, path in (("prose", "a.txt"), ("code", "a.py")):
            document = Document.of(text, "s", path)
            is_for = domain in rule.domains
            assert (edit(document, [name])[0] is not document) == is_for, (name, domain)
            assert withheld(document, [name]) == [] if is_for else [name]
