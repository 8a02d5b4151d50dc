from evergrow.corpus.document import content_hash
from evergrow.corpus.known_documents import KnownDocuments


def test_what_was_added_is_known_however_many_there_are() -> None:
    known = KnownDocuments()
    digests = [content_hash(str(number)) for number in range(150_000)]
    for digest in digests[:140_000]:
        known.add(digest)
        known.add(digest)
    assert all(digest in known for digest in digests[:140_000:997])
    assert not any(digest in known for digest in digests[140_000:])
