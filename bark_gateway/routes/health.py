"""`/health/live` and `/health/ready`, for load balancers and Kubernetes, and `/metrics`, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from bark_client import ServerUnavailable
from bark_gateway.errors import from_sdk
from bark_gateway.gateway import OfGateway, OfKey
from bark_gateway.metrics import CONTENT_TYPE
from bark_gateway.routes.answers import ERRORS

router = APIRouter()


@router.get("/health/live")
async def live() -> dict[str, str]:
    """The gateway runs."""
    return {"status": "live"}


@router.get("/health/ready", responses={503: ERRORS[503]})
async def ready(gateway: OfGateway) -> dict[str, str]:
    """A speech server answers."""
    if gateway.servers.problem:
        raise from_sdk(ServerUnavailable(gateway.servers.problem))
    return {"status": "ready"}


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, 401: ERRORS[401]},
)
async def metrics(gateway: OfGateway, key: OfKey) -> Response:
    """Prometheus's metrics. They need a key where there are keys: `authorization` in the settings of Prometheus."""
    return Response(gateway.metrics.text(), headers={"content-type": CONTENT_TYPE})
