"""The networks learn what the server asks of them. A stopped training continues as if it had not stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bark_serving.layouts import coarse as coarse_layout
from bark_serving.networks import Encodec, Gpt
from bark_serving.networks.gpt import split_heads
from bark_serving.spec import EncodecSpec, GptSpec
from build_engines.miniature import losses
from build_engines.miniature.attention import BLOCK, causal_attention
from build_engines.miniature.clips import Clips
from build_engines.miniature.codec import SCALES, SLOW_SCALES, CodecLoss, spectral_distance
from build_engines.miniature.init_weights import init_weights
from build_engines.miniature.losses import coarse_example, coarse_loss, coarse_times, hidden, with_mistakes
from build_engines.miniature.muon import Muon
from build_engines.miniature.recipe import Schedule
from build_engines.miniature.training import bfloat16, rate_at, train
from tests.build_engines.miniature.conftest import SPEC


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["without a voice", "after a voice"])
def test_examples_of_the_coarse_network_equal_the_servers_prompts(
    clips: Clips, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "VOICE_SHARE", share)
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
        own = coarse_layout.flatten(clips.codes(clip)[:2], spec=SPEC)
        matching = []
        for start in windows.starts:
            prompt = windows.prompt(start, own)
            history = prompt[SPEC.coarse.semantic_context + 1 :]
            window = own[start : start + windows.length(start)]
            visible = np.concatenate([history, window])
            if np.array_equal(prompt[: len(semantic)], semantic) and np.array_equal(visible, ids[: len(visible)]):
                matching.append(start)
        assert matching, seed
        starts.add(matching[-1])
        assert past <= len(windows.history)
    assert len(starts) > 3


def test_the_logits_of_a_whole_sequence_equal_those_of_single_steps() -> None:
    torch.manual_seed(0)
    gpt = Gpt(GptSpec(layers=2, heads=2, width=16, block_size=32, input_vocab=50, output_vocab=50)).eval()
    init_weights(gpt)
    ids = torch.randint(50, (2, 9))
    embeddings = gpt.token_embedding(ids)
    with torch.no_grad():
        whole = gpt.head(hidden(gpt, embeddings, first=3))
        for length in range(4, 10):
            cache = gpt.empty_cache(batch=2, capacity=9)
            positions = torch.arange(length).expand(2, -1)
            seqlens = torch.full((2,), length - 1, dtype=torch.int32)
            last, *_ = gpt(embeddings[:, :length], positions, seqlens, torch.tensor([length]), *cache)
            torch.testing.assert_close(whole[:, length - 4], last, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("length", [1, BLOCK, 2 * BLOCK + 44])
def test_attention_in_blocks_equals_torchs(length: int) -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(2, 3, length, 8, requires_grad=True) for _ in range(3)]
    ours = causal_attention(*inputs)
    theirs = F.scaled_dot_product_attention(*inputs, is_causal=True)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    weights = torch.randn_like(ours)
    for one, other in zip(
        torch.autograd.grad(ours, inputs, weights), torch.autograd.grad(theirs, inputs, weights), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_coarse_network_learns_to_choose_among_the_codes_of_one_codebook(clips: Clips) -> None:
    torch.manual_seed(0)
    gpt = Gpt(SPEC.coarse.gpt)
    init_weights(gpt)
    loss, figures = coarse_loss(gpt, clips, spec=SPEC, batch=2)(np.random.default_rng(0))
    assert loss.item() == pytest.approx(np.log(1_024), rel=0.05)  # a new network knows nothing
    assert figures["accuracy"] < 0.1
    torch.autograd.backward(loss)
    learnt = gpt.head.weight.grad
    assert learnt is not None
    first, size = SPEC.coarse.offset, 2 * SPEC.encodec.codebook_size
    assert learnt[first : first + size].abs().sum(1).all()
    assert not learnt[:first].any() and not learnt[first + size :].any()


def test_mistakes_replace_the_requested_share_of_ids() -> None:
    ids = np.full(20_000, 7, np.int32)
    wrong = with_mistakes(ids, np.random.default_rng(0), share=0.1, low=100, high=200)
    changed = wrong != ids
    assert 0.09 < changed.mean() < 0.11 and wrong[changed].min() >= 100 and wrong[changed].max() < 200


class Line(nn.Module):
    """Learns y = 3 x with two weights: Muon trains the one inside `layers`, AdamW trains the other."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(1, 1))
        self.layers = nn.ModuleList([nn.Linear(1, 1, bias=False)])
        nn.init.zeros_(self.get_parameter("layers.0.weight"))

    def loss(self, random: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        x = torch.from_numpy(random.standard_normal((16, 1)).astype(np.float32))
        return ((x @ self.slope + self.layers[0](x) + 0.1 * torch.randn(16, 1) - 3 * x) ** 2).mean(), {}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.0), (torch.float32, 5e-4)])
@pytest.mark.parametrize("shape", [(24, 72), (72, 24), (1, 1)])
def test_muon_steps_as_torchs_does_and_to_the_bit_in_its_number_format(
    shape: tuple[int, int], dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(0)
    ours = nn.Parameter(torch.randn(shape))
    theirs = nn.Parameter(ours.detach().clone())
    first = ours.detach().clone()
    settings = {"lr": 1e-2, "weight_decay": 0.01}
    optimizers = [
        Muon([ours], **settings, dtype=dtype),
        torch.optim.Muon([theirs], **settings, adjust_lr_fn="match_rms_adamw"),
    ]
    for _ in range(5):
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=0.0)
    assert (ours - first).abs().max() > 10 * tolerance


