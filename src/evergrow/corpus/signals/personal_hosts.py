"""Public IP addresses; not versions, sections and object identifiers, which are spelt alike."""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address

Span = tuple[int, int]
_OCTETS = re.compile(r"\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![A-Za-z0-9_]|\.[0-9])")
_OCTET = re.compile(r"(?<![A-Za-z0-9_.])[0-9]{1,3}\Z")
_IPV6 = re.compile(  # 2000::/3
    r"[23](?<![A-Za-z0-9_:.].)[0-9A-Fa-f]{3}:[0-9A-Fa-f:]{1,33}(?:[0-9A-Fa-f]|(?<=:):)"
    r"(?![A-Za-z0-9_]|:[0-9A-Fa-f:])"
)
BEFORE = 48  # characters of the same line that are looked at
_OTHER = (  # what else four numbers may be
    "versions? v ver vers releases? revisions? rev builds? firmware drivers? patch upgraded? "
    "sections? sec chapters? clauses? paragraphs? articles? rules? tables? figures? appendix oid "
    "since"
)
_IS_OTHER = re.compile(  # said directly before, or before others of a list
    rf"(?:(?:(?:^|[^a-z]|(?<=[a-z])(?=version))(?:{'|'.join(_OTHER.split())})|§)[\"'\s:=.(\[#]*"
    r"|(?:up(?:date|grade)|bump|merge|move|switch)[a-z]{0,3} (?:\S{1,30} )?(?:from|to) )"
    r"(?:[0-9]+(?:\.[0-9]+)+[\s,;&]*(?:and|or|to|from|-)?\s*){0,3}\Z"
    r"|(?:[=<>~!]=|[\^~])\s?\Z|[a-z]-\Z|(?-i:\b[A-Z][A-Za-z]*/)\Z",
    re.I,
)
_IS_RELEASE = re.compile(
    r"[-.+](?:alpha|beta|rc|dev|snapshot|final|release|ga|tar|zip|whl|jar|exe|dll|so|deb|rpm|x|\*)",
    re.I,
)
_HEADING = re.compile(r"[ \t]*(?:#+[ \t]*\[?|\[)\Z")
_SECTIONS = (  # what stands on the line before and behind the number of a section
    (re.compile(r"[ \t]*\Z"), re.compile(r"\.?[ \t]+[^\W\d_a-z]")),
    (re.compile(r"[ \t]*[/*#;%!-]+[ \t]*[\[(]?\Z"), re.compile(r"[\])]|\.?[ \t]+[^\W\d_]")),
)
MOST_SECTIONS = 40  # in one chapter: larger numbers before a title are no section's
_ARCS = ("1.3.6.", "2.5.4.", "2.5.29.", "1.2.840.")  # of registered object identifiers


def hosts(text: str) -> Iterator[Span]:
    """IPv4 and IPv6 addresses that are public."""
    for rest in _OCTETS.finditer(text):
        first = _OCTET.search(text, max(0, rest.start() - 3), rest.start())
        if first and _is_host(text, first.start(), rest.end()):
            yield first.start(), rest.end()
    for match in _IPV6.finditer(text):
        if _is_public(match[0], IPv6Address):
            yield match.span()


def _is_host(text: str, start: int, end: int) -> bool:
    address = text[start:end]
    if not _is_public(address, IPv4Address) or address.startswith(_ARCS):
        return False
    if address.endswith(".0"):  # a network at most, and mostly a version
        return False
    line = text.rfind("\n", max(0, start - BEFORE), start) + 1
    before = text[line or max(0, start - BEFORE) : start]
    if _IS_OTHER.search(before) or _IS_RELEASE.match(text, end):
        return False
    return not (line or start <= BEFORE) or not _is_heading(before, address, text, end)


def _is_heading(before: str, address: str, text: str, end: int) -> bool:
    """Whether a line begins with these numbers, and they count releases or sections."""
    if _HEADING.match(before):
        return True
    is_small = max(map(int, address.split("."))) <= MOST_SECTIONS
    return is_small and any(
        begins.match(before) and ends.match(text, end) for begins, ends in _SECTIONS
    )


def _is_public(address: str, kind: type[IPv4Address] | type[IPv6Address]) -> bool:
    try:
        return kind(address).is_global
    except AddressValueError:
        return False
