"""podman for tests: storage, mounts, processes and networks of its own. Nothing of it stays."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

STAND_IN = "localhost/python-of-this-machine"
#: The same with a C++ compiler, if this machine has one: zig from PyPI takes two minutes of processor time longer.
STAND_IN_COMPILER = "localhost/compiler-of-this-machine"
PROGRAMS = (
    "podman",
    "crun",
    "netavark",
    "aardvark-dns",
    "catatonit",
    "iptables",
    "ip",
    "setpriv",
    "unshare",
    "nsenter",
    "dpkg-query",
)
PACKAGES = ("python3.11-venv", "libpython3.11")  #: what the base image is made from
_DEBIAN_FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/lib/podman", "/usr/libexec/podman")
#: Of images and containers, at most. They lie in memory where enough is free: on a disk, podman waits for each layer to
#: be written, and deleting a hundred thousand files takes longer than a build.
_STORAGE_BYTES = 10 << 30
#: crun refuses a cgroup 2 that has controllers beside cgroup 1, and podman keeps its locks in /dev/shm.
_NAMESPACE = """
umount /sys/fs/cgroup/unified 2>/dev/null
if [ "$2" -gt 0 ]; then mount -t tmpfs -o size="$2" none "$1"; fi &&
mount -t tmpfs none /dev/shm && mkdir -p /run/netns && mount -t tmpfs none /run/netns && ip link set lo up && echo ready
exec sleep infinity
"""


class Unusable(Exception):
    """podman cannot work on this machine; the message completes "because …"."""


class Failed(AssertionError):
    """A command did not end well; the message has its last words."""


def missing() -> list[str]:
    """The programs and Debian's packages that this machine does not have."""
    path = ":".join(_DEBIAN_FOLDERS)
    absent = [name for name in PROGRAMS if not (shutil.which(name) or shutil.which(name, path=path))]
    if "dpkg-query" in absent:
        return absent
    return absent + [name for name in PACKAGES if not _is_installed(name)]


@dataclass(frozen=True)
class Podman:
    folder: Path
    storage: Path  #: below it; seen only by `run`, if it is in memory
    _inside: int  #: a process in the namespaces

    @property
    def socket(self) -> str:
        """The address of podman's API, while `serving`."""
        return f"unix://{self.folder}/podman.sock"

    def command(self, *words: str | Path, host_network: bool = False) -> list[str]:
        """A command in podman's namespaces. host_network: in the network of this machine."""
        network = () if host_network else ("--net",)
        files = {"CONTAINERS_CONF": "containers.conf", "CONTAINERS_STORAGE_CONF": "storage.conf"}
        configuration = [f"{name}={self.folder / file}" for name, file in files.items()]
        enter = ["nsenter", f"--target={self._inside}", "--mount", "--pid", *network, f"--wd={Path.cwd()}"]
        return [*enter, "env", *configuration, *map(str, words)]

    def run(self, *words: str | Path, host_network: bool = False) -> str:
        """What a command prints. Raises Failed."""
        return run(self.command(*words, host_network=host_network))

    def build(self, dockerfile: Path, *, tag: str, context: Path, stage: str = "", **arguments: str) -> None:
        """Build an image or a stage of it as Docker would, but on the stand-in. pip finds what it finds here."""
        words: list[str | Path] = ["podman", "build", "--format=docker", "--network=host", "--jobs=2"]
        for folder in pip_folders():
            words.append(f"--volume={folder}:{folder}:ro")
        if stage:
            words.append(f"--target={stage}")
        for name, value in {"PYTHON_IMAGE": STAND_IN, "COMPILER_IMAGE": STAND_IN_COMPILER, **arguments}.items():
            words.append(f"--build-arg={name}={value}")
        self.run(*words, "--file", dockerfile, "--tag", tag, context, host_network=True)

    def inspect(self, kind: str, name: str) -> dict[str, Any]:
        """kind: image, container, …"""
        [found] = json.loads(self.run("podman", kind, "inspect", name))
        return dict(found)

    def size_mb(self, image: str) -> float:
        """As `podman images` shows it: the sum of the layers, unpacked."""
        return float(self.inspect("image", image)["Size"]) / 1e6

    @contextmanager
    def serving(self) -> Iterator[None]:
        """podman's API, which Docker's clients speak."""
        with (self.folder / "service.log").open("wb") as log:
            command = self.command("podman", "system", "service", "--time=0", self.socket)
            service = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            while not (self.folder / "podman.sock").exists():
                if service.poll() is not None:
                    raise Failed((self.folder / "service.log").read_text())
                time.sleep(0.05)
            yield
        finally:
            service.terminate()
            service.wait()


