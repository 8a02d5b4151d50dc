"""Personal data and keys, by kind: counted here, masked by the edits.

Every repetition of a pattern has a cap or a border that it cannot cross, so that none runs away;
every pattern begins with what is rare in text, and looks back from there.
"""

from collections.abc import Callable, Iterator
from typing import Literal, get_args

import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.signals.personal_emails import emails
from evergrow.corpus.signals.personal_hosts import hosts
from evergrow.corpus.signals.personal_keys import keys
from evergrow.corpus.signals.personal_numbers import cards, ibans, phones
from evergrow.corpus.words import Words

Kind = Literal["email", "ip_address", "key", "phone", "card", "iban"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Span = tuple[int, int]  # in characters
FINDERS: dict[Kind, Callable[[str], Iterator[Span]]] = {
    "email": emails,
    "ip_address": hosts,
    "key": keys,
    "phone": phones,
    "card": cards,
    "iban": ibans,
}


def personal(document: Document, words: Words) -> tuple[int, ...]:
    """The values of PERSONAL's fields."""
    return tuple(sum(1 for _ in find(document.text)) for find in FINDERS.values())


PERSONAL = SignalGroup(
    name="personal",
    version=3,
    fields={
        "emails": pa.int64(),
        "ip_addresses": pa.int64(),
        "keys": pa.int64(),
        "phones": pa.int64(),
        "cards": pa.int64(),
        "ibans": pa.int64(),
    },
    compute=personal,
)
