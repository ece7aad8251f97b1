"""What is checked of the options of `bark-gateway` before it listens."""

from __future__ import annotations

import ipaddress
import os
import ssl
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bark_client import InvalidRequest
from bark_gateway import targets
from bark_gateway.keys import ANYBODY, Key, KeyRing, KeysUnreadable, plain_keys, read_keys

KEYS_VARIABLE: Final = "BARK_GATEWAY_KEYS"


class WrongSetting(Exception):
    """An option has a wrong value; the message says which, and what to give instead."""


def key_ring(path: Path | None) -> KeyRing:
    """The keys of a file and of the environment. Raises WrongSetting."""
    try:
        named = read_keys(path) if path else []
    except KeysUnreadable as error:
        raise WrongSetting(f"--keys {error}") from None
    return KeyRing([*named, *plain_keys(os.environ.get(KEYS_VARIABLE, ""))])


def check_address(address: str, *, keys: KeyRing, insecure: bool) -> None:
    """Raise WrongSetting if a network could reach the gateway without a key, unless that is wanted."""
    if _is_loopback(address) or keys:
        return
    if not insecure:
        raise WrongSetting(
            f"On {address}, anybody in the network could speak: there are no API keys. Give a file of keys with --keys "
            "(--new-key makes one), or say --insecure."
        )
    print(f"Insecure: anybody who reaches {address} may speak, clone voices and delete them.", file=sys.stderr)


def check_wyoming(address: str, *, insecure: bool) -> None:
    """Raise WrongSetting if a network could reach Wyoming's port, unless that is wanted."""
    if not (insecure or _is_loopback(address)):
        raise WrongSetting(
            f"Wyoming has no keys: on {address}, anybody in the network could speak. If that is meant, say --insecure."
        )


def wyoming_key(name: str | None, *, keys: KeyRing) -> Key:
    """The key whose limits hold for Wyoming. Raises WrongSetting."""
    if name is None:
        return ANYBODY
    found = keys.named(name)
    if found is None:
        raise WrongSetting(f"--wyoming-key {name}: there is no key of this name.")
    return found


def check_servers(urls: Iterable[str]) -> None:
    """Raise WrongSetting for an address that can be none of a server."""
    try:
        for one in urls:
            targets.parse(one)
    except InvalidRequest as error:
        raise WrongSetting(f"--server {error}") from None


def check_tls(certificate: Path | None, key: Path | None) -> None:
    """Raise WrongSetting unless both files can be read and belong together, or neither is given."""
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        raise WrongSetting("--tls-certificate and --tls-key need each other.")
    for option, path, begins in (
        ("--tls-certificate", certificate, b"-----BEGIN CERTIFICATE-----"),
        ("--tls-key", key, b"PRIVATE KEY-----"),
    ):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise WrongSetting(f"{option} {path}: it can't be read ({error.strerror}).") from None
        if begins not in content:
            raise WrongSetting(f"{option} {path}: it is no PEM file of this kind; it holds no {begins.decode()}.")
        if b"ENCRYPTED" in content:
            raise WrongSetting(f"{option} {path}: it has a password. Write it without one: openssl pkey -in {path}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise WrongSetting(
                f"--tls-key {key}: it does not belong to the first certificate of --tls-certificate {certificate}."
            ) from None
        raise WrongSetting(
            f"--tls-certificate {certificate}, --tls-key {key}: OpenSSL can't use them ({error.reason or error})."
        ) from None


def voice_names(pairs: Iterable[str]) -> dict[str, str]:
    """Other names of voices, from `OTHER=NAME`. Raises WrongSetting."""
    names = {}
    for pair in pairs:
        other, equals, name = pair.partition("=")
        if not (other and equals and name):
            raise WrongSetting(f"--voice {pair}: write OTHER=NAME, as in alloy=joe.")
        names[other] = name
    return names


def _is_loopback(address: str) -> bool:
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
