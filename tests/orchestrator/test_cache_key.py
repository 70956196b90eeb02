"""The key of a shard: everything that goes in changes it, and nothing else does."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadg.domain.assignment import Assignment, Code, Files, Items, Job, Merge, Part, Piece, Rows, SkillCall, Whole
from nadg.domain.blob import BlobRef, FileRef, Value
from nadg.domain.limits import Limits
from nadg.domain.outcome import Receipt
from nadg.domain.states import AttemptState
from nadg.domain.tier import Tier
from nadg.orchestrator.cache_key import cache_key, key_to_store, work_sha256

texts = st.text(max_size=4)
hashes = st.sampled_from(["aa", "bb", "cc"])
numbers = st.integers(0, 3)
files = st.builds(FileRef, name=texts, blob=st.builds(BlobRef, sha256=hashes, size=st.just(1)))
file_lists = st.lists(files, max_size=2).map(tuple)
values = st.one_of(
    st.builds(Value, inline=st.binary(min_size=1, max_size=3)),
    st.builds(Value, blob=st.builds(BlobRef, sha256=hashes, size=st.just(9))),
)
arguments = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
        max_leaves=3,
    ),
    max_size=3,
)
jobs: st.SearchStrategy[Job] = st.one_of(
    st.builds(Code, code=texts), st.builds(SkillCall, skill=st.sampled_from(["a.b", "c.d"]), args=arguments)
)
pieces: st.SearchStrategy[Piece] = st.one_of(
    st.just(Whole()),
    st.builds(Items, first=numbers, count=numbers, values=values),
    st.builds(Files, first=numbers, files=file_lists),
    st.builds(Rows, file=files, first=numbers, count=numbers, start=numbers, stop=numbers, header_stop=numbers),
    st.builds(Merge, parts=st.lists(st.builds(Part, result=values, files=file_lists), max_size=2).map(tuple)),
)
assignments = st.builds(
    Assignment,
    attempt_id=st.just("r/a/0/1"),
    job=jobs,
    piece=pieces,
    inputs=file_lists,
    needs=st.dictionaries(texts, values, max_size=2),
    needs_files=st.dictionaries(texts, file_lists, max_size=2),
    missing=st.dictionaries(texts, texts, max_size=2),
)
IN_THE_KEY = ("job", "piece", "inputs", "needs", "needs_files", "missing")


def key(assignment: Assignment, version: str | None = None) -> str:
    return cache_key(work_sha256(assignment, version), assignment.piece)


def content(assignment: Assignment) -> bytes:
    """What goes in, with values by their content and the types of numbers kept; keys in order."""

    def plain(one: Any) -> Any:
        return f"value {one.sha256}" if isinstance(one, Value) else repr(one)

    chosen = {name: getattr(assignment, name) for name in IN_THE_KEY}
    return msgspec.json.encode(_walk(chosen, plain), order="deterministic")


def _walk(one: Any, plain: Any) -> Any:
    match one:
        case Value() | BlobRef():
            return plain(one)
        case msgspec.Struct():
            named = {name: _walk(getattr(one, name), plain) for name in one.__struct_fields__}
            return {"type": type(one).__name__, **named}
        case dict():
            return {f"key {name}": _walk(inner, plain) for name, inner in one.items()}
        case list() | tuple():
            return [_walk(inner, plain) for inner in one]
        case _:
            return plain(one)


@given(assignments, assignments)
def test_two_shards_have_one_key_just_where_the_same_goes_in(one: Assignment, other: Assignment) -> None:
    assert (key(one) == key(other)) == (content(one) == content(other))


FULL = Assignment(
    attempt_id="r/a/0/1",
    job=SkillCall(skill="a.b", args={"x": 1, "deep": {"list": ["y", True]}}),
    piece=Whole(),
    inputs=(FileRef(name="i", blob=BlobRef(sha256="aa", size=1)),),
    needs={"n": Value(inline=b"[1]"), "large": Value(blob=BlobRef(sha256="bb", size=1))},
    needs_files={"n": (FileRef(name="f", blob=BlobRef(sha256="cc", size=1)),)},
    missing={"m": "failed: why"},
)
FILE = FileRef(name="p", blob=BlobRef(sha256="dd", size=1))
PIECES: tuple[Piece, ...] = (
    Items(first=0, count=1, values=Value(inline=b"[2]")),
    Files(first=0, files=(FILE,)),
    Rows(file=FILE, first=0, count=1, start=2, stop=3, header_stop=4),
    Merge(parts=(Part(result=Value(inline=b"3"), files=(FILE,)),)),
)


def changed_once(document: Any) -> Iterator[Any]:
    """The document with one leaf changed, for each of them; sizes and kinds stay."""
    match document:
        case dict():
            for name, inner in document.items():
                if name not in ("size", "kind"):
                    yield from ({**document, name: other} for other in changed_once(inner))
        case list() | tuple():
            for at, inner in enumerate(document):
                yield from ([*document[:at], other, *document[at + 1 :]] for other in changed_once(inner))
        case bool():
            yield not document
        case int():
            yield document + 1
        case bytes():
            yield document + b" "
        case str():
            yield document + "x"


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: type(piece).__name__)
def test_each_leaf_of_what_goes_in_changes_the_key(piece: Piece) -> None:
    """From two random assignments hardly ever only one leaf differs, so each is changed by itself."""
    full = msgspec.structs.replace(FULL, piece=piece)
    document = msgspec.to_builtins(full, builtin_types=(bytes,))
    keys = [key(full)]
    for name in IN_THE_KEY:
        for other in changed_once(document[name]):
            changed = {**document, name: other}
            keys.append(key(msgspec.convert(changed, Assignment, builtin_types=(bytes,))))
    assert len(keys) >= 14
    assert len(set(keys)) == len(keys)


RECEIPT = Receipt(
    worker="w",
    sandbox_tier=Tier.LANDLOCK,
    code_sha256="c",
    input_sha256s={},
    started_at=datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    finished_at=datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    environment="e",
)


def test_only_what_may_serve_is_stored_under_its_key() -> None:
    assert key_to_store("k", AttemptState.SUCCEEDED, RECEIPT) == "k"
    assert key_to_store("", AttemptState.SUCCEEDED, RECEIPT) == ""
    for state in AttemptState:
        if state is not AttemptState.SUCCEEDED:
            assert key_to_store("k", state, RECEIPT) == ""
    unfit: list[dict[str, Any]] = [
        {"sandbox_tier": Tier.NONE},
        {"sandbox_tier": None},
        {"environment": ""},
        {"reused_from": "r/a/0/1"},
    ]
    for change in unfit:
        assert key_to_store("k", AttemptState.SUCCEEDED, msgspec.structs.replace(RECEIPT, **change)) == ""


@given(assignments, texts, numbers)
def test_who_runs_it_where_and_when_does_not(one: Assignment, text: str, number: int) -> None:
    other = msgspec.structs.replace(
        one,
        attempt_id=text,
        term=number,
        avoid_workers=(text,),
        labels=(text,),
        limits=Limits(wall_seconds=number + 1),
    )
    assert key(one) == key(other)


@given(assignments)
def test_the_order_of_names_does_not(one: Assignment) -> None:
    job = one.job
    if isinstance(job, SkillCall):
        job = SkillCall(skill=job.skill, args=dict(reversed(job.args.items())))
    other = msgspec.structs.replace(
        one,
        job=job,
        needs=dict(reversed(one.needs.items())),
        needs_files=dict(reversed(one.needs_files.items())),
        missing=dict(reversed(one.missing.items())),
    )
    assert key(one) == key(other)


@given(assignments, texts, texts)
def test_the_version_of_a_skill_does(one: Assignment, version: str, other: str) -> None:
    if isinstance(one.job, SkillCall):
        assert (key(one, version) == key(one, other)) == (version == other)


def test_a_value_counts_by_its_content_wherever_it_stands() -> None:
    inline = Value(inline=b"[1,2]")
    stored = Value(blob=BlobRef(sha256=inline.sha256, size=5))
    one, other = (
        Assignment(
            attempt_id="r/a/0/1",
            job=Code(code="1"),
            piece=Merge(parts=(Part(result=value),)),
            needs={"n": value},
        )
        for value in (inline, stored)
    )
    assert key(one) == key(other)


PROGRAM = """
from nadg.domain.assignment import Assignment, Items, SkillCall
from nadg.domain.blob import Value
from nadg.orchestrator.cache_key import cache_key, work_sha256
job = SkillCall(skill="a.b", args={"z": [1.5, None, True], "ä": "\\ud800", "a": {"y": 1, "x": 2}})
one = Assignment(attempt_id="r/a/0/1", job=job, piece=Items(first=0, count=1, values=Value(inline=b"[1]")))
print(cache_key(work_sha256(one, "2"), one.piece))
"""
KNOWN = "44a38a110810aee732dd63787e7beba71880ba52d60d43e7a0a512ed0ac89dd5"
"""What an earlier process gave. Where this has to change, KEY_FORMAT has to rise."""


def test_another_process_gives_the_same_key() -> None:
    command, environment = [sys.executable, "-c", PROGRAM], {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == KNOWN
