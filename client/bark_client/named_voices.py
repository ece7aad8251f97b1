"""The voices of a server that a book or a job names."""

from __future__ import annotations

from collections.abc import Collection

from bark_client.client import BarkClient
from bark_client.errors import BarkError, ServerError, ServerUnavailable, start_command
from bark_client.voice import VoiceInfo


def voices_named(client: BarkClient, names: Collection[str], *, url: str) -> dict[str, VoiceInfo]:
    """Those of the names that the server at `url` has, with their voices. ServerError if it cannot list its voices.

    A name that is a hash is left out: the voice of a hash never changes. A server is not asked if no name is left.
    """
    wanted = {name for name in names if not name.startswith("sha256:")}
    if not wanted:
        return {}
    try:
        return {voice.name: voice for voice in client.voices() if voice.name in wanted}
    except BarkError as error:
        if isinstance(error, ServerUnavailable) and error.nobody_at:
            raise
        raise ServerError(
            f"the server at {url} cannot list its voices ({error}): see its log, "
            f"then start it again with `{start_command(url)}`"
        ) from error
