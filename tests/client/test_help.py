"""What `help()` says of the four ways to ask for speech."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import bark_client
from bark_client import AsyncBarkClient, BarkClient, SpeakOptions

METHODS = [BarkClient.speak, BarkClient.stream, AsyncBarkClient.speak, AsyncBarkClient.stream]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__qualname__)
def test_help_explains_every_argument_and_its_default(method: Callable[..., object]) -> None:
    signature = inspect.signature(method).parameters
    named = [name for name in signature if name not in ("self", "options")]
    section = (inspect.getdoc(method) or "").partition("\nArgs:\n")[2].partition("\nRaises:\n")[0]
    entries = dict(re.findall(r"^    (\w+): (.+?)(?=^    \w|\Z)", section, re.MULTILINE | re.DOTALL))
    assert list(entries) == [*named, *SpeakOptions.__annotations__]
    assert [name for name, text in entries.items() if name != "text" and "Default: " not in text] == []


def test_examples_name_voices_that_the_miniature_has() -> None:
    voices = {path.stem for path in (Path(__file__).parents[2] / "bark_serving/miniature/voices").glob("*.npz")}
    texts = [bark_client.__doc__, BarkClient.__doc__, BarkClient.speak.__doc__, AsyncBarkClient.speak.__doc__]
    for text in texts:
        assert set(re.findall(r'voice="([^"]+)"', text or "")) <= voices
    assert voices == {"joe", "jo"} and "v2/en_speaker_9" in (BarkClient.speak.__doc__ or "")
