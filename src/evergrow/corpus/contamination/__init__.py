"""Test items in training text: suites of items, and where documents hold them."""

from evergrow.corpus.contamination.checked import Checked, checked, unchecked
from evergrow.corpus.contamination.overlap import NO_HITS, contamination
from evergrow.corpus.contamination.suites import SUITES, Item, Suite, load_suite

__all__ = [
    "NO_HITS",
    "SUITES",
    "Checked",
    "Item",
    "Suite",
    "checked",
    "contamination",
    "load_suite",
    "unchecked",
]
