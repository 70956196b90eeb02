"""Plan files: what cannot be read is told with line and column; what is written reads back the same."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nadg.domain.errors import PlanInvalid, UserError
from nadg.domain.limits import Limits
from nadg.domain.plan import Foreach, Plan, PythonWork, SkillWork, Subtask
from nadg.domain.validate import parse_plan
from nadg.planning.file import dump_plan, load_plan, parse_text, plan_schema

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"

REFUSED: list[tuple[str, bytes, str]] = [
    ("p.yaml", b"", "the plan file is empty"),
    ("p.yaml", b"  \n", "the plan file is empty"),
    ("p.yaml", b"goal: caf\xe9", "byte 0xe9 at offset 9 is not UTF-8"),
    ("p.yaml", b"a: 1\nb: [1, 2\n", "line 3, column 1: did not find expected ',' or ']'"),
    ("p.yaml", b"a: b: c\n", "line 1, column 5: mapping values are not allowed"),
    ("p.yaml", b"a:\n\t- b\n", "line 2, column 1: found character that cannot start any token"),
    ("p.yaml", b"a: 1\nb: 2\na: 3\n", "line 3, column 1: the key 'a' stands twice"),
    ("p.yaml", b"a:\n  - x: 1\n    x: 2\n", "line 3, column 5: the key 'x' stands twice"),
    ("p.yaml", b"1: x\n'1': y\n", "line 2, column 1: the key '1' stands twice"),
    ("p.yaml", BOMB.encode(), "line 1, column 4: anchors and aliases are not read"),
    ("p.yaml", b"a: *b\n", "line 1, column 4: anchors and aliases are not read"),
    ("p.yaml", b"a: !!python/object/apply:os.system [ls]\n", "line 1, column 4: the tag"),
    ("p.yaml", b"a: !x 1\n", "the tag '!x' is not read"),
    ("p.yaml", b"a: 1\n---\nb: 2\n", "line 2, column 1: a second document starts"),
    ("p.yaml", b"? [a]\n: 1\n", "line 1, column 3: a key is a list or a mapping"),
    ("p.yaml", b"a: .nan\n", "line 1, column 4: .nan is no number that JSON can carry"),
    ("p.yaml", b"a: 1e999\n", "1e999 is no number that JSON can carry"),
    ("p.yaml", b"a: " + b"9" * 5000, "is no number that JSON can carry"),
    ("p.yaml", b"[" * 10_000, "line 1, column 65: is nested deeper than 64 levels"),
    ("p.yaml", b"a: \x00", "is not YAML"),
    ("p.json", b"{", "line 1, column 2: Expecting property name"),
    ("p.json", b'{"a": 1,\n "b" 2}', "line 2, column 6: Expecting ':' delimiter"),
    ("p.json", b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
    ("p.json", b'{"a": NaN}', "NaN is not JSON"),
    ("p.json", b'{"a": ' + b"9" * 5000 + b"}", "a number with too many digits"),
    ("p.json", b"[" * 100_000, "is nested deeper than 64 levels"),
]


@pytest.mark.parametrize(("name", "content", "sentence"), REFUSED)
def test_what_cannot_be_read_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_plan(tmp_path / name)
    assert sentence in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such plan file"):
        load_plan(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="is a folder"):
        load_plan(tmp_path)
    big = tmp_path / "big.yaml"
    with big.open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(UserError, match="larger than 64 MiB"):
        load_plan(big)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("1_000", "1_000"),
        ("12:30:00", "12:30:00"),
        ("2024-01-31", "2024-01-31"),
        ("0x1F", "0x1F"),
        ("true", True),
        ("~", None),
        ("", None),
        ("-7", -7),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("'1'", "1"),
        ('"true"', "true"),
        ("! 5", "5"),
        ("<<", "<<"),
    ],
)
def test_plain_words_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    assert parse_text(f"a: {text}\n", "p.yaml") == {"a": value}


def test_keys_are_text_as_written() -> None:
    assert parse_text("1: a\nnull: b\non: c\n", "p.yaml") == {"1": "a", "null": "b", "on": "c"}


def test_json_is_read_by_its_name_or_its_look(tmp_path: Path) -> None:
    assert parse_text('{"a": "\\ud83d\\ude00"}') == {"a": "😀"}
    assert parse_text('{"a": [1, null]}', "p.json") == {"a": [1, None]}
    assert parse_text("{a: b}", "p.yaml") == {"a": "b"}
    (tmp_path / "p.yaml").write_bytes("\ufeffgoal: x".encode())
    assert load_plan(tmp_path / "p.yaml") == {"goal": "x"}


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
AWKWARD = st.sampled_from(
    [
        "1",
        "1e5",
        "null",
        "~",
        "on",
        "0o7",
        "-",
        "? a",
        "a: b",
        "# x",
        " x",
        "x ",
        "\n",
        "a\n",
        "\ta\nb",
        "a\r\nb",
        "<<",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | TEXT | AWKWARD
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    LEAVES | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
COMMENTS = (TEXT | AWKWARD).map(lambda text: "# " + "\n# ".join((text + "x").splitlines() or [""]))
WORKS = st.builds(
    PythonWork, kind=st.just("python"), code=COMMENTS | st.just("x = '''\n  a\n\n'''\n")
) | st.builds(
    SkillWork, kind=st.just("skill"), skill=st.just("any.thing"), args=st.dictionaries(TEXT, JSON, max_size=3)
)
SUBTASKS = st.builds(
    Subtask,
    id=st.just("a"),
    title=TEXT | AWKWARD,
    work=WORKS,
    foreach=st.none() | st.builds(Foreach, items=st.lists(JSON, max_size=3)),
    limits=st.builds(Limits, wall_seconds=st.floats(0.001, 86_400), threads=st.integers(1, 4096)),
    labels=st.lists(TEXT, max_size=2).map(tuple),
    on_failure=st.sampled_from(["continue", "fail_run"]),
)
PLANS = st.builds(
    Plan, goal=TEXT | AWKWARD, subtasks=SUBTASKS.map(lambda one: (one,)), answer=st.none() | st.just("a")
)


@given(PLANS)
def test_what_is_written_reads_back_the_same(plan: Plan) -> None:
    assert Plan.model_validate(parse_text(dump_plan(plan), "p.yaml")) == plan


@given(PLANS)
def test_other_yaml_readers_see_the_same_plan(plan: Plan) -> None:
    assert Plan.model_validate(yaml.safe_load(dump_plan(plan))) == plan


def test_code_is_written_as_a_block() -> None:
    code = "import random\n\nfor x in range(3):\n    print(x)\n"
    text = dump_plan(Plan(goal="yes", subtasks=(Subtask(id="a", work=PythonWork(kind="python", code=code)),)))
    assert "    code: |\n      import random\n\n      for x in range(3):\n          print(x)\n" in text
    assert "goal: 'yes'" in text


@given(
    st.text(max_size=60) | st.lists(st.sampled_from(["a:", " ", "\n", "- ", "[", "}", '"', "|", "&", "*", "!"]))
)
def test_any_text_is_read_or_refused(text: str | list[str]) -> None:
    source = text if isinstance(text, str) else "".join(text)
    for name in ("p.yaml", "p.json"):
        try:
            document = parse_text(source, name)
        except UserError:
            continue
        with contextlib.suppress(PlanInvalid):
            parse_plan(document, skills={}, inputs=())


def unmet(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> list[str]:
    """A small reader of JSON Schema: enough for the published one."""
    if "$ref" in schema:
        return unmet(root["$defs"][schema["$ref"].rpartition("/")[2]], value, root)
    found: list[str] = []
    for name in ("anyOf", "oneOf"):
        if name in schema:
            fitting = [one for one in schema[name] if not unmet(one, value, root)]
            found += [] if len(fitting) == 1 or (fitting and name == "anyOf") else [f"{name} {value!r}"]
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": int | float,
        "null": type(None),
    }
    if schema.get("type") in kinds and not isinstance(value, kinds[schema["type"]]):
        return [*found, f"{value!r} is not {schema['type']}"]
    if "const" in schema and value != schema["const"]:
        found.append(f"{value!r} is not {schema['const']}")
    if isinstance(value, dict) and "properties" in schema:
        found += [f"{name} is missing" for name in schema.get("required", []) if name not in value]
        for name, inner in value.items():
            if name in schema["properties"]:
                found += unmet(schema["properties"][name], inner, root)
            elif schema.get("additionalProperties") is False:
                found.append(f"{name} is unknown")
    elif isinstance(value, dict):
        found += [f"{name} is missing" for name in schema.get("required", []) if name not in value]
    if isinstance(value, list) and "items" in schema:
        found += [one for inner in value for one in unmet(schema["items"], inner, root)]
    return found


def test_the_schema_describes_every_field() -> None:
    schema = plan_schema()
    assert schema["$schema"].startswith("https://json-schema.org/")
    for definition in [schema, *schema["$defs"].values()]:
        for name, field in definition.get("properties", {}).items():
            assert field.get("description") or field.get("const"), name


@pytest.mark.parametrize(
    ("document", "fits"),
    [
        ({"subtasks": [{"id": "a", "work": {"kind": "python", "code": "x"}}]}, True),
        ({"subtasks": [{"id": "a", "work": {"kind": "python", "code": "x"}, "foreach": {"items": [1]}}]}, True),
        ({"subtasks": [{"id": "a", "work": {"kind": "python", "code": "x"}, "foreach": {}}]}, False),
        ({"subtasks": [{"id": "a", "work": {"kind": "shell", "code": "x"}}]}, False),
        ({"subtasks": [{"id": "a", "work": {"kind": "python", "code": "x"}, "limits": {"wall": 1}}]}, False),
        ({"subtasks": [{"work": {"kind": "python", "code": "x"}}]}, False),
        ({"goal": "x"}, False),
        ({"subtasks": [], "gaol": "x"}, False),
    ],
)
def test_the_schema_says_what_the_parser_says(document: dict[str, Any], fits: bool) -> None:
    schema = plan_schema()
    assert (not unmet(schema, document, schema)) is fits
