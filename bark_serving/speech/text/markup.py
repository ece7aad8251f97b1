"""Markdown, as language models write it, to the text that a reader would say. The parser is markdown-it-py.

Nothing but markup changes: ``[laughs]``, ``♪``, CAPITALS and ``MAN:`` stay, and so do the numbers of a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, fence
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from bark_serving.speech.text.sentences import LINE_END

#: Reference links would take `[laughs]` apart, indented text is no code here, and HTML is read as it stands.
_PARSER = (
    MarkdownIt("commonmark", {"html": False})
    .enable(["table", "strikethrough"])
    .disable(["reference", "code", "html_block", "html_inline", "entity"])
)
#: A text without any of these is plain.
_BLANKS = r"[^\S\n]*+"  # of one line: `\s*` would read on over empty lines from each of them, in quadratic time
_MARKUP = re.compile(
    rf"[*_`#>\[\]~|\\]|^{_BLANKS}(?:[-+]|\d+[.)])\s|^{_BLANKS}(?:-{{3,}}|={{3,}}){_BLANKS}$|<\w+:", re.MULTILINE
)
_TASK_BOX = re.compile(r"\[[ xX]\]\s+")  #: at the start of a list item: done or to be done
_FOOTNOTE = re.compile(r"\[\^[\w-]+\]:?")

#: The sign of a product or a power is no emphasis: "5*6", "2*x*3", "x**2".
_PRODUCT = re.compile(r"(?<=\d)\*+(?:[A-Za-z]\*+)?(?=\d)|(?<![\w*][a-z])(?<=[a-z])\*\*(?=\d)")

#: A mark of emphasis without its other end, as in a sentence out of a longer bold text: at an edge of a word.
_STRAY_MARK = re.compile(
    r"""(?<![\w*])(?:\*(?!\d)|\*{2,3}|_{1,3}|~~)(?=[^\W_]|["'“‘«(¿¡])"""
    r"""|(?:(?<=[^\W_])|(?<=[.!?,;:…"'”’»)]))(?:(?<!\d)\*|\*{2,3}|_{1,3}|~~)(?=[\s.,;:!?…"'”’»)]|$)"""
)

#: What begins code: ``` with anything, and ~~~ with one word. `bark_client.chapters` has the same rule.
_FENCE = re.compile(r"(`{3,})[^`]*|(~{3,})[ \t]*[^\s~]+")


def _code(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    """A rule of the parser: code has an end. A line that begins none is a paragraph of its words."""
    text = _line(state, first)
    if not text.startswith(("```", "~~~")):
        return False
    begins = _FENCE.fullmatch(text)
    if begins and _is_closed(state, begins[1] or begins[2], first, end):
        return fence(state, first, end, silent)
    words = text.strip(text[0]).strip()
    if "`" in words:
        return False  # code within the line
    if not silent:
        state.line = first + 1
        state.push("paragraph_open", "p", 1)
        inline = state.push("inline", "", 0)
        inline.content, inline.children = words, []
        state.push("paragraph_close", "p", -1)
    return True


def _is_closed(state: StateBlock, signs: str, first: int, end: int) -> bool:
    """Whether a line after the first one ends code that began with these signs. No lines are searched in vain twice."""
    unclosed: set[tuple[str, int]] = state.env.setdefault("unclosed", set())
    if (signs, end) in unclosed:
        return False
    lines = (_line(state, number) for number in range(first + 1, end))
    closed = any(line.startswith(signs) and not line.strip(signs[0]) for line in lines)
    if not closed:
        unclosed.add((signs, end))
    return closed


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]].rstrip()


def _product(state: StateInline, silent: bool) -> bool:
    """A rule of the parser: the sign of a product is a plain character, as ``_`` within a word is."""
    found = _PRODUCT.match(state.src, state.pos)
    if found and not silent:
        state.pending += found[0]
    state.pos = found.end() if found else state.pos
    return found is not None


_PARSER.inline.ruler.before("emphasis", "product", _product)
_PARSER.block.ruler.at("fence", _code, {"alt": ["paragraph", "reference", "blockquote", "list"]})


def plain(text: str) -> str:
    """The text without its markup: one line for each heading, paragraph line, list item and row of a table.

    An empty line ends a paragraph, `LINE_END` an item of a list whose items have no empty lines between them.
    """
    if not _MARKUP.search(text):
        return text
    return "\n".join(_lines(_PARSER.parse(text)))


def _lines(tokens: Sequence[Token]) -> Iterator[str]:
    numbers = _list_numbers(tokens)
    in_item, prefix = False, ""
    cells: list[str] | None = None
    depth = 0  # of lists in lists
    for index, token in enumerate(tokens):
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                depth += 1
            case "bullet_list_close" | "ordered_list_close":
                depth -= 1
                if not depth:
                    yield ""
            case "list_item_open":
                in_item = True
                prefix += f"{numbers[index]}{token.markup} " if index in numbers else ""
            case "list_item_close" if prefix:  # an item without text: "5."
                yield prefix.rstrip() + LINE_END
                in_item, prefix = False, ""
            case "tr_open":
                cells = []
            case "tr_close":
                yield ", ".join(filter(None, cells or ()))
                cells = None
            case "inline":
                said = _inline(token.children or ())
                if cells is not None:
                    cells.append(said)
                    continue
                said = _TASK_BOX.sub("", said, count=1) if in_item and _TASK_BOX.match(said) else said
                yield prefix + said + (LINE_END if tokens[index + 1].hidden else "")
                in_item, prefix = False, ""
            case "fence":
                yield token.content
            case "heading_close" | "paragraph_close" | "table_close" if not token.hidden:
                yield ""


def _list_numbers(tokens: Sequence[Token]) -> dict[int, int]:
    """The number of each item of an ordered list, by the position of its token.

    Numbers stay as they are written, since a line such as "1984. A year" is a list to Markdown. Where all items have
    the same number, they are counted, as Markdown does.
    """
    items: dict[int, list[int]] = {}
    around: list[int] = []
    for index, token in enumerate(tokens):
        match token.type:
            case "ordered_list_open" | "bullet_list_open":
                around.append(index)
            case "ordered_list_close" | "bullet_list_close":
                around.pop()
            case "list_item_open" if token.info:
                items.setdefault(around[-1], []).append(index)
    numbers: dict[int, int] = {}
    for positions in items.values():
        written = [int(tokens[position].info) for position in positions]
        counted = range(written[0], written[0] + len(written))
        numbers.update(zip(positions, counted if len(set(written)) == 1 else written, strict=True))
    return numbers


def _inline(tokens: Sequence[Token]) -> str:
    said = []
    for token in tokens:
        match token.type:
            case "text" | "code_inline" | "text_special" | "image":
                said.append(token.content)
            case "softbreak" | "hardbreak":
                said.append("\n")
    return _STRAY_MARK.sub("", _FOOTNOTE.sub("", "".join(said)))
