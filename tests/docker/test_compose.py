"""compose.yaml: what docker compose itself makes of it, for each profile and with everything set."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from tests.docker.commands import complaint
from tests.docker.dockerfile import ROOT, final_stage, read

Services = dict[str, dict[str, Any]]
each_profile = pytest.mark.parametrize("profile", ["cpu", "gpu"])


def config(compose: list[str], *profiles: str, **variables: str) -> dict[str, Any]:
    """The whole configuration after all substitutions. Fails where docker compose would."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BARK_")}
    done = subprocess.run(
        [*compose, *(f"--profile={profile}" for profile in profiles), "config", "--format", "json"],
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "docker compose warns"
    return dict(json.loads(done.stdout))


def services(compose: list[str], *profiles: str, **variables: str) -> Services:
    return dict(config(compose, *profiles, **variables)["services"])


def test_both_files_are_valid_and_say_the_same(compose: list[str]) -> None:
    """The one in the root is there so that the command is short."""
    inner = subprocess.run(
        [*compose, "--file=docker/compose.yaml", "--profile=cpu", "--profile=gpu", "config", "--format=json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(inner.stdout)["services"] == services(compose, "cpu", "gpu")


@each_profile
def test_a_profile_has_a_builder_that_ends_well_before_its_server_starts(compose: list[str], profile: str) -> None:
    found = services(compose, profile)
    assert set(found) == {f"builder-{profile}", f"server-{profile}"}
    assert found[f"server-{profile}"]["depends_on"] == {
        f"builder-{profile}": {"condition": "service_completed_successfully", "required": True}
    }
    assert found[f"builder-{profile}"]["restart"] == "no"


@each_profile
def test_images_are_built_from_dockerfiles_that_exist(compose: list[str], profile: str) -> None:
    for service in services(compose, profile).values():
        assert (ROOT / service["build"]["dockerfile"]).is_file()
        assert service["build"]["context"] == str(ROOT)
        assert not service["image"].endswith(":latest")


@each_profile
def test_services_start_commands_that_the_package_has(compose: list[str], profile: str) -> None:
    for name, service in services(compose, profile).items():
        assert complaint(service["command"]) is None, name


@each_profile
def test_the_health_of_a_server_is_that_it_speaks(compose: list[str], profile: str) -> None:
    check = services(compose, profile)[f"server-{profile}"]["healthcheck"]
    assert check["test"] == ["CMD", "bark", "health", "--deep"]
    assert check["timeout"] == "2m10s"  # longer than the client's own 120 s, whose message is better


@each_profile
def test_servers_are_on_loopback_and_keep_http_to_themselves(compose: list[str], profile: str) -> None:
    ports = services(compose, profile)[f"server-{profile}"]["ports"]
    assert [(port["host_ip"], port["published"], port["target"]) for port in ports] == [
        ("127.0.0.1", "8001", 8001),
        ("127.0.0.1", "8002", 8002),
    ]


@each_profile
def test_services_are_confined(compose: list[str], profile: str) -> None:
    for name, service in services(compose, profile).items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["init"] is True, name
        assert not service.get("privileged"), name
        limits = service["deploy"]["resources"]["limits"]
        assert int(limits["memory"]) > 0, name
        assert limits["pids"] > 0, name


@each_profile
def test_a_server_writes_its_voices_and_cannot_change_bundles_or_engines(compose: list[str], profile: str) -> None:
    mounts = {
        mount["target"]: mount.get("read_only", False)
        for mount in services(compose, profile)[f"server-{profile}"]["volumes"]
    }
    assert mounts == {"/data/bundles": True, "/data/engines": True, "/data/voices": False}


@each_profile
def test_volumes_are_mounted_on_folders_that_their_image_gives_to_its_user(compose: list[str], profile: str) -> None:
    """A new volume takes its owner from the folder below it."""
    for service in services(compose, profile).values():
        dockerfile = ROOT / service["build"]["dockerfile"]
        made = next(
            i.text for i in final_stage(read(dockerfile)) if i.name == "RUN" and "install --directory" in i.text
        )
        for mount in service["volumes"]:
            assert mount["target"] in made.split(), (dockerfile.name, mount["target"])


def test_only_the_gpu_profile_asks_for_gpus(compose: list[str]) -> None:
    for name, service in services(compose, "cpu", "gpu").items():
        devices = service["deploy"]["resources"].get("reservations", {}).get("devices", [])
        assert [device["driver"] for device in devices] == (["nvidia"] if name.endswith("gpu") else []), name


def test_builder_and_server_agree_on_bundle_and_precision(compose: list[str]) -> None:
    found = services(compose, "cpu", BARK_BUNDLE="bark-small", BARK_CHECKPOINT="suno/bark-small", BARK_PRECISION="fp32")
    made, served = found["builder-cpu"]["environment"], found["server-cpu"]["command"]
    assert (made["BARK_BUNDLE"], made["BARK_CHECKPOINT"]) == ("bark-small", "suno/bark-small")
    assert made["BARK_PRECISION"] == "fp32"
    assert {"--bundle=/data/bundles/bark-small", "--precision=fp32"} <= set(served)


def test_ports_limits_and_folders_can_be_set(compose: list[str]) -> None:
    server = services(
        compose, "cpu", BARK_LISTEN="10.0.0.5", BARK_GRPC_PORT="9001", BARK_CPUS="4", BARK_VOICES="/srv/voices"
    )["server-cpu"]
    assert (server["ports"][0]["host_ip"], server["ports"][0]["published"]) == ("10.0.0.5", "9001")
    assert server["deploy"]["resources"]["limits"]["cpus"] == 4
    assert {"type": "bind", "source": "/srv/voices"}.items() <= server["volumes"][2].items()


def test_the_torch_profile_serves_where_no_engine_was_built(compose: list[str]) -> None:
    found = services(compose, "gpu", BARK_GPU_PROFILE="torch", BARK_GPU_PRECISION="bf16")
    assert found["builder-gpu"]["command"] == ["build-engines", "torch"]
    assert {"--profile=torch", "--precision=bf16"} <= set(found["server-gpu"]["command"])
