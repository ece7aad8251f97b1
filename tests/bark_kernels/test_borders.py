"""Wrong arguments, files and settings are exceptions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bark_kernels
from bark_kernels import Gpt, KernelError, Sizes, Unsupported, Weights, pack_linear, parts
from tests.bark_kernels.networks import random_network

F32 = np.float32


@pytest.fixture
def gpt(tmp_path: Path) -> Gpt:
    weights, sizes, _ = random_network(tmp_path)
    return Gpt(weights, sizes, rows=2)


CALLS: dict[str, tuple[type[Exception], Any]] = {
    "another type": (TypeError, lambda g: g.prefill(0, np.zeros((3, 48)))),
    "no array": (TypeError, lambda g: g.prefill(0, [[0.0] * 48])),
    "another width": (ValueError, lambda g: g.prefill(0, np.zeros((3, 47), F32))),
    "one axis": (ValueError, lambda g: g.prefill(0, np.zeros(48, F32))),
    "no position": (ValueError, lambda g: g.prefill(0, np.zeros((0, 48), F32))),
    "too many positions": (ValueError, lambda g: g.prefill(0, np.zeros((41, 48), F32))),
    "positions beyond the end": (IndexError, lambda g: g.prefill(0, np.zeros((3, 48), F32), start=38)),
    "a start below zero": (IndexError, lambda g: g.prefill(0, np.zeros((3, 48), F32), start=-1)),
    "a row that is not there": (IndexError, lambda g: g.prefill(2, np.zeros((3, 48), F32))),
    "a row below zero": (IndexError, lambda g: g.prefill(-1, np.zeros((3, 48), F32))),
    "more rows than there are": (ValueError, lambda g: g.decode(np.zeros((3, 48), F32), np.zeros(3, int))),
    "lengths of another number": (ValueError, lambda g: g.decode(np.zeros((2, 48), F32), np.zeros(1, int))),
    "a length beyond the end": (IndexError, lambda g: g.decode(np.zeros((2, 48), F32), np.array([3, 40]))),
    "a length below zero": (IndexError, lambda g: g.decode(np.zeros((2, 48), F32), np.array([3, -1]))),
    "a huge length": (IndexError, lambda g: g.decode(np.zeros((1, 48), F32), np.array([2**32]))),
    "a length that is no whole number": (TypeError, lambda g: g.decode(np.zeros((1, 48), F32), np.array([5.9]))),
    "a length that is no number": (TypeError, lambda g: g.decode(np.zeros((1, 48), F32), np.array([np.nan]))),
    "a row that is no whole number": (TypeError, lambda g: g.prefill(0.5, np.zeros((3, 48), F32))),
    "a move from nowhere": (IndexError, lambda g: g.move(2, 0, 1)),
    "a move to nowhere": (IndexError, lambda g: g.move(0, 5, 1)),
    "a move beyond the end": (IndexError, lambda g: g.move(0, 1, 41)),
    "a bidirectional pass": (KernelError, lambda g: g.encode(np.zeros((3, 48), F32))),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_wrong_call_is_refused(gpt: Gpt, case: str):
    error, call = CALLS[case]
    with pytest.raises(error):
        call(gpt)
    assert np.isfinite(gpt.prefill(0, np.ones((40, 48), F32))).all()  # it still works


def test_a_slice_of_an_array_is_copied(gpt: Gpt):
    wide = np.random.default_rng(0).standard_normal((9, 96)).astype(F32)
    np.testing.assert_array_equal(gpt.prefill(0, wide[::2, ::2]), gpt.prefill(0, wide[::2, ::2].copy()))


def test_a_closed_network_refuses_calls(gpt: Gpt):
    gpt.close()
    gpt.close()
    with pytest.raises(KernelError, match="closed"):
        gpt.prefill(0, np.zeros((3, 48), F32))


@pytest.mark.parametrize(
    "sizes",
    [
        Sizes(layers=0, heads=3, width=48, causal=True),
        Sizes(layers=2, heads=5, width=48, causal=True),
        Sizes(layers=2, heads=6, width=48, causal=True),
        Sizes(layers=2, heads=1, width=144, causal=True),
        Sizes(layers=2, heads=3, width=48, causal=True, outputs=("a", "b")),
    ],
)
def test_sizes_without_kernels_are_told(sizes: Sizes):
    assert sizes.unsupported()


@pytest.mark.parametrize(
    "change",
    [{"layers": 3}, {"layers": 1}, {"heads": 1, "width": 96}, {"outputs": ("other",)}],
)
def test_weights_of_other_sizes_are_refused(tmp_path: Path, change: dict[str, Any]):
    weights, sizes, _ = random_network(tmp_path)
    fields = {"layers": sizes.layers, "heads": sizes.heads, "width": sizes.width, "causal": True} | change
    with pytest.raises(Unsupported, match="network-0-8"):
        Gpt(weights, Sizes(**fields))


@pytest.mark.parametrize("threads", [0, -1, 100_000])
def test_an_impossible_number_of_threads_is_refused(tmp_path: Path, threads: int):
    weights, sizes, _ = random_network(tmp_path)
    with pytest.raises(IndexError):
        Gpt(weights, sizes, threads=threads)


@pytest.mark.parametrize("content", [b"", b"\x10", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(Unsupported, match=r"weights\.safetensors is not a file of packed weights"):
        Weights(path)


def test_a_cut_file_is_refused(tmp_path: Path):
    weights, _, _ = random_network(tmp_path)
    path = tmp_path / "cut.safetensors"
    path.write_bytes(weights.path.read_bytes()[:-64])
    with pytest.raises(Unsupported, match="cut"):
        Weights(path)


def test_a_file_of_another_layout_is_refused(tmp_path: Path):
    path = tmp_path / "new.safetensors"
    header = json.dumps({"__metadata__": {"layout": "999"}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(Unsupported, match="layout 999"):
        Weights(path)


def test_safetensors_reads_the_file(tmp_path: Path):
    numpy = pytest.importorskip("safetensors.numpy")
    weights, _, _ = random_network(tmp_path)
    arrays = numpy.load_file(weights.path)
    assert {name for name in arrays if not name.startswith("pad.")} == set(weights.arrays)
    for name, array in weights.arrays.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert array.ctypes.data % 64 == 0


@pytest.mark.parametrize(
    ("weight", "bits"),
    [
        (np.zeros((4, 24), F32), 8),
        (np.zeros((4, 24), F32), 4),
        (np.zeros((4, 32)), 8),
        (np.zeros(32, F32), 8),
        (np.zeros((4, 32), F32), 3),
    ],
)
def test_weights_that_cannot_be_packed_are_refused(weight: np.ndarray, bits: int):
    with pytest.raises(ValueError):
        pack_linear(weight, bits=bits)


def test_parts_refuse_wrong_arrays():
    name = bark_kernels.instruction_sets()[0]
    packed = pack_linear(np.zeros((4, 32), F32))
    with pytest.raises(ValueError):
        parts.linear(packed, np.zeros((2, 16), F32), instruction_set=name)
    with pytest.raises(ValueError):
        parts.attention(*[np.zeros((2, 20), F32)] * 3, causal=True, instruction_set=name)
    with pytest.raises(ValueError, match="65537 positions"):
        parts.attention(*[np.zeros((65_537, 16), F32)] * 3, causal=True, instruction_set=name)
    with pytest.raises(KernelError):
        parts.linear(packed, np.zeros((2, 32), F32), instruction_set="sse9")


def test_a_variable_forces_an_instruction_set(monkeypatch: pytest.MonkeyPatch):
    found = bark_kernels.instruction_sets()
    assert bark_kernels.chosen_instruction_set() == found[0]
    for name in found:
        monkeypatch.setenv("BARK_KERNELS", name)
        assert bark_kernels.chosen_instruction_set() == name
    monkeypatch.setenv("BARK_KERNELS", "off")
    assert bark_kernels.chosen_instruction_set() is None
    monkeypatch.setenv("BARK_KERNELS", "sse9")
    with pytest.raises(Unsupported, match="sse9"):
        bark_kernels.chosen_instruction_set()
