"""The voice methods of both clients. They differ only in how a call is made."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from bark_client import recording, voice_calls
from bark_client.recording import Source
from bark_client.voice import Voice, VoiceInfo, VoiceLike, VoicePreview
from bark_client.voice_calls import Call, Steps, T


class VoiceMethods(ABC):
    """The methods of `BarkClient` for voices."""

    def voices(self, *, language: str | None = None) -> list[VoiceInfo]:
        """The voices that the server knows by name; only those of one language (`"en"`) if it is given."""
        return self._infer(voice_calls.list_voices(language=language))

    def clone_voice(
        self,
        source: Source,
        *,
        name: str | None = None,
        overwrite: bool = False,
        start: float = 0.0,
        duration: float | None = None,
    ) -> Voice:
        """Make a voice that sounds like a clip of 1 to 30 seconds. The server keeps it if it gets a name.

        >>> voice = bark.clone_voice("me.wav", name="me")
        >>> bark.speak("I never said this.", voice="me").save("said.wav")

        Clone only voices whose owners agreed to it.

        Args:
            source: a sound file (wav, flac, mp3, ogg, opus, m4a, mp4, webm, aac and most others) by path or open for
                reading; or a pair (samples, rate) with samples [n] or [n, channels] of floats in -1..1 or of signed
                integers.
            name: keep it under this name, for any client to speak with.
            overwrite: replace a voice that has this name already.
            start: seconds into the clip at which the part to clone from begins.
            duration: seconds of that part; None for all the rest.

        Returns:
            The voice. Its `.warnings` name possible problems of the clip.

        Raises:
            InvalidRequest: not a sound file, not 1 to 30 s, not 8 to 192 kHz, or the name is taken or not a valid one.
        """
        clip = recording.read(source, start=start, duration=duration)
        return self._drive(voice_calls.cloning(clip, name=name, overwrite=overwrite))

    def get_voice(self, name: str) -> Voice:
        """A voice of the server, by its name, or by `sha256:` and at least the first 12 digits of its hash."""
        return self._infer(voice_calls.get(name))[1]

    def voice_info(self, name: str) -> VoiceInfo:
        """What the server knows about one voice."""
        return self._infer(voice_calls.get(name))[0]

    def preview_voice(self, voice: VoiceLike) -> VoicePreview:
        """What a voice sounds like: its last half minute, decoded from its fine tokens.

        >>> bark.preview_voice("me").save("preview.wav")
        """
        return self._drive(voice_calls.previewing(voice))

    def save_voice(self, name: str, voice: VoiceLike, *, overwrite: bool = False) -> VoiceInfo:
        """Keep a voice on the server under a name; InvalidRequest if the name is taken, unless `overwrite`.

        `voice` takes the same forms as in `speak`. The name of a voice of the server makes a copy of it.
        """
        return self._drive(voice_calls.saving(name, voice, overwrite=overwrite))

    def rename_voice(self, name: str, new_name: str) -> VoiceInfo:
        """Give a voice another name, which must be free."""
        return self._infer(voice_calls.rename(name, new_name))

    def delete_voice(self, name: str) -> None:
        """Delete a voice of the server's store. Those of the checkpoint can't be deleted."""
        self._infer(voice_calls.delete(name))

    @abstractmethod
    def _infer(self, call: Call[T]) -> T:
        """Make a call."""

    def _drive(self, steps: Steps[T]) -> T:
        """Make the calls of a method, one after the other."""
        outcome: Any = None
        while True:
            try:
                call = steps.send(outcome)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            outcome = self._infer(call)


class AsyncVoiceMethods(ABC):
    """The methods of `AsyncBarkClient` for voices: see `VoiceMethods`."""

    async def voices(self, *, language: str | None = None) -> list[VoiceInfo]:
        """See `BarkClient.voices`."""
        return await self._infer(voice_calls.list_voices(language=language))

    async def clone_voice(
        self,
        source: Source,
        *,
        name: str | None = None,
        overwrite: bool = False,
        start: float = 0.0,
        duration: float | None = None,
    ) -> Voice:
        """See `BarkClient.clone_voice`."""
        clip = await asyncio.to_thread(recording.read, source, start=start, duration=duration)
        return await self._drive(voice_calls.cloning(clip, name=name, overwrite=overwrite))

    async def get_voice(self, name: str) -> Voice:
        """See `BarkClient.get_voice`."""
        return (await self._infer(voice_calls.get(name)))[1]

    async def voice_info(self, name: str) -> VoiceInfo:
        """See `BarkClient.voice_info`."""
        return (await self._infer(voice_calls.get(name)))[0]

    async def preview_voice(self, voice: VoiceLike) -> VoicePreview:
        """See `BarkClient.preview_voice`."""
        return await self._drive(voice_calls.previewing(voice))

    async def save_voice(self, name: str, voice: VoiceLike, *, overwrite: bool = False) -> VoiceInfo:
        """See `BarkClient.save_voice`."""
        return await self._drive(voice_calls.saving(name, voice, overwrite=overwrite))

    async def rename_voice(self, name: str, new_name: str) -> VoiceInfo:
        """See `BarkClient.rename_voice`."""
        return await self._infer(voice_calls.rename(name, new_name))

    async def delete_voice(self, name: str) -> None:
        """See `BarkClient.delete_voice`."""
        await self._infer(voice_calls.delete(name))

    @abstractmethod
    async def _infer(self, call: Call[T]) -> T:
        """Make a call."""

    async def _drive(self, steps: Steps[T]) -> T:
        """Make the calls of a method, one after the other."""
        outcome: Any = None
        while True:
            try:
                call = steps.send(outcome)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            outcome = await self._infer(call)
