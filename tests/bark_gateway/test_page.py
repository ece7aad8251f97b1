"""The page, used in a real browser: by mouse, by keyboard, with a key, with a microphone."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.utils import serialize_byte_tensor

from bark_client.audio import encode, pcm16
from bark_gateway.keys import Key, hashed
from tests.bark_gateway.decoded import decode, integers, tone
from tests.bark_gateway.served import Served, served
from tests.client.fake_triton import (
    CHUNK,
    SAMPLE_RATE,
    Behaviour,
    FakeTriton,
    chunk,
    final,
    hang,
    last_chunk,
    say_error,
)

pytest.importorskip("playwright", reason="the tests of the page need Playwright: pip install -e '.[dev]'")

from playwright.sync_api import Browser, expect

from tests.bark_gateway.browser import CHROMIUM, NO_WORKLET, Visit, browser, visited

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NOT TESTED: the page, because there is no Chromium (apt-get install chromium)"
)

CHUNKS = 8  #: of each piece but the last, 0.1 s each
PIECES = ("Good morning.", "How are you?")
TEXT = " ".join(PIECES)


KEEP_STREAMS = """
window.streams = [];
const get = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => { const stream = await get(wanted); streams.push(stream); return stream; };
"""  # noqa: E501
KEEP_NOTHING = """
for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture
def visit(chromium: Browser, gateway: Served) -> Iterator[Visit]:
    with visited(chromium, gateway.url) as one:
        yield one


