"""The check before a job, against stand-ins for servers."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bark_batch.checking import check_servers
from bark_client import InvalidRequest, ServerError
from bark_client.cli.main import app
from tests.client.fake_triton import Behaviour, FakeTriton, free_port, say_error
from tests.client.fake_voices import arrays_of, hash_of


@pytest.fixture
def server() -> Iterator[Callable[..., FakeTriton]]:
    servers: list[FakeTriton] = []

    def start(*plan: Behaviour) -> FakeTriton:
        servers.append(FakeTriton())
        servers[-1].plan.extend(plan)
        return servers[-1]

    yield start
    for one in servers:
        one.close()


@pytest.mark.parametrize("words", ["[DEADLINE_EXCEEDED] a stage took too long", "[INTERNAL] the fine stage failed"])
def test_a_job_begins_without_a_server_that_fails(server: Callable[..., FakeTriton], words: str) -> None:
    bad, good, gone = server(say_error(words)), server(), f"127.0.0.1:{free_port()}"
    found = check_servers([bad.url, gone, good.url], voice=None, options={})
    assert list(found.silent) == [bad.url, gone] and found.silent[bad.url] in words


def test_without_any_server_the_first_failure_is_told(server: Callable[..., FakeTriton]) -> None:
    urls = [server(say_error("[INTERNAL] it broke")).url, f"127.0.0.1:{free_port()}"]
    with pytest.raises(ServerError, match="it broke"):
        check_servers(urls, voice=None, options={})


def test_a_wrong_option_is_told_by_any_server(server: Callable[..., FakeTriton]) -> None:
    wrong = server(say_error("[INVALID_ARGUMENT] top_k: -1 is below 1"))
    with pytest.raises(InvalidRequest, match="top_k"):
        check_servers([server().url, wrong.url], voice=None, options={})


def test_voices_of_a_job_are_told_by_their_hashes_and_those_that_no_server_has_are_left_out(
    server: Callable[..., FakeTriton],
) -> None:
    one, other = server(), server()
    other.voices.stored["joe"] = arrays_of(75)
    found = check_servers([one.url, other.url], voice=None, options={})
    assert found.hashes({"me", "joe", "nobody"}) == {"me": hash_of(arrays_of(150)), "joe": hash_of(arrays_of(75))}


def test_servers_with_different_voices_of_one_name_are_refused_where_the_job_names_it(
    server: Callable[..., FakeTriton],
) -> None:
    one, other = server(), server()
    other.voices.stored["me"] = arrays_of(75)
    found = check_servers([one.url, other.url], voice=None, options={})
    assert list(found.hashes({"v2/en_speaker_6"})) == ["v2/en_speaker_6"]
    with pytest.raises(InvalidRequest, match=f"{one.url} and {other.url} have different voices of the name me"):
        found.hashes({"me"})


@pytest.mark.parametrize("built_in", [False, True], ids=["stored", "built in at the other server"])
def test_the_commands_of_the_refusal_give_both_servers_one_voice_and_change_no_other(
    server: Callable[..., FakeTriton], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built_in: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    one, other = server(), server()
    one.voices.stored |= {"joe": arrays_of(75), "v2/joe": arrays_of(150)}
    other.voices.stored["joe"] = arrays_of(75)
    (other.voices.built_in if built_in else other.voices.stored)["v2/joe"] = arrays_of(225)
    found = check_servers([one.url, other.url], voice=None, options={})
    with pytest.raises(InvalidRequest) as refused:
        found.hashes({"v2/joe"})
    for command in re.findall("`(bark .*?)`", str(refused.value)):
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        assert result.exit_code == 0, result.output
    assert found.hashes({"joe"}) == {"joe": hash_of(arrays_of(75))}
    assert found.hashes({"v2/joe"}) == {"v2/joe": hash_of(arrays_of(225 if built_in else 150))}


def test_for_different_built_in_voices_the_refusal_names_the_bundle(server: Callable[..., FakeTriton]) -> None:
    one, other = server(), server()
    other.voices.built_in["v2/en_speaker_6"] = arrays_of(75)
    found = check_servers([one.url, other.url], voice=None, options={})
    with pytest.raises(InvalidRequest, match=r"start both servers with the same bundle and --voices$"):
        found.hashes({"v2/en_speaker_6"})


def test_a_server_is_asked_for_its_voices_only_if_the_job_names_some(server: Callable[..., FakeTriton]) -> None:
    broken = server()
    broken.voices.rows = [b"no JSON"]
    found = check_servers([broken.url], voice=None, options={})
    assert found.hashes([]) == found.hashes(["sha256:0123456789ab"]) == {}
    with pytest.raises(ServerError, match=f"the server at {broken.url} cannot list its voices .*: see its log"):
        found.hashes(["me"])
