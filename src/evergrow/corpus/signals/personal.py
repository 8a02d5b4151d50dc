"""E-mail addresses, public IP addresses and keys: counted here, masked by the edits."""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Literal, NamedTuple

import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.signals.characters import TOKEN, kinds_of, long_runs
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.words import Words

Kind = Literal["email", "ip_address", "key"]

# Every repetition has a cap or a border that it cannot cross, so that none runs away; every pattern
# begins with what is rare in text, and looks back from there.
# Scripts without spaces are no border of an address: their letters may touch it.
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af"
_NAME = rf"(?:[^\W{_UNSPACED}]|[.%+-])"
_DOMAIN = re.compile(r"@(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9_-])")
_LOCAL = re.compile(rf"(?<!{_NAME})[A-Za-z0-9_]{_NAME}{{0,63}}\Z")
_OCTETS = re.compile(r"\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![A-Za-z0-9_]|\.[0-9])")
_OCTET = re.compile(r"(?<![A-Za-z0-9_.])(?<![Vv]ersion )[0-9]{1,3}\Z")  # 1.2.3.4 may be a version
_IPV6 = re.compile(  # 2000::/3
    r"[23](?<![A-Za-z0-9_:.].)[0-9A-Fa-f]{3}:[0-9A-Fa-f:]{1,33}(?:[0-9A-Fa-f]|(?<=:):)"
    r"(?![A-Za-z0-9_]|:[0-9A-Fa-f:])"
)
_BLOCK = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY-----(?:[^-]|-(?!-)){0,20000}"
    r"(?:-----END (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY-----)?"
)
MIN_KEY = 16  # letters, digits, _ and - in a row: where no such run is, no key is
_KEY = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"(?:AKIA|ASIA)[0-9A-Z]{16}"  # AWS
    r"|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}"
    r"|glpat-[A-Za-z0-9_-]{20,64}"  # GitLab
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,250}"  # Slack
    r"|AIza[A-Za-z0-9_-]{35}"  # Google
    r"|(?:sk|rk)_live_[A-Za-z0-9]{20,250}"  # Stripe
    r"|sk-(?:ant-|proj-)?[A-Za-z0-9_-]{40,250}"  # Anthropic, OpenAI
    r"|hf_[A-Za-z0-9]{30,60}"  # Hugging Face
    r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,250}"
    r")(?![A-Za-z0-9_-])"
)
_WEB_TOKEN = re.compile(
    r"eyJ(?<![\w-]...)[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}"
)


class Found(NamedTuple):
    """Where a piece of personal data stands, in characters."""

    kind: Kind
    start: int
    end: int


def find_personal(text: str) -> Iterator[Found]:
    """Addresses and keys, kind by kind."""
    for domain in _DOMAIN.finditer(text):
        if local := _LOCAL.search(text, max(0, domain.start() - 64), domain.start()):
            yield Found("email", local.start(), domain.end())
    for rest in _OCTETS.finditer(text):
        first = _OCTET.search(text, max(0, rest.start() - 3), rest.start())
        if first and _is_public(text[first.start() : rest.end()], IPv4Address):
            yield Found("ip_address", first.start(), rest.end())
    for match in _IPV6.finditer(text):
        if _is_public(match[0], IPv6Address):
            yield Found("ip_address", *match.span())
    for start, end in long_runs(kinds_of(text), TOKEN, MIN_KEY):
        yield from (Found("key", *match.span()) for match in _KEY.finditer(text, start, end))
    for pattern in (_BLOCK, _WEB_TOKEN):
        yield from (Found("key", *match.span()) for match in pattern.finditer(text))


def _is_public(address: str, kind: type[IPv4Address] | type[IPv6Address]) -> bool:
    try:
        return kind(address).is_global
    except AddressValueError:
        return False


def personal(document: Document, words: Words) -> tuple[int, ...]:
    """The values of PERSONAL's fields."""
    kinds = [found.kind for found in find_personal(document.text)]
    return kinds.count("email"), kinds.count("ip_address"), kinds.count("key")


PERSONAL = SignalGroup(
    name="personal",
    version=2,
    fields={"emails": pa.int64(), "ip_addresses": pa.int64(), "keys": pa.int64()},
    compute=personal,
)
