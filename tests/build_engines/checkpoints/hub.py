"""A small server that stands for the Hugging Face hub. Repositories are folders, all at the same commit."""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REVISIONS = ("main", "v1", COMMIT)


class Hub(ThreadingHTTPServer):
    """Serves `root/<owner>/<name>/`. `fetched` lists the requested files."""

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.fetched: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serve(root: Path) -> Iterator[Hub]:
    """A hub of the folders below `root`, until the block ends."""
    with Hub(root) as hub:
        thread = threading.Thread(target=hub.serve_forever)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  http.server's signature
        """Keep the test's output clean."""

    def _answer(self) -> None:
        parts = urllib.parse.unquote(urllib.parse.urlparse(self.path).path).strip("/").split("/")
        match parts:
            case ["api", "models", owner, name, "revision", revision]:
                self._repository(owner, name, revision, tree=False)
            case ["api", "models", owner, name]:
                self._repository(owner, name, "main", tree=False)
            case ["api", "models", owner, name, "tree", revision]:
                self._repository(owner, name, revision, tree=True)
            case [owner, name, "resolve", revision, *file]:
                self._file(self.server.root / owner / name / "/".join(file), revision)
            case _:
                self._send(404, b"{}")

    def _repository(self, owner: str, name: str, revision: str, *, tree: bool) -> None:
        folder = self.server.root / owner / name
        if not folder.is_dir():
            return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if revision not in REVISIONS:
            return self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        if tree:
            answer: object = [
                {"type": "file", "path": file, "size": path.stat().st_size, "oid": "0"} for file, path in files.items()
            ]
        else:
            siblings = [{"rfilename": file} for file in files]
            answer = {"id": f"{owner}/{name}", "modelId": f"{owner}/{name}", "sha": COMMIT, "siblings": siblings}
        return self._send(200, json.dumps(answer).encode())

    def _file(self, path: Path, revision: str) -> None:
        if not path.is_file() or revision not in REVISIONS:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        if self.command == "GET":
            self.server.fetched.append(path.name)
        data = path.read_bytes()
        tag = hashlib.sha256(data).hexdigest()
        return self._send(200, data, {"X-Repo-Commit": COMMIT, "ETag": f'"{tag}"'})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
