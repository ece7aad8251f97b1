"""compose.yaml: what docker compose itself makes of it, for each profile and with its variables set."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest
import typer

from bark_gateway.checks import KEYS_VARIABLE
from bark_gateway.cli import app as gateway
from tests.docker.commands import ROOT, parse, stop_s

each_profile = pytest.mark.parametrize("profile", ["cpu", "gpu"])


def services(compose: list[str], *arguments: str, **variables: str) -> dict[str, dict[str, Any]]:
    """The services after all substitutions. Fails where docker compose fails or warns."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BARK_")}
    done = subprocess.run(
        [*compose, *arguments, "config", "--format=json"],
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout)["services"])


@each_profile
def test_the_file_in_the_root_starts_what_the_one_in_docker_says(compose: list[str], profile: str) -> None:
    inner = services(compose, "--file=docker/compose.yaml", f"--profile={profile}")
    assert set(inner) == {f"builder-{profile}", f"server-{profile}", "gateway"}
    assert services(compose, f"--profile={profile}") == inner


@each_profile
def test_services_start_commands_that_the_package_has(compose: list[str], profile: str) -> None:
    for service in services(compose, f"--profile={profile}").values():
        parse(service["command"])
        if "healthcheck" in service and not service["healthcheck"].get("disable"):
            parse(service["healthcheck"]["test"][1:])


@each_profile
def test_services_have_time_to_finish_what_they_have(compose: list[str], profile: str) -> None:
    for name, service in services(compose, f"--profile={profile}").items():
        if not name.startswith("builder"):
            assert stop_s(service["command"]) <= float(service["stop_grace_period"].removesuffix("s")), name


@each_profile
def test_services_are_confined_and_answer_on_loopback_only(compose: list[str], profile: str) -> None:
    for name, service in services(compose, f"--profile={profile}").items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["deploy"]["resources"]["limits"]["memory"]) > 0, name
        assert {port["host_ip"] for port in service.get("ports", [])} <= {"127.0.0.1"}, name


@each_profile
def test_a_server_can_write_voices_but_no_bundles_or_engines(compose: list[str], profile: str) -> None:
    volumes = services(compose, f"--profile={profile}")[f"server-{profile}"]["volumes"]
    assert [volume["target"] for volume in volumes if not volume.get("read_only")] == ["/data/voices"]


def test_builder_and_server_agree_on_bundle_and_precision(compose: list[str]) -> None:
    chosen = {"BARK_BUNDLE": "small", "BARK_CHECKPOINT": "suno/bark-small", "BARK_PRECISION": "fp32"}
    found = services(compose, "--profile=cpu", **chosen)
    assert chosen.items() <= found["builder-cpu"]["environment"].items()
    assert {"--bundle=/data/bundles/small", "--precision=fp32"} <= set(found["server-cpu"]["command"])


def test_address_port_cpus_and_folders_can_be_set(compose: list[str]) -> None:
    chosen = {"BARK_LISTEN": "10.0.0.5", "BARK_GRPC_PORT": "9001", "BARK_CPUS": "4", "BARK_VOICES": "/srv/voices"}
    server = services(compose, "--profile=cpu", **chosen)["server-cpu"]
    assert (server["ports"][0]["host_ip"], server["ports"][0]["published"]) == ("10.0.0.5", "9001")
    assert server["deploy"]["resources"]["limits"]["cpus"] == 4
    assert "/srv/voices" in [volume["source"] for volume in server["volumes"]]


def test_the_torch_profile_builds_no_engines(compose: list[str]) -> None:
    chosen = {"BARK_GPU_PROFILE": "torch", "BARK_GPU_PRECISION": "bf16", "BARK_GPU_IMAGE": "trtllm"}
    found = services(compose, "--profile=gpu", **chosen)
    assert {found[name]["image"] for name in ("builder-gpu", "server-gpu")} == {"bark-triton-trtllm:0.1.0"}
    assert found["builder-gpu"]["command"] == ["build-engines", "torch"]
    parse(found["server-gpu"]["command"])
    assert {"--profile=torch", "--precision=bf16"} <= set(found["server-gpu"]["command"])


@pytest.mark.parametrize(("image", "profile"), [(None, None), ("gpu", "rtx"), ("trtllm", "trtllm")])
def test_the_profile_and_the_image_that_has_it_are_chosen_by_variables(
    compose: list[str], image: str | None, profile: str | None
) -> None:
    chosen = {"BARK_GPU_IMAGE": image, "BARK_GPU_PROFILE": profile}
    found = services(compose, "--profile=gpu", **{name: value for name, value in chosen.items() if value})
    for name in ("builder-gpu", "server-gpu"):
        assert found[name]["image"] == f"bark-triton-{image or 'gpu'}:0.1.0"
        assert found[name]["build"]["dockerfile"] == f"docker/Dockerfile.{image or 'gpu'}"
        parse(found[name]["command"])
    assert found["builder-gpu"]["command"] == ["build-engines", profile or "tensorrt"]
    assert f"--profile={profile or 'tensorrt'}" in found["server-gpu"]["command"]


def test_the_gateway_knows_every_variable_that_it_is_given(compose: list[str]) -> None:
    given = services(compose, "--profile=cpu")["gateway"]["environment"]
    known = {parameter.envvar for parameter in typer.main.get_command(gateway).params}
    assert set(given) - known == {KEYS_VARIABLE}


def test_wyoming_takes_its_port_only_where_it_is_asked_for(compose: list[str]) -> None:
    without = services(compose, "--profile=cpu")["gateway"]
    assert (without["environment"]["BARK_GATEWAY_WYOMING"], without["ports"][1].get("published")) == ("", None)
    asked = services(compose, "--profile=cpu", BARK_GATEWAY_WYOMING="10300")["gateway"]
    assert asked["environment"]["BARK_GATEWAY_WYOMING"] == "10300"
    assert (asked["ports"][1]["published"], asked["ports"][1]["target"]) == ("10300", 10300)


def test_a_file_of_keys_is_mounted_where_the_gateway_looks(compose: list[str]) -> None:
    found = services(compose, "--profile=cpu", BARK_GATEWAY_KEY_FILE="/srv/keys.toml")["gateway"]
    mounts = {volume["target"]: volume["source"] for volume in found["volumes"]}
    assert mounts[found["environment"]["BARK_GATEWAY_KEY_FILE"]] == "/srv/keys.toml"


@each_profile
def test_temporary_folders_have_options_that_podman_knows_too(compose: list[str], profile: str) -> None:
    known = {"size", "mode", "exec", "noexec", "nosuid", "nodev"}
    for service in services(compose, f"--profile={profile}").values():
        for mount in service["tmpfs"]:
            assert {option.split("=")[0] for option in mount.partition(":")[2].split(",")} <= known, mount
