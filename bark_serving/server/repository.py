"""A Triton model repository from templates: one bundle, its engines, one profile → a folder that Triton can load.

The templates are ``model_repository/<model>/config.pbtxt.j2``. A profile that runs the model in another backend has its
own ``config.<profile>.pbtxt.j2`` beside it, and then ``model.py`` is not copied. Each template is given:

- `profile`, `precision` (the stage's), `max_batch`, `threads`, `kernels`, `spec`, and `bundle` (an absolute folder);
- `engine` (an absolute folder, or None where the profile runs the bundle's own weights) and its `manifest`;
- `voices` (folders, separated as in PATH), `voice_store` (a folder), `max_voices` and `max_voice_bytes`;
- `queue_delay` (µs that a batch waits for more requests);
- `gpus` (numbers; empty: the CPU), `devices` (the same for torch, e.g. ``cuda:0``), `instance_group` (one instance per
  GPU) and `single_instance_group` (one instance, for a model that distributes its requests itself);
- `request_inputs` (of the model ``bark``), `decoder_state` (dimensions) and `capabilities` (what the stages can do).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

import jinja2
from pydantic import BaseModel, ConfigDict, ValidationError

from bark_serving.bundle import Bundle
from bark_serving.engines.builders import how_to_build
from bark_serving.engines.compatibility import Host, this_host
from bark_serving.engines.kernels import instruction_set, packed_weights
from bark_serving.engines.served_files import ServedFile, bundle_files, engine_files
from bark_serving.engines.store import EngineError, EngineMissing, EngineStore, engines_option, read_engine
from bark_serving.errors import INSTALL_AGAIN
from bark_serving.files import atomic_folder
from bark_serving.host.cores import usable_cores
from bark_serving.layouts.decoder import state_shape
from bark_serving.profiles import STAGES, TABLE, TRANSFORMERS, Precision, Profile, Stage, StageRow, stage_precision
from bark_serving.server.errors import RepositoryError
from bark_serving.server.gpu_check import PLAN_PROFILES, check_engines
from bark_serving.server.render_settings import RenderSettings
from bark_serving.server.settings import CONFIG
from bark_serving.spec import NETWORKS, Network
from bark_serving.speech.request_inputs import request_inputs
from bark_serving.speech.stage_capabilities import StageCapabilities, capabilities_of

TEMPLATE = "config.pbtxt.j2"
MODEL = "model.py"
VERSION = "1"
#: The networks whose embeddings a server with engines reads from the bundle.
_EMBEDDINGS: Mapping[Profile, Sequence[Network]] = {
    "cpu": ("semantic", "coarse", "fine"),
    "rtx": ("semantic", "coarse"),
    "tensorrt": ("semantic", "coarse"),
    "trtllm": ("semantic",),
}
RENDERED_FILE = "rendered.json"
QUEUE_DELAY_US = 2_000
_ONNX_RUNTIME = "ONNX Runtime"  #: runs what the kernels do not, in the profile cpu
#: Models that only cloning a voice needs. A bundle without HuBERT has only `clone_voice`, which says what is missing.
CLONING = frozenset({"clone_assemble", "clone_prepare", "encodec_encode", "hubert"})


@dataclass
class _Model:
    """One model of the repository."""

    name: str
    template: str
    values: dict[str, Any]  #: that the template is given
    links: dict[str, Path] = field(default_factory=dict)  #: by name in the version folder
    engine_files: Sequence[ServedFile] = ()  #: that the model reads

    @property
    def is_python(self) -> bool:
        return self.template == TEMPLATE


def voice_store_of(bundle: Bundle) -> Path:
    """Where the voices of a bundle's clients are kept by default: in ``$BARK_VOICES``, else ``build/voices``.

    One folder per codec, because the same tokens decode to different audio with another codec. Bark's checkpoints all
    have the same codec.
    """
    codec = bundle.spec.files.get("encodec.safetensors", "none")
    return Path(os.environ.get("BARK_VOICES") or "build/voices") / f"codec-{codec[:8]}"


def templates_folder() -> Path:
    """``model_repository``: beside the packages in a checkout, inside this one in a wheel."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "model_repository", package.parent / "model_repository"):
        if folder.is_dir():
            return folder
    raise RepositoryError("The model_repository templates are not installed.", remedy=INSTALL_AGAIN)


class Rendered(BaseModel):
    """What a repository was rendered from, kept in it as `RENDERED_FILE`. Triton reads folders only."""

    model_config = ConfigDict(frozen=True)

    bundle: str  #: the bundle's name
    profile: Profile
    precision: Precision
    runtime: str | None = None  #: what runs the transformers; None: an older version rendered the repository
    files: tuple[ServedFile, ...] = ()  #: that its models read; empty: an older version rendered the repository


