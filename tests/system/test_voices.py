"""Voices through a real Triton: cloned as transformers does, fit for Suno's code, stored, shared and spoken with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from bark_client import BarkClient
from bark_serving.arrays import Array, Floats
from bark_serving.bundle import Bundle
from bark_serving.server import running
from bark_serving.server.render_settings import RenderSettings
from bark_serving.server.repository import render_from, templates_folder
from bark_serving.voices import ARRAYS, cloning, content_hash, voice_from_arrays
from reference import suno as oracle
from reference.transformers import CloningOracle
from tests.speech import CLIP, speech
from tests.system import toy
from tests.system.conftest import RealServer

Arrays = dict[str, Array]


class Server:
    """Calls models by their tensors, as a client of any language would."""

    def __init__(self, url: str) -> None:
        self._client = grpcclient.InferenceServerClient(url)

    def call(self, model: str, inputs: dict[str, Any]) -> Arrays:
        tensors = []
        for name, value in inputs.items():
            array = np.asarray([value.encode()], np.object_) if isinstance(value, str) else np.asarray(value)
            tensors.append(grpcclient.InferInput(name, array.shape, np_to_triton_dtype(array.dtype)))
            tensors[-1].set_data_from_numpy(array)
        answer = self._client.infer(model, tensors)
        return {output.name: answer.as_numpy(output.name) for output in answer.get_response().outputs}

    def clone(self, audio: Floats, rate: int) -> tuple[Arrays, dict[str, Any]]:
        outputs = self.call("clone_voice", {"audio": audio, "sample_rate": np.array([rate], np.int32)})
        report = json.loads(outputs.pop("report")[0])
        assert set(outputs) == set(ARRAYS)
        return outputs, report

    def voices(self, command: str, **inputs: Any) -> list[dict[str, Any]]:
        outputs = self.call("voices", {"command": command, **inputs})
        assert set(outputs) == {"voices", *ARRAYS}
        return [json.loads(row) for row in outputs["voices"]]

    def close(self) -> None:
        self._client.close()


@pytest.fixture(scope="module")
def server(triton: RealServer) -> Iterator[Server]:
    """The server's raw tensors; whatever a test leaves in the voice store is removed."""
    found = Server(triton.url)
    yield found
    for row in found.voices("list"):
        if row["stored"]:
            found.voices("delete", name=row["name"])
    found.close()


@pytest.fixture(scope="module")
def reference(triton: RealServer) -> CloningOracle:
    return CloningOracle(triton.bundle)


def batch_of_speech(*, rate: int, samples: int, rows: int) -> Floats:
    """[rows, samples] of speech, each from another place of the clip."""
    whole = speech(rate=rate, seconds=(samples + rows * 4_321) / rate)[0]
    return np.stack([whole[row * 4_321 :][:samples] for row in range(rows)])


#: Clips per batch, by length: the longer the clips, the fewer.
ROWS = pytest.mark.parametrize(
    ("seconds", "rows"), [(1.0, 4), (2.3, 3), (5.77, 2), pytest.param(12.0, 2, marks=pytest.mark.slow)]
)


@ROWS
def test_semantic_tokens_are_those_of_transformers_alone_and_batched(
    server: Server, reference: CloningOracle, seconds: float, rows: int
) -> None:
    audio = batch_of_speech(rate=16_000, samples=int(seconds * 16_000), rows=rows)
    batched = server.call("hubert", {"audio": audio})["tokens"]
    reference.assert_tokens(batched, audio=audio)
    assert len(np.unique(batched)) > 20
    for row in audio:
        reference.assert_tokens(server.call("hubert", {"audio": row[None]})["tokens"], audio=row[None])
    with ThreadPoolExecutor(4) as pool:  # what the server batches itself
        together = list(pool.map(lambda row: server.call("hubert", {"audio": row[None]})["tokens"][0], audio))
    reference.assert_tokens(together, audio=audio)


