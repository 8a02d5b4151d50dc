"""Pages to their main content, by resiliparse."""

# pyright: reportMissingModuleSource=false

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document, with_newlines
from evergrow.corpus.encodings import peeked, refuse_others, told_encoding
from evergrow.corpus.files import SourceFile
from evergrow.corpus.formats.rows import BadRow, as_meta
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.unpack import open_unpacked
from evergrow.errors import InputError

MAX_PAGE_BYTES = 8 * 2**20  # judgement; the tree of a page takes about ten times its bytes
MAX_DEPTH = 512  # where browsers stop; resiliparse's time grows with the square of the depth
MAX_REPLACED = 0.01  # judgement; pages with a few wrong bytes are common, and browsers show them
TOO_LONG = f"pages longer than {MAX_PAGE_BYTES // 2**20} MiB"
TOO_DEEP = f"pages nested deeper than {MAX_DEPTH} elements"
WRONG_CHARSET = "pages that are not in the character set they name"
LEAVE_OUT = "leave the page out"
NO_CONTENT = "pages without main content"
# Elements that the parser closes by itself or that hold nothing; they do not nest.
_TAGS = re.compile(
    rb"<(/?)(?!(?:p|li|td|th|tr|dt|dd|option|br|img|hr|input|meta|link|wbr|source|area|col|tbody"
    rb"|thead|html|head|body)\b)[a-zA-Z]"
)


class Page(NamedTuple):
    """What a page says; ``address`` is the one it gives itself as canonical."""

    text: str
    title: str | None
    address: str | None


def read_html(file: SourceFile, config: SourceConfig, quarantine: Quarantine) -> Iterator[Document]:
    """One document a file: the main content; title and own address are its meta.

    Raises InputError when resiliparse is not installed.
    """
    with open_unpacked(file, quarantine) as stream:
        if told_encoding(head := peeked(stream)) is None and config.encoding is None:
            refuse_others(head, head)
        data = stream.read(MAX_PAGE_BYTES + 1)
        size = len(data)
        while size > MAX_PAGE_BYTES and (more := len(stream.read(2**20))):
            size += more
    try:
        if size > MAX_PAGE_BYTES:
            raise BadRow(TOO_LONG, LEAVE_OUT)
        page = extracted(data, config.encoding)
    except BadRow as bad:
        quarantine.add(file.name, 0, bad.reason, bad.way_out, data, size if size > len(data) else 0)
        return
    if not page.text:
        quarantine.skipped[NO_CONTENT] += 1
        return
    told = {k: v for k, v in (("title", page.title), ("address", page.address)) if v}
    # A key of its own: the text is not the file, and the rules of prose apply to it.
    yield Document.of(page.text, quarantine.source, file.name, key=file.name, meta=as_meta(told))


def extracted(data: bytes, charset: str | None) -> Page:
    """The main content of an HTML page in ``charset``; None to go by the page itself.

    Raises BadRow for pages nested deeper than browsers go and for another character set.
    """
    html2text, tree = _resiliparse()
    if _depth(data) > MAX_DEPTH:
        raise BadRow(TOO_DEEP, LEAVE_OUT)
    root = tree.parse(_decoded(data, charset))
    text = html2text(root, preserve_formatting=True, main_content=True)
    link = root.head.query_selector('link[rel="canonical"]') if root.head else None
    address = link.getattr("href") if link else None
    return Page(
        with_newlines(_whole(text)).strip(), _whole(root.title or "") or None, _whole(address or "")
    )


def _whole(text: str) -> str:
    """The text without lone surrogates, which pages write as &#xD800;."""
    return text.encode(errors="ignore").decode()


def _decoded(data: bytes, charset: str | None) -> str:
    """As browsers decode: what does not fit becomes U+FFFD.

    Where too much does not, servers are often wrong and the page itself is right.
    """
    from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

    known = map_encoding_to_html5(charset, fallback_utf8=False) if charset else None
    for encoding in (known, detect_encoding(data, from_html_meta=True) or "utf-8"):
        text = data.decode(encoding, errors="replace") if encoding else "\ufffd"
        if text.count("\ufffd") <= MAX_REPLACED * len(text):
            return text.removeprefix("\ufeff")
    raise BadRow(WRONG_CHARSET, LEAVE_OUT)


def _depth(data: bytes) -> int:
    """About how deep the page nests; exact where it matters, on pages with many tags."""
    if data.count(b"<") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    for match in _TAGS.finditer(data):
        depth = max(0, depth - 1) if match[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest


def _resiliparse() -> tuple[Any, Any]:
    try:
        from resiliparse.extract.html2text import extract_plain_text
        from resiliparse.parse.html import HTMLTree
    except ImportError as error:
        raise InputError(
            "pages (.html, .warc) are read with resiliparse, which is not installed; "
            "pip install 'evergrow[web]'"
        ) from error
    return extract_plain_text, HTMLTree