def read_rendered(repository: Path) -> Rendered | None:
    """What a repository was rendered from; None if another program made it."""
    try:
        return Rendered.model_validate_json((repository / RENDERED_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def render(settings: RenderSettings, *, output: Path) -> Path:
    """Render the repository to `output`, replacing one that is there, and return its absolute path.

    A repository appears whole or not at all.
    Raises `BundleError`, `RepositoryError`, `StoreError`, or an `EngineError` with the command that builds the engine.
    """
    return render_from(templates_folder(), settings, output=output)


def render_from(templates: Path, settings: RenderSettings, *, output: Path) -> Path:
    """`render` from another folder of templates."""
    bundle = Bundle(settings.bundle)
    values = _values(settings, bundle)
    if settings.profile == "cpu" and settings.kernels:
        instruction_set()  # a wrong BARK_KERNELS is an error of its own: building engines does not help
    architecture = settings.architecture
    host = Host(architectures=[architecture]) if architecture else this_host(settings.used_gpus)
    models: list[_Model] = []
    missing: list[EngineError] = []
    for name in sorted({path.parent.name for path in templates.glob("*/config.*pbtxt.j2")}):
        if name in CLONING and bundle.spec.hubert is None:
            continue
        own = f"config.{settings.profile}.pbtxt.j2"
        model = _Model(name, own if (templates / name / own).exists() else TEMPLATE, dict(values))
        models.append(model)
        if name not in STAGES:
            continue
        try:
            _choose(model, stage=name, bundle=bundle, settings=settings, host=host)
        except EngineError as error:
            missing.append(error)
    _raise_missing(missing, settings)
    if settings.profile in PLAN_PROFILES:
        engines = {model.name: read_engine(model.values["engine"]) for model in models if model.name in STAGES}
        numbers = () if settings.architecture else settings.used_gpus
        check_engines(engines, spec=bundle.spec, max_batch=settings.max_batch, numbers=numbers)
    stages = TABLE[settings.profile].stages
    capabilities = next((_capabilities(model, stages) for model in models if model.name == "semantic"), None)
    for model in models:
        model.values["capabilities"] = capabilities or StageCapabilities()
    rendered = Rendered(
        bundle=bundle.spec.name,
        profile=settings.profile,
        precision=settings.chosen_precision,
        runtime=_runtime(models, settings),
        files=(*bundle_files(bundle, _networks_read(settings.profile, bundle)), *_engine_files(models)),
    )
    return _write(models, rendered, source=templates.absolute(), output=output.absolute())


def _values(settings: RenderSettings, bundle: Bundle) -> dict[str, Any]:
    """What every template is given."""
    used = settings.used_gpus
    return {
        "profile": settings.profile,
        "bundle": bundle.folder.absolute(),
        "spec": bundle.spec,
        "request_inputs": request_inputs(),
        "decoder_state": state_shape(bundle.spec.encodec),
        "voices": os.pathsep.join(str(_existing(folder)) for folder in settings.voices),
        "voice_store": (settings.voice_store or voice_store_of(bundle)).absolute(),
        "max_voices": settings.max_voices,
        "max_voice_bytes": settings.max_voice_bytes,
        "max_batch": settings.max_batch,
        "threads": settings.threads or usable_cores(),
        "kernels": "on" if settings.kernels else "off",
        "queue_delay": QUEUE_DELAY_US,
        "gpus": list(used),
        "devices": ",".join(f"cuda:{gpu}" for gpu in used) or "cpu",
        "instance_group": _instance_group(used),
        "single_instance_group": _instance_group(used[:1]),
    }


def _raise_missing(missing: Sequence[EngineError], settings: RenderSettings) -> None:
    """Raise the one error, or one `EngineMissing` for several, with the command that builds all the engines."""
    if len(missing) == 1:
        raise missing[0]
    if missing:
        for_gpus = settings.architecture and TABLE[settings.profile].gpu == "always"
        gpu = f" --gpu {settings.architecture}" if for_gpus else ""
        raise EngineMissing(
            f"{len(missing)} engines are missing or do not fit. {missing[0].problem}",
            remedy=how_to_build(
                f"{TABLE[settings.profile].build} --bundle {quote(str(settings.bundle))} "
                f"--precision {settings.chosen_precision} {engines_option(settings.engines)}{gpu}",
                otherwise=", or give --build to your `bark-serve up`",
            ),
        )


def _choose(model: _Model, *, stage: Stage, bundle: Bundle, settings: RenderSettings, host: Host) -> None:
    """Give a stage's model its precision and, where the profile runs engines, its engine. Raises `EngineError`."""
    profile = settings.profile
    row = TABLE[profile].stages[stage]
    precision = stage_precision(stage, settings.chosen_precision, profile)
    model.values |= {"precision": precision, "engine": None}
    if row.engine:
        store = EngineStore(settings.engines)
        engine = store.find(bundle, stage=stage, profile=profile, precision=precision, host=host)
        model.values |= {"engine": engine.folder.absolute(), "manifest": engine.manifest}
        model.engine_files = engine_files(
            engine,
            kernels=profile == "cpu" and settings.kernels and packed_weights(engine.folder) is not None,
            build_command=store.build_command(bundle, stage=stage, profile=profile, precision=precision, host=host),
        )
        if row.plan and row.backend == "tensorrt":  # Triton reads it from the version folder
            model.links[row.plan] = engine.folder.absolute() / row.plan


def _capabilities(semantic: _Model, stages: Mapping[Stage, StageRow]) -> StageCapabilities:
    """What the chosen engines can do."""
    constants = semantic.values["manifest"].constants if stages["semantic"].engine else {}
    return capabilities_of(stages, precision=semantic.values["precision"], constants=constants)


def _engine_files(models: Sequence[_Model]) -> Sequence[ServedFile]:
    """The engines' files that the models read."""
    return [file for model in models for file in model.engine_files]


def _networks_read(profile: Profile, bundle: Bundle) -> Sequence[Network]:
    """The networks whose weights are read from the bundle: of all stages without engines, and for embeddings."""
    if not all(row.engine for row in TABLE[profile].stages.values()):
        return [network for network in NETWORKS if network != "hubert" or bundle.spec.hubert is not None]
    return _EMBEDDINGS[profile]


def _runtime(models: Sequence[_Model], settings: RenderSettings) -> str:
    """What runs the transformers, for people. Raises `EngineError` if ``BARK_KERNELS`` asks for what is not there."""
    profile = settings.profile
    engines = [model.values["engine"] for model in models if model.name in TRANSFORMERS]
    packed = [packed_weights(engine) is not None for engine in engines if engine and profile == "cpu"]
    if not settings.kernels or not any(packed):
        return _ONNX_RUNTIME if profile == "cpu" else TABLE[profile].runs
    kernels = f"kernels ({instruction_set()})"
    return kernels if all(packed) else f"{kernels} and {_ONNX_RUNTIME}"


def uses_gpu(repository: Path) -> bool:
    """Whether a model of a rendered repository has instances on a GPU."""
    return any("KIND_GPU" in path.read_text(encoding="utf-8") for path in repository.glob(f"*/{CONFIG}"))


def _instance_group(gpus: Sequence[int]) -> str:
    """What stands in ``instance_group [ … ]``: one instance per GPU, or one on the CPU."""
    if not gpus:
        return "{ kind: KIND_CPU, count: 1 }"
    return f"{{ kind: KIND_GPU, count: 1, gpus: [ {', '.join(map(str, gpus))} ] }}"


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise RepositoryError(f"{folder} is not a folder of voices.", remedy="Give --voices a folder of .npz files.")
    return folder.absolute()


def _write(models: Sequence[_Model], rendered: Rendered, *, source: Path, output: Path) -> Path:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(source),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["tojson"] = _quote  # jinja's own escapes for HTML, which protobuf's text format is not
    _check_replaceable(output)
    with atomic_folder(output, replace=True) as temporary:
        (temporary / RENDERED_FILE).write_text(rendered.model_dump_json() + "\n", encoding="utf-8")
        for model in models:
            left_out = ["*.j2", "__pycache__", "*.pyc", *([] if model.is_python else [MODEL])]
            folder = temporary / model.name
            shutil.copytree(source / model.name, folder, ignore=shutil.ignore_patterns(*left_out))
            (folder / VERSION).mkdir(exist_ok=True)  # Triton requires one, even if it is empty
            for name, target in model.links.items():
                (folder / VERSION / name).symlink_to(target)
            try:
                text = environment.get_template(f"{model.name}/{model.template}").render(model.values)
            except jinja2.TemplateError as error:
                raise RepositoryError(
                    f"{source / model.name / model.template}: {error}.",
                    remedy=f"Correct the template. {INSTALL_AGAIN}",
                ) from error
            (folder / CONFIG).write_text(text, encoding="utf-8")
    return output


def _quote(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _is_rendered(path: Path) -> bool:
    return path.name == RENDERED_FILE or (path / CONFIG).is_file()


def _check_replaceable(output: Path) -> None:
    """Raise `RepositoryError` if `output` holds anything but models: rendering would remove it."""
    if output.exists() and not (output.is_dir() and all(map(_is_rendered, output.iterdir()))):
        raise RepositoryError(
            f"{output} is there, and is no model repository: it would be replaced.",
            remedy="Give a folder that is new, empty, or was rendered before.",
        )
