"""Pictures of an answer on a terminal, which cannot show them: where each lies, once."""

from __future__ import annotations

import re
from urllib.parse import unquote

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import ImageItem, Markdown
from rich.text import Text

from nadg.cli.render.safe import printable

_CAPTION_BELOW = re.compile(
    r"!\[(?P<caption>(?:[^\]\\\n]|\\.)+)\](?P<link>\([^)\n]*\))(?=\n\n\*(?P=caption)\*(?:\n|$))"
)
"""A picture as reports have it, its caption said again in the line below."""


def answer_layout(text: str) -> Markdown:
    """Markdown laid out for a terminal."""
    return _Answer(_CAPTION_BELOW.sub(r"![]\g<link>", text), hyperlinks=False)


class _Picture(ImageItem):
    """`caption: path`, without the caption where that is only the name of the file."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        path = printable(unquote(self.destination), keep_lines=False)
        caption = self.text.plain
        told = f"{caption}: " if caption and not path.endswith(caption.replace("\\", "")) else ""
        yield Text(f"🌆 {told}{path} ", end="", overflow="fold")


class _Answer(Markdown):
    elements = {**Markdown.elements, "image": _Picture}  # noqa: RUF012 as in the base class
