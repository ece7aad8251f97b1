"""A text is written, heard, saved, and had again by code."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tests.bark_gateway.decoded import decode, integers
from tests.bark_gateway.page.browser import NO_WORKLET, Visit, visited
from tests.bark_gateway.page.fake_speech import CHUNKS, TEXT, at_once, speak_when, spoken
from tests.bark_gateway.served import Served
from tests.client.fake_triton import CHUNK, SAMPLE_RATE, FakeTriton, say_error


@pytest.mark.parametrize("way", ["audio worklet", "plain HTTP"])
def test_a_text_is_heard_while_the_rest_of_it_is_made(
    chromium: Browser, gateway: Served, triton: FakeTriton, way: str
) -> None:
    more = threading.Event()
    triton.plan.append(speak_when(more))
    scripts = () if way == "audio worklet" else (NO_WORKLET,)
    with visited(chromium, gateway.url, scripts=scripts) as visit:
        visit.say(TEXT)
        expect(visit.page.locator("#state")).to_have_text("Waiting for more")
        visit.hears(CHUNKS * CHUNK // 2)
        assert np.isin(visit.samples, spoken(2)[:CHUNK]).all()
        expect(visit.page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
        expect(visit.takes()).to_have_count(0)
        more.set()
        expect(visit.takes()).to_have_count(1)
        expect(visit.page.get_by_label("Text to speak")).to_be_visible()  # it was heard to its end
        visit.hears(CHUNKS * CHUNK * 3 // 4)
        assert np.isin(visit.samples, spoken(2)).all()


def test_a_take_says_its_verdict_and_its_seed_serves_again(visit: Visit, triton: FakeTriton) -> None:
    for verdict in ("good", "babble"):
        triton.plan.append(speak_when(at_once(), verdict=verdict))
        visit.say(TEXT)
        expect(visit.page.locator(".take .chip").first).to_have_text("good" if verdict == "good" else "doubtful")
    expect(visit.takes().first).to_contain_text("“How are you?” may say other words.")
    seed = visit.takes().first.get_by_role("button", name="seed")
    seed.click()
    visit.say(TEXT)
    expect(visit.takes()).to_have_count(3)
    used = [int(request["seed"]) for request in triton.requests]
    assert seed.inner_text() == f"seed {used[1]}"
    assert used[2] == used[1] != used[0]


def test_the_word_that_is_heard_is_marked(visit: Visit, triton: FakeTriton) -> None:
    triton.plan.append(speak_when(at_once(), pieces=("I have twenty-two cats.", "They sleep.")))
    visit.say("I have 22 cats. *They* sleep.")
    expect(visit.takes()).to_have_count(1)
    expect(visit.page.get_by_label("Text to speak")).to_be_visible()
    visit.page.get_by_label("Position").evaluate("(seek) => { seek.value = 0.85; seek.oninput(); }")
    visit.takes().get_by_role("button", name="Play:").click()
    marked = visit.page.locator("#reading .said")
    expect(marked.nth(3)).to_have_text("cats.")
    assert "22" in marked.all_inner_texts()


def test_a_take_is_saved_in_each_format_and_not_spoken_again(visit: Visit, triton: FakeTriton) -> None:
    triton.plan.append(speak_when(at_once()))
    visit.say(TEXT)
    visit.page.get_by_text("Save, or do it in code").click()
    for kind in ("mp3", "opus", "aac", "flac", "wav", "pcm"):
        with visit.page.expect_download() as saving:
            visit.page.get_by_role("group", name="Save as").get_by_role("button", name=kind).click()
        assert saving.value.suggested_filename.startswith("good-morning-how-are-you-")
        heard, sent = decode(Path(saving.value.path()).read_bytes(), format=kind), spoken(2)
        if kind in ("flac", "wav", "pcm"):
            np.testing.assert_array_equal(integers(heard), integers(sent))
        else:
            assert sent.size <= heard.size <= sent.size + 0.15 * SAMPLE_RATE
    assert len(triton.requests) == 1


@pytest.mark.parametrize("text", ["Hello.", "It's “odd” \\ `here` $HOME; [sighs] ♪ la 'la' ♪"])
def test_the_lines_of_code_do_what_the_take_did(visit: Visit, triton: FakeTriton, tmp_path: Path, text: str) -> None:
    visit.choose("v2/en_speaker_6")
    visit.page.get_by_role("button", name="Options").click()
    visit.page.get_by_label("Seed").fill(str(2**64 - 1))
    visit.page.get_by_label("Delivery").select_option("Lively")
    visit.page.get_by_label("Start sooner").check()
    visit.say(text)
    visit.page.get_by_text("Save, or do it in code").click()
    curl, python = visit.page.locator(".code pre").all_inner_texts()
    subprocess.run(["bash", "-euc", curl], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    by_curl = (tmp_path / "speech.mp3").read_bytes()
    exec(compile(python.replace("speech.mp3", str(tmp_path / "python.mp3")), "python", "exec"), {})
    assert by_curl == (tmp_path / "python.mp3").read_bytes()
    assert len(triton.requests) == 3
    for request in triton.requests[1:]:
        assert request == triton.requests[0]
    assert triton.requests[0]["seed"] == 2**64 - 1
    assert triton.requests[0]["latency"] == b"low"


def test_the_lines_of_code_of_a_take_without_a_voice_ask_for_none(
    visit: Visit, triton: FakeTriton, tmp_path: Path
) -> None:
    visit.say("Hello.")
    visit.page.get_by_text("Save, or do it in code").click()
    _, python = visit.page.locator(".code pre").all_inner_texts()
    exec(compile(python.replace("speech.mp3", str(tmp_path / "python.mp3")), "python", "exec"), {})
    assert len(triton.requests) == 2
    assert triton.requests[1] == triton.requests[0] and "voice" not in triton.requests[0]


def test_errors_are_shown_in_words(visit: Visit, triton: FakeTriton) -> None:
    problem = visit.page.get_by_role("alert")
    visit.say("  ")
    expect(problem).to_have_text("Write what should be said.")
    triton.plan.append(say_error("[INVALID_ARGUMENT] there is no voice 'nobody'; name another."))
    visit.say("[voice:nobody] Hello.")
    expect(problem).to_have_text("There is no voice 'nobody'; name another.")
    expect(visit.takes()).to_have_count(0)
    triton.plan.append(say_error("semantic: out of memory", after_chunks=1))
    visit.say(TEXT)
    expect(problem).to_contain_text("out of memory")
    expect(visit.takes().first).to_contain_text("broke off")
    triton.plan += [_unavailable] * 8
    visit.say(TEXT)
    expect(problem).to_contain_text("No speech server can take the request now.")
    visit.page.get_by_role("button", name="Options").click()
    visit.page.get_by_label("Seed").fill("one")
    visit.say(TEXT)
    expect(problem).to_contain_text("Seed: one is no whole number")


def test_the_page_sees_soon_that_a_server_is_back(visit: Visit) -> None:
    page, words = visit.page, visit.page.locator("#server-words")
    page.route("**/health/ready", lambda route: route.fulfill(status=503))
    page.reload()
    expect(words).to_have_text("No speech server")
    page.unroute("**/health/ready")
    expect(words).to_have_text("Ready", timeout=5_000)


def test_the_page_does_not_wait_for_ever_for_a_gateway_that_is_silent(visit: Visit) -> None:
    page, words = visit.page, visit.page.locator("#server-words")
    page.route("**/health/ready", lambda route: None)
    page.reload()
    expect(words).to_have_text("Looking for the server")
    expect(words).to_have_text("The gateway does not answer")
    page.unroute("**/health/ready")
    expect(words).to_have_text("Ready")


def test_a_hidden_page_looks_at_the_server_once_it_is_shown(visit: Visit) -> None:
    page, words = visit.page, visit.page.locator("#server-words")
    page.add_init_script(
        'window.covered = true; Object.defineProperty(document, "hidden", { get: () => window.covered });'
    )
    visit.asked.clear()
    page.reload()
    expect(words).to_have_text("Looking for the server")
    assert not [url for url in visit.asked if url.endswith("/health/ready")]
    page.evaluate('window.covered = false; document.dispatchEvent(new Event("visibilitychange"))')
    expect(words).to_have_text("Ready")


def _unavailable(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Iterator[Any]:
    context.abort(grpc.StatusCode.UNAVAILABLE, "as planned")
    yield
