"""The store: atomic, bounded, shared by processes, and whole after a kill -9 in the middle of a put."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bark_serving.errors import InvalidRequest, StageFailed
from bark_serving.voices import VoiceLibrary, VoiceStore, content_hash, files
from tests.bark_serving.voices_data import SPEC, voice


@pytest.fixture
def store(tmp_path: Path) -> VoiceStore:
    return VoiceStore(tmp_path / "store")


def seen(folder: Path) -> dict[str, str]:
    """Names and hashes, as a process that has just started sees them."""
    library = VoiceLibrary([], spec=SPEC, store=VoiceStore(folder))
    return {name: content_hash(library.get(name)) for name in library.names()}


def other_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".npz")


def test_put_rename_and_delete(store: VoiceStore) -> None:
    assert seen(store.folder) == {}
    store.put("me", voice(1))
    store.put("team/you", voice(2))
    assert seen(store.folder) == {"me": content_hash(voice(1)), "team/you": content_hash(voice(2))}
    store.rename("team/you", "you")
    assert not (store.folder / "team").exists()
    store.delete("me")
    assert seen(store.folder) == {"you": content_hash(voice(2))}
    assert other_files(store.folder) == [".lock"]


def test_a_taken_name_needs_leave_to_be_overwritten(store: VoiceStore) -> None:
    store.put("me", voice(1))
    store.put("you", voice(2))
    with pytest.raises(InvalidRequest, match="there is a voice 'me' already"):
        store.put("me", voice(3))
    with pytest.raises(InvalidRequest, match="there is a voice 'me' already"):
        store.rename("you", "me")
    assert seen(store.folder)["me"] == content_hash(voice(1))
    store.rename("you", "me", overwrite=True)
    assert seen(store.folder) == {"me": content_hash(voice(2))}
    store.put("me", voice(3), overwrite=True)
    assert seen(store.folder) == {"me": content_hash(voice(3))}


def test_what_is_not_there_cannot_be_deleted_or_renamed(store: VoiceStore) -> None:
    for change in (lambda: store.delete("me"), lambda: store.rename("me", "you")):
        with pytest.raises(InvalidRequest, match="there is no voice 'me'"):
            change()


@pytest.mark.parametrize("name", ["../me", "/me", "a/../b", "a/b/c", "", ".", ".lock", "me.npz", "a\0b", "é", "x" * 65])
def test_names_that_are_path_tricks_are_refused_everywhere(store: VoiceStore, name: str, tmp_path: Path) -> None:
    store.put("good", voice())
    before = sorted(tmp_path.rglob("*"))
    for change in (
        lambda: store.put(name, voice()),
        lambda: store.delete(name),
        lambda: store.rename(name, "x"),
        lambda: store.rename("good", name),
    ):
        with pytest.raises(InvalidRequest, match="no voice name"):
            change()
    assert sorted(tmp_path.rglob("*")) == before


def test_the_store_is_bounded_in_voices_and_in_bytes(tmp_path: Path) -> None:
    few = VoiceStore(tmp_path / "few", max_voices=2)
    few.put("a", voice(1))
    few.put("x/b", voice(2))
    with pytest.raises(InvalidRequest, match="keeps at most 2 voices"):
        few.put("y/c", voice(3))
    with pytest.raises(InvalidRequest, match="keeps at most 2 voices"):
        few.check("y/c")
    few.check("a", overwrite=True)
    few.put("a", voice(3), overwrite=True)
    assert set(seen(few.folder)) == {"a", "x/b"} and other_files(few.folder) == [".lock"]
    assert not (few.folder / "y").exists()

    size = (few.folder / "a.npz").stat().st_size
    small = VoiceStore(tmp_path / "small", max_bytes=2 * size)
    small.put("a", voice(1))
    small.put("b", voice(2))
    with pytest.raises(InvalidRequest, match=r"keeps at most .* MiB of voices"):
        small.put("c", voice(3))
    small.put("b", voice(3), overwrite=True)
    small.delete("a")
    small.put("c", voice(4))
    assert set(seen(small.folder)) == {"b", "c"}


def test_a_full_disk_is_reported_and_leaves_the_old_voice(store: VoiceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("me", voice(1))

    def full(path: Path, arrays: object) -> int:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(StageFailed, match="No space left on device"):
        store.put("me", voice(2), overwrite=True)
    assert seen(store.folder) == {"me": content_hash(voice(1))}
    assert other_files(store.folder) == [".lock"]


WRITER = """
import sys
from pathlib import Path
from bark_serving.voices import VoiceStore, files
from tests.bark_serving.voices_data import voice

