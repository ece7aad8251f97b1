"""A Triton model repository from templates: one bundle, its engines, one profile → a folder that Triton can load.

The templates are ``model_repository/<model>/config.pbtxt.j2``, or ``config.<profile>.pbtxt.j2`` beside it for a profile
that runs the model in another backend (then ``model.py`` stays behind). They are given: `profile`, `precision` (the
stage's), `bundle` and `engine` (absolute folders; no engine where the profile runs the bundle's own weights), `spec`,
`voices` (folders, separated as in PATH), `voice_store` (a folder) with `max_voices` and `max_voice_bytes`, `max_batch`,
`threads`, `queue_delay` (µs that a batch waits to fill), `gpus` (numbers;
none: the CPU), `devices` (the same for torch, e.g. ``cuda:0``), `instance_group` (instances on every GPU) and
`single_instance_group` (one instance, for a model that shares out its requests itself), `manifest` (a stage's engine's)
`request_inputs` (of the model ``bark``) and `capabilities` (what the
stages can do).
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from bark_serving.bundle import Bundle
from bark_serving.engines.compatibility import Host, this_host
from bark_serving.engines.store import EngineError, EngineMissing, EngineStore
from bark_serving.files import atomic_folder
from bark_serving.host.cores import usable_cores
from bark_serving.host.gpus import architectures, gpu_count
from bark_serving.profiles import STAGES, TABLE, Precision, Profile, Stage, StageRow, stage_precision
from bark_serving.server.errors import RepositoryError
from bark_serving.speech.request_inputs import request_inputs
from bark_serving.speech.stage_capabilities import StageCapabilities, capabilities_of
from bark_serving.voices.store import MAX_BYTES, MAX_VOICES

TEMPLATE = "config.pbtxt.j2"
MODEL = "model.py"
VERSION = "1"
CONFIG = "config.pbtxt"
#: Serve only to make voices, which needs a bundle with HuBERT. Without one, `clone_voice` itself stays to say so.
CLONING = frozenset({"clone_assemble", "clone_prepare", "encodec_encode", "hubert"})


@dataclass
class _Model:
    """One model of the repository."""

    name: str
    template: str
    values: dict[str, Any]
    links: dict[str, Path] = field(default_factory=dict)  #: by name in the version folder

    @property
    def is_python(self) -> bool:
        return self.template == TEMPLATE


def voice_store_of(bundle: Bundle) -> Path:
    """Where the voices of a bundle's clients are kept by default: in ``$BARK_VOICES``, else ``build/voices``.

    A folder a codec, for to another one the same tokens are other sounds; Bark's checkpoints share theirs.
    """
    codec = bundle.spec.files.get("encodec.safetensors", "none")
    return Path(os.environ.get("BARK_VOICES") or "build/voices") / f"codec-{codec[:8]}"


def templates_folder() -> Path:
    """``model_repository``: beside the packages in a checkout, inside this one in a wheel."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "model_repository", here.parent / "model_repository"):
        if folder.is_dir():
            return folder
    raise RepositoryError("The model_repository templates are not installed.", remedy="Install bark-triton again.")