def speak_when(more: threading.Event, *, verdict: str = "good", pieces: tuple[str, ...] = PIECES) -> Behaviour:
    """One piece of audio at once, the others when `more` is set."""

    def behave(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Iterator[Any]:
        for index, text in enumerate(pieces[:-1]):
            for _ in range(CHUNKS):
                yield chunk(index, len(pieces), report={"piece": text})
            while not (more.wait(0.02) or server.release.is_set()):
                continue
        message = last_chunk(inputs, len(pieces) - 1, len(pieces))
        yield with_pieces(message, pieces, verdict)
        yield final()

    return behave


def with_pieces(message: Any, pieces: tuple[str, ...], verdict: str) -> Any:
    """The last answer, with what became of each piece."""
    response = message.infer_response
    position = [output.name for output in response.outputs].index("report")
    first, last = CHUNKS * CHUNK / SAMPLE_RATE, CHUNK / SAMPLE_RATE
    more = {"verdict": verdict, "attempts": 1}
    told = [
        {"text": text, "start": index * first, "seconds": last if text == pieces[-1] else first, **more}
        for index, text in enumerate(pieces)
    ]
    report = json.loads(response.raw_output_contents[position][4:]) | {"pieces": told, "piece": pieces[-1]}
    packed = np.array([json.dumps(report).encode()], dtype=np.object_)
    response.raw_output_contents[position] = serialize_byte_tensor(packed).item()
    return message


def spoken(pieces: int) -> np.ndarray:
    """The samples that `speak_when` sends, as the page gets them. float32 [n]"""
    period = np.sin(np.arange(CHUNK) * 2 * np.pi * 220 / SAMPLE_RATE)
    chunks = [index for index in range(pieces - 1) for _ in range(CHUNKS)] + [pieces - 1]
    whole = np.concatenate([period * (index + 1) / (pieces + 1) for index in chunks])
    return np.frombuffer(pcm16(whole.astype(np.float32)), "<i2").astype(np.float32) / 32768


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
        triton.plan.append(speak_when(_set(), verdict=verdict))
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
    triton.plan.append(speak_when(_set(), pieces=("I have twenty-two cats.", "They sleep.")))
    visit.say("I have 22 cats. *They* sleep.")
    expect(visit.takes()).to_have_count(1)
    expect(visit.page.get_by_label("Text to speak")).to_be_visible()
    visit.page.get_by_label("Position").evaluate("(seek) => { seek.value = 0.85; seek.oninput(); }")
    visit.takes().get_by_role("button", name="Play:").click()
    marked = visit.page.locator("#reading .said")
    expect(marked.nth(3)).to_have_text("cats.")
    assert "22" in marked.all_inner_texts()


def test_a_take_is_saved_in_each_format_and_not_spoken_again(visit: Visit, triton: FakeTriton) -> None:
    triton.plan.append(speak_when(_set()))
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
    subprocess.run(["bash", "-euc", curl], cwd=tmp_path, check=True, capture_output=True, timeout=30)
    by_curl = (tmp_path / "speech.mp3").read_bytes()
    exec(compile(python.replace("speech.mp3", str(tmp_path / "python.mp3")), "python", "exec"), {})
    assert by_curl == (tmp_path / "python.mp3").read_bytes()
    assert len(triton.requests) == 3
    for request in triton.requests[1:]:
        assert request == triton.requests[0]
    assert triton.requests[0]["seed"] == 2**64 - 1
    assert triton.requests[0]["latency"] == b"low"


def test_a_voice_is_cloned_from_a_file_used_and_deleted(visit: Visit, triton: FakeTriton, tmp_path: Path) -> None:
    clip = tmp_path / "me.wav"
    clip.write_bytes(_wav(tone(2.0)))
    page = visit.page
    page.get_by_role("button", name="Voice:").click()
    page.get_by_text("Clone a voice").click()
    page.get_by_role("button", name="Clone", exact=True).click()
    expect(page.locator("#clone-problem")).to_have_text("Choose a recording, or record one.")
    page.get_by_label("Choose a file").set_input_files(clip)
    page.get_by_label("Name").fill("anna")
    page.get_by_role("button", name="Clone", exact=True).click()
    expect(page.locator("#clone-problem")).to_have_text("Say that the speaker agreed.")
    page.get_by_label("The speaker agreed to it.").check()
    page.get_by_role("button", name="Clone", exact=True).click()
    expect(page.get_by_role("radio", name="anna")).to_be_checked()
    assert "anna" in triton.voices.stored
    page.get_by_role("button", name="Close").click()
    visit.say("Hello.")
    expect(visit.takes()).to_have_count(1)
    assert triton.requests[0]["voice"] == b"anna"
    page.get_by_role("button", name="Voice: anna").click()
    page.get_by_role("button", name="Delete anna").click()
    page.get_by_role("button", name="Delete anna for good?").click()
    expect(page.get_by_role("radio", name="Any speaker")).to_be_checked()
    assert "anna" not in triton.voices.stored


def test_a_voice_is_cloned_from_the_microphone(visit: Visit, triton: FakeTriton) -> None:
    page = visit.page
    page.get_by_role("button", name="Voice:").click()
    page.get_by_text("Clone a voice").click()
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_text("Recording: 1 s of at most 30 s")).to_be_visible()
    page.get_by_role("button", name="Stop").last.click()
    page.get_by_label("Name").fill("mike")
    page.get_by_label("The speaker agreed to it.").check()
    page.get_by_role("button", name="Clone", exact=True).click()
    expect(page.locator("#voice-problem")).to_contain_text("Mike is there, and chosen.")
    assert "mike" in triton.voices.stored


def test_the_microphone_is_off_once_the_dialog_is_closed(chromium: Browser, gateway: Served) -> None:
    with visited(chromium, gateway.url, scripts=(KEEP_STREAMS,)) as visit:
        page = visit.page
        page.get_by_role("button", name="Voice:").click()
        page.get_by_text("Clone a voice").click()
        page.get_by_role("button", name="Record").click()
        expect(page.get_by_text("Recording: 0 s of at most 30 s")).to_be_visible()
        assert page.evaluate("() => streams[0].active")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        assert not page.evaluate("() => streams[0].active")


def test_a_browser_that_keeps_nothing_speaks_too(chromium: Browser, triton: FakeTriton) -> None:
    keys = [Key(name="one", sha256=hashed("secret"))]
    with served(triton.url, keys=keys) as gateway, visited(chromium, gateway.url, scripts=(KEEP_NOTHING,)) as visit:
        dialog = visit.page.get_by_role("dialog", name="API key")
        dialog.get_by_label("Key", exact=True).fill("secret")
        dialog.get_by_role("button", name="Use it").click()
        visit.say("Hello.")
        expect(visit.takes()).to_have_count(1)


