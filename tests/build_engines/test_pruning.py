"""`bark-build prune` beside servers that run."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bark_serving.engines.served_files import engine_files
from bark_serving.engines.store import EngineStore
from bark_serving.server import state
from bark_serving.server.repository import RENDERED_FILE, Rendered
from build_engines.cli import app
from tests.bark_serving.engines.test_store import make_bundle, manifest, writes
from tests.bark_serving.server.test_status import started


@pytest.mark.parametrize("dry_run", [True, False])
def test_prune_keeps_the_engines_of_a_server_that_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dry_run: bool
) -> None:
    monkeypatch.setenv("BARK_STATE", str(tmp_path / "state"))
    served, kept = (make_bundle(tmp_path / name, name=name) for name in ("served", "kept"))
    store = EngineStore(tmp_path / "engines")
    used = store.publish(manifest(served, builder="old"), writes("used"))
    unused = store.publish(manifest(served, builder="new"), writes("unused"))
    server = started(tmp_path / "state", "demo")
    files = tuple(engine_files(used, kernels=False, build_command=""))
    record = Rendered(bundle="served", profile="cpu", precision="int8", files=files)
    (server.settings.repository / RENDERED_FILE).write_text(record.model_dump_json())

    def prune() -> str:
        options = ["--engines", str(store.root), "--keep", str(kept.folder), *(["--dry-run"] if dry_run else [])]
        return CliRunner().invoke(app, ["prune", *options]).output

    said = prune()
    assert f"kept {used.folder}: the server 'demo' uses it" in said
    assert f"removed {unused.folder}" in said or f"would remove {unused.folder}" in said
    assert used.folder.exists() and unused.folder.exists() == dry_run
    state.path(tmp_path / "state", name="demo").unlink()  # it has ended
    assert "kept" not in prune().replace(str(kept.folder), "")
    assert used.folder.exists() == dry_run