def test_a_stopped_training_continues_to_exactly_the_same_weights(tmp_path: Path) -> None:
    schedule = Schedule(steps=60, batch=1, rate=0.2, warmup=5)

    class Stopped(Exception):
        pass

    def stop_halfway(step: int, _: float) -> None:
        if step == 30:
            raise Stopped

    whole, stopped = Line(), Line()
    train(whole, whole.loss, schedule=schedule, state=tmp_path / "whole.pt", seed=1, on_step=lambda *_: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("build_engines.miniature.training.SAVE_INTERVAL_S", -1.0)
        with pytest.raises(Stopped):
            train(stopped, stopped.loss, schedule=schedule, state=tmp_path / "half.pt", seed=1, on_step=stop_halfway)
    second, steps, state = Line(), [], tmp_path / "half.pt"
    train(second, second.loss, schedule=schedule, state=state, seed=1, on_step=lambda step, _: steps.append(step))
    assert steps[0] == 30 and steps[-1] == 60
    weights, continued = list(whole.parameters()), list(second.parameters())
    assert all(map(torch.equal, weights, continued)) and all(map(torch.any, weights))
    assert sum(weight.item() for weight in weights) == pytest.approx(3, abs=0.1)
    train(second, second.loss, schedule=schedule, state=state, seed=1, on_step=lambda *_: pytest.fail())


@pytest.mark.parametrize(
    ("able", "dtype"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False}, torch.float32),
    ],
)
def test_a_processor_without_bfloat16_trains_in_float32(
    monkeypatch: pytest.MonkeyPatch, able: dict[str, bool], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    with bfloat16():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype


def test_the_learning_rate_rises_during_the_warmup_and_then_falls() -> None:
    schedule = Schedule(steps=100, batch=1, rate=1.0, warmup=10)
    rates = [rate_at(step, schedule) for step in range(100)]
    assert rates[9] == max(rates) == 1.0 and rates[0] < 0.2 and rates[-1] < 0.06
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)


def test_each_further_codebook_lowers_the_error_of_the_latents(clips: Clips) -> None:
    torch.manual_seed(0)
    codec = Encodec(EncodecSpec(filters=2, dimension=4, lstm_layers=1, codebook_size=32))
    init_weights(codec)
    loss = CodecLoss(codec, clips.recordings, seconds=0.24, batch=4, steps=40)
    random = np.random.default_rng(0)
    for _ in range(14):  # past the steps without a quantizer
        value, figures = loss(random)
    assert figures["codes used"] > 0.3 and torch.isfinite(value)
    with torch.no_grad():
        latent = codec.encoder(loss.random_audio(random)[:, None])
        codes = codec.quantizer.encode(latent)
        decoded = codec.quantizer.decode(codes)
        rows = [codec.quantizer.codebooks[k][codes[:, k].long()].transpose(1, 2) for k in range(8)]
        errors = [float(((latent - torch.stack(rows[:n]).sum(0)) ** 2).mean()) for n in (1, 2, 4, 8)]
    torch.testing.assert_close(torch.stack(rows).sum(0), decoded)
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.5 * float(latent.var())


def test_the_first_two_codebooks_see_one_half_of_the_latent_each(clips: Clips) -> None:
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


def test_quiet_audio_passes_through_a_codec_with_initial_weights() -> None:
    torch.manual_seed(0)
    codec = Encodec(SPEC.encodec).eval()
    init_weights(codec)
    with torch.no_grad():
        latent = codec.encoder(0.05 * torch.randn(2, 1, 24_000))
        decoded = codec.decoder(latent)
    assert 0.3 < float(latent.std(-1).mean()) < 3
    assert 0.01 < float(decoded.std()) < 0.5


def test_a_new_coarse_network_attends_to_what_sounds_at_the_same_time() -> None:
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
    without_times = distance()
    init_weights(gpt, times=times)
    assert distance() < 0.1 < 0.5 < without_times


def test_the_spectral_distance_grows_with_the_difference_in_loudness() -> None:
    sound = 0.1 * torch.randn(1, 12_000)
    assert float(spectral_distance(sound, sound, rate=24_000, scales=SCALES)) == pytest.approx(0)
    near, far = (float(spectral_distance(sound * gain, sound, rate=24_000, scales=SCALES)) for gain in (1.1, 2.0))
    assert 0 < near < far


def test_slow_spectrograms_hardly_depend_on_the_times_of_pulses() -> None:
    pulses = torch.zeros(1, 12_000)
    pulses[:, ::240] = 0.5  # 100 per second
    later = pulses.roll(120)
    slow, fast = (float(spectral_distance(later, pulses, rate=24_000, scales=which)) for which in (SLOW_SCALES, SCALES))
    assert slow < 0.2 * fast


def test_the_low_distance_ignores_high_frequencies_but_not_phases(clips: Clips) -> None:
    codec = Encodec(EncodecSpec(filters=2, dimension=4, lstm_layers=1))
    loss = CodecLoss(codec, clips.recordings, seconds=0.24, batch=1, steps=1)
    time = torch.arange(24_000)[None] / 24_000
    low, high = (torch.sin(2 * torch.pi * hertz * time) for hertz in (100, 3_000))
    assert float(loss.low_distance(low + high, low)) < 1e-3
    assert float(loss.low_distance(-low, low)) == pytest.approx(4, rel=0.01)
