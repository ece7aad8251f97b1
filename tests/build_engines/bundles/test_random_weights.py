"""Bundles of random weights."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from bark_serving.bundle import Bundle
from bark_serving.engines.quick_sums import quick_sum
from bark_serving.engines.served_files import bundle_files
from bark_serving.networks import Encodec, Hubert, load
from bark_serving.spec import NETWORKS, Spec
from build_engines.bundles.check import expected
from build_engines.bundles.random_weights import STEPS, make_random_bundle, random_spec
from build_engines.bundles.tokenizers import read_tokenizer
from build_engines.errors import CheckpointError, OutputError

SENTENCES = [
    "Hello, my name is Suno. [laughs] ♪ la la ♪ — “quoted”…",
    "Ceci est un texte en français, où l'été est déjà là.",
    "Falsches Üben von Xylophonmusik quält jeden größeren Zwerg.",
    "El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia. ¿Qué?",
    "नमस्ते दुनिया, आप कैसे हैं?",
    "Perché no? Così è più bello.",
    "こんにちは、世界。今日はいい天気ですね。カタカナ",
    "안녕하세요 세계, 오늘은 날씨가 좋네요.",
    "Zażółć gęślą jaźń.",
    "À noite, vovô Kowalsky vê o ímã cair no pé do pinguim.",
    "Привет, мир! Съешь ещё этих мягких французских булок.",
    "Pijamalı hasta yağız şoföre çabucak güvendi.",
    "你好，世界。今天天气很好！",
]


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tiny_bundle: Bundle, tmp_path: Path) -> None:
    again = make_random_bundle(tmp_path / "again")
    other = make_random_bundle(tmp_path / "other", seed=1)
    assert again.hash == tiny_bundle.hash
    assert {name: other.spec.files[name] == digest for name, digest in again.spec.files.items()} == {
        **{f"{network}.safetensors": False for network in NETWORKS},
        "tokenizer.json": True,
    }


def test_a_bundle_has_quick_sums_that_a_server_checks(tiny_bundle: Bundle) -> None:
    for file in bundle_files(tiny_bundle, NETWORKS):
        assert file.quick_sum == quick_sum([memoryview(file.path.read_bytes())])


def test_a_tiny_bundle_verifies_and_every_network_loads(tiny_bundle: Bundle) -> None:
    tiny_bundle.verify()
    for network in NETWORKS:
        assert load(network, tiny_bundle).state_dict().keys() == expected(network, tiny_bundle.spec).keys()


def test_the_tiny_bundle_has_the_codes_contexts_and_windows_of_bark(tiny_bundle: Bundle) -> None:
    spec, released = tiny_bundle.spec, Spec(name="released")
    for ours, theirs, shrunk in (
        (spec.semantic, released.semantic, {"gpt", "text_pad", "infer_token"}),
        (spec.coarse, released.coarse, {"gpt"}),
        (spec.fine, released.fine, {"gpt"}),
        (spec.encodec, released.encodec, {"filters", "dimension"}),
    ):
        assert ours.model_dump(exclude=shrunk) == theirs.model_dump(exclude=shrunk)
    assert spec.semantic.gpt.output_vocab == released.semantic.gpt.output_vocab
    assert spec.coarse.gpt.input_vocab == released.coarse.gpt.input_vocab


@pytest.mark.parametrize("sentence", SENTENCES, ids=range(len(SENTENCES)))
def test_the_small_tokenizer_knows_every_character_of_an_ordinary_sentence(tiny_bundle: Bundle, sentence: str) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_bundle.tokenizer))
    encoded = tokenizer.encode(sentence, add_special_tokens=False)
    assert "[UNK]" not in encoded.tokens
    last = max(encoded.ids) + tiny_bundle.spec.semantic.text_offset
    assert last < tiny_bundle.spec.semantic.text_pad


def test_the_small_tokenizer_gives_unk_for_an_unknown_character(tiny_bundle: Bundle) -> None:
    assert Tokenizer.from_file(str(tiny_bundle.tokenizer)).encode("𓀀 hello").tokens == ["[UNK]", "hello"]


def test_a_vocabulary_file_tokenises_as_bark_did(vocabulary: Path) -> None:
    """Compared with the input that Suno's own code made from a French sentence."""
    golden = np.fromfile(vocabulary.parent / "golden" / "semantic_1.bin", dtype="<i4")
    ids = golden[1 + golden[0] :][:256]
    ids = ids[ids < 129_595] - 10_048
    sentence = "Ceci est un texte en français pour tester le bon fonctionnement de bark."
    assert read_tokenizer(vocabulary).encode(sentence, add_special_tokens=False).ids == ids.tolist()


