"""`GET /v1/models`."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from bark_gateway.gateway import OfGateway, OfKey
from bark_gateway.requests import check_model
from bark_gateway.routes.answers import ERRORS

router = APIRouter(responses=ERRORS)


class Model(BaseModel):
    """OpenAI's description of a model."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "bark-triton"


class Models(BaseModel):
    """A list of models."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("/v1/models")
async def list_models(gateway: OfGateway, key: OfKey) -> Models:
    """The names that `model` may have. All mean the model that the servers have loaded."""
    return Models(data=[Model(id=name) for name in gateway.settings.models])


@router.get("/v1/models/{name}")
async def get_model(name: str, gateway: OfGateway, key: OfKey) -> Model:
    """One of the names."""
    check_model(name, gateway.settings)
    return Model(id=name)
