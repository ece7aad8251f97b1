"""The column `transformers`: Hugging Face's implementation on a bundle's weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from bark_serving.arrays import Ids
from bark_serving.bundle import Bundle, load_tokenise
from bark_serving.layouts import coarse as coarse_layout
from bark_serving.spec import GptSpec, HubertSpec
from benchmarks.work import Work, check_amount

NAME = "transformers"
STAGES = ("hubert", "semantic", "coarse", "fine", "encodec_decode")

_GPT_NAMES = (
    ("token_embedding.", "input_embeds_layer."),
    ("position_embedding.", "position_embeds_layer."),
    (".attention_norm.", ".layernorm_1."),
    (".attention.qkv.", ".attn.att_proj."),
    (".attention.out.", ".attn.out_proj."),
    (".mlp_norm.", ".layernorm_2."),
    (".mlp.up.", ".mlp.in_proj."),
    (".mlp.down.", ".mlp.out_proj."),
)


def opened(bundle: Bundle, stage: str, *, device: str = "cpu") -> Callable[[Work], Any]:
    """A function that runs one stage and gives what it made, its network in memory as long as it is; fp32."""
    openers: dict[str, Callable[[Bundle], Callable[[Work], Any]]] = {
        "semantic": _semantic,
        "coarse": _coarse,
        "fine": _fine,
        "encodec_decode": _decoder,
        "hubert": _hubert,
    }
    with torch.device(device):  # every tensor that the openers and their functions make
        run = openers[stage](bundle)

    def without_gradients(work: Work) -> Any:
        with torch.inference_mode(), torch.device(device):
            made = run(work)
        if device != "cpu":
            torch.cuda.synchronize()
        return made

    return without_gradients


def _rename(name: str) -> str:
    for ours, theirs in _GPT_NAMES:
        if name.startswith(ours) or (ours.startswith(".") and ours in name):
            return name.replace(ours, theirs)
    return (
        name.replace("norm.", "layernorm_final.", 1) if name.startswith("norm.") else name.replace("head.", "lm_head.")
    )


def _tensor(ids: Ids) -> Tensor:
    """[…] ids → [1, …] on the device in use."""
    return torch.tensor(ids, dtype=torch.int64)[None]


def _sizes(gpt: GptSpec) -> dict[str, Any]:
    return {
        "block_size": gpt.block_size,
        "input_vocab_size": gpt.input_vocab,
        "output_vocab_size": gpt.output_vocab,
        "num_layers": gpt.layers,
        "num_heads": gpt.heads,
        "hidden_size": gpt.width,
        "bias": gpt.bias,
    }


def _filled(model: Any, state: dict[str, Tensor]) -> Any:
    """A model in eval mode with exactly these parameters; its buffers (masks) stay its own."""
    result = model.load_state_dict(state, strict=False)
    parameters = {name for name, _ in model.named_parameters()}
    missing = parameters.intersection(result.missing_keys) - {"masked_spec_embed"}
    if missing or result.unexpected_keys:
        raise ValueError(f"transformers' names have changed: {sorted(missing)}, {result.unexpected_keys}")
    return model.to(torch.get_default_device()).eval()


def _configs(bundle: Bundle) -> tuple[Any, Any, Any]:
    """Generation settings of the three transformers, as Bark's own checkpoints have them."""
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
    from transformers import BarkSemanticConfig, BarkSemanticModel

    spec = bundle.spec.semantic
    weights = load_file(bundle.weights("semantic"))
    model = _filled(
        BarkSemanticModel(BarkSemanticConfig(**_sizes(spec.gpt))), {_rename(k): v for k, v in weights.items()}
    )
    config, _, _ = _configs(bundle)
    tokenise = load_tokenise(bundle.tokenizer)

    def run(work: Work) -> Any:
        ids = torch.zeros((1, spec.text_context), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        tokens = list(tokenise(work.text))[: spec.text_context]
        ids[0, : len(tokens)] = torch.tensor(tokens)
        mask[0, : len(tokens)] = 1
        count = len(work.semantic)
        config.max_new_tokens = config.min_new_tokens = count
        made = model.generate(ids, semantic_generation_config=config, attention_mask=mask)
        check_amount("semantic", made.shape[1], work)
        return made

    return run


def _coarse(bundle: Bundle) -> Callable[[Work], Any]:
    from transformers import BarkCoarseConfig, BarkCoarseModel

    weights = load_file(bundle.weights("coarse"))
    sizes = _sizes(bundle.spec.coarse.gpt)
    model = _filled(BarkCoarseModel(BarkCoarseConfig(**sizes)), {_rename(k): v for k, v in weights.items()})
    semantic, config, _ = _configs(bundle)

    def run(work: Work) -> Any:
        given = _tensor(work.semantic)
        made = model.generate(
            given, semantic, coarse_generation_config=config, codebook_size=bundle.spec.encodec.codebook_size
        )
        check_amount("coarse", made.shape[1], work)
        return made

    return run


def _fine(bundle: Bundle) -> Callable[[Work], Any]:
    from transformers import BarkFineConfig, BarkFineModel

    spec = bundle.spec
    state: dict[str, Tensor] = {}
    given = spec.fine.codebooks_given
    for name, tensor in load_file(bundle.weights("fine")).items():
        if name != "token_embedding.weight":
            state[_rename(name)] = tensor
            continue
        for k, table in enumerate(tensor):
            state[f"input_embeds_layers.{k}.weight"] = table
            if 1 <= k <= spec.encodec.codebooks - given:
                state[f"lm_heads.{k - 1}.weight"] = table
    sizes = {**_sizes(spec.fine.gpt), "n_codes_total": spec.encodec.codebooks, "n_codes_given": given}
    model = _filled(BarkFineModel(BarkFineConfig(**sizes)), state)
    configs = _configs(bundle)

    def run(work: Work) -> Any:
        flat = coarse_layout.flatten(work.coarse, spec=spec)
        return model.generate(_tensor(flat), *configs, codebook_size=spec.encodec.codebook_size)

    return run


def _decoder(bundle: Bundle) -> Callable[[Work], Any]:
    from transformers import EncodecConfig, EncodecModel

    sizes = bundle.spec.encodec
    config = EncodecConfig(hidden_size=sizes.dimension, codebook_dim=sizes.dimension, num_filters=sizes.filters)
    model: Any = EncodecModel(config)
    _without_weight_norm(model)
    state = load_file(bundle.weights("encodec"))
    for k, codebook in enumerate(state.pop("quantizer.codebooks")):
        state[f"quantizer.layers.{k}.codebook.embed"] = codebook
    model = _filled(model, state)
    return lambda work: model.decode(_tensor(work.fine)[None], [None])


def _without_weight_norm(model: Any) -> None:
    for module in model.modules():
        if hasattr(module, "parametrizations"):
            torch.nn.utils.parametrize.remove_parametrizations(module, "weight")


def _hubert(bundle: Bundle) -> Callable[[Work], Any]:
    """HuBERT up to the layer that the token head reads, and the head in plain torch."""
    from transformers import HubertConfig, HubertModel

    spec = bundle.spec.hubert
    assert spec is not None
    device = torch.get_default_device()
    weights = {name: tensor.to(device) for name, tensor in load_file(bundle.weights("hubert")).items()}
    model: Any = HubertModel(_hubert_config(HubertConfig, spec))
    _without_weight_norm(model)
    kept = {
        name: tensor
        for name, tensor in weights.items()
        if not name.startswith("head.") and _layer(name) < spec.feature_layer
    }
    model = _filled(model, kept)
    head = spec.head
    lstm = torch.nn.LSTM(head.input_width, head.hidden, head.layers, batch_first=True)
    prefix = "head.lstm."
    lstm.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})

    def run(work: Work) -> Any:
        features = lstm(model(torch.tensor(work.clip)[None]).last_hidden_state)[0]
        if head.version == 1:
            features = features @ weights["head.intermediate.weight"].T + weights["head.intermediate.bias"]
        return (features @ weights["head.out.weight"].T + weights["head.out.bias"]).argmax(-1)

    return run


def _hubert_config(kind: Any, spec: HubertSpec) -> Any:
    return kind(
        hidden_size=spec.width,
        num_hidden_layers=spec.feature_layer,  # the layers above are not looked at
        num_attention_heads=spec.heads,
        intermediate_size=spec.intermediate,
        conv_dim=spec.conv_width,
        conv_kernel=spec.conv_kernel,
        conv_stride=spec.conv_stride,
        num_conv_pos_embeddings=spec.position_conv_kernel,
        num_conv_pos_embedding_groups=spec.position_conv_groups,
    )


def _layer(name: str) -> int:
    """Number of the transformer layer that a tensor belongs to; −1 for none."""
    prefix = "encoder.layers."
    return int(name.removeprefix(prefix).split(".")[0]) if name.startswith(prefix) else -1
