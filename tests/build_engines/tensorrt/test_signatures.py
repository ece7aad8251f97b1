"""The real bindings of TensorRT 10 and 11 have everything that the builder uses of TensorRT for RTX."""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bark_serving.bundle import Bundle
from bark_serving.profiles import Stage
from build_engines.errors import BuildError
from build_engines.tensorrt import gpt
from build_engines.tensorrt.compiler import build
from build_engines.tensorrt.library import Library, check_caches
from build_engines.tensorrt.shapes import shapes
from tests.build_engines.tensorrt.conftest import declared, export
from tests.build_engines.tensorrt.recorder import Notes, Recorder
from tests.bundles import coarse_of_width, random_bundle
from tests.tensorrt_bindings import DOCUMENTS, RELEASES, WITH_CACHES, ask

pytestmark = pytest.mark.slow  # every release of TensorRT that is checked is installed

#: Only TensorRT for RTX builds for GPUs of other machines. `build` uses these attributes if it gets architectures.
RTX_ONLY = re.compile(r"^ComputeCapability|compute_capabilit(y|ies)$")


@pytest.fixture(scope="module")
def notes(small: Bundle, rtx: Library, tmp_path_factory: pytest.TempPathFactory) -> Notes:
    """Notes of one build with TensorRT for RTX."""
    return notes_of(small, "fine", rtx, tmp_path_factory.mktemp("signatures"))


@pytest.fixture(scope="module")
def gpt_notes(rtx: Library, tmp_path_factory: pytest.TempPathFactory) -> Notes:
    """Notes of a GPT's build."""
    folder = tmp_path_factory.mktemp("signatures")
    bundle = random_bundle(folder / "bundle", coarse_of_width(256), networks=["coarse"])
    check = partial(gpt.check_network, layers=bundle.spec.coarse.gpt.layers)
    return notes_of(bundle, "coarse", rtx, folder, check_network=check)


def notes_of(bundle: Bundle, stage: Stage, rtx: Library, folder: Path, **options: Any) -> Notes:
    notes = Notes()
    plan = build(
        export(bundle, stage=stage, precision="fp16", folder=folder),
        library=dataclasses.replace(rtx, api=Recorder(rtx.api, notes)),
        architectures=("sm80",),
        shapes=shapes(stage, bundle.spec),
        **declared(bundle, stage),  # type: ignore[arg-type]
        **options,
    )
    assert len(plan.data) > 1_000
    return notes


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_notes_cover_a_whole_build(notes: Notes) -> None:
    names = {call.name for call in notes.calls}
    assert {"Builder.__init__", "OnnxParser.parse_from_file", "IOptimizationProfile.set_shape"} <= names
    assert {"IBuilderConfig.clear_flag", "Builder.build_serialized_network"} <= names
    assert any(RTX_ONLY.search(name) for name in notes.attributes)


def test_the_release_has_every_attribute_that_the_builder_uses(notes: Notes, release: str) -> None:
    assert missing(notes, release) == []


def test_every_call_matches_a_signature_of_the_release(notes: Notes, release: str) -> None:
    assert_signatures(notes, release)


@pytest.mark.parametrize("chosen", WITH_CACHES)
def test_the_releases_of_the_tensorrt_profile_have_what_a_gpt_takes(gpt_notes: Notes, chosen: str) -> None:
    assert {"LayerType.KV_CACHE_UPDATE", "LayerType.ATTENTION_INPUT"} <= gpt_notes.attributes
    assert missing(gpt_notes, chosen) == []
    assert_signatures(gpt_notes, chosen)
    check_caches(Library("tensorrt", None, chosen))


@pytest.mark.parametrize("chosen", sorted(set(RELEASES) - set(WITH_CACHES)))
def test_older_releases_have_no_caches(gpt_notes: Notes, chosen: str) -> None:
    assert "LayerType.KV_CACHE_UPDATE" in missing(gpt_notes, chosen)
    with pytest.raises(BuildError, match="does not know KV caches"):
        check_caches(Library("tensorrt", None, chosen))