@ROWS
def test_codes_are_those_of_transformers_alone_and_batched(
    server: Server, reference: CloningOracle, seconds: float, rows: int
) -> None:
    audio = batch_of_speech(rate=24_000, samples=320 * round(75 * seconds), rows=rows)
    batched = server.call("encodec_encode", {"audio": audio})["codes"]
    reference.assert_codes(batched, audio=audio)
    assert all(len(np.unique(codebook)) > 20 for codebook in batched.transpose(1, 0, 2))
    for row in audio:
        reference.assert_codes(server.call("encodec_encode", {"audio": row[None]})["codes"], audio=row[None])
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda row: server.call("encodec_encode", {"audio": row[None]})["codes"][0], audio))
    reference.assert_codes(together, audio=audio)


#: A rate below the codec's, its own and one above; the slow tests take the other nine pairs.
SAMPLE = [(8_000, 1), (24_000, 1), (44_100, 2)]
RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)


@pytest.mark.parametrize(
    ("rate", "channels"),
    [pytest.param(*pair, marks=() if pair in SAMPLE else pytest.mark.slow) for pair in product(RATES, (1, 2))],
)
def test_a_cloned_voice_is_that_of_transformers_and_fit_for_sunos_code(
    server: Server, triton: RealServer, reference: CloningOracle, rate: int, channels: int
) -> None:
    audio = speech(rate=rate, channels=channels)
    arrays, report = server.clone(audio, rate)
    prepared = cloning.prepare(audio, sample_rate=rate, spec=triton.bundle.spec)
    reference.assert_tokens(arrays["semantic_prompt"][None], audio=prepared.hubert[None])
    reference.assert_codes(arrays["fine_prompt"][None], audio=prepared.encodec[None])
    np.testing.assert_array_equal(arrays["coarse_prompt"], arrays["fine_prompt"][:2])
    assert report["seconds"] == pytest.approx(7.597, abs=0.001)
    assert len(report["warnings"]) == (rate == 8_000)

    options = {"history_prompt": arrays, "silent": True}
    with oracle.load(triton.bundle) as suno:
        semantic = suno.generate_text_semantic("Hi.", temp=0.7, max_gen_duration_s=0.4, min_eos_p=1.0, **options)
        coarse = suno.generate_coarse(semantic, temp=0.7, **options)
        fine = suno.generate_fine(coarse, temp=0.5, **options)
    assert coarse.shape[1] == fine.shape[1] > 0


@pytest.mark.parametrize("seconds", [1.0, 1.01, 3.333, 29.99, 30.0])
def test_a_clip_of_any_length_makes_arrays_that_fit_together(server: Server, seconds: float) -> None:
    arrays, _ = server.clone(speech(rate=22_050, seconds=seconds), 22_050)
    tokens, frames = len(arrays["semantic_prompt"]), arrays["fine_prompt"].shape[1]
    assert frames * 2 == tokens * 3 and 0 <= frames / 75 - seconds < 0.041


def test_clips_cloned_side_by_side_do_not_mix(server: Server, triton: RealServer, reference: CloningOracle) -> None:
    clips = [np.roll(speech(rate=16_000), 5_000 * n)[:, : 16_000 * s] for n, s in enumerate((2, 2, 3, 3, 2, 4))]
    with ThreadPoolExecutor(6) as pool:
        voices = list(pool.map(lambda clip: server.clone(clip, 16_000)[0], clips))
    for clip, voice in zip(clips, voices, strict=True):
        prepared = cloning.prepare(clip, sample_rate=16_000, spec=triton.bundle.spec)
        reference.assert_tokens(voice["semantic_prompt"][None], audio=prepared.hubert[None])
        reference.assert_codes(voice["fine_prompt"][None], audio=prepared.encodec[None])


