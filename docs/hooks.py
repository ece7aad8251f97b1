"""The docs site's hooks: pages from outside docs/ join it, and links of the repository become links of the site.

Every text is written for the repository: its links are relative paths of files. On the site, a link to a text leads to
the page of that text. Pictures are copied. Of a link to source code, only the words stay.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_LINK = re.compile(
    r"(?P<image>!?)\[(?P<words>(?:[^\[\]]|\[[^\]]*\])*)\]"  # words may hold one pair of brackets
    r"\((?P<target>[^()\s#]*)(?P<anchor>#[^()\s]*)?\)"
)
_FENCE = re.compile(r"(?ms)^(```|~~~).*?^\1\s*$")
_PICTURES = {".png", ".svg"}
_PICTURE_FOLDER = "pictures"  #: of the site; holds pictures from outside docs/


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of ``extra.pages``, and the pictures that pages show from outside docs/."""
    root, docs = _root(config), Path(config.docs_dir)
    for page, source in config.extra["pages"].items():
        files.append(File.generated(config, page, abs_src_path=str(root / source)))
    for path in [*docs.rglob("*.md"), *(root / source for source in config.extra["pages"].values())]:
        for link in _LINK.finditer(path.read_text(encoding="utf-8")):
            picture = (path.parent / link["target"]).resolve()
            if picture.suffix in _PICTURES and picture.is_file() and not picture.is_relative_to(docs):
                name = f"{_PICTURE_FOLDER}/{picture.relative_to(root).as_posix()}"
                if files.get_file_from_path(name) is None:
                    files.append(File.generated(config, name, abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the repository's links into the site's, outside of code."""
    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_linked(markdown[end : fence.start()], page, config), fence[0]]
        end = fence.end()
    return "".join([*parts, _linked(markdown[end:], page, config)])


def _linked(markdown: str, page: Page, config: MkDocsConfig) -> str:
    root = _root(config)
    here = page.file.src_uri
    folder = (root / config.extra["pages"].get(here, f"docs/{here}")).parent
    pages = {source: name for name, source in config.extra["pages"].items()}

    def replaced(link: re.Match[str]) -> str:
        target = link["target"]
        if not target or re.match(r"[a-z]+:", target):
            return link[0]
        path = Path(posixpath.normpath(folder / target)).relative_to(root).as_posix()
        inside = path.removeprefix("docs/")
        if path in pages or (path != inside and not (root / path).is_dir()):
            name = pages.get(path, inside)
        elif Path(path).suffix in _PICTURES:
            name = f"{_PICTURE_FOLDER}/{path}"
        else:
            return link["words"]
        uri = posixpath.relpath(name, posixpath.dirname(here) or ".")
        return f"{link['image']}[{link['words']}]({uri}{link['anchor'] or ''})"

    return _LINK.sub(replaced, markdown)


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).parent
