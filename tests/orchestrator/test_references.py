"""Which claims of an answer are founded, and what is left where some are not."""

from __future__ import annotations

from nadg.orchestrator.references import founded_part, references_in, unfounded_claims

KNOWN = ("moods", "topics")


def test_an_answer_without_any_reference_leaves_nothing() -> None:
    assert founded_part("It was a pleasure.", KNOWN) == ""
    assert founded_part("## Moods\n\nIt was a pleasure.\n\n## Topics", KNOWN) == ""
    assert founded_part("", KNOWN) == ""


def test_headings_go_with_what_stood_under_them() -> None:
    colours = "## Colours\n\n- Blue. [colours]\n- Red.\n\n"
    text = f"# All\n\n## Moods\n\nGood. [moods]\n\n{colours}## Topics\n\n- Cars [topics]"
    assert unfounded_claims(text, KNOWN) == ["- Blue. [colours]", "- Red."]
    assert founded_part(text, KNOWN) == "# All\n\n## Moods\n\nGood. [moods]\n\n## Topics\n\n- Cars [topics]"


def test_a_link_is_no_reference() -> None:
    assert references_in("[moods](https://example.org) and [topics][moods]") == ["topics", "moods"]
