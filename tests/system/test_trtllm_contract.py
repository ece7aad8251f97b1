"""The traffic of the ``trtllm`` profile through a real Triton: its configs, with Python in the backend's place.

Triton checks every tensor against a config before any backend sees it; so what it lets through here, it lets through
to TensorRT-LLM. The stage models below answer with tokens that are easy to know again, and tell what they were sent.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bark_client import BarkClient, InvalidRequest
from bark_serving.bundle import Bundle, Vocabulary, mapped
from bark_serving.layouts.semantic import prompt_ids, prompt_table, virtual_ids
from bark_serving.profiles import Precision
from bark_serving.server import ServerSettings, running
from bark_serving.server.render_settings import RenderSettings
from bark_serving.server.repository import render
from tests.build_engines.trtllm.rendering import render_repository
from tests.system.conftest import ENGINES, assert_gone, build_engines_of
from tests.system.toy import free_ports

SAID = 30  #: semantic tokens before the end token

_BACKEND = """
import json
import numpy as np
import triton_python_backend_utils as pb


def value_of(tensor):
    if tensor.name() != "prompt_embedding_table":
        return tensor.as_numpy().tolist()
    from torch.utils.dlpack import from_dlpack
    table = from_dlpack(tensor.to_dlpack())
    return [str(table.dtype), list(table.shape), table.float().numpy().sum(-1).reshape(-1).tolist()]


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            given = {{tensor.name(): value_of(tensor) for tensor in request.inputs()}}
            with open({log!r}, "a") as file:
                file.write(json.dumps(given) + chr(10))
            count = int(np.ravel(given["request_output_len"])[0])
            tokens = ({tokens})[:count]
            answers.append(pb.InferenceResponse([
                pb.Tensor("output_ids", np.array([[tokens]], np.int32)),
                pb.Tensor("sequence_length", np.array([[len(tokens)]], np.int32)),
            ]))
        return answers
"""


class Tensorrt:
    """A server of the profile's traffic."""

    def __init__(self, url: str, folder: Path, bundle: Bundle) -> None:
        self.url, self.folder, self.bundle = url, folder, bundle

    def sent(self, stage: str) -> list[dict[str, Any]]:
        """What a stage was sent since the last look."""
        log = self.folder / f"{stage}.log"
        requests = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        log.write_text("")
        return requests


@pytest.fixture(scope="module", params=[pytest.param("fp16", marks=pytest.mark.slow), "bf16"])
def server(
    request: pytest.FixtureRequest, tiny_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tensorrt]:
    precision: Precision = request.param
    folder = tmp_path_factory.mktemp(f"trtllm-{precision}")
    build_engines_of(tiny_bundle, precision="fp32")
    rendering = RenderSettings(
        bundle=tiny_bundle.folder, engines=ENGINES, precision="fp32", threads=1, voice_store=folder / "voices"
    )
    repository = render(rendering, output=folder / "repository")
    end, offset, size = (
        tiny_bundle.spec.semantic.end_token,
        tiny_bundle.spec.coarse.offset,
        tiny_bundle.spec.encodec.codebook_size,
    )
    tokens = {
        "semantic": f"list(range({SAID})) + [{end}]",
        "coarse": f"[{offset} + i // 2 + {size} * (i % 2) for i in range(count)]",
    }
    trtllm = render_repository(tiny_bundle, folder, precision=precision, voice_store=folder / "voices")
    for name in ("semantic", "coarse", "bark"):
        config = (trtllm / name / "config.pbtxt").read_text()
        (repository / name / "config.pbtxt").write_text(config.replace('"tensorrtllm"', '"python"'))
    for stage, made in tokens.items():
        shutil.rmtree(repository / stage / "1")
        (repository / stage / "1").mkdir()
        model = _BACKEND.format(log=str(folder / f"{stage}.log"), tokens=made)
        (repository / stage / "1/model.py").write_text(model)
    settings = ServerSettings(name="test", repository=repository, folder=folder / "server", **free_ports())  # type: ignore[arg-type]
    with running(settings) as real:
        yield Tensorrt(real.url, folder, tiny_bundle)
        processes = [real.process, *real.process.children(recursive=True)]
    assert_gone(real, processes)


def test_triton_lets_the_orchestrators_tensors_through_to_the_engines(server: Tensorrt) -> None:
    spec, text = server.bundle.spec, "Hello there."
    with BarkClient(server.url, timeout=120) as bark:
        server.sent("semantic"), server.sent("coarse")
        speech = bark.speak(text, seed=3, return_tokens=True)
    assert speech.tokens is not None and speech.tokens.semantic_prompt.tolist() == list(range(SAID))
    (semantic,) = server.sent("semantic")
    assert np.ravel(semantic["input_ids"]).tolist() == virtual_ids(spec.semantic).tolist()
    assert np.ravel(semantic["end_id"]).tolist() == [spec.semantic.end_token]
    assert np.ravel(semantic["prompt_vocab_size"]).tolist() == [spec.semantic.prefill]
    assert "min_eos_p" not in semantic
    kind, shape, sums = semantic["prompt_embedding_table"]
    assert shape == [1, spec.semantic.prefill, spec.semantic.gpt.width]
    assert kind == ("torch.bfloat16" if "bf16" in server.folder.name else "torch.float16")
    ids = np.array(Vocabulary(server.bundle.tokenizer).tokenise(text))
    embeddings = mapped(server.bundle.weights("semantic"), "token_embedding.weight")
    exact = prompt_table(*prompt_ids(ids, spec=spec.semantic), embeddings=embeddings, spec=spec.semantic)
    assert np.abs(np.array(sums) - exact.sum(-1)).max() < 0.2
    windows = server.sent("coarse")
    assert windows and all("hold" not in window for window in windows)


def test_another_min_eos_p_is_refused_and_another_temperature_warned_of(server: Tensorrt) -> None:
    with BarkClient(server.url, timeout=120) as bark:
        with pytest.raises(InvalidRequest, match="built into this server"):
            bark.speak("Hello.", min_eos_p=0.5)
        speech = bark.speak("Hello.", semantic_temperature=0.9, seed=1)
    assert any("earlier or later" in warning for warning in speech.warnings)
    (semantic,) = [one for one in server.sent("semantic") if np.isclose(np.ravel(one["temperature"])[0], 0.9)]
    assert np.ravel(semantic["runtime_top_k"]).tolist() == [0]