def test_warnings_reach_the_client(server: Server) -> None:
    audio = np.hstack([np.zeros((1, 32_000), np.float32), np.clip(5 * speech(rate=16_000), -1, 1)])
    warnings = server.clone(audio, 16_000)[1]["warnings"]
    assert len(warnings) == 2 and "clipped" in warnings[0] and "begins with 2" in warnings[1]
    assert "silent" in server.clone(np.zeros((2, 16_000), np.float32), 16_000)[1]["warnings"][0]


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        (np.zeros((1, 8_000), np.float32), 16_000, "0.50 s long"),
        (np.zeros((1, 496_000), np.float32), 16_000, "31.00 s long"),
        (np.zeros((9, 16_000), np.float32), 16_000, "1 to 8 channels"),
        (np.zeros((1, 16_000), np.float32), 4_000, "sample_rate 4000 is out of range"),
        (np.full((1, 16_000), np.nan, np.float32), 16_000, "not finite"),
        (np.full((1, 16_000), 20_000, np.float32), 16_000, "peak of 20000"),
    ],
)
def test_a_clip_that_cannot_be_cloned_is_refused_in_one_sentence(
    server: Server, audio: Floats, rate: int, message: str
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        server.clone(audio, rate)
    text = caught.value.message()
    assert "[INVALID_ARGUMENT] " in text and message in text and "Traceback" not in text and "\n" not in text
    assert "INVALID_ARGUMENT" in str(caught.value.status())


def test_a_cloned_voice_is_kept_spoken_with_renamed_and_deleted(server: Server, triton: RealServer) -> None:
    arrays, _ = server.clone(speech(rate=24_000), 24_000)
    [put] = server.voices("put", name="me", **arrays)
    assert put["hash"] == content_hash(voice_from_arrays(arrays, spec=triton.bundle.spec)) and put["stored"]
    assert put["frames"] == arrays["fine_prompt"].shape[1] and put["seconds"] == pytest.approx(7.6)
    assert put in server.voices("list")
    with BarkClient(triton.url, timeout=60) as bark:
        options = {"seed": 1, "max_duration": 1.0, "min_eos_p": 1.0}
        sent = bark.speak("Hello.", voice=arrays, **options).samples
        for name in ("me", put["hash"], put["hash"][:19]):
            np.testing.assert_array_equal(bark.speak("Hello.", voice=name, **options).samples, sent)
        [renamed] = server.voices("rename", name="me", new_name="team/me")
        assert renamed == put | {"name": "team/me"}
        np.testing.assert_array_equal(bark.speak("Hello.", voice="team/me", **options).samples, sent)
        with pytest.raises(Exception, match="there is no voice 'me'"):
            bark.speak("Hello.", voice="me", **options)
        outputs = server.call("voices", {"command": "get", "name": put["hash"]})
        for name in ARRAYS:
            np.testing.assert_array_equal(outputs[name], arrays[name])
        other = server.clone(speech(rate=24_000, seconds=3), 24_000)[0]
        server.voices("put", name="team/me", overwrite=np.array([True]), **other)
        assert not np.array_equal(bark.speak("Hello.", voice="team/me", **options).samples, sent), "a stale voice spoke"
        assert server.voices("delete", name="team/me")[0]["name"] == "team/me"
        with pytest.raises(Exception, match="there is no voice 'team/me'"):
            bark.speak("Hello.", voice="team/me", **options)


def test_a_cloned_voice_speaks_the_oracles_tokens(server: Server, triton: RealServer) -> None:
    arrays, _ = server.clone(speech(rate=44_100, channels=2), 44_100)
    greedy = {"semantic_temperature": 0.0, "coarse_temperature": 0.0, "fine_temperature": 0.0}
    with BarkClient(triton.url, timeout=60) as bark:
        spoken = bark.speak("Hello.", voice=arrays, max_duration=3, return_tokens=True, **greedy).tokens
    with oracle.load(triton.bundle) as suno:
        options = {"history_prompt": arrays, "silent": True, "use_kv_caching": True, "temp": oracle.GREEDY}
        semantic = suno.generate_text_semantic("Hello.", max_gen_duration_s=3, **options)
        coarse = suno.generate_coarse(semantic, **options)
    assert spoken is not None
    np.testing.assert_array_equal(spoken.semantic_prompt, semantic)
    np.testing.assert_array_equal(spoken.coarse_prompt, coarse)


def test_many_clients_put_at_once_and_nothing_is_lost(server: Server, triton: RealServer) -> None:
    arrays, _ = server.clone(speech(rate=24_000, seconds=2), 24_000)

    def put(number: int) -> None:
        own = arrays | {"semantic_prompt": np.full_like(arrays["semantic_prompt"], number)}
        server.voices("put", name=f"crowd/{number}", **own)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(24)))
    kept = [row["name"] for row in server.voices("list") if row["stored"]]
    assert sorted(kept) == sorted(f"crowd/{number}" for number in range(24))
    for number in range(24):
        outputs = server.call("voices", {"command": "get", "name": f"crowd/{number}"})
        assert set(outputs["semantic_prompt"]) == {number}
        server.voices("delete", name=f"crowd/{number}")
    assert not [row for row in server.voices("list") if row["stored"]]


