"""The column `transformers`: Hugging Face's implementation on a bundle's weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from bark_serving.arrays import Ids
from bark_serving.bundle import Bundle, Vocabulary
from bark_serving.layouts import coarse as coarse_layout
from benchmarks.work import Work, check_amount
from reference import transformers as reference

NAME = "transformers"
STAGES = ("hubert", "semantic", "coarse", "fine", "encodec_decode")


def load(bundle: Bundle, stage: str, *, device: str = "cpu") -> Callable[[Work], Any]:
    """A function that runs one stage in fp32 and returns its output. It holds the stage's network in memory."""
    loaders: dict[str, Callable[[Bundle], Callable[[Work], Any]]] = {
        "semantic": _semantic,
        "coarse": _coarse,
        "fine": _fine,
        "encodec_decode": _decoder,
        "hubert": _hubert,
    }
    with torch.device(device):  # for every tensor that the loaders make
        run = loaders[stage](bundle)

    def without_gradients(work: Work) -> Any:
        with torch.inference_mode(), torch.device(device):
            output = run(work)
        if device != "cpu":
            torch.cuda.synchronize()
        return output

    return without_gradients


def _tensor(ids: Ids) -> Tensor:
    """[…] ids → [1, …] on torch's default device."""
    return torch.tensor(ids, dtype=torch.int64)[None]


def _configs(bundle: Bundle) -> tuple[Any, Any, Any]:
    """Generation settings of the three GPTs, with the values of Bark's own checkpoints."""
    from transformers.models.bark import generation_configuration_bark

    settings: Any = generation_configuration_bark  # its constructors have no types

    spec = bundle.spec
    semantic = settings.BarkSemanticGenerationConfig(
        do_sample=True,
        temperature=spec.sampling.semantic_temperature,
        eos_token_id=spec.semantic.end_token,
        pad_token_id=spec.semantic.end_token,
        text_encoding_offset=spec.semantic.text_offset,
        text_pad_token=spec.semantic.text_pad,
        semantic_pad_token=spec.semantic.end_token,
        semantic_infer_token=spec.semantic.infer_token,
        semantic_vocab_size=spec.semantic.vocab,
        max_input_semantic_length=spec.semantic.text_context,
        semantic_rate_hz=spec.semantic.rate_hz,
    )
    coarse = settings.BarkCoarseGenerationConfig(
        do_sample=True,
        temperature=spec.sampling.coarse_temperature,
        coarse_semantic_pad_token=spec.coarse.semantic_pad,
        coarse_rate_hz=spec.encodec.frame_rate_hz,
        n_coarse_codebooks=spec.coarse.codebooks,
        coarse_infer_token=spec.coarse.infer_token,
        max_coarse_input_length=spec.coarse.semantic_context,
        max_coarse_history=spec.coarse.max_history,
        sliding_window_len=spec.coarse.window,
    )
    fine = settings.BarkFineGenerationConfig(
        temperature=spec.sampling.fine_temperature,
        max_fine_history_length=spec.fine.max_history,
        max_fine_input_length=spec.fine.window,
        n_fine_codebooks=spec.encodec.codebooks,
    )
    return semantic, coarse, fine


def _semantic(bundle: Bundle) -> Callable[[Work], Any]:
    spec = bundle.spec.semantic
    model = reference.gpt("semantic", load_file(bundle.weights("semantic")), spec.gpt)
    config, _, _ = _configs(bundle)
    tokenise = Vocabulary(bundle.tokenizer).tokenise

    def run(work: Work) -> Any:
        ids = torch.zeros((1, spec.text_context), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        tokens = list(tokenise(work.text))[: spec.text_context]
        ids[0, : len(tokens)] = torch.tensor(tokens)
        mask[0, : len(tokens)] = 1
        config.max_new_tokens = config.min_new_tokens = len(work.semantic)
        output = model.generate(ids, semantic_generation_config=config, attention_mask=mask)
        check_amount("semantic", output.shape[1], work)
        return output

    return run


def _coarse(bundle: Bundle) -> Callable[[Work], Any]:
    model = reference.gpt("coarse", load_file(bundle.weights("coarse")), bundle.spec.coarse.gpt)
    semantic, config, _ = _configs(bundle)
    size = bundle.spec.encodec.codebook_size

    def run(work: Work) -> Any:
        output = model.generate(_tensor(work.semantic), semantic, coarse_generation_config=config, codebook_size=size)
        check_amount("coarse", output.shape[1], work)
        return output

    return run


def _fine(bundle: Bundle) -> Callable[[Work], Any]:
    spec = bundle.spec
    model = reference.fine(load_file(bundle.weights("fine")), spec)
    configs = _configs(bundle)

    def run(work: Work) -> Any:
        flat = coarse_layout.flatten(work.coarse, spec=spec)
        return model.generate(_tensor(flat), *configs, codebook_size=spec.encodec.codebook_size)

    return run


def _decoder(bundle: Bundle) -> Callable[[Work], Any]:
    model = reference.encodec(load_file(bundle.weights("encodec")), bundle.spec)
    return lambda work: model.decode(_tensor(work.fine)[None], [None])


def _hubert(bundle: Bundle) -> Callable[[Work], Any]:
    """HuBERT's layers up to the one that the token head reads, and the head."""
    assert bundle.spec.hubert is not None
    weights = load_file(bundle.weights("hubert"))
    model = reference.hubert(bundle.spec, weights, layers=bundle.spec.hubert.feature_layer)
    head = reference.token_head(bundle.spec, weights)
    return lambda work: head(model(torch.tensor(work.clip)[None]).last_hidden_state).argmax(-1)