def render(
    *,
    bundle: Path,
    engines: Path,
    output: Path,
    profile: Profile = "cpu",
    precision: Precision | None = None,
    voices: Sequence[Path] | Path | None = None,
    voice_store: Path | None = None,
    max_voices: int = MAX_VOICES,
    max_voice_bytes: int = MAX_BYTES,
    gpus: Sequence[int] | None = None,
    architecture: str | None = None,
    instances: int = 1,
    max_batch: int = 8,
    threads: int | None = None,
    queue_delay: int = 2_000,
    templates: Path | None = None,
) -> Path:
    """Render the repository to `output`, replacing one that is there, and return its absolute path.

    `precision`: of the three transformers; default the profile's. `gpus`: numbers of those to use; default all that
    the machine has, an empty sequence for the CPU. `architecture`: of the GPUs that will serve, as in ``sm90``; default
    that of this machine's. `threads`: per stage call, default all cores. `max_batch`: sequences or requests a stage
    runs together. `voices`: folders of voices beside the bundle's own. `voice_store`: where the voices are kept that
    clients put, `max_voices` and `max_voice_bytes` of them at most; default `voice_store_of` the bundle. A
    repository appears whole or not at all.
    Raises `BundleError`, `EngineMissing` or `EngineMismatch` with the command that makes the engine, `RepositoryError`.
    """
    source = (templates or templates_folder()).absolute()
    opened = Bundle(bundle)
    row = TABLE[profile]
    precision = precision or row.precision
    if precision not in row.precisions:
        raise RepositoryError(
            f"The {profile} profile has no precision {precision}.",
            remedy=f"Give --precision {' or '.join(row.precisions)}.",
        )
    store = EngineStore(engines)
    folders = [voices] if isinstance(voices, Path) else list(voices or ())
    used = usable_gpus(profile, gpus, architecture=architecture)
    host = Host(architectures=[architecture]) if architecture else this_host(used)
    values: dict[str, Any] = {
        "profile": profile,
        "bundle": opened.folder.absolute(),
        "spec": opened.spec,
        "voices": os.pathsep.join(str(_existing(folder)) for folder in folders),
        "voice_store": (voice_store or voice_store_of(opened)).absolute(),
        "max_voices": max_voices,
        "max_voice_bytes": max_voice_bytes,
        "max_batch": max_batch,
        "request_inputs": request_inputs(),
        "threads": threads or usable_cores(),
        "queue_delay": queue_delay,
        "gpus": list(used),
        "devices": ",".join(f"cuda:{gpu}" for gpu in used) or "cpu",
        "instance_group": _instance_group(used, count=instances),
        "single_instance_group": _instance_group(used[:1], count=1),
    }
    models: list[_Model] = []
    missing: list[EngineError] = []
    for name in sorted({path.parent.name for path in source.glob("*/config.*pbtxt.j2")}):
        if name in CLONING and opened.spec.hubert is None:
            continue
        own = f"config.{profile}.pbtxt.j2"
        model = _Model(name, own if (source / name / own).exists() else TEMPLATE, dict(values))
        models.append(model)
        if name not in STAGES:
            continue
        try:
            _choose(model, stage=name, store=store, bundle=opened, profile=profile, precision=precision, host=host)
        except EngineError as error:
            missing.append(error)
    if len(missing) == 1:
        raise missing[0]
    if missing:
        raise EngineMissing(
            f"{len(missing)} engines are missing or do not fit. {missing[0].problem}",
            remedy=f"Run `{row.build} --bundle {bundle} --precision {precision} --engines {engines}"
            + (f" --gpu {architecture}`." if architecture else "`."),
        )
    capabilities = next((_capabilities(model, row.stages) for model in models if model.name == "semantic"), None)
    for model in models:
        model.values["capabilities"] = capabilities or StageCapabilities()
    return _write(models, source=source, output=output.absolute())


def _choose(
    model: _Model,
    *,
    stage: Stage,
    store: EngineStore,
    bundle: Bundle,
    profile: Profile,
    precision: Precision,
    host: Host,
) -> None:
    """Give a stage's model its precision and, where the profile runs engines, its engine. Raises `EngineError`."""
    row = TABLE[profile].stages[stage]
    chosen = stage_precision(stage, precision, profile)
    model.values |= {"precision": chosen, "engine": None}
    if row.engine:
        engine = store.find(bundle, stage=stage, profile=profile, precision=chosen, host=host)
        model.values |= {"engine": engine.folder.absolute(), "manifest": engine.manifest}
        if row.plan:
            model.links[row.plan] = engine.folder.absolute() / row.plan


