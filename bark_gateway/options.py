"""The options of `bark-gateway`, one type per option: names, help, and the variable that can give it, too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer

from bark_client import __version__
from bark_gateway.keys import new_key
from bark_gateway.settings import MODELS

VARIABLES: Final = "BARK_GATEWAY_"  #: begins the names of variables that can give options
_PORTS: Final = {"min": 1, "max": 65_535}


def _option(name: str, words: str, *flags: str, **more: Any) -> Any:
    """name: of its variable, after `VARIABLES`."""
    return typer.Option(*flags, envvar=VARIABLES + name, help=words, **more)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"bark-gateway {__version__}")
        raise typer.Exit


def _print_key(name: str | None) -> None:
    if name is not None:
        token, entry = new_key(name)
        print(f"# The key is {token}\n# It is shown only now. Put these lines into the file that --keys names.")
        print(entry, end="")
        raise typer.Exit


Server: TypeAlias = Annotated[
    list[str] | None,
    _option(
        "SERVER",
        "host:port of a Triton server's gRPC endpoint, or dns:///NAME:PORT for a server at each address of a name; "
        "repeatable.",
    ),
]
Address: TypeAlias = Annotated[str, _option("ADDRESS", "Where to listen. Others than loopback need keys.")]
Published: TypeAlias = Annotated[
    str | None,
    _option("PUBLISHED", "In a container: the host's address that leads here. It needs no keys if it is loopback."),
]
Port: TypeAlias = Annotated[int, _option("PORT", "Port to listen on.", **_PORTS)]
Keys: TypeAlias = Annotated[Path | None, _option("KEY_FILE", "A TOML file of API keys. --new-key makes an entry.")]
NewKey: TypeAlias = Annotated[
    str | None,
    typer.Option(callback=_print_key, is_eager=True, metavar="NAME", help="Print a new key and its entry; exit."),
]
Insecure: TypeAlias = Annotated[
    bool, _option("INSECURE", "Listen on a network without keys: anybody may speak.", "--insecure")
]
TlsCertificate: TypeAlias = Annotated[Path | None, _option("TLS_CERTIFICATE", "PEM file of a certificate, for HTTPS.")]
TlsKey: TypeAlias = Annotated[Path | None, _option("TLS_KEY", "PEM file of the certificate's private key.")]
Cors: TypeAlias = Annotated[
    list[str] | None, _option("CORS", "An origin whose web pages may call, or * for all; repeatable.")
]
Host: TypeAlias = Annotated[
    list[str] | None, _option("HOST", "A public name of the gateway, needed where there are no keys; repeatable.")
]
Model: TypeAlias = Annotated[
    list[str] | None, _option("MODEL", f"A name that `model` may have; repeatable. Default: {', '.join(MODELS)}.")
]
Voice: TypeAlias = Annotated[
    list[str] | None,
    _option("VOICE", "Another name of a voice, as in alloy=joe; repeatable.", metavar="OTHER=NAME"),
]
Wyoming: TypeAlias = Annotated[
    int | None, _option("WYOMING", "Also listen for Home Assistant: a port for the protocol Wyoming.", **_PORTS)
]
WyomingAddress: TypeAlias = Annotated[
    str, _option("WYOMING_ADDRESS", "Where to listen for it. Others than loopback need --insecure: it has no keys.")
]
WyomingKey: TypeAlias = Annotated[
    str | None, _option("WYOMING_KEY", "The name of the key whose limits hold for Wyoming. Default: none do.")
]
MaxActive: TypeAlias = Annotated[int, _option("MAX_ACTIVE", "Requests that each server gets at once.", min=1)]
MaxQueued: TypeAlias = Annotated[int, _option("MAX_QUEUED", "Requests that may wait; more get status 429.", min=0)]
MaxCharacters: TypeAlias = Annotated[int, _option("MAX_CHARACTERS", "Characters of one text.", min=1)]
MaxUploadMb: TypeAlias = Annotated[int, _option("MAX_UPLOAD_MB", "MiB of a recording to clone a voice from.", min=1)]
Grace: TypeAlias = Annotated[
    float, _option("GRACE", "Seconds that running requests get to end when the gateway is told to stop.", min=0)
]
Check: TypeAlias = Annotated[
    bool, typer.Option("--check", help="Check the settings and whether the ports are free; exit.")
]
Version: TypeAlias = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]
