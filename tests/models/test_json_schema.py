"""A schema that a stranger wrote can neither fetch anything nor keep the master busy nor break it."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from nadg.models.json_schema import flaw_of_schema, schema_problem

MOODS: dict[str, Any] = {
    "type": "object",
    "properties": {"pattern": {"$ref": "#/$defs/mood"}},
    "required": ["pattern"],
    "$defs": {"mood": {"enum": ["good", "bad"]}},
}


def test_what_fits_fits_and_what_does_not_is_said() -> None:
    """A property may be called as a keyword is, and references within the schema work."""
    assert flaw_of_schema(MOODS) == ""
    assert schema_problem({"pattern": "good"}, MOODS) == ""
    assert schema_problem({"pattern": "so so"}, MOODS).startswith("the answer['pattern'] does not fit the schema")


@pytest.mark.parametrize(
    ("schema", "flaw"),
    [
        ({"type": "nothing"}, "it is no JSON Schema at ['type']: 'nothing' is not valid"),
        ({"properties": {"a": {"pattern": "(a+)+$"}}}, "pattern is not supported; use enum, or leave it out"),
        ({"items": [{"patternProperties": {}}]}, "it is no JSON Schema"),
        ({"anyOf": [{"patternProperties": {"a": True}}]}, "patternProperties is not supported"),
        ({"$ref": "#"}, "a $ref to '#' is not followed; write out what it stands for"),
        ({"allOf": [{"$ref": "file:///etc/passwd"}]}, "a $ref to 'file:///etc/passwd' is not followed"),
    ],
)
def test_schemas_that_cannot_be_used(schema: dict[str, Any], flaw: str) -> None:
    assert flaw_of_schema(schema).startswith(flaw)
    with pytest.raises(ValueError, match=r"^output_schema: "):
        schema_problem("x", schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"$ref": "#/nowhere"},
    ],
)
def test_references_that_lead_nowhere(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^output_schema: "):
        schema_problem("x", schema)


def test_a_schema_nested_without_end() -> None:
    schema: dict[str, Any] = {}
    for _ in range(5000):
        schema = {"not": schema}
    assert "nested too deeply" in flaw_of_schema(schema)


def test_nothing_is_fetched() -> None:
    """Neither named as a reference nor as the base that references start from."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        came = threading.Event()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"

        def listen() -> None:
            server.accept()[0].close()
            came.set()

        threading.Thread(target=listen, daemon=True).start()
        for schema in ({"$ref": address}, {"$id": address, "$ref": "#/x"}, {"$id": address, "$ref": "x#/y"}):
            with pytest.raises(ValueError, match=r"^output_schema: "):
                schema_problem("x", schema)
        assert not came.is_set()
        socket.create_connection(server.getsockname()).close()
        assert came.wait(10), "it would have been seen"
