"""Messages of the server and of the SDK in the words of a user of HTTP, who has no command `bark` and no arguments.

The server writes for users of its client, as in "`bark voice list` shows those that this server has". `for_http` names
what does the same over HTTP: a path, or a field of the request. It says what only an operator can do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Final

from bark_client.protocol import OPTIONS

NO_VOICE: Final = "there is no voice"  #: begins what a server says of a name that it does not know
FIELDS: Final[Mapping[str, str]] = {"text": "input", "speed": "schedule"}  #: arguments of the SDK → fields here
#: OpenAI's voices. Many programs send one of them by default.
OPENAI_VOICES: Final = frozenset(
    ["alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse"]
)  # fmt: skip
_PHRASES: Final[Mapping[str, str]] = {
    "`bark voice list` shows those": "`GET /v1/audio/voices` lists those",
    "or allow overwriting": "or send overwrite=true, which replaces that voice",
    "delete one first": "delete one first: `DELETE /v1/audio/voices/NAME`",
    "delete some first": "delete some first: `DELETE /v1/audio/voices/NAME`",
    "pick a part with start and duration": "send a part of it",
    "start it with --voice-store": "its operator can start it with --voice-store",
    "its server's --voice-store must be": "the folder that its operator names with --voice-store must be",
    "import it again with": "its operator can import it again with",
    "render it again": "its operator can render it again",
    "or build another engine": "or ask the operator for another engine",
}
#: What other programs call a format or an event stream.
_OTHER_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("ogg", "oga", "ogg_opus", "audio/ogg", "audio/opus", "webm", "libopus"), "opus"),
    **dict.fromkeys(("mpeg", "mpga", "mpeg3", "audio/mpeg", "audio/mp3"), "mp3"),
    **dict.fromkeys(("m4a", "mp4", "audio/aac", "audio/mp4"), "aac"),
    **dict.fromkeys(("wave", "x-wav", "audio/wav", "audio/x-wav"), "wav"),
    **dict.fromkeys(("raw", "s16le", "pcm16", "pcm_s16le", "l16", "audio/pcm"), "pcm"),
    **dict.fromkeys(("event-stream", "text/event-stream", "events", "event"), "sse"),
}
_SUBJECT: Final = re.compile(r"\A(?P<name>[a-z_]+)(?=:| )")  # of a message
_FIELD_NAMES: Final = {*OPTIONS, *FIELDS.values(), "seed", "voice", "name"} - {*FIELDS}
_OF_THE_TEXT: Final = ("the text ", "the pauses of the text", "'[", '"[')  # begin messages about tags in it
_MEANT: Final = re.compile(r"did you mean (?P<names>'[^']+'(?: or '[^']+')*)\? ?")  # the server asks it of voices
_MAX_WORD: Final = 100  #: characters of a word that is compared with others: more would take long
_UNKNOWN: Final = re.compile(rf"{NO_VOICE} '(?P<name>[^']+)'")


def for_http(message: str) -> str:
    """The message in words of HTTP."""
    for theirs, ours in _PHRASES.items():
        message = message.replace(theirs, ours)
    return _SUBJECT.sub(lambda found: FIELDS.get(found["name"], found["name"]), message)


def field_of(message: str) -> str | None:
    """The field that a message is about, in words of HTTP."""
    found = _SUBJECT.match(message)
    if found is not None and found["name"] in _FIELD_NAMES:
        return found["name"]
    if message.startswith(_OF_THE_TEXT):
        return "input"
    return "voice" if message.startswith((NO_VOICE, "the voice ")) else None


def without_other_voices(message: str, *, may_use: Callable[[str], bool]) -> str:
    """The message without the server's question whether another voice was meant, if one in it may not be used."""
    found = _MEANT.search(message)
    if found is None or all(may_use(name.strip("'")) for name in found["names"].split(" or ")):
        return message
    return message[: found.start()] + message[found.end() :]


def about_voice(message: str, *, names: Mapping[str, str]) -> str:
    """What to add to a message about a voice that no server has; nothing for other messages.

    names: other names of voices, as `--voice` gives them.
    """
    found = _UNKNOWN.match(message)
    if found is None:
        return ""
    name = found["name"]
    if other := next((other for other, of in names.items() if of == name), None):
        return f" The gateway's operator started it with --voice {other}={name}, and must correct that."
    if name in OPENAI_VOICES:
        return f" {name} is a voice of OpenAI. The gateway's operator can let it mean another: --voice {name}=NAME."
    return ""


def listed(words: Collection[str]) -> str:
    """The words as a choice: `mp3, opus or wav`."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def did_you_mean(asked: str, known: Collection[str]) -> str:
    """The question whether one of the known words was meant; nothing where none is near."""
    plain = asked[:_MAX_WORD].strip().lower()
    meant = _OTHER_NAMES.get(plain, plain)
    near = [meant] if meant in known else get_close_matches(plain, list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""
