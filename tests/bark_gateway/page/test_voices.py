"""Voices are heard, cloned from a file and from the microphone, and deleted."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from bark_client.audio import encode
from tests.bark_gateway.decoded import tone
from tests.bark_gateway.page.browser import Visit, visited
from tests.bark_gateway.served import Served
from tests.client.fake_triton import SAMPLE_RATE, FakeTriton

KEEP_STREAMS = """
window.streams = [];
const get = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => { const stream = await get(wanted); streams.push(stream); return stream; };
"""  # noqa: E501

#: The browser's question, whether the page may hear the microphone, stays open until `allow()` is called.
ASK_FIRST = """
const allowed = new Promise((resolve) => { window.allow = resolve; });
const heard = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => { await allowed; return heard(wanted); };
"""

#: Keeps each icon that a button of the list changes to. One that a short sound shows is gone before a slow test looks.
NOTE_ICONS = """
const icons = [];
new MutationObserver((changes) => {
  icons.push(...changes.map((change) => change.target.getAttribute("href")));
  document.body.dataset.icons = icons.join(" ");
}).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["href"] });
"""


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
    expect(page.get_by_text(re.compile(r"Recording: [1-9]\d* s of at most 30 s"))).to_be_visible()
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
        expect(page.get_by_text(re.compile(r"Recording: \d+ s of at most 30 s"))).to_be_visible()
        assert page.evaluate("() => streams[0].active")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        page.wait_for_function("() => !streams[0].active")  # the browser tells the page of the closing a moment later


def test_the_microphone_is_off_if_the_dialog_was_closed_before_the_browser_allowed_it(
    chromium: Browser, gateway: Served
) -> None:
    with visited(chromium, gateway.url, scripts=(KEEP_STREAMS, ASK_FIRST)) as visit:
        page = visit.page
        page.get_by_role("button", name="Voice:").click()
        page.get_by_text("Clone a voice").click()
        record = page.get_by_role("button", name="Record")
        record.click()
        record.click()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        page.evaluate("() => allow()")
        page.wait_for_function("() => streams.length === 1 && !streams[0].active")


def test_a_voice_is_heard_in_the_list(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Voice:").click()
    visit.page.evaluate(NOTE_ICONS)
    with visit.page.expect_response("**/preview") as answer:
        visit.page.get_by_role("button", name="Hear v2/en_speaker_6").click()
    assert answer.value.ok
    expect(visit.page.locator("body")).to_have_attribute("data-icons", "#i-stop #i-play")  # the sound has an end


@pytest.mark.parametrize("status", [401, 503])
def test_the_chosen_voice_stays_while_voices_can_not_be_listed(visit: Visit, status: int) -> None:
    page, chosen = visit.page, visit.page.get_by_role("button", name="Voice: v2/en_speaker_6")
    visit.choose("v2/en_speaker_6")
    refusal = {"error": {"message": "not now.", "type": "server_error", "param": None, "code": None}}
    page.route("**/v1/audio/voices", lambda route: route.fulfill(status=status, json=refusal))
    with page.expect_response("**/v1/audio/voices"):
        page.reload()
    if status == 401:
        page.get_by_role("dialog", name="API key").press("Escape")
    chosen.click()
    if status == 401:
        page.get_by_role("dialog", name="API key").press("Escape")
    expect(page.locator("#voice-problem")).to_have_text("Not now.")
    page.unroute("**/v1/audio/voices")
    page.reload()
    chosen.click()
    expect(page.get_by_role("radio", name="v2/en_speaker_6")).to_be_checked()


def _wav(samples: np.ndarray) -> bytes:
    return encode(samples, sample_rate=SAMPLE_RATE)