def pause(where):
    print(where, flush=True)
    sys.stdin.readline()

store = VoiceStore(Path(sys.argv[1]))
"""


@contextmanager
def writer(folder: Path, code: str) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that runs `code` with a store; killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER + code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


MOMENTS = {
    "half the file is written": "real = files.write\n"
    "def half(path, arrays):\n    path.write_bytes(b'PK half'); pause('now')\n"
    "files.write = half",
    "the file is written, not renamed": "real = files.write\n"
    "def whole(path, arrays):\n    size = real(path, arrays); pause('now'); return size\n"
    "files.write = whole",
    "the file is renamed, the folder not synced": "files.sync_folder = lambda folder: pause('now')",
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", ["me", "new", "folder/new"])
def test_a_writer_killed_during_a_put_leaves_the_old_voice_or_the_new(
    store: VoiceStore, moment: str, name: str
) -> None:
    store.put("me", voice(1))
    old = seen(store.folder)
    new = old | {name: content_hash(voice(2))}
    with writer(store.folder, f"{MOMENTS[moment]}\nstore.put({name!r}, voice(2), overwrite=True)") as process:
        assert wait_for_line(process) == "now"
        assert seen(store.folder) == (new if "renamed," in moment else old), "a half voice can be seen"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert seen(store.folder) == (new if "renamed," in moment else old)
    store.put("next", voice(3))  # the lock died with its holder
    assert other_files(store.folder) == [".lock"], "what the dead writer left is still there"
    assert seen(store.folder)["next"] == content_hash(voice(3))


ENDLESS = """
print("now", flush=True)
while True:
    for seed in (1, 2):
        store.put("me", voice(seed, tokens=20_000), overwrite=True)
        store.rename("me", "it", overwrite=True)
        store.put("me", voice(seed, tokens=20_000), overwrite=True)
"""


def test_writers_killed_at_any_moment_never_leave_a_broken_voice(store: VoiceStore) -> None:
    whole = {content_hash(voice(seed, tokens=20_000)) for seed in (1, 2)}
    for _ in range(6):
        with writer(store.folder, ENDLESS) as process:
            assert wait_for_line(process) == "now"
            with pytest.raises(subprocess.TimeoutExpired):  # it writes until it is killed
                process.wait(timeout=0.05 + int.from_bytes(os.urandom(1)) / 1000)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert set(seen(store.folder).values()) <= whole
    store.put("last", voice(1))
    assert other_files(store.folder) == [".lock"]


def test_a_reader_never_sees_a_half_voice_while_others_write(store: VoiceStore) -> None:
    whole = {content_hash(voice(seed, tokens=20_000)) for seed in (1, 2)}
    store.put("me", voice(1, tokens=20_000))
    library = VoiceLibrary([], spec=SPEC, store=store)
    with writer(store.folder, ENDLESS.replace('store.rename("me", "it", overwrite=True)', "")) as process:
        assert wait_for_line(process) == "now"
        found = [content_hash(library.get("me")) for _ in range(200)]
    assert set(found) <= whole


MANY = """
import os
for number in range(20):
    store.put(f"w{os.getpid()}-{number}", voice(number, tokens=10))
"""


def test_writers_of_several_processes_and_threads_take_turns(store: VoiceStore) -> None:
    with writer(store.folder, MANY) as one, writer(store.folder, MANY) as two:
        threads = [
            threading.Thread(target=_put_many, args=(VoiceStore(store.folder, max_voices=70), f"t{number}"))
            for number in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (one.wait(timeout=60), two.wait(timeout=60)) == (0, 0)
    assert len(seen(store.folder)) == 2 * 20 + 3 * 10
    assert other_files(store.folder) == [".lock"]


def _put_many(store: VoiceStore, prefix: str) -> None:
    for number in range(10):
        store.put(f"{prefix}-{number}", voice(number, tokens=10))


def test_only_one_of_many_writers_gets_a_free_name(store: VoiceStore) -> None:
    won: list[int] = []

    def put(number: int) -> None:
        try:
            VoiceStore(store.folder).put("me", voice(number))
        except InvalidRequest:
            return
        won.append(number)

    _together([lambda number=number: put(number) for number in range(8)])
    assert len(won) == 1 and seen(store.folder) == {"me": content_hash(voice(won[0]))}


def _together(calls: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
