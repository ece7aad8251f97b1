"""A real Chromium, without a window, that looks at a gateway's page. What reaches its loudspeaker is kept."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

#: Debian's, or a distribution's other names of it. Playwright's own browsers would be a download.
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = (
    "--no-sandbox",  # tests may run as root
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",  # a microphone that beeps
)
WAIT_MS = 60_000  # a shared machine may stand still for a while
expect.set_options(timeout=WAIT_MS)

#: Everything that is connected to the loudspeaker also reaches a tap, which hands its samples to the test.
TAP = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...more) {
  if (to instanceof AudioDestinationNode) {
    const tap = to.context.createScriptProcessor(1024, 1, 1);
    tap.onaudioprocess = ({ inputBuffer }) => {
      const samples = Array.from(inputBuffer.getChannelData(0));
      if (samples.some(Boolean)) heardByTest(samples);
    };
    window.taps = [...(window.taps ?? []), tap];
    connect.call(this, tap);
    connect.call(tap, to);
  }
  return connect.call(this, to, ...more);
};
"""
#: As on a page that came over plain HTTP from another machine.
NO_WORKLET = "Object.defineProperty(BaseAudioContext.prototype, 'audioWorklet', { get: () => undefined });"


@dataclass
class Visit:
    """One page in a browser, and what was heard and said there."""

    page: Page
    url: str
    heard: list[float] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  #: URLs
    complaints: list[str] = field(default_factory=list)  #: errors in the console

    @property
    def samples(self) -> np.ndarray:
        """What reached the loudspeaker, without silence. float32 [n]"""
        return np.array([sample for sample in self.heard if sample], dtype=np.float32)

    def say(self, text: str) -> None:
        self.page.get_by_label("Text to speak").fill(text)
        self.page.get_by_role("button", name="Speak", exact=True).click()

    def hears(self, samples: int) -> None:
        """Wait until so many samples have reached the loudspeaker."""
        deadline = time.monotonic() + WAIT_MS / 1000
        while self.samples.size < samples:
            assert time.monotonic() < deadline, f"{self.samples.size} of {samples} samples were heard"
            self.page.wait_for_timeout(20)  # lets the browser's events in

    def takes(self) -> Any:
        return self.page.locator("#takes > li")

    def choose(self, voice: str) -> None:
        self.page.get_by_role("button", name="Voice:").click()
        self.page.get_by_role("radio", name=voice).check()
        self.page.get_by_role("button", name="Close").click()


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield running
        running.close()


@contextmanager
def visited(browser: Browser, url: str, *, scripts: tuple[str, ...] = (), **options: Any) -> Iterator[Visit]:
    """Open the page. On leaving, no script has failed and nothing came from elsewhere."""
    context: BrowserContext = browser.new_context(**options)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    visit = Visit(page, url)
    page.expose_function("heardByTest", lambda samples: visit.heard.extend(samples))
    for script in (TAP, *scripts):
        page.add_init_script(script)
    page.on("request", lambda request: visit.asked.append(request.url))
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.on("console", lambda message: visit.complaints.append(message.text) if message.type == "error" else None)
    page.goto(url)
    page.locator("#server[data-state=ready]").wait_for()
    yield visit
    context.close()
    assert [one for one in visit.asked if not one.startswith((url, "blob:", "data:"))] == []
    assert [one for one in visit.complaints if "the server responded with a status of" not in one] == []
