"""docker/monitoring: Prometheus takes the configuration, the alerts fire when they should, the board is whole."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker.test_compose import services
from tests.prometheus import BOARD, MONITORING, needs_prometheus, queries


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((MONITORING / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def promtool(*arguments: str | Path, folder: Path) -> str:
    done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_prometheus
def test_prometheus_takes_the_configuration(tmp_path: Path) -> None:
    for name in ("prometheus.yml", "rules.yml"):
        shutil.copy(MONITORING / name, tmp_path)
    (tmp_path / "gateway-key").write_text("none")
    assert f"{len(alerts())} rules found" in promtool("check", "config", "prometheus.yml", folder=tmp_path)


@needs_prometheus
def test_alerts_fire_when_they_should_and_else_not() -> None:
    assert "SUCCESS" in promtool("test", "rules", "rules.test.yml", folder=MONITORING)


def test_every_alert_is_seen_firing_and_says_what_to_do() -> None:
    groups = yaml.safe_load((MONITORING / "rules.test.yml").read_text())["tests"]
    tests = [test for group in groups for test in group["alert_rule_test"]]
    firing = {test["alertname"] for test in tests if test.get("exp_alerts")}
    assert firing == {rule["alert"] for rule in alerts()}
    for rule in alerts():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}


@needs_prometheus
def test_prometheus_reads_every_query_of_the_board(tmp_path: Path) -> None:
    named = enumerate(queries().values())
    rules = [{"record": "board:query", "expr": query, "labels": {"n": str(number)}} for number, query in named]
    (tmp_path / "board.yml").write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", "board.yml", folder=tmp_path)


def test_the_panels_of_the_board_explain_themselves_and_do_not_overlap() -> None:
    board = json.loads(BOARD.read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"]
        place = panel["gridPos"]
        columns, rows = (range(place[at], place[at] + place[size]) for at, size in ("xw", "yh"))
        cells = {(x, y) for x in columns for y in rows}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    datasource = yaml.safe_load((MONITORING / "grafana/datasources/prometheus.yml").read_text())["datasources"][0]
    assert {panel["datasource"]["uid"] for panel in panels} == {datasource["uid"]}


def test_the_jobs_that_alerts_and_board_look_for_exist_and_are_documented() -> None:
    named = set(re.findall(r'job="([\w-]+)"', (MONITORING / "rules.yml").read_text()))
    named |= set(re.findall(r'job=\\"([\w-]+)\\"', BOARD.read_text()))
    configured = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    assert named == {job["job_name"] for job in configured}
    for page in ("operations", "deployment"):
        text = (MONITORING.parents[1] / f"docs/{page}.md").read_text()
        assert [job for job in named if f'job="{job}"' not in text] == []


def test_monitoring_is_confined_pinned_and_answers_on_loopback_only(compose: list[str]) -> None:
    found = services(compose, "--profile=monitoring")
    assert set(found) == {"prometheus", "grafana"}
    for name, service in found.items():
        # Docker's compose copies a config with content into the container, and refuses that where it is read-only
        assert service.get("read_only", False) is not any(service.get("configs", [])), name
        assert service["cap_drop"] == ["ALL"], name
        assert re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", service["image"]), service["image"]
        assert {port["host_ip"] for port in service["ports"]} == {"127.0.0.1"}
        sources = [Path(volume["source"]) for volume in service["volumes"] if volume["type"] == "bind"]
        assert sources and all(source.exists() for source in sources)


@pytest.mark.parametrize(("given", "sent"), [({}, "none"), ({"BARK_METRICS_KEY": "sk-bark-1"}, "sk-bark-1")])
def test_prometheus_gets_the_key_of_the_gateway(compose: list[str], given: dict[str, str], sent: str) -> None:
    done = subprocess.run(
        [*compose, "--file=docker/compose.yaml", "--profile=monitoring", "config", "--format=json"],
        cwd=MONITORING.parents[1],
        env={"PATH": "/usr/bin:/bin", "HOME": "/root", **given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["configs"]["gateway-key"]["content"] == sent