def test_a_voice_is_heard_in_the_list(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Voice:").click()
    button = visit.page.get_by_role("button", name="Hear v2/en_speaker_6")
    with visit.page.expect_response("**/preview") as answer:
        button.click()
    assert answer.value.ok
    expect(button.locator("use")).to_have_attribute("href", "#i-stop")


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


def test_the_page_is_used_by_keyboard_alone(visit: Visit, triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=1))
    page = visit.page
    expect(page.get_by_label("Text to speak")).to_be_focused()
    page.keyboard.type(TEXT)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#state")).to_have_text("Waiting for more")
    page.keyboard.press("Escape")
    assert triton.cancelled.acquire(timeout=10)  # the work on the server has stopped
    expect(visit.takes().first).to_contain_text("stopped")
    reached = []
    page.get_by_label("Text to speak").focus()
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.locator(":focus").get_attribute("id") or page.locator(":focus").get_attribute("class"))
    assert reached == ["voice-open", "options-open", "speak", "seek", "play", "round again"]


def test_the_page_asks_for_the_key_that_the_gateway_needs(chromium: Browser, triton: FakeTriton) -> None:
    keys = [Key(name="one", sha256=hashed("secret"))]
    with served(triton.url, keys=keys) as gateway, visited(chromium, gateway.url) as visit:
        dialog = visit.page.get_by_role("dialog", name="API key")
        for given, words in (("wrong", "This gateway needs an API key."), ("secret", "The API key is not known")):
            expect(dialog).to_contain_text(words)
            dialog.get_by_label("Key", exact=True).fill(given)
            dialog.get_by_role("button", name="Use it").click()
        expect(dialog).to_be_hidden()
        visit.say("Hello.")
        expect(visit.takes()).to_have_count(1)
        visit.page.get_by_text("Save, or do it in code").click()
        assert "$BARK_KEY" in visit.page.locator(".code pre").first.inner_text()
        assert "secret" not in visit.page.locator("#takes").inner_text()


def test_a_long_text_fits_on_a_narrow_phone(chromium: Browser, gateway: Served) -> None:
    text = "Many words, and no full stop, " * 40 + "Donaudampfschifffahrtsgesellschaftskapitaensmuetzenabzeichen" * 2
    with visited(chromium, gateway.url, viewport={"width": 320, "height": 600}) as visit:
        visit.page.get_by_label("Text to speak").fill(text)
        visit.page.get_by_role("button", name="Options").click()
        assert visit.page.evaluate("() => document.documentElement.scrollWidth") == 320
        visit.say(text)
        expect(visit.takes()).to_have_count(1)
        visit.page.get_by_text("Save, or do it in code").click()
        assert visit.page.evaluate("() => document.documentElement.scrollWidth") == 320


@pytest.mark.parametrize(("scheme", "width"), [("light", 1100), ("dark", 390)])
def test_axe_finds_nothing_that_keeps_people_out(
    chromium: Browser, gateway: Served, triton: FakeTriton, scheme: Any, width: int
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    view = {"width": width, "height": 844}
    with visited(chromium, gateway.url, color_scheme=scheme, viewport=view, reduced_motion="reduce") as visit:
        page, found = visit.page, []

        def look(where: str) -> None:
            found.extend(
                f"{where}: {one['id']} {one['nodes'][0]['html']}" for one in axe.run(page).response["violations"]
            )

        look("empty")
        more = threading.Event()
        triton.plan += [speak_when(more, verdict="babble"), say_error("no", after_chunks=1)]
        visit.say(TEXT)
        expect(page.locator("#state")).to_have_text("Waiting for more")
        look("speaking")
        more.set()
        expect(visit.takes()).to_have_count(1)
        expect(page.get_by_role("button", name="Speak", exact=True)).to_be_visible()
        visit.say(TEXT)
        expect(visit.takes()).to_have_count(2)
        page.get_by_role("button", name="Options").click()
        page.get_by_text("Save, or do it in code").first.click()
        look("takes, options and an error")
        page.get_by_role("button", name="Voice:").click()
        page.get_by_text("Clone a voice").click()
        page.get_by_role("button", name="Clone", exact=True).click()
        look("voices")
    assert found == []


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def _unavailable(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Iterator[Any]:
    context.abort(grpc.StatusCode.UNAVAILABLE, "as planned")
    yield


def _wav(samples: np.ndarray) -> bytes:
    return encode(samples, sample_rate=SAMPLE_RATE)
