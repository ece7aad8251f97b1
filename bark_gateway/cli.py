"""`bark-gateway`: start a gateway."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import uvicorn

from bark_client import __version__
from bark_gateway import serving
from bark_gateway.app import make_app
from bark_gateway.keys import new_key
from bark_gateway.settings import DEFAULT_PORT, DEFAULT_SERVER, MODELS, Settings

app = typer.Typer(
    name="bark-gateway", rich_markup_mode="markdown", pretty_exceptions_enable=False, add_completion=False
)  # fmt: skip
_DEFAULTS: Final = Settings()
_EXIT_WRONG_OPTION: Final = 2


def _option(name: str, words: str, *flags: str, **more: Any) -> Any:
    """An option that the environment can give, too. name: of its variable, after BARK_GATEWAY_."""
    return typer.Option(*flags, envvar=f"BARK_GATEWAY_{name}", help=words, **more)


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


@app.command()
def gateway(
    server: Annotated[
        list[str] | None,
        _option(
            "SERVER",
            "host:port of a Triton server's gRPC endpoint, or dns:///NAME:PORT for a server at each address of a name; "
            "repeatable.",
        ),
    ] = None,
    address: Annotated[str, _option("ADDRESS", "Where to listen. Others than loopback need keys.")] = "127.0.0.1",
    published: Annotated[
        str | None,
        _option("PUBLISHED", "In a container: the host's address that leads here. It needs no keys if it is loopback."),
    ] = None,
    port: Annotated[int, _option("PORT", "Port to listen on.", min=1, max=65_535)] = DEFAULT_PORT,
    keys: Annotated[Path | None, _option("KEY_FILE", "A TOML file of API keys. --new-key makes an entry.")] = None,
    new_key: Annotated[
        str | None,
        typer.Option(callback=_print_key, is_eager=True, metavar="NAME", help="Print a new key and its entry; exit."),
    ] = None,
    insecure: Annotated[
        bool, _option("INSECURE", "Listen on a network without keys: anybody may speak.", "--insecure")
    ] = False,
    tls_certificate: Annotated[Path | None, _option("TLS_CERTIFICATE", "PEM file of a certificate, for HTTPS.")] = None,
    tls_key: Annotated[Path | None, _option("TLS_KEY", "PEM file of the certificate's private key.")] = None,
    cors: Annotated[
        list[str] | None, _option("CORS", "An origin whose web pages may call, or * for all; repeatable.")
    ] = None,
    host: Annotated[
        list[str] | None,
        _option("HOST", "A public name of the gateway, needed where there are no keys; repeatable."),
    ] = None,
    model: Annotated[
        list[str] | None, _option("MODEL", f"A name that `model` may have; repeatable. Default: {', '.join(MODELS)}.")
    ] = None,
    voice: Annotated[
        list[str] | None,
        _option("VOICE", "Another name of a voice, as in alloy=joe; repeatable.", metavar="OTHER=NAME"),
    ] = None,
    wyoming: Annotated[
        int | None,
        _option("WYOMING", "Also listen for Home Assistant: a port for the protocol Wyoming.", min=1, max=65_535),
    ] = None,
    wyoming_address: Annotated[
        str, _option("WYOMING_ADDRESS", "Where to listen for it. Others than loopback need --insecure: it has no keys.")
    ] = "127.0.0.1",
    wyoming_key: Annotated[
        str | None, _option("WYOMING_KEY", "The name of the key whose limits hold for Wyoming. Default: none do.")
    ] = None,
    max_active: Annotated[
        int, _option("MAX_ACTIVE", "Requests that each server gets at once.", min=1)
    ] = _DEFAULTS.max_active,
    max_queued: Annotated[
        int, _option("MAX_QUEUED", "Requests that may wait; more get status 429.", min=0)
    ] = _DEFAULTS.max_queued,
    max_characters: Annotated[
        int, _option("MAX_CHARACTERS", "Characters of one text.", min=1)
    ] = _DEFAULTS.max_characters,
    max_upload_mb: Annotated[
        int, _option("MAX_UPLOAD_MB", "MiB of a recording to clone a voice from.", min=1)
    ] = _DEFAULTS.max_upload_bytes >> 20,
    grace: Annotated[
        float, _option("GRACE", "Seconds that running requests get to end when the gateway is told to stop.", min=0)
    ] = _DEFAULTS.grace_s,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Offer OpenAI's speech interface over HTTP, in front of one Triton server that serves Bark, or several.

    Each option can also be set in the environment. `BARK_GATEWAY_KEYS` holds plain API keys, separated by commas.

    Example: `bark-serve up --detach`, then `bark-gateway`, then

    `curl localhost:8080/v1/audio/speech -H 'content-type: application/json' -d '{"input": "Hello."}' -o hello.mp3`
    """
    try:
        ring = serving.key_ring(keys)
        serving.check_address(published or address, keys=ring, insecure=insecure)
        serving.check_servers(server or ())
        if (tls_certificate is None) != (tls_key is None):
            raise serving.WrongSetting("--tls-certificate and --tls-key need each other.")
        voices = serving.voice_names(voice or ())
        limits = serving.wyoming_key(wyoming_key, keys=ring)
        listener = wyoming and serving.listen_wyoming(
            wyoming, address=wyoming_address, published=published, insecure=insecure
        )
    except serving.WrongSetting as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(_EXIT_WRONG_OPTION) from None
    settings = Settings(
        servers=tuple(server or [DEFAULT_SERVER]),
        models=tuple(model or MODELS),
        voices=voices,
        cors=tuple(cors or ()),
        hosts=(address, *([published] if published else []), *(host or [])),
        max_active=max_active,
        max_queued=max_queued,
        max_characters=max_characters,
        max_upload_bytes=max_upload_mb << 20,
        grace_s=grace,
    )
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    config = uvicorn.Config(
        make_app(settings, keys=ring, wyoming=(listener, limits) if listener else None),
        host=address,
        port=port,
        ssl_certfile=tls_certificate,
        ssl_keyfile=tls_key,
        timeout_graceful_shutdown=grace,  # type: ignore[arg-type] # asyncio takes fractions, too
        **serving.UVICORN,
    )
    if not serving.run(config):
        raise typer.Exit(1)
