"""Whole jobs on a Ray cluster of two nodes on this machine, of which one is killed."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from bark_batch.cli import app
from bark_batch.folder import Folder
from bark_batch.rows import Columns
from bark_batch.speaking import Manner
from bark_batch.wanted import Wanted
from bark_client import InvalidRequest
from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.profiles import TABLE
from tests.bark_batch.servers import CountingServer
from tests.bark_batch.test_speaking import OneSlot
from tests.client.fake_voices import arrays_of

ray = pytest.importorskip("ray", reason="bark-batch's tests on Ray need it: pip install 'ray[data]' 'pandas<3'")

from bark_batch import job as jobs  # noqa: E402 - these need Ray
from bark_batch import running  # noqa: E402
from bark_batch.shard_speaker import Orders, ShardSpeaker  # noqa: E402

SLOTS = 3  #: of each server
_NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}


class TwoNodes:
    """A cluster whose nodes have room for one worker each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args=_NODE)
        self._second: Any = None
        self.heal()
        ray.init(address=self._cluster.address, log_to_driver=False)

    def kill_one(self) -> None:
        """Kill the second node, with the worker on it."""
        second, self._second = self._second, None
        self._cluster.remove_node(second, allow_graceful=False)

    def heal(self) -> None:
        """Let another one join."""
        self._second = self._second or self._cluster.add_node(**_NODE)

    def close(self) -> None:
        ray.shutdown()
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    nodes = TwoNodes()
    yield nodes
    nodes.close()


@pytest.fixture
def servers() -> Iterator[list[CountingServer]]:
    both = [CountingServer(seconds=0.08), CountingServer(seconds=0.08)]
    yield both
    for server in both:
        server.close()


def wanted(folder: Path, texts: Sequence[str], *, urls: list[str], shard_rows: int, voice: str | None = None) -> Wanted:
    """A job of these texts, and of one row that is wrong."""
    table = folder / "texts.jsonl"
    table.write_text("".join(f'{{"text": "{text}"}}\n' for text in texts) + '{"text": "?"}\n')
    return Wanted(
        inputs=[table], output=folder / "out", columns=Columns(), voice=voice, seed=None, format="flac", tokens=True,
        shard_rows=shard_rows, options={}, resume=False, servers=urls, slots=SLOTS, workers=None, address=None,
        patience=60.0, timeout=None, answer_timeout=60.0,
    )  # fmt: skip


def killed_in_the_middle(what: Wanted, cluster: TwoNodes, *, after: int) -> tuple[jobs.Result, set[int]]:
    """Do a job; kill a node once so many shards are done. Returns the result, and the shards that were done then."""
    folder, done = Folder(what.output), set[int]()

    def kill() -> None:
        while len(done) < after:
            time.sleep(0.02)
            done.update(folder.accounts())
        cluster.kill_one()

    cluster.heal()
    killer = threading.Thread(target=kill)
    killer.start()
    result = jobs.run(what, Console(file=io.StringIO()))
    killer.join()
    return result, done


def assert_as_undisturbed(what: Wanted, url: str, *, voice: str | None = None) -> list[dict[str, Any]]:
    """Every file is byte by byte what one process without Ray makes. Returns the rows."""
    import pyarrow.parquet

    folder, alone = Folder(what.output), Folder(what.output.with_name("alone"))
    job = folder.job()
    manner = Manner(job.checkpoint, job.sample_rate, job.format, {"return_tokens": True}, voice, voice)
    speaker = ShardSpeaker(Orders(alone.path, job, manner, SLOTS), Counting(url))
    rows = []
    for shard in range(job.shards):
        alone.write_rows_of(shard, folder.rows(shard))
        speaker.speak(shard)
        paths = [one.data(shard, shards=job.shards) for one in (folder, alone)]
        assert paths[0].read_bytes() == paths[1].read_bytes()
        rows += pyarrow.parquet.read_table(paths[0]).to_pylist()
    assert len(list((what.output / "data").iterdir())) == job.shards
    assert [row["id"] for row in rows] == [str(number) for number in range(job.rows)]
    return rows


class Counting(OneSlot):
    """A desk without limits."""

    def give(self, slot: object, *, problem: str = "") -> None:
        self.problems.append(problem)

    def begin(self, shard: int) -> None:
        pass

    def count(self, shard: int, *, failed: bool, seconds: float) -> None:
        pass