def missing(notes: Notes, release: str) -> list[str]:
    """What was used and the release does not have."""
    touched = sorted(name for name in notes.attributes if not RTX_ONLY.search(name))
    return [name for name, document in ask(release, DOCUMENTS, touched).items() if document is None]


def assert_signatures(notes: Notes, release: str) -> None:
    calls = [call for call in notes.calls if not RTX_ONLY.search(call.name)]
    documents = ask(release, DOCUMENTS, sorted({call.name for call in calls}))
    for call in calls:
        accepted = [accepts(line, call.positional, call.keywords) for line in signatures(documents[call.name])]
        assert any(accepted), f"{call} does not fit {signatures(documents[call.name])}"


def test_only_tensorrt_for_rtx_takes_architectures(notes: Notes, release: str) -> None:
    theirs = sorted(name for name in notes.attributes if RTX_ONLY.search(name))
    assert set(ask(release, DOCUMENTS, theirs).values()) == {None}


def test_networks_are_strongly_typed_in_every_release(release: str) -> None:
    program = """
from build_engines.tensorrt.compiler import network_flags
answer = [network_flags(trt), 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED), trt.__version__]
"""
    flags, strongly_typed, version = ask(release, program)
    assert version == release
    assert flags == strongly_typed != 0


def test_logger_and_monitor_can_be_made_in_every_release(release: str) -> None:
    program = """
from build_engines.tensorrt.compiler import make_logger, make_monitor, tensorrt_type
from bark_serving.engines.manifest import TensorInfo
log, seen = make_logger(trt), []
log.log(trt.ILogger.Severity.VERBOSE, "Total Activation Memory: 123682816 bytes")
log.log(trt.ILogger.Severity.ERROR, "no")
monitor = make_monitor(trt, lambda *step: seen.append(step))
monitor.phase_start("Building engine", None, 2)
monitor.phase_start("inner", "Building engine", 9)
goes_on = [monitor.step_complete("inner", 0), monitor.step_complete("Building engine", 0)]
types = [tensorrt_type(trt, TensorInfo(dtype=name, axes=())).name for name in ("float32", "int32", "int64")]
answer = [log.activations, log.errors, seen, goes_on, types]
"""
    expected = [123682816, ["no"], [["Building engine", 1, 2]], [True, True], ["FLOAT", "INT32", "INT64"]]
    assert ask(release, program) == expected


def signatures(document: str) -> list[str]:
    """The parameter lists in a pybind11 docstring, without `self`: ``flag: BuilderFlag``."""
    found = re.findall(r"^(?:\d+\. )?\w+\((.*)\) ->", document, re.MULTILINE)
    return [re.sub(r"^self: [^,]*(, )?", "", line) for line in found if not line.startswith("*args")]


def accepts(parameters: str, positional: int, keywords: tuple[str, ...]) -> bool:
    """Whether parameters such as ``a: int, b: int = 0`` accept `positional` arguments and `keywords`."""
    while "[" in parameters:  # drop the commas inside types
        parameters = re.sub(r"\[[^\[\]]*\]", "", parameters)
    entries = [entry.strip() for entry in parameters.split(",") if entry.strip()]
    names = [entry.partition(":")[0] for entry in entries]
    given = {*names[:positional], *keywords}
    required = {name for name, entry in zip(names, entries, strict=True) if "=" not in entry}
    return positional <= len(names) and set(keywords) <= set(names[positional:]) and required <= given


def test_a_call_that_matches_no_signature_is_noticed() -> None:
    document = "1. f(self: trt.X, network: trt.N, config: Dict[str, int], path: str = None) -> bool\n\n doc"
    [line] = signatures(document)
    assert accepts(line, 2, ()) and accepts(line, 1, ("config",)) and accepts(line, 3, ())
    assert not accepts(line, 1, ()) and not accepts(line, 4, ()) and not accepts(line, 2, ("kernel",))


def test_the_bindings_are_kept_in_the_environment(release: str) -> None:
    from tests.tensorrt_bindings import install

    assert install(release) == install(release)
    assert isinstance(install(release), Path)
