"""The options of a request are listed in four places: server, template, SDK and command line. All list the same."""

from __future__ import annotations

import inspect
import json
import re
from typing import get_type_hints

import jinja2
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from bark_client import AsyncBarkClient, BarkClient
from bark_client.cli.say import say
from bark_client.protocol import OPTIONS, PARAGRAPH_PAUSE_S, SENTENCE_PAUSE_S, SpeakOptions
from bark_serving.server.repository import templates_folder
from bark_serving.speech.request import SpeechRequest
from bark_serving.speech.request_inputs import request_inputs
from bark_serving.speech.stage_capabilities import StageCapabilities

#: Inputs of a request that are no options of the SDK: arguments of `speak`, a voice's arrays, and `stream`, by which a
#: client without the SDK asks for one answer instead of chunks.
NO_OPTIONS = {"text", "voice", "seed", "semantic_prompt", "coarse_prompt", "fine_prompt", "stream"}


def rendered_config() -> model_config_pb2.ModelConfig:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(templates_folder()), trim_blocks=True)
    environment.filters["tojson"] = json.dumps
    text = environment.get_template("bark/config.pbtxt.j2").render(
        request_inputs=request_inputs(), capabilities=StageCapabilities()
    )
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def test_the_config_of_bark_declares_every_field_of_a_request() -> None:
    declared = {one.name: one for one in rendered_config().input}
    assert list(declared) == list(SpeechRequest.model_fields)
    assert [name for name, one in declared.items() if not one.optional] == ["text"]


@pytest.mark.parametrize(
    ("name", "data_type", "dims"),
    [
        ("text", "STRING", [1]),
        ("language", "STRING", [1]),
        ("seed", "UINT64", [1]),
        ("top_k", "INT32", [1]),
        ("coarse_window", "INT32", [1]),
        ("min_eos_p", "FP32", [1]),
        ("max_duration", "FP32", [1]),
        ("stream", "BOOL", [1]),
        ("semantic_prompt", "INT32", [-1]),
        ("fine_prompt", "INT32", [-1, -1]),
    ],
)
def test_an_input_has_the_tensor_type_of_its_field(name: str, data_type: str, dims: list[int]) -> None:
    (declared,) = [one for one in rendered_config().input if one.name == name]
    assert model_config_pb2.DataType.Name(declared.data_type) == f"TYPE_{data_type}"
    assert list(declared.dims) == dims


def test_the_sdk_has_every_option_of_the_server_with_the_same_type() -> None:
    servers = {one.name: one.data_type for one in request_inputs() if one.name not in NO_OPTIONS}
    assert {name: kind.replace("BYTES", "STRING") for name, kind in OPTIONS.items()} == servers


def test_the_command_line_has_every_option_of_the_sdk() -> None:
    parameters = set(inspect.signature(say).parameters) & set(OPTIONS)
    assert parameters == set(OPTIONS) - {"return_tokens"}  # --save-voice asks for it
    hints = {name: hint for name, hint in get_type_hints(say).items() if name in parameters}
    assert hints == {name: hint for name, hint in get_type_hints(SpeakOptions).items() if name in parameters}


def test_the_sdk_knows_the_servers_pauses() -> None:
    """Between two requests of a long text it makes the pause that the server makes within one."""
    fields = SpeechRequest.model_fields
    assert fields["sentence_pause"].default == SENTENCE_PAUSE_S
    assert fields["paragraph_pause"].default == PARAGRAPH_PAUSE_S


@pytest.mark.parametrize("client", [BarkClient, AsyncBarkClient])
def test_the_help_of_speak_explains_every_option(client: type) -> None:
    explained = re.findall(r"^ +(\w+): ", inspect.getdoc(client.speak) or "", re.MULTILINE)
    assert set(OPTIONS) <= set(explained)