@pytest.mark.timeout(180)
def test_a_killed_node_loses_nothing_and_makes_nothing_twice(
    cluster: TwoNodes, servers: list[CountingServer], tmp_path: Path
) -> None:
    texts = [f"This is row {number}." for number in range(167)]
    what = wanted(tmp_path, texts, urls=[server.url for server in servers], shard_rows=12)
    result, done = killed_in_the_middle(what, cluster, after=3)
    assert result.spoken and any(line.startswith("failed rows: 1.") for line in result.lines)
    assert [server.most for server in servers] == [SLOTS, SLOTS]  # never more, and all of them were used
    finished = servers[0].finished + servers[1].finished
    kept = {f"This is row {row}." for shard in done for row in range(12 * shard, 12 * shard + 12)}
    assert all(finished[text] == 1 for text in kept)
    assert sum(finished.values()) - len(texts) - 2 <= 4 * 12  # two checks, and at most the shards under way once more
    rows = assert_as_undisturbed(what, servers[0].url)
    assert [row["error"] for row in rows if row["error"]] == ["text: it has no word to speak"]
    before = sum(servers[0].finished.values())
    again = jobs.run(replace(what, resume=True), Console(file=io.StringIO()))
    assert again.lines[0] == "nothing is left to do" and sum(servers[0].finished.values()) == before + 1  # a check


@pytest.mark.timeout(180)
def test_a_job_whose_voice_was_replaced_is_not_resumed_until_the_former_one_is_back(
    cluster: TwoNodes, servers: list[CountingServer], tmp_path: Path
) -> None:
    what = wanted(tmp_path, ["One.", "Two. [voice:v2/en_speaker_6] Three."], urls=[servers[0].url], shard_rows=1)
    what = replace(what, voice="me")
    jobs.run(what, Console(file=io.StringIO()))
    assert sorted(Folder(what.output).job().voices) == ["me", "v2/en_speaker_6"]
    (what.output / "_job/done/00001.json").unlink()
    voices = servers[0].voices
    for known, name in ((voices.stored, "me"), (voices.built_in, "v2/en_speaker_6")):
        former, known[name] = known[name], arrays_of(75)
        with pytest.raises(InvalidRequest, match=f"the servers' voice {name} was replaced after it began"):
            jobs.run(replace(what, resume=True), Console(file=io.StringIO()))
        known[name] = former
    assert jobs.run(replace(what, resume=True), Console(file=io.StringIO())).spoken


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_a_wrong_command_line_is_one_sentence_and_leaves_nothing(servers: list[CountingServer], tmp_path: Path) -> None:
    table, out = tmp_path / "texts.csv", tmp_path / "out"
    table.write_text("text\nA.\n")
    url = servers[0].url
    for arguments, words in [
        ((table, "--text-column", "words"), "it has no column 'words'; its columns are: text"),
        ((table, "--voice", "none.npz"), "voice none.npz: no such file"),
        ((table, "--server", "no-port"), "expected host:port"),
    ]:
        code, output = run(*arguments, "-o", out, *([] if "--server" in arguments else ["--server", url]))
        assert (code, "error: " in output, words in output) == (2, True, True), output
        assert not out.exists()
    out.mkdir()
    (out / "mine").touch()
    code, output = run(table, "-o", out, "--server", url)
    assert code == 2 and "is not an empty folder" in output


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_node_costs_nothing_with_two_real_servers(cluster: TwoNodes, tmp_path: Path) -> None:
    from tests.system.conftest import real_server

    sentences = (Path(__file__).parents[1] / "data/miniature/unseen.txt").read_text().splitlines()[:60]
    with contextlib.ExitStack() as stack:
        urls = [
            stack.enter_context(
                real_server(Bundle(MINIATURE), tmp_path / name, precision=TABLE["cpu"].precision, suno_voices=False)
            ).url
            for name in ("one", "two")
        ]
        what = wanted(tmp_path, sentences, urls=urls, shard_rows=8, voice="joe")
        result, _ = killed_in_the_middle(what, cluster, after=2)
        assert result.spoken
        rows = assert_as_undisturbed(what, urls[0], voice="joe")
        assert [row["error"] for row in rows if row["error"]] == ["text: it has no word to speak"]


class SlowRay:
    """A Ray that does not start in time at first."""

    def __init__(self, failures: int) -> None:
        self.failures, self.starts, self.ends = failures, 0, 0

    def init(self, **_: object) -> None:
        self.starts += 1
        if self.starts <= self.failures:
            raise Exception("The current node timed out during startup.")

    def shutdown(self) -> None:
        self.ends += 1


def test_a_local_ray_that_does_not_start_in_time_is_started_again() -> None:
    slow = SlowRay(failures=2)
    running.init(slow, address="local")
    assert (slow.starts, slow.ends) == (3, 2)
    with pytest.raises(Exception, match="timed out during startup"):
        running.init(SlowRay(failures=3), address="local")
    remote = SlowRay(failures=1)
    with pytest.raises(Exception, match="timed out during startup"):
        running.init(remote, address="head:6379")
    assert remote.starts == 1
