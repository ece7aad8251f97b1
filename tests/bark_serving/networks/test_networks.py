"""Our networks compute what Suno's code and transformers compute, on the same random weights."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from bark_serving.bundle import BundleError
from bark_serving.layouts import decoder
from bark_serving.networks import Encodec, Fine, Gpt, Hubert, build, load
from bark_serving.networks.encodec import decode_in_pieces
from bark_serving.networks.fine import sample
from bark_serving.spec import NETWORKS, GptSpec, Network, Spec
from reference import suno as oracle
from reference import transformers as transformers_oracle
from tests.bundles import random_bundle, random_weights, small_spec, true_size_spec

TOLERANCE = 1e-5  # fp32, relative to the largest value of the reference


@pytest.fixture(autouse=True)
def _without_gradients() -> Any:
    with torch.inference_mode():
        yield


def assert_equal(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    assert theirs.abs().max() > 0.1, "a reference near zero proves nothing"
    assert (ours - theirs).abs().max() <= TOLERANCE * max(1.0, theirs.abs().max())


def weighted(network: Network, spec: Spec, *, seed: int = 0) -> tuple[Any, dict[str, Tensor]]:
    module, weights = build(network, spec), random_weights(network, spec, seed=seed)
    module.load_state_dict(weights)
    return module, weights


def prefill(module: Gpt, embeddings: Tensor, *, capacity: int) -> tuple[Tensor, list[Tensor]]:
    batch, length = embeddings.shape[:2]
    positions = torch.arange(length).expand(batch, length)
    lengths = torch.full((batch,), length - 1, dtype=torch.int32)
    past = module.empty_cache(batch=batch, capacity=capacity)
    logits, *present = module(embeddings, positions, lengths, torch.tensor(length, dtype=torch.int32), *past)
    return logits, present


SPECS = [
    pytest.param(small_spec, id="tiny"),
    pytest.param(lambda: small_spec(bias=True), id="tiny with biases"),
    pytest.param(true_size_spec, id="true size", marks=pytest.mark.slow),
]


def untied() -> Spec:
    """A fine network whose heads were trained apart from its embeddings."""
    spec = small_spec()
    return spec.model_copy(update={"fine": spec.fine.model_copy(update={"tied_heads": False})})


@pytest.mark.parametrize("spec_of", SPECS)
def test_the_semantic_gpt_equals_sunos_with_a_merged_prompt(spec_of: Callable[[], Spec]) -> None:
    spec = spec_of()
    ours, weights = weighted("semantic", spec)
    theirs = oracle.gpt(weights, spec.semantic.gpt)
    ids = torch.randint(spec.semantic.gpt.input_vocab, (2, 513), generator=torch.Generator().manual_seed(1))
    table = weights["token_embedding.weight"]
    embeddings = torch.cat((table[ids[:, :256]] + table[ids[:, 256:512]], table[ids[:, 512:]]), dim=1)
    logits, _ = prefill(ours, embeddings, capacity=257)
    assert_equal(logits, theirs(ids, merge_context=True)[0][:, 0])


@pytest.mark.parametrize("spec_of", SPECS)
def test_coarse_prefill_and_decode_equal_sunos_and_transformers(spec_of: Callable[[], Spec]) -> None:
    spec = spec_of()
    gpt: GptSpec = spec.coarse.gpt
    ours, weights = weighted("coarse", spec)
    suno = oracle.gpt(weights, gpt)
    second = transformers_oracle.gpt("coarse", weights, gpt)
    ids = torch.randint(gpt.input_vocab, (2, 40), generator=torch.Generator().manual_seed(2))
    table = weights["token_embedding.weight"]
    logits, cache = prefill(ours, table[ids[:, :37]], capacity=64)
    for length in range(37, 41):
        assert_equal(logits, suno(ids[:, :length])[0][:, 0])
        assert_equal(logits, second(input_ids=ids[:, :length], use_cache=False).logits[:, -1])
        if length < 40:
            at = torch.full((2,), length)
            logits, *cache = ours(table[ids[:, length, None]], at[:, None], at.int(), torch.tensor(length + 1), *cache)


def test_rows_of_different_lengths_decode_as_they_do_alone() -> None:
    spec = small_spec()
    ours, weights = weighted("coarse", spec)
    embeddings = weights["token_embedding.weight"][torch.randint(12_096, (3, 30))]
    lengths = [29, 5, 17]
    alone, caches = [], []
    for row, length in enumerate(lengths):
        _, cache = prefill(ours, embeddings[row : row + 1, :length], capacity=32)
        caches.append(cache)
        at = torch.tensor([length])
        new = embeddings[row : row + 1, length : length + 1]
        alone.append(ours(new, at[:, None], at.int(), at + 1, *cache)[0])
    at = torch.tensor(lengths)
    together = [torch.cat(rows) for rows in zip(*caches, strict=True)]
    new = embeddings[torch.arange(3), at][:, None]
    logits, *_ = ours(new, at[:, None], at.int(), torch.tensor(30), *together)
    torch.testing.assert_close(logits, torch.cat(alone), atol=1e-5, rtol=0)


@pytest.mark.parametrize("spec_of", [*SPECS, untied])
def test_every_codebook_of_fine_equals_sunos_and_transformers(spec_of: Callable[[], Spec]) -> None:
    spec = spec_of()
    ours, weights = weighted("fine", spec)
    assert isinstance(ours, Fine)
    suno = oracle.fine(weights, spec)
    second = transformers_oracle.fine(weights, spec)
    codes = torch.randint(1025, (2, 8, 50), generator=torch.Generator().manual_seed(3), dtype=torch.int32)
    for codebook in range(1, 8):
        logits = ours.logits(codes, torch.full((2, 1), codebook))
        theirs = codes.long().transpose(1, 2)
        assert_equal(logits, suno(codebook, theirs)[..., :1024])
        assert_equal(logits, second(codebook, input_ids=theirs).logits[..., :1024])


def test_rows_of_one_fine_batch_may_have_different_codebooks() -> None:
    ours, _ = weighted("fine", small_spec())
    codes = torch.randint(1025, (3, 8, 20), dtype=torch.int32)
    codebooks = torch.tensor([[2], [7], [5]])
    together = ours.logits(codes, codebooks)
    alone = torch.cat([ours.logits(codes[i : i + 1], codebooks[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert (ours.logits(codes, codebooks.flip(0)) - together)[0].abs().max() > 0.1


def test_fine_samples_from_the_tempered_softmax() -> None:
    logits = torch.randn(1, 1, 6, generator=torch.Generator().manual_seed(0))
    uniforms = (torch.arange(100_000) + 0.5) / 100_000  # a regular grid: frequencies are then exact to 1e-5
    sampled = sample(logits.expand(1, 100_000, 6), torch.tensor([[0.5]]), uniforms[None])
    frequencies = torch.bincount(sampled[0], minlength=6) / 100_000
    torch.testing.assert_close(frequencies, torch.softmax(logits[0, 0] / 0.5, -1), atol=2e-5, rtol=0)


def test_fine_is_greedy_at_temperature_zero_and_safe_for_any_uniform() -> None:
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    uniforms = torch.tensor([[0.0, 0.5, 1.0 - 2**-24]]).expand(2, 3)
    sampled = sample(logits, torch.tensor([[0.0], [1.0]]), uniforms)
    assert sampled[0].tolist() == logits[0].argmax(-1).tolist()
    assert sampled[1, 0] == 0
    assert sampled[1, 2] == 4


@pytest.mark.parametrize("spec_of", [SPECS[0], SPECS[2]])
@pytest.mark.parametrize("frames", [1, 2, 6, 7, 50])
def test_encodec_equals_the_encodec_package(spec_of: Callable[[], Spec], frames: int) -> None:
    spec = spec_of()
    ours, weights = weighted("encodec", spec)
    assert isinstance(ours, Encodec)
    theirs: Any = oracle.encodec(weights, spec)
    codes = torch.randint(1024, (2, 8, frames), generator=torch.Generator().manual_seed(4), dtype=torch.int32)
    audio = ours.decode(codes)
    assert audio.shape == (2, frames * 320)
    assert_equal(audio, theirs.decoder(theirs.quantizer.decode(codes.long().transpose(0, 1)))[:, 0])
    wave = 0.5 * torch.randn(2, frames * 320, generator=torch.Generator().manual_seed(5))
    [(expected, _)] = theirs.encode(wave[:, None])
    assert torch.equal(ours.encode(wave), expected.int())


@pytest.mark.parametrize("frames", [7, 20, 63])
def test_decoding_the_first_frames_gives_the_first_samples_of_the_whole(frames: int) -> None:
    ours, _ = weighted("encodec", small_spec())
    codes = torch.randint(1024, (1, 8, 64), generator=torch.Generator().manual_seed(6), dtype=torch.int32)
    assert_equal(ours.decode(codes[:, :, :frames]), ours.decode(codes)[:, : frames * 320])


@pytest.mark.parametrize("spec_of", [SPECS[0], SPECS[2]])
@pytest.mark.parametrize("frames", [7, 8, 9, 21, 64])
def test_a_codec_that_decodes_in_pieces_gives_the_same_samples(spec_of: Callable[[], Spec], frames: int) -> None:
    codec, _ = weighted("encodec", spec_of())
    codes = torch.randint(1024, (2, 8, frames), generator=torch.Generator().manual_seed(7), dtype=torch.int32)
    expected = codec.decode(codes)
    codec.run_decoder = decode_in_pieces
    assert_equal(codec.decode(codes), expected)


def chunked(codec: Encodec, codes: Tensor, cuts: list[int]) -> Tensor:
    """[samples] of [codebooks, frames] codes, decoded chunk by chunk."""
    state = torch.from_numpy(decoder.first_state(codec.spec))[None]
    audio = []
    for done, end in pairwise([0, *cuts, codes.shape[1]]):
        given, dropped = decoder.chunk_codes(codes[:, :end].numpy(), done, spec=codec.spec)
        samples, state = codec.decode_chunk(torch.from_numpy(given)[None], state)
        audio.append(samples[0, dropped * codec.spec.samples_per_frame :])
    return torch.cat(audio)


@given(cuts=st.sets(st.integers(9, 63), max_size=6).map(sorted))
@settings(max_examples=8, deadline=None)
def test_chunks_of_a_codec_join_to_what_it_decodes_at_once(cuts: list[int]) -> None:
    codec, _ = weighted("encodec", small_spec())
    codes = torch.randint(1024, (8, 64), generator=torch.Generator().manual_seed(8), dtype=torch.int32)
    assert_equal(chunked(codec, codes, cuts), codec.decode(codes[None])[0])


@pytest.mark.slow
def test_chunks_of_a_codec_of_true_size_join_too() -> None:
    codec, _ = weighted("encodec", true_size_spec())
    codes = torch.randint(1024, (8, 200), generator=torch.Generator().manual_seed(8), dtype=torch.int32)
    assert_equal(chunked(codec, codes, [30, 90]), codec.decode(codes[None])[0])


def test_a_chunk_depends_on_the_state_that_it_goes_on_from() -> None:
    codec, _ = weighted("encodec", small_spec())
    codes = torch.randint(1024, (1, 8, 20), generator=torch.Generator().manual_seed(9), dtype=torch.int32)
    audio = [codec.decode_chunk(codes, torch.full((1, *decoder.state_shape(codec.spec)), v))[0] for v in (0.0, 0.5)]
    assert (audio[0] - audio[1]).abs().max() > 100 * TOLERANCE


def test_encodec_equals_transformers() -> None:
    spec = small_spec()
    ours, weights = weighted("encodec", spec)
    second = transformers_oracle.encodec(weights, spec)
    codes = torch.randint(1024, (2, 8, 25), dtype=torch.int32)
    assert_equal(ours.decode(codes), second.decode(codes.long()[None], [None]).audio_values[:, 0])
    wave = 0.5 * torch.randn(2, 25 * 320)
    encoded = second.encode(wave[:, None], bandwidth=6.0).audio_codes[0]
    assert torch.equal(ours.encode(wave), encoded.int())


@pytest.mark.parametrize("spec_of", [SPECS[0], SPECS[2]])
@pytest.mark.parametrize("head_version", [0, 1])
def test_hubert_features_and_head_equal_transformers_and_nn_lstm(
    spec_of: Callable[[], Spec], head_version: int
) -> None:
    spec = spec_of()
    assert spec.hubert is not None
    head = spec.hubert.head.model_copy(update={"version": head_version})
    spec = spec.model_copy(update={"hubert": spec.hubert.model_copy(update={"head": head})})
    ours, weights = weighted("hubert", spec)
    assert isinstance(ours, Hubert)
    assert ours.spec.head.version == head_version
    theirs = transformers_oracle.hubert(spec, weights)
    audio = 0.1 * torch.randn(2, 5_000, generator=torch.Generator().manual_seed(6))
    features = theirs(audio, output_hidden_states=True).hidden_states[ours.spec.feature_layer]
    assert_equal(ours.features(audio), features)
    scores = transformers_oracle.token_head(spec, weights)(features)
    assert_equal(ours.scores(audio), scores)
    assert torch.equal(ours(audio), scores.argmax(-1).int())


def test_hubert_ignores_the_gain_and_offset_of_the_waveform() -> None:
    """Its first convolution has no bias and each channel is normalised over time: do_normalize changes nothing."""
    ours, _ = weighted("hubert", small_spec())
    audio = 0.1 * torch.randn(1, 8_000, generator=torch.Generator().manual_seed(7))
    normalised = (audio - audio.mean()) / audio.std()
    torch.testing.assert_close(ours.features(normalised), ours.features(0.1 + audio), atol=2e-2, rtol=0)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_bundle_loads_under_its_own_names(tmp_path: Path, network: Network) -> None:
    bundle = random_bundle(tmp_path, small_spec(), networks=[network])
    module = load(network, bundle)
    assert not module.training
    weights = random_weights(network, bundle.spec)
    assert module.state_dict().keys() == weights.keys()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in module.state_dict().items())
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_a_tensor_of_another_shape_is_named(tmp_path: Path) -> None:
    bundle = random_bundle(tmp_path, small_spec(), networks=["coarse"])
    weights = random_weights("coarse", bundle.spec)
    weights["layers.1.mlp.up.weight"] = torch.zeros(3, 3)
    save_file(weights, bundle.weights("coarse"))
    with pytest.raises(BundleError, match=r"layers\.1\.mlp\.up\.weight is \(3, 3\), the spec asks for \(128, 32\)"):
        load("coarse", bundle)


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    bundle = random_bundle(tmp_path, small_spec(), networks=["encodec"])
    path = bundle.weights("encodec")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BundleError, match=r"encodec\.safetensors cannot be read"):
        load("encodec", bundle)
