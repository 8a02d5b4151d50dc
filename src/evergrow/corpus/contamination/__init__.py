"""Test items in training text: suites of items, and where documents hold them."""

from evergrow.corpus.contamination.checked import checked, unchecked
from evergrow.corpus.contamination.overlap import NO_HITS, Hit, contamination, hits_in
from evergrow.corpus.contamination.suites import SUITES, Item, Suite, load_suite, read_suite

__all__ = [
    "NO_HITS",
    "SUITES",
    "Hit",
    "Item",
    "Suite",
    "checked",
    "contamination",
    "hits_in",
    "load_suite",
    "read_suite",
    "unchecked",
]
