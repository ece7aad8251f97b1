"""The meaning of --gpu, and which TensorRT builds for which GPU. Each refusal says where to build instead."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from bark_serving.host import gpus
from build_engines.errors import BuildError
from build_engines.tensorrt import architectures, library
from build_engines.tensorrt.library import Library

TENSORRT = Library("tensorrt", SimpleNamespace(), "10.14.1.48")


def machine_with(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """This machine gets GPUs of these architectures, in CUDA's order."""

    def of_gpus(numbers: Sequence[int] | None = None) -> Sequence[str]:
        chosen = names if numbers is None else [name for number, name in enumerate(names) if number in numbers]
        return tuple(sorted(set(chosen), key=architectures.number))

    monkeypatch.setattr(gpus, "architectures", of_gpus)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sm80", ("sm80",)),
        ("sm80,sm90", ("sm80", "sm90")),
        ("SM_120, sm75", ("sm120", "sm75")),
        ("sm89+sm80,sm80,sm80", ("sm80+sm89", "sm80")),
        ("sm120+sm86", ("sm86+sm120",)),
    ],
)
def test_names_are_parsed_and_sorted(text: str, expected: tuple[str, ...]) -> None:
    assert architectures.parse(text) == expected


@pytest.mark.parametrize("text", ["", "h100", "sm", "sm9", "80", "sm80;sm90", "sm80,"])
def test_an_unknown_name_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(BuildError, match=r"not a GPU architecture.*sm90 \(H100, H200, GH200\)"):
        architectures.parse(text)


def test_auto_means_the_gpus_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_with(monkeypatch, "sm80", "sm90")
    assert architectures.parse("auto") == ("sm80", "sm90")
    machine_with(monkeypatch)
    with pytest.raises(BuildError, match=r"no NVIDIA GPU here.*--gpu sm80,sm90"):
        architectures.parse("auto")


def test_tensorrt_for_rtx_builds_for_the_architectures_it_knows(rtx: Library) -> None:
    assert architectures.supported(rtx) == ["sm75", "sm80", "sm86", "sm89", "sm120", "sm121"]
    assert architectures.check("sm80+sm120", library=rtx) == ["sm80", "sm120"]


@pytest.mark.parametrize(("name", "gpu"), [("sm75", "T4"), ("sm90", "H100"), ("sm100", "B200"), ("sm103", "B300")])
def test_tensorrt_for_rtx_refuses_turing_and_data_centre_gpus_and_says_where_to_build(
    rtx: Library, name: str, gpu: str
) -> None:
    with pytest.raises(BuildError) as caught:
        architectures.check(f"sm80+{name}", library=rtx)
    assert f"{rtx.title} does not build all networks for {name} ({gpu}" in str(caught.value)
    assert f"Build on a machine that has {name} ({gpu}" in caught.value.remedy
    assert "with the TensorRT that will serve" in caught.value.remedy
    assert f"`bark-build engines --profile tensorrt --gpu {name}`" in caught.value.remedy


def test_tensorrt_builds_only_for_the_gpu_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_with(monkeypatch, "sm90")
    assert architectures.check("sm90", library=TENSORRT) == ()
    with pytest.raises(BuildError, match=r"builds for the GPU it runs on, here sm90, not for sm80\..*A100"):
        architectures.check("sm80", library=TENSORRT)
    with pytest.raises(BuildError, match=r"not for sm80\+sm90\..*A100"):
        architectures.check("sm80+sm90", library=TENSORRT)
    machine_with(monkeypatch, "sm90", "sm80")
    assert architectures.check("sm90", library=TENSORRT) == ()
    with pytest.raises(BuildError, match=r"here sm90, not for sm80.*CUDA_VISIBLE_DEVICES"):
        architectures.check("sm80", library=TENSORRT)
    machine_with(monkeypatch)
    with pytest.raises(BuildError, match="there is none here"):
        architectures.check("sm90", library=TENSORRT)


def test_without_tensorrt_the_error_says_how_to_install_it() -> None:
    with pytest.raises(
        BuildError, match=r"TensorRT cannot be used here .*pip install -e '\.\[tensorrt\]'.*container that will serve"
    ):
        library.load_library("tensorrt")
