"""The numbers of a checkpoint: reading them, and whether they fit together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bark_serving.spec import Spec
from build_engines.errors import CheckpointError, refuse_placeholder

Model = TypeVar("Model", bound=BaseModel)
Names = Mapping[str, str]


def validated(model: type[Model], **numbers: object) -> Model:
    """`model` from numbers of a file. Raises `CheckpointError` naming the first number that is not valid."""
    try:
        return model.model_validate(numbers)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or model.__name__
        raise CheckpointError(f"{where}: {first['msg']}.") from error


def read_json(path: Path) -> dict[str, object]:
    """A JSON object. Raises `CheckpointError`."""
    refuse_placeholder(path, text=True)
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({error}).", remedy="Fetch it again.") from error
    if not isinstance(tree, dict):
        raise CheckpointError(f"{path} holds {type(tree).__name__}, expected a JSON object.")
    return tree


def section(tree: Mapping[str, object], key: str) -> dict[str, object]:
    """The object under `key`, or an empty one."""
    value = tree.get(key)
    return dict(value) if isinstance(value, dict) else {}


def pick(tree: Mapping[str, object], names: Names) -> dict[str, object]:
    """Entries of `tree` under our names. `names`: {their name: our name}. Absent and null entries are left out."""
    return {ours: tree[theirs] for theirs, ours in names.items() if tree.get(theirs) is not None}


def require_equal(tree: Mapping[str, object], expected: Mapping[str, object]) -> None:
    """Raise `CheckpointError` for an entry of `tree` that is not as expected. Absent entries count as expected.

    Our networks implement the released architecture. A checkpoint of another one would speak noise.
    """
    for key, value in expected.items():
        if key in tree and tree[key] != value:
            raise CheckpointError(f"{key} is {tree[key]!r}; only {value!r} is supported.")


def check_numbers(spec: Spec) -> None:
    """Raise `CheckpointError` unless tokens lie in their vocabularies and contexts in their networks."""
    _check_special_tokens(spec)
    semantic, coarse, fine, encodec = spec.semantic, spec.coarse, spec.fine, spec.encodec
    last_code = coarse.offset + coarse.codebooks * encodec.codebook_size - 1
    for what, value, limit in (
        ("semantic.end_token", semantic.end_token, semantic.gpt.output_vocab - 1),
        ("semantic.vocab", semantic.vocab, semantic.gpt.output_vocab),
        ("semantic.text_pad", semantic.text_pad, semantic.gpt.input_vocab - 1),
        ("semantic.infer_token", semantic.infer_token, semantic.gpt.input_vocab - 1),
        # the last step's input stands at prefill + max_steps - 2
        ("semantic prompt and steps", semantic.prefill + semantic.max_steps - 1, semantic.gpt.block_size),
        ("coarse.semantic_pad", coarse.semantic_pad, coarse.gpt.input_vocab - 1),
        ("coarse.infer_token", coarse.infer_token, coarse.gpt.input_vocab - 1),
        ("coarse's last code", last_code, coarse.gpt.output_vocab - 1),
        ("semantic.vocab, as coarse.offset,", semantic.vocab, coarse.offset),
        (
            "coarse prompt and window",
            coarse.semantic_context + 1 + coarse.max_history + coarse.window,
            coarse.gpt.block_size,
        ),
        ("fine.pad_token", fine.pad_token, fine.gpt.input_vocab - 1),
        ("encodec.codebook_size", encodec.codebook_size, fine.gpt.output_vocab),
        ("fine.window", fine.window, fine.gpt.block_size),
        ("coarse.codebooks", coarse.codebooks, encodec.codebooks),
    ):
        if value > limit:
            raise CheckpointError(
                f"{what} is {value}, the limit is {limit}.",
                remedy="The checkpoint's token numbers and sizes disagree; are its files from one model?",
            )


def _check_special_tokens(spec: Spec) -> None:
    """Raise `CheckpointError` if a special token has the number of a code, or the token head makes other tokens."""
    semantic, coarse, fine, encodec = spec.semantic, spec.coarse, spec.fine, spec.encodec
    first_free = coarse.offset + coarse.codebooks * encodec.codebook_size
    for what, token, first in (
        ("semantic.end_token", semantic.end_token, semantic.vocab),
        ("semantic.text_pad", semantic.text_pad, semantic.vocab),
        ("semantic.infer_token", semantic.infer_token, semantic.vocab),
        ("semantic.text_offset", semantic.text_offset, semantic.vocab),
        ("coarse.semantic_pad", coarse.semantic_pad, first_free),
        ("coarse.infer_token", coarse.infer_token, first_free),
        ("fine.pad_token", fine.pad_token, encodec.codebook_size),
    ):
        if token < first:
            raise CheckpointError(
                f"{what} is {token}, which is the number of a code; it must be at least {first}.",
                remedy="The checkpoint's token numbers and sizes disagree; are its files from one model?",
            )
    if spec.hubert is not None and spec.hubert.head.output_vocab != semantic.vocab:
        raise CheckpointError(
            f"the token head makes {spec.hubert.head.output_vocab} different tokens, the semantic network has "
            f"{semantic.vocab}.",
            remedy="Give the token head that was trained for this checkpoint.",
        )
