import bz2
import gzip
import io
import lzma
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest

from evergrow.corpus import unpack
from evergrow.corpus.decoders import PACKED, zstd
from evergrow.corpus.files import SourceFile
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.unpack import (
    BEHIND,
    Line,
    PackingBroken,
    UnpacksTooLarge,
    open_unpacked,
    read_lines,
)
from evergrow.errors import InputError


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_packed_data_that_breaks_off_says_where(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.txt.{suffix}"
    text = b"".join(f"text {i * i}\n".encode() for i in range(50_000))
    with pa.output_stream(str(path)) as stream:
        stream.write(text)
    path.write_bytes(path.read_bytes()[:-9])
    read = b""
    with (
        pytest.raises(PackingBroken) as broken,
        open_unpacked(SourceFile.at(path, tmp_path)) as stream,
    ):
        while line := stream.readline():
            read += line
    assert text.startswith(read)
    offset = broken.value.offset
    assert len(text) // 2 < offset <= len(text) and 0 <= offset - len(read) < 20


def test_an_error_of_the_disk_or_the_net_is_no_damage(tmp_path: Path) -> None:
    class Lost(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        unpack._Unpacked(Lost(), PACKED[".gz"]).read(1)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_a_bomb_stops_in_proportion_to_what_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    monkeypatch.setattr(unpack, "FREE_BYTES", 2**20)
    path = tmp_path / ("bomb.gz" if codec == "gzip" else "bomb.zst")
    with pa.output_stream(str(path), compression=codec) as stream:
        for _ in range(64):
            stream.write(bytes(2**20))
    read = 0
    with pytest.raises(UnpacksTooLarge), open_unpacked(SourceFile.at(path, tmp_path)) as stream:
        while chunk := stream.read(2**16):
            read += len(chunk)
    assert 2**20 <= read < 2**25


def test_text_that_packs_well_is_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "FREE_BYTES", 2**16)
    text = b"".join(b"2024-05-01 12:00:%02d GET /index.html 200\n" % (i % 60) for i in range(20000))
    (tmp_path / "log.txt.gz").write_bytes(gzip.compress(text))
    with open_unpacked(SourceFile.at(tmp_path / "log.txt.gz", tmp_path)) as stream:
        assert stream.read() == text


def test_lines_have_offsets_and_long_ones_only_a_beginning() -> None:
    data = b"one\n" + b"x" * 25 + b"\n\nlast"
    lines = list(read_lines(io.BytesIO(data), 10))
    assert lines == [
        Line(0, b"one\n", 4),
        Line(4, b"x" * 10, 26),
        Line(30, b"\n", 1),
        Line(31, b"last", 4),
    ]
    assert [line.is_too_long for line in lines] == [False, True, False, False]


def test_a_line_that_ends_just_past_the_limit_does_not_take_the_next_one() -> None:
    lines = list(read_lines(io.BytesIO(b"x" * 10 + b"\nnext\n"), 10))
    assert [(line.offset, line.num_bytes) for line in lines] == [(0, 11), (11, 5)]


def test_a_line_of_200_mb_takes_the_memory_of_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    with path.open("wb") as file:
        file.truncate(200 * 10**6)  # a hole: no disk space
        file.seek(0, 2)
        file.write(b"\n{}\n")
    tracemalloc.start()
    with open_unpacked(SourceFile(path, "long.jsonl", 0, "")) as stream:
        lines = [(line.offset, line.num_bytes) for line in read_lines(stream, 2**20)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lines == [(0, 200 * 10**6 + 1), (200 * 10**6 + 1, 3)]
    assert peak < 8 * 2**20


LONG_WINDOW = {zstd.CompressionParameter.enable_long_distance_matching: 1}
LONG_WINDOW |= {zstd.CompressionParameter.window_log: 28}
ROWS = b"".join(b"row %d of the file\n" % (i * i) for i in range(3000))


def unpacked(folder: Path, name: str, data: bytes) -> tuple[bytes, Quarantine]:
    (folder / name).write_bytes(data)
    quarantine = Quarantine("web")
    with open_unpacked(SourceFile.at(folder / name, folder), quarantine) as stream:
        return stream.read(), quarantine


PACKERS = {
    "gz": gzip.compress,
    "zst": zstd.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("suffix", PACKERS)
def test_every_packing_has_members_padding_and_things_behind(tmp_path: Path, suffix: str) -> None:
    pack = PACKERS[suffix]
    whole = pack(ROWS) + pack(b"second member")
    expected = ROWS + b"second member"
    for number, (behind, flags) in enumerate(
        [(b"", {}), (b"\0" * 40_000, {}), (b"garbage", {BEHIND: 1}), (b"\0\0 x", {BEHIND: 1})]
    ):
        read, quarantine = unpacked(tmp_path, f"{number}.txt.{suffix}", whole + behind)
        assert read == expected
        assert quarantine.flags == flags
        assert quarantine.records == []
    assert unpacked(tmp_path, f"p.txt.{suffix}", whole + b"\0" * 700 + pack(b"3"))[0][-1:] == b"3"


def test_what_stands_behind_is_told_with_its_beginning(tmp_path: Path) -> None:
    _, quarantine = unpacked(tmp_path, "a.txt.gz", gzip.compress(ROWS) + b"garbage")
    [told] = quarantine.flagged
    assert (told.path, told.offset, told.head) == ("a.txt.gz", len(ROWS), "b'garbage'")


def test_frames_of_zstd_may_look_back_far_and_be_passed_over(tmp_path: Path) -> None:
    data = zstd.compress(ROWS, options=LONG_WINDOW)
    compressor = zstd.ZstdCompressor(options=LONG_WINDOW)  # unlike this, tells no size: a window
    data += compressor.compress(ROWS) + compressor.flush()
    skippable = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"note"
    assert unpacked(tmp_path, "a.txt.zst", data + skippable)[0] == ROWS * 2


@pytest.mark.parametrize("suffix", PACKERS)
def test_every_packing_that_breaks_off_says_so(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(PackingBroken) as broken:
        unpacked(tmp_path, f"a.txt.{suffix}", PACKERS[suffix](ROWS)[:-9])
    assert broken.value.offset <= len(ROWS)
    with pytest.raises(PackingBroken):
        unpacked(tmp_path, f"b.txt.{suffix}", b"no such data at all")


@pytest.mark.parametrize("name", ["a.log", "a.log.gz"])
def test_what_is_appended_after_the_checksum_is_not_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(ROWS) if name.endswith("gz") else ROWS)
    file = SourceFile.at(path, tmp_path)
    with path.open("ab") as log:
        log.write(gzip.compress(b"later") if name.endswith("gz") else b"later")
    with open_unpacked(file) as stream:
        assert stream.read() == ROWS


@pytest.mark.parametrize("other", [b"x" * len(ROWS), ROWS[:-5]])
def test_a_file_that_is_another_when_it_is_read_is_refused(tmp_path: Path, other: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(ROWS)
    file = SourceFile.at(path, tmp_path)
    path.write_bytes(other)
    told = r"a\.txt: changed while it was being read; run again when nothing writes to it"
    with pytest.raises(InputError, match=told), open_unpacked(file) as stream:
        stream.read()
