import sys
from pathlib import Path

import pytest

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.files import SourceFile
from evergrow.corpus.formats import html
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_files
from evergrow.corpus.signals.programming import domain_of
from evergrow.errors import InputError

BODY = "<nav><a href='/'>Home</a></nav><article><h1>Trees</h1><p>They grow.</p></article>"


def page(body: str = BODY, head: str = "<title>On trees</title>") -> str:
    return f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>"


def read(folder: Path, data: bytes, name: str = "a.html") -> tuple[list[Document], Quarantine]:
    (folder / name).write_bytes(data)
    quarantine = Quarantine("web")
    file = SourceFile.at(folder / name, folder)
    return list(read_files(SourceConfig(files=["*"]), [file], quarantine)), quarantine


def test_a_page_is_its_main_content_with_title_and_address(tmp_path: Path) -> None:
    head = "<title>On &amp; on</title><link rel=canonical href='https://a.org/trees'>"
    documents, _ = read(tmp_path, page(head=head).encode())
    (document,) = documents
    assert document.text == "Trees\n\nThey grow."
    assert document.meta == '{"address": "https://a.org/trees", "title": "On & on"}'
    assert (document.key, document.date) == ("a.html", None)
    assert domain_of(document) == "prose"


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("<meta charset=iso-8859-1>", "cp1252"),
        ("<meta charset='utf-8'>", "utf-8"),
        ("<meta http-equiv='Content-Type' content='text/html; charset=koi8-r'>", "koi8-r"),
        ("", "utf-8-sig"),
    ],
)
def test_the_character_set_is_the_pages_own(tmp_path: Path, head: str, encoding: str) -> None:
    word = "деревья" if encoding == "koi8-r" else "Bäume"
    documents, _ = read(tmp_path, page(f"<p>{word} wachsen</p>", head).encode(encoding))
    assert [d.text for d in documents] == [f"{word} wachsen"]


def test_a_page_in_another_character_set_than_it_says_is_bad(tmp_path: Path) -> None:
    data = page(f"<p>{'é' * 50}</p>", "<meta charset=utf-8>").encode("latin-1")
    documents, quarantine = read(tmp_path, data)
    assert documents == []
    assert [r.reason for r in quarantine.records] == [
        "pages that are not in the character set they name"
    ]


def test_a_page_ends_its_lines_in_one_way(tmp_path: Path) -> None:
    body = "<article><pre>one&#13;two\r\nthree\rfour</pre></article>"
    documents, _ = read(tmp_path, page(body).encode())
    assert [d.text for d in documents] == ["one\ntwo\nthree\nfour"]


def test_a_page_without_text_is_skipped_and_counted(tmp_path: Path) -> None:
    documents, quarantine = read(tmp_path, page("<img src=a.png>").encode())
    assert (documents, quarantine.records) == ([], [])
    assert quarantine.skipped == {"pages without main content": 1}


def test_pages_that_are_too_long_or_too_deep_are_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = page("<div>" * 600 + "x" + "</div>" * 600).encode()
    assert [r.reason for r in read(tmp_path, deep)[1].records] == [
        "pages nested deeper than 512 elements"
    ]
    wide = page("<div><p>x</div>" * 2000).encode()
    assert len(read(tmp_path, wide)[0]) == 1
    monkeypatch.setattr(html, "MAX_PAGE_BYTES", 1000)
    _, quarantine = read(tmp_path, page("x" * 5000).encode())
    (bad,) = quarantine.records
    assert (bad.reason, bad.num_bytes) == (
        "pages longer than 8 MiB",
        len(page("x" * 5000)),
    )


def test_without_resiliparse_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "resiliparse.parse.html", None)
    with pytest.raises(InputError) as error:
        read(tmp_path, page().encode())
    assert str(error.value) == (
        "pages (.html, .warc) are read with resiliparse, which is not installed; "
        "pip install 'evergrow[web]'"
    )
