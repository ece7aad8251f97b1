"""The models `voices`, `clone_voice` and `encodec_decode` as the fake Triton plays them: numpy in, numpy out."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

FRAME_RATE, SAMPLE_RATE = 75, 24_000
ARRAYS = ("semantic_prompt", "coarse_prompt", "fine_prompt")
CREATED = "2026-11-22T15:04:05+00:00"

Arrays = dict[str, np.ndarray]


class Refused(Exception):
    """Becomes an INVALID_ARGUMENT."""


class FakeVoices:
    """A store of voices by name; those of the checkpoint are read-only."""

    def __init__(self) -> None:
        self.built_in = {
            name: arrays_of(frames) for name, frames in (("v2/en_speaker_6", 450), ("v2/de_speaker_1", 300))
        }
        self.stored = {"me": arrays_of(150)}
        self.warnings = ["the clip is short (1.5 s)"]  # of the next clones
        self.requests: list[tuple[str, dict[str, Any]]] = []  # model and inputs of each
        self.rows: list[bytes] | None = None  # instead of the true list

    def answer(self, model: str, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
        self.requests.append((model, inputs))
        return {"voices": self._command, "clone_voice": self._clone, "encodec_decode": self._decode}[model](**inputs)

    def commands(self) -> list[str]:
        """What was asked for: commands of `voices`, names of the other models."""
        return [inputs["command"].decode() if model == "voices" else model for model, inputs in self.requests]

    def _command(
        self,
        *,
        command: bytes,
        name: bytes = b"",
        new_name: bytes = b"",
        overwrite: np.bool_ = np.False_,
        **arrays: np.ndarray,
    ) -> dict[str, np.ndarray]:
        key, new = name.decode(), new_name.decode()
        nothing = {"semantic_prompt": (0,), "coarse_prompt": (2, 0), "fine_prompt": (8, 0)}
        outputs = {array: np.zeros(shape, dtype=np.int32) for array, shape in nothing.items()}
        named = [key]
        match command:
            case b"list":
                named = sorted({**self.built_in, **self.stored})
            case b"get":
                key = self._resolve(key)
                named, outputs = [key], {**self.built_in, **self.stored}[key]
            case b"check":
                self._check_free(key, overwrite=bool(overwrite))
                named = []
            case b"put":
                self._check_free(key, overwrite=bool(overwrite))
                assert sorted(arrays) == sorted(ARRAYS)
                self.stored[key] = arrays
            case b"rename":
                self._check_free(new, overwrite=bool(overwrite))
                self.stored[new] = self.stored.pop(self._resolve(key))
                named = [new]
            case b"delete":
                if key in self.built_in:
                    raise Refused(f"the voice {key!r} comes with the server; only voices that were put there change.")
                named = [self._resolve(key)]
        rows = self._rows(named)
        if command == b"delete":
            del self.stored[named[0]]
        return {"voices": rows} | outputs

    def _clone(self, *, audio: np.ndarray, sample_rate: np.int32) -> dict[str, np.ndarray]:
        seconds = audio.shape[1] / float(sample_rate)
        report = json.dumps({"seconds": seconds, "warnings": self.warnings})
        return {**arrays_of(int(seconds * FRAME_RATE)), "report": np.array([report.encode()], dtype=np.object_)}

    def _decode(self, *, codes: np.ndarray) -> dict[str, np.ndarray]:
        """A tone that grows louder; the first code is its frequency in Hz."""
        assert codes.shape[:2] == (1, 8)
        count = codes.shape[2] * SAMPLE_RATE // FRAME_RATE
        tone = np.sin(np.arange(count) * 2 * np.pi * codes[0, 0, 0] / SAMPLE_RATE) * np.linspace(0, 0.8, count)
        return {"audio": tone[None].astype(np.float32)}

    def _resolve(self, name: str) -> str:
        everything = {**self.built_in, **self.stored}
        for key, arrays in everything.items():
            if name == key or (name.startswith("sha256:") and hash_of(arrays).startswith(name)):
                return key
        raise Refused(f"there is no voice {name!r}; `bark voice list` shows those that this server has.")

    def _check_free(self, name: str, *, overwrite: bool) -> None:
        if name.count("/") > 1 or ".." in name or " " in name:
            raise Refused(f"{name!r} is no voice name; names look like v2/en_speaker_6.")
        if name in self.built_in:
            raise Refused(f"the voice {name!r} comes with the server; choose another name.")
        if name in self.stored and not overwrite:
            raise Refused(f"there is a voice {name!r} already; choose another name, or allow overwriting.")

    def _rows(self, names: list[str]) -> np.ndarray:
        rows = [self._row(name) for name in names] if self.rows is None else self.rows
        return np.array(rows, dtype=np.object_)

    def _row(self, name: str) -> bytes:
        arrays = {**self.built_in, **self.stored}[name]
        frames = arrays["fine_prompt"].shape[1]
        row = {
            "name": name,
            "hash": hash_of(arrays),
            "language": name[3:5] if "_speaker_" in name else None,
            "semantic_tokens": arrays["semantic_prompt"].size,
            "frames": frames,
            "seconds": frames / FRAME_RATE,
            "stored": name in self.stored,
            "created": CREATED if name in self.stored else None,
        }
        return json.dumps(row).encode()


def arrays_of(frames: int) -> Arrays:
    """A voice's three arrays; each length gives another."""
    return {
        "semantic_prompt": np.arange(frames * 2 // 3, dtype=np.int32),
        "coarse_prompt": np.full((2, frames), 440, dtype=np.int32),
        "fine_prompt": np.full((8, frames), 440, dtype=np.int32),
    }


def hash_of(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in ARRAYS:
        digest.update(np.array(arrays[name].shape, dtype="<i4").tobytes() + arrays[name].tobytes())
    return f"sha256:{digest.hexdigest()}"
