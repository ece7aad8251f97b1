"""Nobody is kept out: by keyboard, on a phone, with a screen reader, with a key, with a careful browser."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from bark_gateway.keys import Key, hashed
from tests.bark_gateway.page.browser import Visit, visited
from tests.bark_gateway.page.fake_speech import TEXT, speak_when
from tests.bark_gateway.served import Served, served
from tests.client.fake_triton import FakeTriton, hang, say_error

KEEP_NOTHING = """
for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });
"""


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
    axe = Axe()
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


def test_a_browser_that_keeps_nothing_speaks_too(chromium: Browser, triton: FakeTriton) -> None:
    keys = [Key(name="one", sha256=hashed("secret"))]
    with served(triton.url, keys=keys) as gateway, visited(chromium, gateway.url, scripts=(KEEP_NOTHING,)) as visit:
        dialog = visit.page.get_by_role("dialog", name="API key")
        dialog.get_by_label("Key", exact=True).fill("secret")
        dialog.get_by_role("button", name="Use it").click()
        visit.say("Hello.")
        expect(visit.takes()).to_have_count(1)
