"""What the networks learn is what the server will ask of them, and a training that is stopped goes on as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bark_serving.layouts import coarse as coarse_layout
from bark_serving.networks import Encodec, Gpt
from bark_serving.networks.gpt import split_heads
from bark_serving.spec import EncodecSpec, GptSpec
from build_engines.miniature import losses
from build_engines.miniature.clips import Clips
from build_engines.miniature.codec import SCALES, SLOW_SCALES, CodecLoss, spectral_distance
from build_engines.miniature.init_weights import init_weights
from build_engines.miniature.losses import coarse_example, coarse_times, logits, with_mistakes
from build_engines.miniature.recipe import Recipe, Schedule, spec_for
from build_engines.miniature.recordings import Clip, Recordings
from build_engines.miniature.sentences import letter_tokenizer
from build_engines.miniature.training import rate_at, train

SPEC = spec_for(Recipe(), tokens=letter_tokenizer().get_vocab_size())


@pytest.fixture(scope="module")
def clips() -> Clips:
    """Clips of 1, 3 and 6 s of random tokens, twice by the one speaker."""
    random = np.random.default_rng(0)
    lengths, at, made = [25, 75, 150] * 2, 0, []
    for cells in lengths:
        made.append(Clip(text="A sentence.", speaker=0, start=at, cells=cells))
        at += cells
    samples = (random.standard_normal(at * 960) * 3_000).astype(np.int16)
    units = random.integers(0, SPEC.semantic.vocab, 2 * at).astype(np.int32)
    codes = random.integers(0, 1_024, (3 * at, 8)).astype(np.int32)
    return Clips(Recordings(tuple(made), samples, 24_000), letter_tokenizer(), units, codes)


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["without a voice", "after a voice"])
def test_the_coarse_network_sees_in_training_what_the_server_shows_it(
    clips: Clips, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "WITH_VOICE", share)
    voice = clips[1]
    monkeypatch.setattr(Clips, "another_of_speaker", lambda *_: voice)
    starts = set()
    for seed in range(40):
        clip = clips[2]
        semantic, ids, past = coarse_example(clip, clips, np.random.default_rng(seed), spec=SPEC)
        windows = coarse_layout.schedule(
            clips.units(clip),
            spec=SPEC,
            semantic_history=clips.units(voice) if share else None,
            coarse_history=clips.codes(voice)[:2] if share else None,
        )
        made = coarse_layout.flatten(clips.codes(clip)[:2], spec=SPEC)
        matching = []
        for start in windows.starts:
            prompt = windows.prompt(start, made)
            history = prompt[SPEC.coarse.semantic_context + 1 :]
            window = made[start : start + windows.length(start)]
            seen = np.concatenate([history, window])
            if np.array_equal(prompt[: len(semantic)], semantic) and np.array_equal(seen, ids[: len(seen)]):
                matching.append(start)
        assert matching, seed
        starts.add(matching[-1])
        assert past <= len(windows.history)
    assert len(starts) > 3


def test_a_whole_sequence_gives_the_logits_of_step_by_step() -> None:
    torch.manual_seed(0)
    gpt = Gpt(GptSpec(layers=2, heads=2, width=16, block_size=32, input_vocab=50, output_vocab=50)).eval()
    init_weights(gpt)
    ids = torch.randint(50, (2, 9))
    embeddings = gpt.token_embedding(ids)
    with torch.no_grad():
        whole = logits(gpt, embeddings, first=3)
        for length in range(4, 10):
            cache = gpt.empty_cache(batch=2, capacity=9)
            positions = torch.arange(length).expand(2, -1)
            seqlens = torch.full((2,), length - 1, dtype=torch.int32)
            last, *_ = gpt(embeddings[:, :length], positions, seqlens, torch.tensor([length]), *cache)
            torch.testing.assert_close(whole[:, length - 4], last, atol=1e-5, rtol=1e-4)


def test_mistakes_replace_the_share_that_was_asked_for() -> None:
    ids = np.full(20_000, 7, np.int32)
    wrong = with_mistakes(ids, np.random.default_rng(0), share=0.1, low=100, high=200)
    changed = wrong != ids
    assert 0.09 < changed.mean() < 0.11 and wrong[changed].min() >= 100 and wrong[changed].max() < 200


class Line(nn.Module):
    """Learns y = 3 x with one weight of a layer, which Muon moves, and one that AdamW moves."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(1, 1))
        self.layers = nn.ModuleList([nn.Linear(1, 1, bias=False)])
        nn.init.zeros_(self.get_parameter("layers.0.weight"))

    def loss(self, random: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        x = torch.from_numpy(random.standard_normal((16, 1)).astype(np.float32))
        return ((x @ self.slope + self.layers[0](x) + 0.1 * torch.randn(16, 1) - 3 * x) ** 2).mean(), {}


def test_a_training_that_is_stopped_goes_on_to_the_very_same_weights(tmp_path: Path) -> None:
    schedule = Schedule(steps=60, batch=1, rate=0.2, warmup=5)

    class Stopped(Exception):
        pass

    def until(step: int, _: float) -> None:
        if step == 30:
            raise Stopped

    whole, halved = Line(), Line()
    train(whole, whole.loss, schedule=schedule, state=tmp_path / "whole.pt", seed=1, on_step=lambda *_: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("build_engines.miniature.training.SAVE_SECONDS", -1.0)
        with pytest.raises(Stopped):
            train(halved, halved.loss, schedule=schedule, state=tmp_path / "half.pt", seed=1, on_step=until)
    again, steps = Line(), []
    train(
        again, again.loss, schedule=schedule, state=tmp_path / "half.pt", seed=1, on_step=lambda s, _: steps.append(s)
    )
    assert steps[0] == 30 and steps[-1] == 60
    weights, repeated = list(whole.parameters()), list(again.parameters())
    assert all(map(torch.equal, weights, repeated)) and all(map(torch.any, weights))
    assert sum(weight.item() for weight in weights) == pytest.approx(3, abs=0.1)
    train(again, again.loss, schedule=schedule, state=tmp_path / "half.pt", seed=1, on_step=lambda *_: pytest.fail())


def test_the_rate_warms_up_and_comes_down() -> None:
    schedule = Schedule(steps=100, batch=1, rate=1.0, warmup=10)
    rates = [rate_at(step, schedule) for step in range(100)]
    assert rates[9] == max(rates) == 1.0 and rates[0] < 0.2 and rates[-1] < 0.06
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)


def test_the_codebooks_follow_what_the_encoder_makes_each_what_the_ones_before_it_left(clips: Clips) -> None:
    torch.manual_seed(0)
    codec = Encodec(EncodecSpec(filters=2, dimension=4, lstm_layers=1, codebook_size=32))
    init_weights(codec)
    loss = CodecLoss(codec, clips.recordings, seconds=0.24, batch=4, steps=40)
    random = np.random.default_rng(0)
    for _ in range(14):  # past the steps without a quantizer
        value, figures = loss(random)
    assert figures["codes used"] > 0.3 and torch.isfinite(value)
    with torch.no_grad():
        latent = codec.encoder(loss.examples(random)[:, None])
        codes = codec.quantizer.encode(latent)
        heard = codec.quantizer.decode(codes)
        rows = [codec.quantizer.codebooks[k][codes[:, k].long()].transpose(1, 2) for k in range(8)]
        errors = [float(((latent - torch.stack(rows[:n]).sum(0)) ** 2).mean()) for n in (1, 2, 4, 8)]
    torch.testing.assert_close(torch.stack(rows).sum(0), heard)
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.5 * float(latent.var())


def test_the_first_codebook_tells_the_sound_and_the_second_the_wave(clips: Clips) -> None:
    torch.manual_seed(0)
    codec = Encodec(EncodecSpec(filters=2, dimension=4, lstm_layers=1, codebook_size=16))
    init_weights(codec)
    loss = CodecLoss(codec, clips.recordings, seconds=0.24, batch=4, steps=20)
    for step in range(10):  # past the steps without a quantizer
        loss(np.random.default_rng(step))
    sound, wave, rest = codec.quantizer.codebooks[0], codec.quantizer.codebooks[1], codec.quantizer.codebooks[2]
    assert sound[:, :2].any() and not sound[:, 2:].any()
    assert wave[:, 2:].any() and not wave[:, :2].any()
    assert rest[:, :2].any() and rest[:, 2:].any()


def test_first_weights_let_quiet_speech_through_the_whole_codec() -> None:
    torch.manual_seed(0)
    codec = Encodec(SPEC.encodec).eval()
    init_weights(codec)
    with torch.no_grad():
        latent = codec.encoder(0.05 * torch.randn(2, 1, 24_000))
        heard = codec.decoder(latent)
    assert 0.3 < float(latent.std(-1).mean()) < 3
    assert 0.01 < float(heard.std()) < 0.5


def test_the_coarse_network_begins_by_attending_to_what_sounds_at_the_same_time() -> None:
    torch.manual_seed(0)
    times = coarse_times(SPEC)
    gpt = Gpt(SPEC.coarse.gpt)
    assert len(times) == gpt.spec.block_size

    def distance() -> float:
        """Mean seconds between a code that is predicted and what the first layer attends to."""
        with torch.no_grad():
            tokens = gpt.token_embedding(torch.randint(SPEC.coarse.gpt.input_vocab, (len(times),)))
            first = gpt.layers[0]
            x = first.attention_norm(tokens + gpt.position_embedding.weight)
            query, key, _ = (split_heads(part, 4)[0] for part in first.attention.qkv(x)[None].chunk(3, -1))
            scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
            weights = scores.masked_fill(torch.ones_like(scores[0]).triu(1).bool(), -torch.inf).softmax(-1)
            apart = (times[:, None] - times).abs()
            return float((weights * apart).sum(-1)[:, SPEC.coarse.semantic_context :].mean())

    init_weights(gpt)
    anywhere = distance()
    init_weights(gpt, times=times)
    assert distance() < 0.1 < 0.5 < anywhere


def test_equal_sounds_are_no_distance_apart_and_louder_ones_some() -> None:
    sound = 0.1 * torch.randn(1, 12_000)
    assert float(spectral_distance(sound, sound, rate=24_000, scales=SCALES)) == pytest.approx(0)
    near, far = (float(spectral_distance(sound * gain, sound, rate=24_000, scales=SCALES)) for gain in (1.1, 2.0))
    assert 0 < near < far


def test_slow_spectrograms_do_not_tell_where_the_pulses_of_a_voice_are() -> None:
    pulses = torch.zeros(1, 12_000)
    pulses[:, ::240] = 0.5  # 100 a second
    later = pulses.roll(120)
    slow, fast = (float(spectral_distance(later, pulses, rate=24_000, scales=which)) for which in (SLOW_SCALES, SCALES))
    assert slow < 0.2 * fast


def test_only_the_lower_part_of_a_waveform_is_compared_sample_by_sample(clips: Clips) -> None:
    codec = Encodec(EncodecSpec(filters=2, dimension=4, lstm_layers=1))
    loss = CodecLoss(codec, clips.recordings, seconds=0.24, batch=1, steps=1)
    time = torch.arange(24_000)[None] / 24_000
    low, high = (torch.sin(2 * torch.pi * hertz * time) for hertz in (100, 3_000))
    assert float(loss.low_distance(low + high, low)) < 1e-3
    assert float(loss.low_distance(-low, low)) == pytest.approx(4, rel=0.01)
