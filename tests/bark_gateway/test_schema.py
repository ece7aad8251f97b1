"""Whatever the gateway's own description allows, and what it forbids, has an answer that the description knows."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bark_gateway.app import make_app
from bark_gateway.settings import Settings
from tests.bark_gateway.served import Served, served
from tests.client.fake_triton import FakeTriton

EXAMPLES = 25  #: per operation: a few seconds in all
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def lasting_gateway(shared_triton: FakeTriton) -> Iterator[Served]:
    with served(shared_triton.url, max_upload_bytes=200_000) as gateway:
        yield gateway


schema = schemathesis.openapi.from_dict(make_app(Settings()).openapi())


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_is_answered_in_an_unknown_way(case: schemathesis.Case, lasting_gateway: Served) -> None:
    case.call_and_validate(base_url=lasting_gateway.url, checks=CHECKS)


def test_the_description_names_every_path(lasting_gateway: Served) -> None:
    described = httpx2.get(f"{lasting_gateway.url}/openapi.json").json()
    assert set(described["paths"]) == {
        "/v1/audio/speech",
        "/v1/audio/speech/batch",
        "/v1/audio/voices",
        "/v1/audio/voices/{name}",
        "/v1/audio/voices/{name}/preview",
        "/v1/models",
        "/v1/models/{name}",
        "/health/live",
        "/health/ready",
        "/metrics",
    }
    documented = {path: one["responses"] for path, of in described["paths"].items() for one in of.values()}
    assert [path for path, responses in documented.items() if "422" in responses] == ["/v1/audio/speech"]
    assert "another seed" in documented["/v1/audio/speech"]["422"]["description"]
    assert "HTTPValidationError" not in str(described)


def test_the_description_explains_every_option(lasting_gateway: Served) -> None:
    described = httpx2.get(f"{lasting_gateway.url}/openapi.json").json()
    fields = described["components"]["schemas"]["SpeechRequest"]["properties"]
    assert [name for name, field in fields.items() if not field.get("description")] == []
