"""The Kubernetes manifests, as kubectl assembles them."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.docker.commands import DOCKER, parse

each_overlay = pytest.mark.parametrize("overlay", ["cpu", "gpu"])


def assemble(overlay: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Deployment, Service and volume claim."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    command = ["kubectl", "kustomize", DOCKER / "kubernetes" / overlay]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {document["kind"]: document for document in yaml.safe_load_all(text)}
    assert len(found) == 3
    return found["Deployment"]["spec"], found["Service"]["spec"], found["PersistentVolumeClaim"]


@each_overlay
def test_deployment_service_and_volume_name_each_other(overlay: str) -> None:
    deployment, service, claim = assemble(overlay)
    labels, pod = deployment["template"]["metadata"]["labels"], deployment["template"]["spec"]
    (builder,), (server,) = pod["initContainers"], pod["containers"]
    assert deployment["selector"]["matchLabels"].items() <= labels.items()
    assert service["selector"].items() <= labels.items()
    assert {port["targetPort"] for port in service["ports"]} == {port["name"] for port in server["ports"]}
    mounts = {mount["name"] for mount in builder["volumeMounts"] + server["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}
    claims = [volume["persistentVolumeClaim"] for volume in pod["volumes"] if volume["name"] == "data"]
    assert claims == [{"claimName": claim["metadata"]["name"]}]


@each_overlay
def test_containers_start_and_probe_with_commands_that_the_package_has(overlay: str) -> None:
    pod = assemble(overlay)[0]["template"]["spec"]
    for container in pod["initContainers"] + pod["containers"]:
        assert "command" not in container, "it would replace NVIDIA's entrypoint, which an older driver needs"
        parse(container["args"])
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        parse(pod["containers"][0][probe]["exec"]["command"])


@each_overlay
def test_pods_are_confined(overlay: str) -> None:
    pod = assemble(overlay)[0]["template"]["spec"]
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 1000)
    for container in pod["initContainers"] + pod["containers"]:
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        limits = container["resources"]["limits"]
        assert limits["memory"]
        assert limits.get("nvidia.com/gpu", 0) == (1 if overlay == "gpu" else 0)
        assert ("gpu" in container["image"]) == (overlay == "gpu")
