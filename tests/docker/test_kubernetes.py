"""The Kubernetes manifests: they fit together, and fit what compose.yaml runs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker.commands import complaint
from tests.docker.dockerfile import DOCKER

FOLDER = DOCKER / "kubernetes"


def manifest(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / f"cpu/{name}.yaml").read_text()))


@pytest.fixture
def pod() -> dict[str, Any]:
    return dict(manifest("deployment")["spec"]["template"]["spec"])


@pytest.fixture
def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["initContainers"], *pod["containers"]]


def test_the_parts_name_each_other(pod: dict[str, Any]) -> None:
    deployment, service = manifest("deployment"), manifest("service")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert service["spec"]["selector"].items() <= labels.items()
    ports = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}
    assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == ports
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if volume["name"] == "data"]
    assert claims == [manifest("volume")["metadata"]["name"]]


def test_every_mount_has_its_volume(pod: dict[str, Any], containers: list[dict[str, Any]]) -> None:
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for container in containers for mount in container["volumeMounts"]} == volumes


def test_containers_start_and_probe_with_commands_that_the_package_has(containers: list[dict[str, Any]]) -> None:
    for container in containers:
        probes = [container[probe]["exec"]["command"] for probe in container if probe.endswith("Probe")]
        for command in [container["args"], *probes]:
            assert complaint(command) is None, command


def test_an_image_keeps_its_entrypoint(containers: list[dict[str, Any]]) -> None:
    """In a pod `command` would take its place, and NVIDIA's makes an older driver work with the container's CUDA."""
    assert [container for container in containers if "command" in container] == []


def test_a_pod_lives_only_as_long_as_it_speaks(pod: dict[str, Any]) -> None:
    for probe in ("startupProbe", "livenessProbe"):
        assert pod["containers"][0][probe]["exec"]["command"] == ["bark", "health", "--deep"]


def test_pods_are_confined(pod: dict[str, Any], containers: list[dict[str, Any]]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 1000
    assert pod["automountServiceAccountToken"] is False
    for container in containers:
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert not container["image"].endswith(":latest")


def test_the_server_serves_the_bundle_that_the_builder_makes(containers: list[dict[str, Any]]) -> None:
    builder, server = containers
    bundle = next(variable["value"] for variable in builder["env"] if variable["name"] == "BARK_BUNDLE")
    assert f"--bundle={f'/data/bundles/{bundle}' if bundle else 'miniature'}" in server["args"]


@pytest.mark.parametrize("overlay", ["cpu", "gpu"])
def test_kubectl_can_assemble_them(overlay: str) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    text = subprocess.run(["kubectl", "kustomize", FOLDER / overlay], capture_output=True, text=True, check=True).stdout
    found = {document["kind"]: document for document in yaml.safe_load_all(text)}
    assert set(found) == {"Deployment", "Service", "PersistentVolumeClaim"}
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert complaint(pod["containers"][0]["args"]) is None
    gpus = [
        container["resources"]["limits"].get("nvidia.com/gpu")
        for container in (*pod["initContainers"], *pod["containers"])
    ]
    assert gpus == ([1, 1] if overlay == "gpu" else [None, None])
    assert ("bark-triton-gpu" in json.dumps(pod)) == (overlay == "gpu")


def test_each_kustomization_lists_files_that_exist() -> None:
    for path in FOLDER.glob("*/kustomization.yaml"):
        for resource in yaml.safe_load(path.read_text())["resources"]:
            assert (path.parent / resource).exists(), f"{Path(path).parent.name}: {resource}"
