"""API keys: who may speak, how much, and with which voices.

Keys are in a TOML file, as SHA-256 hashes, or plain in the variable `BARK_GATEWAY_KEYS`. A key has 256 random bits.
So a plain hash of it can't be guessed back; a slow one, as for passwords, would only cost time.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import tomllib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import HTTPConnection

from bark_gateway.errors import GatewayError
from bark_gateway.wording import did_you_mean

PREFIX: Final = "sk-bark-"
SUBPROTOCOL: Final = "bark-key."  #: of a WebSocket's protocol that carries a key: browsers can send no header
_REMEDY: Final = "`bark-gateway --new-key NAME` prints an entry."
_BEARER: Final = re.compile(r"bearer +(?P<key>\S+) *", re.IGNORECASE)


class KeysUnreadable(Exception):
    """The file of keys is wrong; the message says where."""


class Key(BaseModel):
    """What one key allows. Without a limit, only those of the gateway count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=64)]  #: for the log
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    requests_in_flight: Annotated[int, Field(ge=1)] | None = None
    characters_per_minute: Annotated[int, Field(ge=1)] | None = None
    voices: tuple[str, ...] | None = None  #: names or patterns such as v2/en_*; None: all, and none at all
    change_voices: bool = True  #: may clone and delete voices

    def may_use(self, voice: str | None) -> bool:
        """Whether it may speak with this voice. None: a speaker that Bark makes up."""
        if self.voices is None:
            return True
        return voice is not None and any(fnmatchcase(voice, pattern) for pattern in self.voices)


#: Where there are no keys, everybody has this one.
ANYBODY: Final = Key(name="anybody", sha256="0" * 64)


class KeyRing:
    """The keys of a gateway; without any, everybody may speak."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def of(self, connection: HTTPConnection) -> Key:
        """The key of a request or a WebSocket. Raises GatewayError: 401."""
        return self.find(_given(connection)) if self._keys else ANYBODY

    def named(self, name: str) -> Key | None:
        """The key of this name."""
        return next((key for key in self._keys if key.name == name), None)

    def find(self, token: str | None) -> Key:
        """The key with this text. The time that it takes does not depend on the text. Raises GatewayError: 401."""
        remedy = "Send one of this gateway's keys: `Authorization: Bearer KEY`."
        if not token:
            raise _refused(f"This gateway needs an API key. {remedy}", code="missing_api_key")
        digest = hashed(token)
        found: Key | None = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        if found is None:
            raise _refused(f"The API key is not known here. {remedy}", code="invalid_api_key")
        return found


def hashed(token: str) -> str:
    """The SHA-256 of a key, 64 hexadecimal digits."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def new_key(name: str) -> tuple[str, str]:
    """A new key, and its entry for the file of keys."""
    token = PREFIX + secrets.token_urlsafe(32)
    return token, f'[[key]]\nname = {json.dumps(name, ensure_ascii=False)}\nsha256 = "{hashed(token)}"\n'


def read_keys(path: Path) -> list[Key]:
    """The keys of a file. Raises KeysUnreadable."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KeysUnreadable(f"{path}: it can't be read ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KeysUnreadable(f"{path}: it is not valid TOML ({error}).") from None
    if others := [name for name in found if name != "key"]:
        raise KeysUnreadable(
            f"{path}: it holds {others[0]!r}. Each key is an entry that begins with [[key]]. {_REMEDY}"
        )
    entries = found.get("key", [])
    if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
        raise KeysUnreadable(f"{path}: a key must begin with [[key]], in two brackets. {_REMEDY}")
    if not entries:
        raise KeysUnreadable(f"{path}: it holds no [[key]]. {_REMEDY}")
    return [_key(entry, number=number, path=path) for number, entry in enumerate(entries, 1)]


def _key(entry: dict[str, Any], *, number: int, path: Path) -> Key:
    """One entry. Raises KeysUnreadable, which names the file, the entry, the field and what it may be."""
    try:
        return Key.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        place = f"{path}: key {entry.get('name') or f'number {number}'}"
        field, kind = str(first["loc"][0]), first["type"]
        fields = list(Key.model_fields)
        if kind == "extra_forbidden":
            why = f"there is no field {field!r}.{did_you_mean(field, fields)} The fields are {', '.join(fields)}."
        elif kind == "missing":
            why = f"{field} is missing. {_REMEDY}"
        elif kind == "string_pattern_mismatch":
            why = f"{field} must be 64 digits, each 0-9 or a-f. {_REMEDY}"
        else:
            why = f"{field} is {first['input']!r:.40}. {first['msg'].replace('tuple', 'list')}."
        raise KeysUnreadable(f"{place}: {why}") from None


def plain_keys(text: str) -> list[Key]:
    """Keys as the environment gives them: separated by commas or spaces. They have no limits."""
    tokens: Sequence[str] = text.replace(",", " ").split()
    return [Key(name=f"environment-{number}", sha256=hashed(token)) for number, token in enumerate(tokens, 1)]


def _given(connection: HTTPConnection) -> str | None:
    if found := _BEARER.fullmatch(connection.headers.get("authorization", "")):
        return found["key"]
    for protocol in connection.headers.get("sec-websocket-protocol", "").split(","):
        if protocol.strip().startswith(SUBPROTOCOL):
            return protocol.strip().removeprefix(SUBPROTOCOL)
    return None


def _refused(message: str, *, code: str) -> GatewayError:
    return GatewayError(401, message, code=code, headers={"www-authenticate": "Bearer"})
