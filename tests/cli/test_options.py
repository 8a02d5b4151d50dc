import pytest

from evergrow.cli.options import named_files
from evergrow.errors import InputError


def test_files_go_by_the_name_before_them() -> None:
    assert named_files(["old=a/*.txt", "mail=b", "c", "d"]) == {
        "old": ["a/*.txt"],
        "mail": ["b", "c", "d"],
    }
    for word in ("a", "=a", "old="):
        with pytest.raises(InputError, match="expected name=files"):
            named_files([word])
