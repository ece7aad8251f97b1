"""A browser for the tests of a module, and a visit of the page for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.bark_gateway.page.browser import CHROMIUM, Visit, browser, visited
from tests.bark_gateway.served import Served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("NOT TESTED: the page, because there is no Chromium (apt-get install chromium)")
    with browser() as running:
        yield running


@pytest.fixture
def visit(chromium: Browser, gateway: Served) -> Iterator[Visit]:
    with visited(chromium, gateway.url) as one:
        yield one
