"""The check before a job, against stand-ins for servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bark_batch.checking import check_servers
from bark_client import InvalidRequest, ServerError
from tests.client.fake_triton import Behaviour, FakeTriton, free_port, say_error


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
