"""Where servers keep their state, and what is said of those that run."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bark_serving.cli.main import app
from bark_serving.server import ServerSettings, detach, state
from bark_serving.server import status as module
from bark_serving.server.process import birth
from bark_serving.server.repository import Rendered
from bark_serving.server.settings import state_folder
from bark_serving.server.status import describe, describe_all


def started(folder: Path, name: str, *, pid: int | None = None) -> state.ServerState:
    """The state of a server that this process supervises, or a process that has ended."""
    own = os.getpid()
    repository = folder / f"{name}-repository"
    repository.mkdir(parents=True)
    record = Rendered(bundle=f"bundle-of-{name}", profile="cpu", precision="int8", runtime="kernels (avx2)")
    (repository / "rendered.json").write_text(record.model_dump_json())
    settings = ServerSettings(name=name, repository=repository, folder=folder)
    found = state.ServerState(
        settings=settings,
        pid=pid or own,
        born=birth(own),
        triton_pid=own,
        triton_born="of another boot",
        started=0.0,
        shm_prefix="bark-test-status-",
        control_key="key",
    )
    state.write(found)
    return found


def test_state_is_kept_in_one_folder_per_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("BARK_STATE", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_folder() == tmp_path / ".local/state/bark-triton"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert state_folder() == tmp_path / "xdg/bark-triton"
    monkeypatch.setenv("BARK_STATE", "relative")
    monkeypatch.chdir(tmp_path)
    assert state_folder() == tmp_path / "relative"
    assert ServerSettings(repository=tmp_path).log_path == tmp_path / "relative/bark.log"


def test_all_servers_that_run_are_listed_by_name(tmp_path: Path) -> None:
    assert describe_all(tmp_path / "none") == []
    for name in ("two", "one"):
        started(tmp_path, name)
    started(tmp_path, "ended", pid=1)
    (tmp_path / "other.json").write_text('{"of": "another version"}')
    found = describe_all(tmp_path)
    assert [server.name for server in found] == ["one", "two"]
    assert found[0].bundle == "bundle-of-one" and found[0].profile == "cpu" and found[0].precision == "int8"
    assert describe(tmp_path, name="ended") is None


def test_a_repository_of_another_program_is_shown_without_its_bundle(tmp_path: Path) -> None:
    started(tmp_path, "one").settings.repository.joinpath("rendered.json").unlink()
    [found] = describe_all(tmp_path)
    assert found.bundle is None and ("serves", "unknown") in found.rows()


def test_status_lists_all_servers_from_any_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BARK_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "300")
    for name in ("one", "two"):
        started(tmp_path / "state", name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    lines = CliRunner().invoke(app, ["status"]).output.splitlines()
    assert [line.split()[0] for line in lines] == ["name", "one", "two"]
    assert ("runs on", "kernels (avx2)") in describe_all(tmp_path / "state")[0].rows()
    assert "bundle-of-one, cpu, int8" in lines[1] and "grpc 8001" in lines[1] and "one.log" in lines[1]


@pytest.mark.parametrize(
    ("ready", "models", "word", "status"),
    [
        (True, {"bark": True, "fine": True}, "ready", 0),
        (True, {"bark": True, "fine": False}, "degraded: fine", 1),
        (True, {"bark": False, "fine": False}, "degraded: no model", 1),
        (False, {"bark": False, "fine": False}, "starting", 1),
    ],
)
def test_a_server_with_a_model_that_is_not_ready_is_degraded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ready: bool, models: dict[str, bool], word: str, status: int
) -> None:
    monkeypatch.setenv("BARK_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(module, "models_ready", lambda *_, **__: models)
    state.write(started(tmp_path, "one").model_copy(update={"ready": ready}))
    table, full, as_json = (CliRunner().invoke(app, ["status", *more]) for more in ([], ["one"], ["one", "--json"]))
    assert f" {word} " in table.output and f"one, {word}\n" in re.sub(" +\n", "\n", full.output)
    assert json.loads(as_json.stdout)["state"] == word.partition(":")[0]
    assert [answer.exit_code for answer in (table, full, as_json)] == [status] * 3


def test_down_without_a_name_stops_the_only_server_or_asks_which(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BARK_STATE", str(tmp_path))
    stopped: list[str] = []

    def end(folder: Path, *, name: str, report: object, now: bool) -> bool:
        stopped.append(name)
        state.path(folder, name=name).unlink()
        return True

    monkeypatch.setattr(detach, "end", end)
    started(tmp_path, "one")
    assert "Stopped one." in CliRunner().invoke(app, ["down"]).output
    for name in ("two", "three"):
        started(tmp_path, name)
    which = CliRunner().invoke(app, ["down"])
    assert which.exit_code == 1 and "three, two" in which.output and "bark-serve down three" in which.output
    assert CliRunner().invoke(app, ["down", "two"]).exit_code == 0
    started(tmp_path, "four")
    assert CliRunner().invoke(app, ["down", "--all"]).exit_code == 0
    assert stopped == ["one", "two", "four", "three"]
    assert "No server is running." in CliRunner().invoke(app, ["down"]).output


def test_down_of_an_unknown_name_says_which_servers_run_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BARK_STATE", str(tmp_path))
    assert CliRunner().invoke(app, ["down", "three"]).output == "No server named 'three' is running.\n"
    for name in ("one", "two"):
        started(tmp_path, name)
    told = CliRunner().invoke(app, ["down", "three"]).output
    assert told == "No server named 'three' is running. Running: one, two.\n"
    assert "Running: one, two." in CliRunner().invoke(app, ["status", "three"]).output


def test_status_of_a_server_that_does_not_run_names_the_command_that_starts_that_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BARK_STATE", str(tmp_path))
    assert "Start one with `bark-serve up --name three`." in CliRunner().invoke(app, ["status", "three"]).output
    assert "Start one with `bark-serve up`." in CliRunner().invoke(app, ["status"]).output


def test_a_server_is_shown_with_its_gateway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BARK_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    found = started(tmp_path, "one")
    assert describe_all(tmp_path)[0].gateway is None
    state.write(found.model_copy(update={"gateway_url": "http://localhost:9000"}))
    assert "grpc 8001, metrics 8002, gateway http://localhost:9000" in CliRunner().invoke(app, ["status"]).output
    assert ("gateway", "http://localhost:9000") in describe_all(tmp_path)[0].rows()
    assert '"gateway": "http://localhost:9000"' in CliRunner().invoke(app, ["status", "one", "--json"]).output


def test_what_is_not_a_name_reaches_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BARK_STATE", str(tmp_path / "state"))
    (tmp_path / "other.json").touch()
    for command in ("down", "status"):
        refused = CliRunner().invoke(app, [command, "../other"])
        assert refused.exit_code == 2 and "not a server's name" in refused.output
    assert (tmp_path / "other.json").exists()


@pytest.mark.parametrize("arguments", [["up", "--name"], ["down"], ["status", "--name"]])
@pytest.mark.parametrize("name", ["Ünï", "a" * 33, "_a", "a\n"])
def test_a_name_that_is_none_is_refused_with_the_characters_that_it_may_have(arguments: list[str], name: str) -> None:
    refused = CliRunner().invoke(app, [*arguments, name])
    words = f"{name!r} is not a server's name. It has 1 to 32 of the characters a-z, 0-9, _ and -, and begins with"
    assert refused.exit_code == 2 and words in " ".join(refused.output.split())


@pytest.mark.parametrize(
    "arguments", [["down", "--name", "one", "two"], ["status", "two", "--name", "one"], ["down", "one", "--all"]]
)
def test_names_that_contradict_each_other_are_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]
) -> None:
    monkeypatch.setenv("BARK_STATE", str(tmp_path))
    monkeypatch.setattr(detach, "end", lambda *_, **__: pytest.fail("a server was stopped"))
    for name in ("one", "two"):
        started(tmp_path, name)
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 2 and "Give one of them." in refused.output


def test_the_same_name_twice_is_one_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BARK_STATE", str(tmp_path))
    assert "No server named 'one'" in CliRunner().invoke(app, ["down", "one", "--name", "one"]).output