VOICE = {
    "semantic_prompt": np.arange(100, dtype=np.int32),
    "coarse_prompt": np.ones((2, 150), np.int32),
    "fine_prompt": np.ones((8, 150), np.int32),
}


@pytest.mark.parametrize(
    ("command", "inputs", "message"),
    [
        ("drop", {}, "'drop' is no command"),
        ("get", {}, "the request lacks name"),
        ("get", {"name": "../../etc/passwd"}, "no voice name"),
        ("get", {"name": "nobody"}, "there is no voice 'nobody'"),
        ("get", {"name": "sha256:0123456789ab"}, "there is no voice sha256:0123456789ab"),
        ("put", {"name": "../me", **VOICE}, "no voice name"),
        ("put", {"name": "v2/en_speaker_6", **VOICE}, "comes with the server"),
        ("put", {"name": "me", **VOICE, "semantic_prompt": np.full(100, 10_000, np.int32)}, "must be in 0..9999"),
        ("put", {"name": "me", "semantic_prompt": VOICE["semantic_prompt"]}, "the voice lacks coarse_prompt"),
        ("put", {"name": "me", **VOICE, "coarse_prompt": np.ones((2, 300), np.int32)}, "the same time"),
        ("delete", {"name": "v2/en_speaker_6"}, "comes with the server"),
        ("rename", {"name": "nobody", "new_name": "somebody"}, "there is no voice 'nobody'"),
    ],
)
def test_a_bad_command_is_refused_in_one_sentence(
    server: Server, command: str, inputs: dict[str, Any], message: str
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        server.voices(command, **inputs)
    text = caught.value.message()
    assert text.startswith("[INVALID_ARGUMENT] ") and message in text and "\n" not in text
    assert "INVALID_ARGUMENT" in str(caught.value.status())


def test_a_server_without_hubert_says_that_it_cannot_clone_and_what_to_do(tmp_path: Path, tiny_bundle: Bundle) -> None:
    plain = tmp_path / "bundle"
    plain.mkdir()
    (plain / "spec.json").write_text(tiny_bundle.spec.model_copy(update={"hubert": None}).model_dump_json())
    templates = tmp_path / "templates"
    for model in ("clone_voice", "clone_prepare", "clone_assemble"):
        shutil.copytree(templates_folder() / model, templates / model)
    rendering = RenderSettings(bundle=plain, engines=tmp_path)
    rendered = render_from(templates, rendering, output=tmp_path / "rendered")
    assert [path.name for path in rendered.iterdir() if path.is_dir()] == ["clone_voice"]
    settings = toy.settings(tmp_path / "toy")
    shutil.copytree(rendered / "clone_voice", settings.repository / "clone_voice")
    with running(settings) as started:
        client = Server(started.url)
        with pytest.raises(InferenceServerException, match=r"\[INVALID_ARGUMENT\] this server cannot clone voices"):
            client.clone(speech(rate=16_000), 16_000)
        client.close()


def test_the_client_clones_a_file_keeps_it_speaks_with_it_and_exports_it(
    server: Server, triton: RealServer, tmp_path: Path
) -> None:
    with BarkClient(triton.url, timeout=60) as bark:
        voice = bark.clone_voice(CLIP, name="me")
        [listed] = [info for info in bark.voices() if info.name == "me"]
        assert listed.hash == voice.hash and listed.stored and voice.warnings == ()
        spoken = bark.speak("Hello.", voice="me", seed=1, max_duration=1)
        sent = bark.speak("Hello.", voice=voice.save(tmp_path / "me.npz"), seed=1, max_duration=1)
        np.testing.assert_array_equal(spoken.samples, sent.samples)
    server.voices("delete", name="me")
