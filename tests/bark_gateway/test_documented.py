"""Each block of Python in the README and in the pages for users runs as it stands there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bark_gateway.served import Served
from tests.client.fake_triton import FakeTriton
from tests.speech import CLIP

ROOT = Path(__file__).parents[2]
TEXTS = ["README.md", "client/README.md", "docs/client.md", "docs/gateway.md", "docs/long-texts.md", "docs/voices.md"]
_BLOCK = re.compile(r"(?ms)^```python\n(?P<lines>.*?)^```$")
BLOCKS = [
    pytest.param(block["lines"], id=f"{name}-{number}")
    for name in TEXTS
    for number, block in enumerate(_BLOCK.finditer((ROOT / name).read_text()), 1)
]
WRITTEN = re.compile(r'"(\w+\.(?:mp3|pcm|flac|npz))"')


@pytest.mark.parametrize("lines", BLOCKS)
def test_a_block_of_python_runs_when_it_is_pasted(
    serve: Callable[..., Served], triton: FakeTriton, lines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(CLIP, "me.wav")
    Path("book.txt").write_text("It was a lovely morning. " * 100)
    triton.voices.stored.clear()
    gateway = serve().url.removeprefix("http://")
    source = lines.replace("localhost:8001", triton.url).replace("localhost:8080", gateway)
    exec(compile(source, "block", "exec"), {"__name__": "__main__"})
    assert triton.requests
    assert all(Path(name).stat().st_size for name in WRITTEN.findall(lines))