@contextmanager
def started(folder: Path) -> Iterator[Podman]:
    """podman with a folder, which is emptied first and removed at the end. Raises Unusable."""
    shutil.rmtree(folder, ignore_errors=True)
    storage = folder / "storage"
    storage.mkdir(parents=True)
    # Higher limits than its own need a capability that root may lack.
    limits = [f"{name}={soft}:{soft}" for name, soft in (("nofile", _soft("NOFILE")), ("nproc", _soft("NPROC")))]
    (folder / "containers.conf").write_text(
        f"[containers]\ndefault_ulimits = {json.dumps(limits)}\n"
        f'[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\ntmp_dir = "{folder}/tmp"\n'
        f'[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{folder}/networks"\n'
    )
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{storage}/root"\nrunroot = "{folder}/run"\n'
    )
    # With this process the namespaces end, however it ends: what they hold in memory goes with them.
    unshare = [
        "setpriv",
        "--pdeathsig=KILL",
        "unshare",
        "--mount",
        "--net",
        "--pid",
        "--mount-proc",
        "--propagation=private",
    ]
    in_memory = _STORAGE_BYTES if psutil.virtual_memory().available > 1.5 * _STORAGE_BYTES else 0
    holder = subprocess.Popen(
        [*unshare, "--fork", "--kill-child", "sh", "-c", _NAMESPACE, "sh", str(storage), str(in_memory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None and holder.stderr is not None
    try:
        if holder.stdout.readline() != "ready\n":
            holder.kill()
            raise Unusable(f"namespaces cannot be had: {holder.stderr.read().strip()}")
        podman = Podman(folder, storage, psutil.Process(holder.pid).children()[0].pid)
        try:
            podman.run("podman", "info")
        except Failed as error:
            raise Unusable(f"podman does not start: {error}") from None
        try:
            yield podman
        finally:
            podman.run("podman", "rm", "--all", "--force", "--time=0")
    finally:
        holder.kill()  # and with it every process in its namespace
        holder.wait()
        shutil.rmtree(folder)


def import_stand_ins(podman: Podman) -> None:
    """Make the images that stand for Python's on Docker Hub, of this machine's packages and pip's configuration."""
    root, archive, pip = podman.storage / "base", podman.storage / "base.tar", podman.folder / "pip.conf"
    pip.write_text("\n".join(["[global]", *(f"{key} = {value}" for key, value in pip_settings())]))
    changes = ("ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "ENV LANG=C.UTF-8")
    for image, packages in ((STAND_IN, ()), (STAND_IN_COMPILER, ("g++",))):
        podman.run(Path(__file__).parent / "stand-in-base.sh", root, *filter(_is_installed, packages))
        podman.run("cp", pip, root / "etc/pip.conf")
        podman.run("tar", "-C", root, "-cf", archive, ".")
        podman.run("podman", "import", "--quiet", *(f"--change={change}" for change in changes), archive, image)
    podman.run("rm", "-r", root, archive)


def pip_settings() -> list[tuple[str, str]]:
    """This machine's configuration of pip, but for constraints, which name a file of this machine."""
    lines = run([sys.executable, "-m", "pip", "config", "list"]).splitlines()
    settings = [line.partition(".")[2].partition("=") for line in lines if line.startswith("global.")]
    return [(name, value.strip("'")) for name, _, value in settings if name != "constraint"]


def pip_folders() -> list[str]:
    """The folders of this machine where pip finds packages."""
    words = [word for _, value in pip_settings() for word in value.split()]
    folders = {word.removeprefix("file://").removesuffix("/simple") for word in words}
    return sorted(folder for folder in folders if folder.startswith("/") and Path(folder).is_dir())


def run(command: list[Any], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """What a command prints. Raises Failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=env)
    if done.returncode:
        raise Failed(f"{command} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def _is_installed(package: str) -> bool:
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    return subprocess.run(query, capture_output=True).stdout == b"installed"


def _soft(limit: str) -> int:
    return resource.getrlimit(getattr(resource, f"RLIMIT_{limit}"))[0]
