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


def _error(description: str) -> dict[str, Any]:
    return {"model": Error, "description": description}


ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: _error("The request is wrong; the message says how."),
    401: _error("The API key is missing or not known."),
    403: _error("The key does not allow it."),
    404: _error("There is no such model or voice."),
    408: _error("The body did not arrive in time."),
    413: _error("The body is too large."),
    429: _error("Too much at once; `retry-after` says when to send it again."),
    500: _error("The speech failed."),
    503: _error("No speech server can take the request; `retry-after` says when to send it again."),
    504: _error("The speech server did not answer in time."),
}
