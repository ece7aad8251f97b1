"""The options of `bark-build import` and of the commands around engines, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bark_serving.profiles import STAGES, TABLE, Precision, Profile

Out = Annotated[Path, typer.Argument(help="The folder to make.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing bundle at OUT.")]

EnginesOption = Annotated[
    Path, typer.Option("--engines", envvar="BARK_ENGINES", help="The engine store.", show_default=True)
]
BundleOption = Annotated[
    Path, typer.Option("--bundle", help="The bundle to build from. miniature: the one that comes with this package.")
]
_TENSORRT = "Options of the profiles rtx, tensorrt and trtllm"
_PRECISIONS = " ".join(f"{name}: {', '.join(row.precisions)}." for name, row in TABLE.items() if row.build)


def _check_stages(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if name not in STAGES:
            raise typer.BadParameter(f"{name!r} is not a stage. The stages are {', '.join(STAGES)}.")
    return names


#: `bark-build import`.
Source = Annotated[
    str, typer.Argument(help="A folder, or OWNER/NAME of the Hugging Face hub (suno/bark, suno/bark-small).")
]
BundleName = Annotated[
    str | None, typer.Option(help="The bundle's name. Default: bark-large, bark-small, or the source's.")
]
HubertSource = Annotated[
    str | None, typer.Option(help="For voice cloning: hubert_base_ls960.pt, or facebook/hubert-base-ls960.")
]
HubertHead = Annotated[
    str | None,
    typer.Option(help="For voice cloning: the token head, quantifier_….pth or OWNER/NAME:FILE of the hub."),
]
HubertLayer = Annotated[
    int | None,
    typer.Option(
        help="The HuBERT layer that the token head was trained on. Default: what its file says, else 9, the layer "
        "of the published heads.",
        show_default=False,
    ),
]
EncodecSource = Annotated[
    str | None, typer.Option(help="For Suno's files: encodec_24khz-….th, or facebook/encodec_24khz.")
]
TokenizerSource = Annotated[
    str | None, typer.Option(help="tokenizer.json, vocab.txt, or bert-base-multilingual-cased, if SOURCE has none.")
]
Voices = Annotated[
    str | None, typer.Option(help="A folder of speaker prompts (.npz). Default: those that SOURCE comes with.")
]
NoVoices = Annotated[bool, typer.Option("--no-voices", help="Leave SOURCE's voices out.")]
SourceFormat = Annotated[
    Literal["transformers", "suno"] | None,
    typer.Option("--format", help="Which format to read where SOURCE holds both. Default: transformers."),
]
Small = Annotated[bool, typer.Option("--small", help="Of Suno's files, text.pt rather than text_2.pt …")]
IfChanged = Annotated[
    bool,
    typer.Option(
        "--if-changed",
        help="If OUT exists, import again if a file of SOURCE or an option has changed since, else do nothing.",
    ),
]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub SOURCE.")]

#: `bark-build engines`.
ProfileOption = Annotated[Profile, typer.Option("--profile", help="Build what this profile runs.")]
Stages = Annotated[
    list[str] | None,
    typer.Option("--stage", callback=_check_stages, help="Only this stage. Can be repeated. Default: all stages."),
]
PrecisionOption = Annotated[
    Precision | None,
    typer.Option(
        "--precision", help=f"Precision of semantic, coarse and fine; each profile's default is first. {_PRECISIONS}"
    ),
]
Architectures = Annotated[
    str,
    typer.Option(
        "--gpu",
        rich_help_panel=_TENSORRT,
        help="Architectures to build for, as in sm80,sm90. auto: those of the GPUs in this machine. "
        "sm80+sm86: one engine for both.",
    ),
]
MaxBatch = Annotated[
    int | None,
    typer.Option(
        min=1, rich_help_panel=_TENSORRT, help="Sequences that a TensorRT-LLM engine has room for. Default: 32."
    ),
]
MinEosP = Annotated[
    float | None,
    typer.Option(
        rich_help_panel=_TENSORRT,
        help="Speech ends where the end token has this probability. Built into the semantic engine. "
        "Default: the bundle's.",
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        rich_help_panel=_TENSORRT,
        help="Temperature at which that probability is computed. Built in as well. Default: the bundle's.",
    ),
]
