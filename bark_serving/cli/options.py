"""The options of every command that renders a model repository, declared once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bark_serving.bundle import MINIATURE
from bark_serving.cli.console import errors_shown
from bark_serving.engines.store import DEFAULT_ROOT
from bark_serving.host.gpus import architecture_name, parse_gpus
from bark_serving.profiles import TABLE, Gpt, Precision, Profile, ProfileRow, with_gpt
from bark_serving.server.render_settings import RenderSettings
from bark_serving.voices.store import MAX_BYTES, MAX_VOICES


def _gpu_numbers(text: str) -> tuple[int, ...] | None:
    try:
        return parse_gpus(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint="--gpus") from None


def _architecture(text: str | None) -> str | None:
    name = architecture_name(text) if text is not None else None
    if text is not None and name is None:
        raise typer.BadParameter(f"{text!r} is not a GPU architecture such as sm90.", param_hint="--gpu-architecture")
    return name


#: Whether a profile uses an option. A stage on a GPU has no threads.
_USES: Final[Mapping[str, Callable[[ProfileRow], bool]]] = {
    "--gpu-architecture": lambda row: row.gpu == "always",
    "--threads": lambda row: row.gpu != "always",
}


def refuse_unused(
    profile: Profile, given: Mapping[str, bool], *, uses: Mapping[str, Callable[[ProfileRow], bool]]
) -> None:
    """Refuse options that the profile would ignore.

    given: whether each option has another value than its default. uses: whether a profile uses it.
    """
    for option in (option for option, is_given in given.items() if is_given):
        users = [name for name, row in TABLE.items() if uses[option](row)]
        if profile not in users:
            which = f"profile {users[0]} uses" if len(users) == 1 else f"profiles {', '.join(users)} use"
            raise typer.BadParameter(f"Only the {which} it, not {profile}. Leave it out.", param_hint=option)


def profile_of(profile: Profile, gpt: Gpt | None) -> Profile:
    """The profile that ``--profile`` and ``--gpt`` name together."""
    try:
        return with_gpt(profile, gpt)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint="--gpt") from None


GptOption = Annotated[
    Gpt | None,
    typer.Option(
        "--gpt", help="With --profile tensorrt: TensorRT-LLM runs semantic and coarse. The same as --profile trtllm."
    ),
]


#: The options whose names are not those of their settings.
_OPTION_OF: Final = {"architecture": "--gpu-architecture", "max_voice_bytes": "--max-voice-mb"}


def _render_settings(
    bundle: Annotated[
        Path,
        typer.Option(help="The bundle to serve (`bark-build import`). miniature: the small demo checkpoint."),
    ] = MINIATURE,
    engines: Annotated[
        Path, typer.Option(envvar="BARK_ENGINES", help="Where `bark-build` keeps engines.")
    ] = DEFAULT_ROOT,
    profile: Annotated[
        Profile,
        typer.Option(help="What runs the stages. " + " ".join(f"{name}: {row.runs}." for name, row in TABLE.items())),
    ] = "cpu",
    gpt: GptOption = None,
    precision: Annotated[
        Precision | None,
        typer.Option(
            help="Precision of the three transformers; each profile's default comes first. "
            + " ".join(f"{name}: {', '.join(row.precisions)}." for name, row in TABLE.items())
            + " fp32 is the reference."
        ),
    ] = None,
    gpus: Annotated[
        str,
        typer.Option(help="The GPUs to use, as in 0,1. auto: all of them; none: the CPU, if the profile can."),
    ] = "auto",
    gpu_architecture: Annotated[
        str | None,
        typer.Option(help="Architecture of the GPUs that will serve, as in sm90. Default: this machine's."),
    ] = None,
    voices: Annotated[
        list[Path] | None, typer.Option(help="A folder of .npz voices beside the bundle's own; repeatable.")
    ] = None,
    voice_store: Annotated[
        Path | None,
        typer.Option(help="The folder that keeps the voices of clients. Default: build/voices/CODEC."),
    ] = None,
    max_voices: Annotated[int, typer.Option(min=0, help="The store keeps at most so many voices.")] = MAX_VOICES,
    max_voice_mb: Annotated[int, typer.Option(min=1, help="The store keeps at most so many MiB.")] = MAX_BYTES // 2**20,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of one stage call on the CPU. Default: all cores.")
    ] = None,
    max_batch: Annotated[int, typer.Option(min=1, help="A stage runs at most so many sequences together.")] = 8,
) -> RenderSettings:
    """What a repository is rendered from; the parameters are options of every command that renders one."""
    profile = profile_of(profile, gpt)
    architecture = _architecture(gpu_architecture)
    refuse_unused(
        profile, {"--gpu-architecture": architecture is not None, "--threads": threads is not None}, uses=_USES
    )
    return RenderSettings(
        bundle=bundle,
        engines=engines,
        profile=profile,
        precision=precision,
        gpus=_gpu_numbers(gpus),
        architecture=architecture,
        voices=tuple(voices or ()),
        voice_store=voice_store,
        max_voices=max_voices,
        max_voice_bytes=max_voice_mb * 2**20,
        threads=threads,
        max_batch=max_batch,
    )


def changed_options(settings: RenderSettings) -> list[str]:
    """The options that made these settings differ from the default. --engines is left out: a variable gives it, too."""
    default = _render_settings()
    return [
        _OPTION_OF.get(name, f"--{name.replace('_', '-')}")
        for name in RenderSettings.model_fields
        if name != "engines" and getattr(settings, name) != getattr(default, name)
    ]


def with_render_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `_render_settings`; it gets what that returns as its first argument.

    typer reads a command's options from its signature, so the two signatures are joined.
    """
    shared = inspect.signature(_render_settings, eval_str=True).parameters
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

    @functools.wraps(command)
    def joined(**given: Any) -> None:
        with errors_shown():
            command(_render_settings(**{name: given.pop(name) for name in shared}), **given)

    parameters = [*shared.values(), *own]
    joined.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    joined.__annotations__ = {one.name: one.annotation for one in parameters}
    return joined
