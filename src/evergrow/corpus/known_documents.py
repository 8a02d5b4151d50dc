"""Which documents were there before, by what they say."""

from typing import final

import numpy as np


@final
class KnownDocuments:
    """Content hashes of the documents of earlier sources, as read and as stored.

    64 bits of each: of a billion documents one in 40 times two would be taken for the same. They
    stand in a sorted array, the newest in a set, which together cost under 40 bytes a document.
    """

    def __init__(self) -> None:
        self._sorted = np.empty(0, np.uint64)
        self._newest: set[int] = set()

    def add(self, digest: str) -> None:
        self._newest.add(int(digest[:16], 16))
        if len(self._newest) >= max(1 << 16, len(self._sorted) // 16):
            newest = np.sort(np.fromiter(self._newest, np.uint64, len(self._newest)))
            self._newest = set()
            places = np.searchsorted(self._sorted, newest)
            inside = places < len(self._sorted)
            new = np.ones(len(newest), bool)
            new[inside] = self._sorted[places[inside]] != newest[inside]
            self._sorted = np.insert(self._sorted, places[new], newest[new])

    def __contains__(self, digest: str) -> bool:
        number = int(digest[:16], 16)
        if number in self._newest:
            return True
        place = int(np.searchsorted(self._sorted, np.uint64(number)))
        return place < len(self._sorted) and int(self._sorted[place]) == number