def _capabilities(semantic: _Model, stages: Mapping[Stage, StageRow]) -> StageCapabilities:
    """What the chosen engines can do."""
    constants = semantic.values["manifest"].constants if stages["semantic"].engine else {}
    return capabilities_of(stages, precision=semantic.values["precision"], constants=constants)


def usable_gpus(profile: Profile, asked: Sequence[int] | None, *, architecture: str | None = None) -> Sequence[int]:
    """The GPUs that a server of the profile uses, here or, if an `architecture` is given, on another machine.

    Raises `RepositoryError` for one that it cannot have.
    """
    need = TABLE[profile].gpu
    if need == "never":
        if asked:
            raise RepositoryError(
                f"The {profile} profile runs on the CPU.", remedy="Leave --gpus out, or give --profile torch."
            )
        return ()
    if asked is None:
        # a repository may be rendered on a machine without a GPU for one that has it
        asked = tuple(range(gpu_count())) or ((0,) if need == "always" else ())
    if need == "always":
        if not asked:
            raise RepositoryError(f"The {profile} profile needs a GPU.", remedy="Give --gpus 0, or --profile cpu.")
        if architecture is None and len(kinds := architectures(asked)) > 1:  # an engine runs on one
            raise RepositoryError(
                f"These GPUs are of several kinds: {', '.join(kinds)}.",
                remedy="Name those of one kind, as in --gpus 0.",
            )
    return asked


def uses_gpu(repository: Path) -> bool:
    """Whether a model of a rendered repository has instances on a GPU."""
    return any("KIND_GPU" in path.read_text(encoding="utf-8") for path in repository.glob(f"*/{CONFIG}"))


def check_installed(profile: Profile) -> None:
    """Raise `RepositoryError` when the library that the profile's models import is not there."""
    row = TABLE[profile]
    if row.module and importlib.util.find_spec(row.module) is None:
        raise RepositoryError(
            f"The {profile} profile needs {row.module}, which is not installed.",
            remedy=f"Run `pip install 'bark-triton[{row.extra}]'`.",
        )


def _instance_group(gpus: Sequence[int], *, count: int) -> str:
    """What stands in ``instance_group [ … ]``; `count` instances on each GPU."""
    if not gpus:
        return f"{{ kind: KIND_CPU, count: {count} }}"
    return f"{{ kind: KIND_GPU, count: {count}, gpus: [ {', '.join(map(str, gpus))} ] }}"


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise RepositoryError(f"{folder} is not a folder of voices.", remedy="Give --voices a folder of .npz files.")
    return folder.absolute()


def _write(models: Sequence[_Model], *, source: Path, output: Path) -> Path:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(source),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["tojson"] = _quote  # jinja's own escapes for HTML, which protobuf's text format is not
    _check_replaceable(output)
    with atomic_folder(output, replace=True) as temporary:
        for model in models:
            left_out = ["*.j2", "__pycache__", "*.pyc", *([] if model.is_python else [MODEL])]
            folder = temporary / model.name
            shutil.copytree(source / model.name, folder, ignore=shutil.ignore_patterns(*left_out))
            (folder / VERSION).mkdir(exist_ok=True)  # Triton wants one, empty or not
            for name, target in model.links.items():
                (folder / VERSION / name).symlink_to(target)
            try:
                text = environment.get_template(f"{model.name}/{model.template}").render(model.values)
            except jinja2.TemplateError as error:
                raise RepositoryError(
                    f"{source / model.name / model.template}: {error}.",
                    remedy="Correct the template, or install bark-triton again.",
                ) from error
            (folder / CONFIG).write_text(text, encoding="utf-8")
    return output


def _quote(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _check_replaceable(output: Path) -> None:
    """Raise `RepositoryError` for a place that holds anything but models."""
    if output.exists() and not (output.is_dir() and all((path / CONFIG).is_file() for path in output.iterdir())):
        raise RepositoryError(
            f"{output} is there, and is no model repository: it would be replaced.",
            remedy="Give a folder that is new, empty, or was rendered before.",
        )
