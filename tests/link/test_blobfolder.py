from __future__ import annotations

import datetime
import hashlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadg.domain.errors import BlobRefused, NotFound
from nadg.link.blobfolder import FRESH_SECONDS, BlobFolder


class HandClock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.seconds, datetime.UTC)


def test_bytes_that_hash_to_another_name_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    folder = BlobFolder(tmp_path)
    name = hashlib.sha256(b"right").hexdigest()
    writer = folder.create()
    writer.write(b"wrong")
    with pytest.raises(BlobRefused, match=name):
        writer.commit(name)
    assert not folder.has(name)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "a" * 63, "A" * 64, "g" * 64, "/" * 64])
def test_what_is_no_hash_is_no_path(tmp_path: Path, name: str) -> None:
    folder = BlobFolder(tmp_path)
    assert not folder.has(name)
    with pytest.raises(NotFound):
        folder.path(name)


def test_an_absent_blob_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="0" * 64):
        BlobFolder(tmp_path).read("0" * 64)


def test_abort_keeps_nothing_and_is_harmless_after_commit(tmp_path: Path) -> None:
    folder = BlobFolder(tmp_path)
    with folder.create() as dropped:
        dropped.write(b"half")
    kept = folder.create()
    kept.write(b"whole")
    ref = kept.commit()
    kept.abort()
    assert folder.read(ref.sha256) == b"whole"
    assert list((tmp_path / "incoming").iterdir()) == []


@given(st.binary(max_size=2000))
@settings(max_examples=50)
def test_put_then_read(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = BlobFolder(tmp_path_factory.mktemp("blobs"))
    ref = folder.put(data)
    assert folder.put(data) == ref
    assert (folder.read(ref.sha256), ref.size) == (data, len(data))


def test_a_blob_is_read_only_and_adopting_leaves_the_file(tmp_path: Path) -> None:
    source = tmp_path / "reviews.csv"
    source.write_bytes(b"a,b\n" * 700_000)
    folder = BlobFolder(tmp_path / "blobs")
    ref = folder.adopt(source)
    assert source.exists()
    assert folder.path(ref.sha256).stat().st_mode & 0o777 == 0o444
    assert ref.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()


def test_least_recently_used_goes_first_but_pinned_and_fresh_stay(tmp_path: Path) -> None:
    clock = HandClock()
    folder = BlobFolder(tmp_path, max_bytes=250, clock=clock)
    pinned, used, unused = (folder.put(letter * 100).sha256 for letter in (b"p", b"u", b"x"))
    assert all(map(folder.has, (pinned, used, unused))), "what is fresh stays, even beyond the size"
    clock.seconds += FRESH_SECONDS + 1
    folder.path(used)
    with folder.pinned([pinned]):
        clock.seconds += FRESH_SECONDS + 1
        folder.put(b"n" * 100)
        assert [folder.has(one) for one in (pinned, used, unused)] == [True, False, False]
    assert folder.size_bytes == 200


def test_a_cache_knows_at_start_what_it_holds(tmp_path: Path) -> None:
    first = BlobFolder(tmp_path)
    old, new = first.put(b"o" * 100).sha256, first.put(b"n" * 100).sha256
    os.utime(first.path(old), (1, 1))
    again = BlobFolder(tmp_path, max_bytes=150)
    assert [again.has(old), again.has(new)] == [False, True]


def test_leftovers_of_a_killed_writer_go_and_those_of_a_living_one_stay(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from nadg.link.blobfolder import BlobFolder
        writer = BlobFolder(Path({str(tmp_path)!r})).create()
        writer.write(b"half")
        print("writing", flush=True)
        sys.stdin.read()
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"writing\n"
        BlobFolder(tmp_path)
        assert len(list((tmp_path / "incoming").iterdir())) == 1
        child.kill()
        child.wait()
    BlobFolder(tmp_path)
    assert list((tmp_path / "incoming").iterdir()) == []


def test_old_blobs_that_nobody_speaks_of_are_forgotten(tmp_path: Path) -> None:
    folder = BlobFolder(tmp_path)
    kept, old, again, young = (folder.put(text) for text in (b"kept", b"old", b"again", b"young"))
    for ref in (kept, old, again):
        os.utime(folder.path(ref.sha256), (1, 1))
    folder.put(b"again")
    assert folder.forget_older(3600, {kept.sha256}) == (1, 3)
    assert [folder.has(ref.sha256) for ref in (kept, old, again, young)] == [True, False, True, True]


def test_a_blob_that_somebody_asked_for_is_not_forgotten_right_after(tmp_path: Path) -> None:
    folder = BlobFolder(tmp_path)
    asked, other = folder.put(b"asked"), folder.put(b"other")
    for ref in (asked, other):
        os.utime(folder.path(ref.sha256), (1, 1))
    assert folder.has(asked.sha256)
    assert folder.forget_older(86_400, ()) == (1, 5)
    assert folder.path(asked.sha256).read_bytes() == b"asked"
