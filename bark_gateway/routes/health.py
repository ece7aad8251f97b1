"""`/health/live` and `/health/ready`: for load balancers and Kubernetes. They need no key."""

from __future__ import annotations

from fastapi import APIRouter

from bark_client import ServerUnavailable
from bark_gateway.errors import from_sdk
from bark_gateway.gateway import OfGateway
from bark_gateway.routes.answers import ERRORS

router = APIRouter(prefix="/health")


@router.get("/live")
async def live() -> dict[str, str]:
    """The gateway runs."""
    return {"status": "live"}


@router.get("/ready", responses={503: ERRORS[503]})
async def ready(gateway: OfGateway) -> dict[str, str]:
    """A speech server answers."""
    if gateway.servers.problem:
        raise from_sdk(ServerUnavailable(gateway.servers.problem))
    return {"status": "ready"}
