import os
from pathlib import Path

import pytest

from evergrow.corpus.files import (
    NAMELESS,
    SourceFile,
    file_groups,
    in_order,
    inside,
)
from evergrow.disk import checksum
from evergrow.errors import InputError


def test_a_record_is_relative_to_the_base_when_inside_it(tmp_path: Path) -> None:
    path = tmp_path / "recipe/a.txt"
    path.parent.mkdir()
    path.write_text("hello")
    expected = {"path": "a.txt", "bytes": 5, "blake3": checksum(path)}
    assert SourceFile.at(path, path.parent).record().model_dump() == expected
    assert SourceFile.at(path, tmp_path / "elsewhere").name == path.as_posix()


def test_a_recorded_name_stays_inside(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/b.py") == tmp_path / "a/b.py"
    for name in ("../x", "a/../../x", "/etc/passwd"):
        with pytest.raises(InputError) as error:
            inside(tmp_path, name)
        assert str(error.value) == (
            f"{name!r} leads out of {tmp_path}; the record that names it is not to trust"
        )


def test_a_name_that_is_not_utf8_is_a_fault(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    path.write_text("x")
    file = SourceFile.at(path, tmp_path)
    assert (file.fault, file.record().model_dump()) == (
        NAMELESS,
        {"path": "caf\\xe9.txt", "bytes": 0, "blake3": ""},
    )


def sized(*sizes: int) -> list[SourceFile]:
    return [SourceFile(Path(f"{i}"), f"{i}", size, "") for i, size in enumerate(sizes)]


def test_groups_are_bounded_and_hang_on_names_and_sizes_only() -> None:
    files = sized(5, 30, 1, 1, 1, 9, 10, 4, 6, 0, 25)
    groups = file_groups(files, 10)
    assert sorted(f.name for g in groups.values() for f in g) == sorted(f.name for f in files)
    assert all(sum(f.num_bytes for f in g) <= 10 for n, g in groups.items() if n[0] == "b")
    alone = [[f.num_bytes for f in g] for n, g in groups.items() if n[0] == "f"]
    assert sorted(alone) == [[25], [30]]
    assert file_groups(reversed(files), 10) == groups
    assert file_groups(files, None) == {"all": in_order(files)}
    assert file_groups([], None) == file_groups([], 10) == {}
    assert list(file_groups(files[:1], 10)) == ["b"]


def test_groups_are_the_same_but_for_the_one_where_a_file_comes_or_goes() -> None:
    files = sized(*[i % 7 + 1 for i in range(500)])
    groups = file_groups(files, 50)
    assert 30 <= len(groups) <= 120
    for gone in range(0, 500, 50):
        others = file_groups(files[:gone] + files[gone + 1 :], 50)
        changed = [n for n in groups.keys() | others.keys() if groups.get(n) != others.get(n)]
        # its own group; or two that are one without it, and that one
        assert len(changed) == 1 or (len(changed) == 3 and len({n[:-1] for n in changed}) <= 2)


def test_a_name_takes_part_with_its_neighbours_in_order() -> None:
    files = sized(*[1] * 40)
    groups = [g for g in file_groups(files, 8).values()]
    assert [f for g in groups for f in g] == in_order(files)
