"""The check before a job, against stand-ins for servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bark_batch.checking import check_servers
from bark_client import InvalidRequest, ServerError
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
