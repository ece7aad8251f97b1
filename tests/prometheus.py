"""A real Prometheus with the configuration of docker/monitoring, but for the addresses and the pace."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.client.fake_triton import free_port

MONITORING = Path(__file__).parents[1] / "docker/monitoring"
BOARD = MONITORING / "grafana/dashboards/bark.json"
SCRAPE_S = 1
RATE = "20s"  #: for Grafana's $__rate_interval
WAIT_S = 30

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="NOT TESTED: rules and metrics, because there is no Prometheus (apt-get install prometheus)",
)


def queries() -> dict[str, str]:
    """The queries of the board as Prometheus gets them, with the title and legend of each."""
    panels = json.loads(BOARD.read_text())["panels"]
    found = {}
    for panel in panels:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$__rate_interval", RATE).replace("$gateway", ".*").replace("$server", ".*")
            found[f"{panel['title']}: {target['legendFormat']}"] = query
    return found


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    url: str

    def get(self, path: str, **query: str) -> Any:
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)["data"]

    def values(self, query: str) -> list[float]:
        return [float(one["value"][1]) for one in self.get("query", query=query)["result"]]

    def wait(self, query: str) -> None:
        """Until the query gives something."""
        deadline = time.monotonic() + WAIT_S
        while not self.values(query):
            assert time.monotonic() < deadline, f"{query} gives nothing; {self.get('targets')['activeTargets']}"
            time.sleep(0.2)


@contextmanager
def prometheus(folder: Path, *, key: str = "none", **targets: str) -> Iterator[Prometheus]:
    """Run one while the block runs. targets: host:port of each job, `_` for `-` in its name."""
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] = dict.fromkeys(config["global"], f"{SCRAPE_S}s")
    jobs = {job["job_name"].replace("-", "_"): job for job in config["scrape_configs"]}
    for name, target in targets.items():
        jobs[name]["static_configs"] = [{"targets": [target]}]
    config["scrape_configs"] = [jobs[name] for name in targets]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "gateway-key").write_text(key)
    shutil.copy(MONITORING / "rules.yml", folder)
    address = f"127.0.0.1:{free_port()}"
    log = (folder / "log").open("w")
    options = [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"]
    running = subprocess.Popen(["prometheus", f"--config.file={folder / 'prometheus.yml'}", *options], stderr=log)
    try:
        deadline = time.monotonic() + WAIT_S
        while not _is_ready(address):
            assert running.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield Prometheus(f"http://{address}")
    finally:
        running.terminate()
        running.wait(WAIT_S)
        log.close()


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
