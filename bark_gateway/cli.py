"""`bark-gateway`: start a gateway."""

from __future__ import annotations

import logging
import sys
from typing import Final

import typer
import uvicorn

from bark_gateway import checks
from bark_gateway import options as opt
from bark_gateway.app import make_app
from bark_gateway.listening import listen
from bark_gateway.serving import run, uvicorn_options
from bark_gateway.settings import DEFAULT_PORT, DEFAULT_SERVER, MODELS, Settings

app = typer.Typer(
    name="bark-gateway", rich_markup_mode="markdown", pretty_exceptions_enable=False, add_completion=False
)  # fmt: skip
_DEFAULTS: Final = Settings()
_LOOPBACK: Final = "127.0.0.1"
_WYOMING: Final = ("--wyoming-address", "--wyoming")
_EXIT_WRONG_OPTION: Final = 2


@app.command()
def gateway(
    server: opt.Server = None,
    address: opt.Address = _LOOPBACK,
    published: opt.Published = None,
    port: opt.Port = DEFAULT_PORT,
    keys: opt.Keys = None,
    new_key: opt.NewKey = None,
    insecure: opt.Insecure = False,
    tls_certificate: opt.TlsCertificate = None,
    tls_key: opt.TlsKey = None,
    cors: opt.Cors = None,
    host: opt.Host = None,
    model: opt.Model = None,
    voice: opt.Voice = None,
    wyoming: opt.Wyoming = None,
    wyoming_address: opt.WyomingAddress = _LOOPBACK,
    wyoming_key: opt.WyomingKey = None,
    max_active: opt.MaxActive = _DEFAULTS.max_active,
    max_queued: opt.MaxQueued = _DEFAULTS.max_queued,
    max_characters: opt.MaxCharacters = _DEFAULTS.max_characters,
    max_upload_mb: opt.MaxUploadMb = _DEFAULTS.max_upload_bytes >> 20,
    grace: opt.Grace = _DEFAULTS.grace_s,
    check: opt.Check = False,
    version: opt.Version = False,
) -> None:
    """Offer OpenAI's speech interface over HTTP, in front of one Triton server that serves Bark, or several.

    Each option can also be set in the environment. `BARK_GATEWAY_KEYS` holds plain API keys, separated by commas.

    Example: `bark-serve up --detach`, then `bark-gateway`, then

    `curl --fail-with-body localhost:8080/v1/audio/speech -H 'content-type: application/json' -d '{"input": "Hello."}'
    -o hello.mp3`
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        ring = checks.key_ring(keys)
        checks.check_address(published or address, keys=ring, insecure=insecure)
        checks.check_servers(server or ())
        checks.check_tls(tls_certificate, tls_key)
        if wyoming is not None:
            checks.check_wyoming(published or wyoming_address, insecure=insecure)
        limits = checks.wyoming_key(wyoming_key, keys=ring)
        settings = Settings(
            servers=tuple(server or [DEFAULT_SERVER]),
            models=tuple(model or MODELS),
            voices=checks.voice_names(voice or ()),
            cors=tuple(cors or ()),
            hosts=(address, *([published] if published else []), *(host or [])),
            max_active=max_active,
            max_queued=max_queued,
            max_characters=max_characters,
            max_upload_bytes=max_upload_mb << 20,
            grace_s=grace,
        )
        sockets = listen(address, port)
        for_wyoming = listen(wyoming_address, wyoming, options=_WYOMING) if wyoming else []
    except checks.WrongSetting as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(_EXIT_WRONG_OPTION) from None
    if check:
        for one in (*sockets, *for_wyoming):
            one.close()
        print(f"--port {port} is free")  # `bark-serve up --gateway` compares it with the ports of the server
        if for_wyoming:
            print(f"--wyoming {wyoming} is free")
        return
    if for_wyoming:
        print(f"Wyoming listens on tcp://{wyoming_address}:{wyoming}", file=sys.stderr, flush=True)
    config = uvicorn.Config(
        make_app(settings, keys=ring, wyoming=(for_wyoming, limits) if for_wyoming else None),
        host=address,
        port=port,
        ssl_certfile=tls_certificate,
        ssl_keyfile=tls_key,
        timeout_graceful_shutdown=grace,  # type: ignore[arg-type] # asyncio takes fractions, too
        **uvicorn_options(settings),
    )
    if not run(config, sockets):
        raise typer.Exit(1)
