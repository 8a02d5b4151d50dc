"""Keys and tokens that open something, by the forms that their issuers give them."""

import re
from collections.abc import Iterator

from evergrow.corpus.signals.characters import TOKEN, kinds_of, long_runs

Span = tuple[int, int]
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


def keys(text: str) -> Iterator[Span]:
    """Keys of services, private keys and web tokens."""
    for start, end in long_runs(kinds_of(text), TOKEN, MIN_KEY):
        yield from (match.span() for match in _KEY.finditer(text, start, end))
    for pattern in (_BLOCK, _WEB_TOKEN):
        yield from (match.span() for match in pattern.finditer(text))