def test_outputs_of_random_networks_depend_on_their_input(tiny_bundle: Bundle) -> None:
    """Tests on random weights prove something only if this holds."""
    encodec, hubert = load("encodec", tiny_bundle), load("hubert", tiny_bundle)
    assert isinstance(encodec, Encodec) and isinstance(hubert, Hubert)
    time = torch.arange(32_000) / 16_000
    audio = (0.3 * torch.sin(6.28 * time * (200 + 300 * torch.sin(6.28 * time))))[None]
    with torch.inference_mode():
        codes = encodec.encode(audio)
        assert min(len(row.unique()) for row in codes[0]) > 20
        assert len(hubert(audio).unique()) > 10
        assert 0.02 < float(encodec.decode(codes).std()) < 1


def test_the_true_sizes_are_those_of_the_released_models() -> None:
    large, small = (random_spec(size, name="x", tokens=119_547) for size in ("large", "small"))
    assert large.model_dump(exclude={"name", "guard"}) == Spec(name="y").model_dump(exclude={"name", "guard"})
    assert {(gpt.layers, gpt.heads, gpt.width) for gpt in (small.semantic.gpt, small.coarse.gpt, small.fine.gpt)} == {
        (12, 12, 768)
    }
    parameters = sum(np.prod(shape) for shape in expected("semantic", large).values())
    assert parameters == pytest.approx(446e6, rel=0.001)


def test_each_step_is_reported_before_it_starts(tmp_path: Path) -> None:
    steps: list[str] = []
    make_random_bundle(tmp_path / "bundle", on_step=lambda step, _: steps.append(step))
    assert tuple(steps) == STEPS


def test_a_tokenizer_too_large_for_the_network_is_refused(tmp_path: Path, vocabulary: Path) -> None:
    longer = tmp_path / "vocab.txt"
    longer.write_text(vocabulary.read_text() + "\n".join(f"word{i}" for i in range(10)))
    with pytest.raises(CheckpointError, match=r"119557 entries, the semantic network has room for 119547"):
        make_random_bundle(tmp_path / "bundle", size="small", tokenizer=longer)


def test_an_existing_folder_is_replaced_only_if_forced_and_a_bundle(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    first = make_random_bundle(out)
    with pytest.raises(OutputError, match="exists"):
        make_random_bundle(out, seed=1)
    assert make_random_bundle(out, seed=1, force=True).hash != first.hash
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine")
    with pytest.raises(OutputError, match="is not a bundle"):
        make_random_bundle(precious, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "precious"]


def test_of_two_that_make_the_same_bundle_the_first_to_finish_wins(tmp_path: Path) -> None:
    out = tmp_path / "bundle"

    def meanwhile(step: str, _share: float) -> None:
        if step == "hubert":
            make_random_bundle(out, seed=1)

    with pytest.raises(OutputError, match="another process has made it meanwhile"):
        make_random_bundle(out, seed=0, on_step=meanwhile)
    Bundle(out).verify()
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    def stop(step: str, _: float) -> None:
        if step == "fine":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_random_bundle(tmp_path / "bundle", on_step=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_can_be_read_by_other_users(tiny_bundle: Bundle) -> None:
    umask = int(subprocess.check_output(["sh", "-c", "umask"]), 8)
    assert all(path.stat().st_mode & 0o777 == 0o666 & ~umask for path in tiny_bundle.folder.iterdir())
