"""The Kubernetes manifests, as kubectl assembles them."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from bark_gateway.metrics import Metrics
from bark_gateway.settings import Settings
from bark_gateway.targets import DnsTarget
from bark_gateway.targets import parse as parse_target
from tests.docker.commands import DOCKER, grace_s, parse, stop_s

KUBERNETES = DOCKER / "kubernetes"
OVERLAYS = ["cpu", "gpu", "cpu-fleet", "gpu-fleet"]
#: Components that users add: with these, all are seen.
SETS = [["replicas", "hpa", "ingress", "wyoming"], ["replicas", "object-store"], ["keda"]]
#: The oldest release that these manifests promise to run on, and the newest one that the validator knows.
RELEASES = ["1.29", "1.37"]

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
each_set = pytest.mark.parametrize("components", SETS, ids="+".join)
Documents = dict[tuple[str, str], dict[str, Any]]  # by kind and name


def kustomize(folder: Path) -> Documents:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    command = ["kubectl", "kustomize", "--load-restrictor=LoadRestrictionsNone", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    documents = list(yaml.safe_load_all(done.stdout))
    found = {(document["kind"], document["metadata"]["name"]): document for document in documents}
    assert len(found) == len(documents)
    return found


@pytest.fixture(scope="module")
def assembled() -> Callable[[str], Documents]:
    """An overlay, assembled once."""
    return functools.cache(lambda overlay: kustomize(KUBERNETES / overlay))


def with_components(folder: Path, components: list[str]) -> Documents:
    """The overlay `cpu` with components beside it, as a user writes it."""
    copied = shutil.copytree(KUBERNETES, folder / "kubernetes")
    mine = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../cpu"],
        "components": [f"../components/{name}" for name in components],
    }
    (copied / "mine").mkdir()
    (copied / "mine/kustomization.yaml").write_text(yaml.safe_dump(mine))
    return kustomize(copied / "mine")


def pod(documents: Documents, deployment: str) -> dict[str, Any]:
    found: dict[str, Any] = documents["Deployment", deployment]["spec"]["template"]["spec"]
    return found


def check_schema(documents: Documents) -> None:
    """Kubernetes takes every field. KEDA's own kind is not in Kubernetes's schema."""
    for (kind, _), document in documents.items():
        if kind != "ScaledObject":
            for release in RELEASES:
                kubernetes_validate.validate(document, release, strict=True)


def check_references(documents: Documents) -> None:
    """What one document says of another one is there."""
    names = set(documents)
    pods = {name: one["spec"]["template"] for (kind, name), one in documents.items() if kind == "Deployment"}
    labels = {name: template["metadata"]["labels"] for name, template in pods.items()}
    ports = {
        name: {port["name"] for container in template["spec"]["containers"] for port in container["ports"]}
        for name, template in pods.items()
    }

    def selected(selector: dict[str, str]) -> list[str]:
        return [name for name, given in labels.items() if selector.items() <= given.items()]

    for (kind, name), document in documents.items():
        assert document["metadata"].get("namespace", name) == "bark", "all of it is in one namespace"
        spec = document.get("spec", {})
        if kind == "Deployment":
            assert selected(spec["selector"]["matchLabels"]) == [name]
            for rule in spec["template"]["spec"].get("topologySpreadConstraints", []):
                assert selected(rule["labelSelector"]["matchLabels"]) == [name]
        elif kind == "PodDisruptionBudget":
            assert selected(spec["selector"]["matchLabels"]) == [name]
        elif kind == "Service":
            (target,) = selected(spec["selector"])
            assert {port["targetPort"] for port in spec["ports"]} <= ports[target]
        elif kind == "NetworkPolicy" and "Ingress" in spec["policyTypes"] and spec.get("ingress"):
            (target,) = selected(spec["podSelector"]["matchLabels"])
            assert {port["port"] for rule in spec["ingress"] for port in rule["ports"]} <= ports[target]
        elif kind in ("ScaledObject", "HorizontalPodAutoscaler"):
            assert ("Deployment", spec["scaleTargetRef"]["name"]) in names
            assert "replicas" not in documents["Deployment", spec["scaleTargetRef"]["name"]]["spec"]
        elif kind == "Ingress":
            backend = spec["rules"][0]["http"]["paths"][0]["backend"]["service"]
            served = documents["Service", backend["name"]]["spec"]["ports"]
            assert backend["port"]["name"] in {port["name"] for port in served}
    for template in pods.values():
        check_volumes(template["spec"], documents)


def check_volumes(spec: dict[str, Any], documents: Documents) -> None:
    mounts = {
        mount["name"]
        for container in [*spec.get("initContainers", []), *spec["containers"]]
        for mount in container["volumeMounts"]
    }
    assert mounts == {volume["name"] for volume in spec["volumes"]}
    for volume in spec["volumes"]:
        if claim := volume.get("persistentVolumeClaim"):
            assert ("PersistentVolumeClaim", claim["claimName"]) in documents


@each_overlay
def test_kubernetes_takes_every_field(assembled: Callable[[str], Documents], overlay: str) -> None:
    check_schema(assembled(overlay))


@each_overlay
def test_documents_name_what_there_is(assembled: Callable[[str], Documents], overlay: str) -> None:
    check_references(assembled(overlay))


@each_set
def test_components_fit_an_overlay(tmp_path: Path, components: list[str]) -> None:
    documents = with_components(tmp_path, components)
    check_schema(documents)
    check_references(documents)
    for container in pod(documents, "bark-gateway")["containers"]:
        parse(container["args"])


def test_every_component_is_tested() -> None:
    assert {path.name for path in (KUBERNETES / "components").iterdir()} == {one for some in SETS for one in some}


@each_overlay
def test_containers_start_and_probe_with_commands_that_the_package_has(
    assembled: Callable[[str], Documents], overlay: str
) -> None:
    for deployment in ("bark", "bark-gateway"):
        spec = pod(assembled(overlay), deployment)
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            assert "command" not in container, "it would replace NVIDIA's entrypoint, which an older driver needs"
            parse(container["args"])
    (server,) = pod(assembled(overlay), "bark")["containers"]
    for probe in ("startupProbe", "livenessProbe"):
        parse(server[probe]["exec"]["command"])
    assert server["readinessProbe"]["grpc"]["port"] in [port["containerPort"] for port in server["ports"]]


@each_overlay
def test_the_gateway_finds_the_servers_by_their_headless_service(
    assembled: Callable[[str], Documents], overlay: str
) -> None:
    documents = assembled(overlay)
    (container,) = pod(documents, "bark-gateway")["containers"]
    (given,) = [word.removeprefix("--server=") for word in container["args"] if word.startswith("--server=")]
    target = parse_target(given)
    assert isinstance(target, DnsTarget)
    service = documents["Service", target.host]["spec"]
    assert service["clusterIP"] == "None" and "publishNotReadyAddresses" not in service
    assert target.port in [port["port"] for port in service["ports"]]


@each_overlay
def test_pods_are_confined(assembled: Callable[[str], Documents], overlay: str) -> None:
    for deployment in ("bark", "bark-gateway"):
        spec = pod(assembled(overlay), deployment)
        assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, 1000)
        assert spec["automountServiceAccountToken"] is False
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            assert container["securityContext"] == {
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }
            limits = container["resources"]["limits"]
            assert limits["memory"]
            on_gpu = overlay.startswith("gpu") and deployment == "bark"
            assert limits.get("nvidia.com/gpu", 0) == (1 if on_gpu else 0)
            assert ("gpu" in container["image"]) == on_gpu


@each_overlay
def test_a_pod_has_time_to_finish_what_it_has(assembled: Callable[[str], Documents], overlay: str) -> None:
    graces = set()
    for deployment in ("bark", "bark-gateway"):
        spec = pod(assembled(overlay), deployment)
        (container,) = spec["containers"]
        waits_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
        assert waits_s + stop_s(container["args"]) <= spec["terminationGracePeriodSeconds"]
        graces.add(grace_s(container["args"]))
    assert len(graces) == 1, "a gateway waits for its requests as long as the servers do"
    assert graces.pop() >= 30, "a sentence or two on two cores"


def test_only_the_gateway_reaches_the_servers(assembled: Callable[[str], Documents]) -> None:
    documents = assembled("cpu")
    assert "ingress" not in documents["NetworkPolicy", "bark-default"]["spec"]
    rules = documents["NetworkPolicy", "bark-server"]["spec"]["ingress"]
    (speaks,) = [rule["from"] for rule in rules if {"port": "grpc"} in rule["ports"]]
    gateway = documents["Deployment", "bark-gateway"]["spec"]["template"]["metadata"]["labels"]
    assert [one["podSelector"]["matchLabels"] for one in speaks] == [gateway, {"bark-client": "true"}]


@pytest.mark.parametrize("overlay", ["cpu-fleet", "gpu-fleet"])
def test_a_fleet_shares_its_volume_and_survives_a_node(assembled: Callable[[str], Documents], overlay: str) -> None:
    documents = assembled(overlay)
    assert documents["PersistentVolumeClaim", "bark"]["spec"]["accessModes"] == ["ReadWriteMany"]
    assert documents["Deployment", "bark"]["spec"]["strategy"]["type"] == "RollingUpdate"
    assert documents["Deployment", "bark-gateway"]["spec"]["replicas"] == 2
    for deployment in ("bark", "bark-gateway"):
        assert documents["PodDisruptionBudget", deployment]["spec"]["maxUnavailable"] == 1
        spread = pod(documents, deployment)["topologySpreadConstraints"]
        assert "kubernetes.io/hostname" in {rule["topologyKey"] for rule in spread}


def test_autoscalers_ask_for_a_metric_that_the_gateway_has(tmp_path: Path) -> None:
    (trigger,) = kustomize(KUBERNETES / "cpu-fleet")["ScaledObject", "bark"]["spec"]["triggers"]
    documents = with_components(tmp_path, ["hpa"])
    (metric,) = documents["HorizontalPodAutoscaler", "bark"]["spec"]["metrics"]
    name = metric["external"]["metric"]["name"]
    assert f"sum({name}{{" in trigger["metadata"]["query"]
    assert trigger["metadata"]["threshold"] == metric["external"]["target"]["averageValue"]
    (rule,) = yaml.safe_load((KUBERNETES / "components/hpa/adapter.yaml").read_text())["rules"]["external"]
    assert rule["seriesQuery"].startswith(f"{name}{{")
    assert f"# TYPE {name} gauge".encode() in gateway_metrics()


def gateway_metrics() -> bytes:
    """What a gateway tells before it has done anything."""
    from bark_gateway.gateway import Gateway
    from bark_gateway.keys import KeyRing
    from bark_gateway.servers import Servers

    metrics = Metrics()
    Gateway(Settings(), servers=Servers([], connect=lambda url: None), keys=KeyRing(), metrics=metrics)  # type: ignore[arg-type, return-value]
    return metrics.text()
