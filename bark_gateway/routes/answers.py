"""What the routes' descriptions in `/openapi.json` have in common."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel


class ErrorBody(BaseModel):
    """What is wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class Error(BaseModel):
    """OpenAI's form of an error."""

    error: ErrorBody


def of_kind(description: str) -> dict[str, Any]:
    """The description of an error."""
    return {"model": Error, "description": description}


ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: of_kind("The request is wrong; the message says how."),
    401: of_kind("The API key is missing or not known."),
    403: of_kind("The key does not allow it."),
    404: of_kind("There is no such model or voice."),
    408: of_kind("The body did not arrive in time."),
    413: of_kind("The body is too large."),
    429: of_kind("Too much at once; `retry-after` says when to send it again."),
    500: of_kind("The speech server, or the gateway, failed."),
    503: of_kind("No speech server can take the request; `retry-after` says when to send it again."),
    504: of_kind("The speech server did not answer in time."),
}
