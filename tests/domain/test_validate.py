"""Broken plans: every kind of problem is told with its place, in plain words, all of them at once."""
# ruff: noqa: E501 - the table of cases reads best with one case a line

from __future__ import annotations

import sys
from typing import Any

import pytest

from nadg.domain.blob import BlobRef
from nadg.domain.errors import PlanInvalid
from nadg.domain.inputs import Column, InputFile, InputKind
from nadg.domain.plan import Plan
from nadg.domain.skill import Parameter, SkillSpec
from nadg.domain.validate import parse_plan

BLOB = BlobRef(sha256="0" * 64, size=9)
REVIEWS = InputFile(
    name="reviews.csv",
    blob=BLOB,
    kind="table",
    rows=3,
    columns=(
        Column(name="text", kind="text"),
        Column(name="stars", kind="number"),
        Column(name="shop", kind="category"),
        Column(name="void", kind="empty"),
    ),
)
NUMBERS = InputFile(
    name="numbers.csv", blob=BLOB, kind="table", rows=3, columns=(Column(name="n", kind="number"),)
)


def other_file(name: str, kind: InputKind) -> InputFile:
    return InputFile(name=name, blob=BLOB, kind=kind)


INPUTS = (
    REVIEWS,
    NUMBERS,
    other_file("a.png", "image"),
    other_file("b.png", "image"),
    other_file("n.txt", "text"),
)
SKILLS = {
    one.name: one
    for one in (
        SkillSpec(
            name="text.mood",
            summary="Rate texts.",
            maps_over="rows",
            merges=True,
            parameters=(
                Parameter(name="column", type="column", column_kind="text", default=""),
                Parameter(name="top", type="integer", minimum=1, maximum=50, default=5),
                Parameter(name="share", type="number", minimum=0, default=0.5),
                Parameter(name="style", type="string", choices=("short", "long"), default="short"),
                Parameter(name="strict", type="boolean", default=False),
                Parameter(name="words", type="strings", default=None),
            ),
        ),
        SkillSpec(
            name="chart.bars",
            summary="Draw bars.",
            parameters=(
                Parameter(name="by", type="column", column_kind="category", required=True),
                Parameter(name="values", type="columns", column_kind="number", default=None),
            ),
        ),
        SkillSpec(name="table.join", summary="Join.", takes="tables"),
        SkillSpec(name="table.tidy", summary="Tidy up.", produces=("tidied.csv",)),
        SkillSpec(name="table.halfway", summary="Map without merge.", maps_over="rows"),
        SkillSpec(
            name="image.turn",
            summary="Turn.",
            takes="image",
            maps_over="files",
            parameters=(Parameter(name="degrees", type="integer", required=True, description="how far to turn"),),
        ),
        SkillSpec(name="image.sheet", summary="One sheet.", takes="images"),
        SkillSpec(name="report.write", summary="Report.", takes="needs"),
    )
}
WORK = {"kind": "python", "code": "result = 1"}


def problems(document: object, **more: Any) -> dict[str, str]:
    """Place to message of everything that is wrong."""
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(document, skills=SKILLS, inputs=INPUTS, **more)
    return {problem.place: problem.message for problem in caught.value.problems}


def parse(*subtasks: dict[str, Any], **more: Any) -> Plan:
    return parse_plan({"subtasks": list(subtasks), **more}, skills=SKILLS, inputs=INPUTS)


def skill(name: str, *, args: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"id": "a", "work": {"kind": "skill", "skill": name, "args": args or {}}, **more}


def python(subtask_id: str = "a", **more: Any) -> dict[str, Any]:
    return {"id": subtask_id, "work": WORK, **more}


DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]
CIRCULAR: list[Any] = []
CIRCULAR.append(CIRCULAR)

BROKEN: list[tuple[object, str, str]] = [
    (None, "plan", "null is no plan"),
    ([], "plan", "a list of 0 is no plan"),
    ("subtasks", "plan", '"subtasks" is no plan'),
    ({}, "plan", "subtasks is missing; give a list of 1 to 1,000 subtasks"),
    ({"subtasks": []}, "subtasks", "holds 0 subtasks"),
    ({"subtasks": [python()] * 1001}, "subtasks", "holds 1,001 subtasks; give 1 to 1,000, and use foreach"),
    ({"subtasks": [None] * 10_000}, "subtasks", "holds 10,000 subtasks"),
    ({"subtasks": {"id": "a"}}, "subtasks", "a mapping does not fit; give a list"),
    ({"subtasks": ["a"]}, "subtasks[0]", '"a" is no subtask; give a mapping'),
    ({"subtasks": [python()], "gaol": "x"}, "gaol", "did you mean goal?"),
    ({"subtasks": [python()], "goal": 3}, "goal", "3 does not fit; give text"),
    ({"subtasks": [python()], "answer": "b"}, "answer", '"b" is the id of no subtask'),
    ({"subtasks": [python()], "answer": ["a"]}, "answer", "a list of 1 does not fit"),
    ({"subtasks": [python()], "a b": 1}, '["a b"]', "is no field of a plan"),
    ({1: 2}, "plan", "has the key 1, which is no text"),
    ({"x" * 2000: 2}, "plan", "a key of 2,000 characters"),
    ({"subtasks": DEEP}, "subtasks[0][0][0]", "nested deeper than 64"),
    (CIRCULAR, "[0][0][0][0]", "nested deeper than 64"),
    ({"subtasks": [python()], "goal": "x" * (65 << 20)}, "plan", "larger than 64 MiB"),
]
BROKEN_SUBTASKS: list[tuple[dict[str, Any], str, str]] = [
    ({"work": WORK}, "", "id is missing; give a name"),
    ({"id": "a"}, "", "work is missing; give a mapping with kind"),
    ({"id": "Throw", "work": WORK}, ".id", '"Throw" does not fit; give a name of at most 63 characters a-z'),
    ({"id": 5, "work": WORK}, ".id", "5 does not fit"),
    ({"id": "a\n", "work": WORK}, ".id", "does not fit"),
    ({"id": "a", "work": "x"}, ".work", '"x" does not fit; give a mapping with kind'),
    ({"id": "a", "work": {}}, ".work", "kind is missing; give skill, python or prompt"),
    ({"id": "a", "work": {"kind": "shell"}}, ".work.kind", '"shell" does not fit; give skill, python or prompt'),
    ({"id": "a", "work": {"kind": "python"}}, ".work", "code is missing; give Python source"),
    ({"id": "a", "work": {"kind": "python", "code": ""}}, ".work.code", '"" does not fit; give Python source'),
    ({"id": "a", "work": {"kind": "python", "code": 1}}, ".work.code", "1 does not fit"),
    ({"id": "a", "work": {**WORK, "args": {}}}, ".work.args", '"args" is no field of work; the fields are kind, code'),
    ({"id": "a", "work": {"kind": "skill", "skill": "text.mood", "args": []}}, ".work.args", "give a mapping"),
    (python(tilte="x"), ".tilte", "did you mean title?"),
    (python(needs="b"), ".needs", '"b" does not fit; give a list of subtask ids'),
    (python(needs=[1]), ".needs[0]", "1 does not fit; give the id of a subtask, as text"),
    (python(needs=["b"] * 1001), ".needs", "lists 1,001 names; at most 1,000"),
    (python(inputs={}), ".inputs", "a mapping does not fit; give a list of input names"),
    (python(limits={"wall_seconds": 0}), ".limits.wall_seconds", "0 does not fit; give a number of seconds above 0"),
    (python(limits={"memory_megabytes": 9**20}), ".limits.memory_megabytes", "give a whole number from 64"),
    (python(limits={"memory_megabytes": 1}), ".limits.memory_megabytes", "1 does not fit; give a whole number from 64"),
    (python(limits={"walls": 1}), ".limits.walls", '"walls" is no field of limits'),
    (python(limits=3), ".limits", "3 does not fit; give a mapping of limits"),
    (python(on_failure="ignore"), ".on_failure", '"ignore" does not fit; give fail_run or continue'),
    (python(min_sandbox="strong"), ".min_sandbox", '"strong" does not fit; give none, landlock or namespaces'),
    (python(max_attempts=0), ".max_attempts", "0 does not fit; give a whole number from 1 to 20"),
    (python(labels=[None]), ".labels[0]", "null does not fit; give a worker label"),
    (python(foreach={}), ".foreach", "give exactly one of items, rows_of, files, results_of (given: none)"),
    (python(foreach={"items": [1], "files": "*"}), ".foreach", "(given: items, files)"),
    (python(foreach={"items": 3}), ".foreach.items", "3 does not fit; give a list"),
    (python(foreach={"items": [1], "shard_size": "big"}), ".foreach.shard_size", '"big" does not fit; give auto or'),
    (python(foreach={"items": [1], "shard_size": 0}), ".foreach.shard_size", "0 does not fit; give auto or"),
    # what JSON cannot carry
    (python(title="a\0b"), ".title", "holds a NUL character"),
    (python(title="a\ud800"), ".title", "holds half a surrogate pair at character 1"),
    (python(foreach={"items": [float("nan")]}), ".foreach.items[0]", "is nan, which JSON cannot carry"),
    (python(foreach={"items": [1 << 64]}), ".foreach.items[0]", "a whole number beyond 64 bits"),
    (python(foreach={"items": [10**5000]}), ".foreach.items[0]", "a whole number beyond 64 bits"),
    (python(foreach={"items": [{1}]}), ".foreach.items[0]", "is a set, which JSON cannot carry"),
    # needs and inputs
    (python(needs=["a"]), ".needs[0]", '"a" needs itself; take it out'),
    (python(needs=["b"]), ".needs[0]", '"b" is the id of no subtask; known: a'),
    (python(inputs=["review.csv"]), ".inputs[0]", 'did you mean "reviews.csv"?'),
    (python(inputs=["xyz"]), ".inputs[0]", "the inputs are reviews.csv, numbers.csv, a.png, b.png, n.txt"),
    (python(inputs=["n.txt", "n.txt"]), ".inputs[1]", '"n.txt" is listed twice'),
    (python(inputs=["b/x.csv"]), ".inputs[0]", 'the subtask "b", which is unknown'),
    # foreach
    (python(foreach={"rows_of": "a.png"}), ".foreach.rows_of", '"a.png" is no table but of kind image'),
    (python(foreach={"rows_of": "n.txt"}), ".foreach.rows_of", "is no table but of kind text"),
    (python(foreach={"rows_of": "nope.csv"}), ".foreach.rows_of", "is no input of the run"),
    (python(foreach={"files": "*.jpg"}), ".foreach.files", '"*.jpg" matches no input; the inputs are'),
    (python(foreach={"results_of": "a"}), ".foreach.results_of", "is this subtask itself"),
    (python(foreach={"results_of": "b"}), ".foreach.results_of", "is the id of no subtask"),
    # code
    (python(work={"kind": "python", "code": "x = 1\nfor\n"}), ".work.code", 'line 2 is not valid Python (invalid syntax) in "for"'),
    (python(work={"kind": "python", "code": "return 1"}), ".work.code", "line 1 is not valid Python ('return' outside function)"),
    (python(work={"kind": "python", "code": "\t1\n  2"}), ".work.code", "line "),
    (python(work={"kind": "python", "code": "a\0"}), ".work.code", "holds a NUL character"),
    (python(work={"kind": "python", "code": "-" * 200_000 + "1"}), ".work.code", "is nested too deeply"),
    (python(work={"kind": "python", "code": "a" * ((1 << 20) + 1)}), ".work.code", "does not fit; give Python source"),
    (python(work={"kind": "python", "code": "#" + "é" * (1 << 20)}), ".work.code", "does not fit; give Python source"),
    (python(work={"kind": "python", "code": "#" + "é" * (1 << 19)}), ".work.code", "is 1,048,577 bytes of code"),
    (python(work={"kind": "prompt", "prompt": "x"}), ".work.kind", "prompt work needs a language model, and none is configured"),
    # skills
    (skill("text.moods", inputs=["reviews.csv"]), ".work.skill", "did you mean text.mood?"),
    (skill("frobnicate"), ".work.skill", "is not an installed skill; installed: text.mood, chart.bars"),
    (skill("text.mood", args={"tpo": 1}, inputs=["reviews.csv"]), ".work.args.tpo", "did you mean top?"),
    (skill("text.mood", args={"zzz": 1}, inputs=["reviews.csv"]), ".work.args.zzz", "it takes column, top, share"),
    (skill("text.mood", args={"top": "5"}, inputs=["reviews.csv"]), ".work.args.top", '"5" does not fit; give a whole number from 1 to 50'),
    (skill("text.mood", args={"top": True}, inputs=["reviews.csv"]), ".work.args.top", "true does not fit"),
    (skill("text.mood", args={"top": 51}, inputs=["reviews.csv"]), ".work.args.top", "51 does not fit; give a whole number from 1 to 50"),
    (skill("text.mood", args={"top": 1.5}, inputs=["reviews.csv"]), ".work.args.top", "1.5 does not fit"),
    (skill("text.mood", args={"share": -1}, inputs=["reviews.csv"]), ".work.args.share", "-1 does not fit; give a number of at least 0"),
    (skill("text.mood", args={"style": "loud"}, inputs=["reviews.csv"]), ".work.args.style", '"loud" is no choice; give one of short, long'),
    (skill("text.mood", args={"strict": "yes"}, inputs=["reviews.csv"]), ".work.args.strict", "give true or false"),
    (skill("text.mood", args={"words": "one"}, inputs=["reviews.csv"]), ".work.args.words", "give a list of texts"),
    (skill("text.mood", args={"column": "txt"}, inputs=["reviews.csv"]), ".work.args.column", '"txt" is no column of reviews.csv; did you mean "text"?'),
    (skill("text.mood", args={"column": "stars"}, inputs=["reviews.csv"]), ".work.args.column", '"stars" holds number, not text; name one of text, shop'),
    (skill("text.mood", args={"column": "void"}, inputs=["reviews.csv"]), ".work.args.column", '"void" holds no value at all'),
    (skill("chart.bars", args={"by": "shop", "values": ["stars", "text"]}, inputs=["reviews.csv"]), ".work.args.values[1]", "holds text, not number"),
    (skill("text.mood", inputs=["numbers.csv"]), ".work", "text.mood needs a column of kind text, and numbers.csv has none (n: number)"),
    (skill("text.mood"), "", "text.mood takes a table, and none is among the inputs"),
    (skill("text.mood", inputs=["a.png"]), ".inputs", "text.mood takes a table, and none is among the inputs"),
    (skill("text.mood", inputs=["reviews.csv", "numbers.csv"]), ".inputs", "takes one table, and the inputs name 2"),
    (skill("text.mood", foreach={"files": "*.png"}), ".foreach.files", "is repeated over rows_of, not files"),
    (skill("text.mood", foreach={"items": [1]}), ".foreach.items", "is repeated over rows_of, not items"),
    (skill("chart.bars", args={"by": "shop"}, foreach={"rows_of": "reviews.csv"}), ".foreach", "works on everything at once"),
    (skill("table.halfway", foreach={"rows_of": "reviews.csv"}), ".foreach", "has no way to merge the parts"),
    (skill("table.join", inputs=["reviews.csv"]), ".inputs", "takes two tables or more, and the inputs name 1"),
    (skill("image.turn", inputs=["a.png"]), ".work", "image.turn needs the argument degrees (how far to turn)"),
    (skill("image.turn", args={"degrees": 9}), "", "takes one image at a time, and the inputs name 0"),
    (skill("image.turn", args={"degrees": 9}, inputs=["a.png", "b.png"]), ".inputs", "the inputs name 2; use foreach with files"),
    (skill("image.turn", args={"degrees": 9}, foreach={"files": "*"}), "", "* matches reviews.csv, numbers.csv, n.txt too"),
    (skill("image.sheet", inputs=["n.txt"]), ".inputs", "takes images, and none is among the inputs"),
    (skill("report.write"), "", "works on what others gave; name them in needs"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "place", "sentence"), BROKEN)
def test_a_broken_document_is_told(document: object, place: str, sentence: str) -> None:
    found = problems(document)
    assert sentence in found[place]


@pytest.mark.parametrize(("subtask", "place", "sentence"), BROKEN_SUBTASKS)
def test_a_broken_subtask_is_told_by_exactly_one_sentence(
    subtask: dict[str, Any], place: str, sentence: str
) -> None:
    found = problems({"subtasks": [subtask]})
    assert list(found) == [f"subtasks[0]{place}"], found
    assert sentence in found[f"subtasks[0]{place}"]


def test_all_problems_are_told_at_once() -> None:
    found = problems(
        {
            "gaol": "x",
            "subtasks": [
                python("a", needs=["c"], limits={"wall_seconds": -1}),
                {
                    "id": "b",
                    "work": {"kind": "python", "code": "x ="},
                    "needs": ["a", "zz", 4],
                    "inputs": ["x.csv"],
                },
                python("c", needs=["b"], foreach={"results_of": "a"}),
                skill("text.mod", inputs=["reviews.csv"]),
                "nonsense",
                {"id": "f"},
            ],
            "answer": "d",
        }
    )
    assert set(found) == {
        "gaol",
        "answer",
        "subtasks[0].limits.wall_seconds",
        "subtasks[0].needs[0]",
        "subtasks[1].needs[1]",
        "subtasks[1].needs[2]",
        "subtasks[1].inputs[0]",
        "subtasks[1].work.code",
        "subtasks[2].foreach.results_of",
        "subtasks[3].id",
        "subtasks[3].work.skill",
        "subtasks[4]",
        "subtasks[5]",
    }
    assert "a -> c -> b -> a" in found["subtasks[0].needs[0]"]
    assert "a is the id" not in found["subtasks[3].id"]
    assert '"a" is the id of subtasks[0] too' in found["subtasks[3].id"]


def test_no_message_speaks_of_the_machinery() -> None:
    every = [problems({"subtasks": [subtask]}) for subtask, _, _ in BROKEN_SUBTASKS]
    text = " ".join(message for found in every for message in found.values())
    for word in ("pydantic", "https", "validator", "Input should", "type=", "dict", "NoneType"):
        assert word not in text


def test_artifacts_come_only_from_needs() -> None:
    other = python("b")
    assert "add b to needs" in problems({"subtasks": [python(inputs=["b/x.csv"]), other]})["subtasks[0].inputs[0]"]
    clean = {"id": "c", "work": {"kind": "skill", "skill": "table.tidy"}, "inputs": ["numbers.csv"]}
    found = problems({"subtasks": [python(inputs=["c/tidide.csv"], needs=["c"]), clean]})
    assert found["subtasks[0].inputs[0]"] == 'c makes no "tidide.csv"; did you mean "c/tidied.csv"?'
    for good in ("c/tidied.csv", "c/something_else.png"):
        parse(python(inputs=[good], needs=["c"]), clean)
    for bad in ("b/", "b/../x", "b//x", "b/./x"):
        found = problems({"subtasks": [python(inputs=[bad], needs=["b"]), other]})
        assert "is no artifact's name" in found["subtasks[0].inputs[0]"]
    found = problems({"subtasks": [python(foreach={"rows_of": "b/x.png"}, needs=["b"]), other]})
    assert "cannot be cut into rows" in found["subtasks[0].foreach.rows_of"]
    assert parse(python(inputs=["b/x.csv"], needs=["b"]), other).subtask("a").inputs == ("b/x.csv",)
    assert parse(python(foreach={"rows_of": "b/x.csv"}, needs=["b"]), other)
    assert (
        "add it to needs"
        in problems({"subtasks": [python(foreach={"results_of": "b"}), other]})["subtasks[0].foreach.results_of"]
    )


def test_a_subtask_named_as_an_input_is_told_apart() -> None:
    found = problems({"subtasks": [python(inputs=["other"], needs=["other"]), python("other")]})
    assert found == {"subtasks[0].inputs[0]": '"other" is a subtask, not a file; write other/ARTIFACT'}


def test_a_run_without_inputs_says_how_to_give_one() -> None:
    with pytest.raises(PlanInvalid, match="the run has none; give the file with --input"):
        parse_plan({"subtasks": [python(inputs=["a.csv"])]}, skills={}, inputs=())
    with pytest.raises(PlanInvalid, match="installed: none"):
        parse_plan({"subtasks": [skill("a.b")]}, skills={}, inputs=())


def test_hostile_numbers_of_problems_end_early() -> None:
    subtasks = [python(f"s{number}", needs=[f"x{number}-{at}" for at in range(900)]) for number in range(900)]
    assert len(problems({"subtasks": subtasks})) == 500


def test_too_much_code_is_told_once() -> None:
    subtasks = [
        python(f"s{number}", work={"kind": "python", "code": f"# {number}" + "x" * 1_000_000})
        for number in range(9)
    ]
    found = problems({"subtasks": subtasks})
    assert found == {
        "subtasks[4].work.code": "the code of the plan is larger than 4 MiB; move data into input files"
    }


def test_warnings_of_the_compiler_are_not_errors() -> None:
    assert parse(python(work={"kind": "python", "code": "x = '\\d' is 1"}))


def test_a_long_circle_is_cut_short_in_the_sentence() -> None:
    size = 500
    subtasks = [python(f"s{number}", needs=[f"s{(number + 1) % size}"]) for number in range(size)]
    (message,) = problems({"subtasks": subtasks}).values()
    assert "s0 -> s1 -> " in message
    assert "…" in message
    assert len(message) < 300


def test_a_chain_of_a_thousand_needs_no_recursion() -> None:
    depth = sys.getrecursionlimit()
    subtasks = [python(f"s{number}", needs=[f"s{number + 1}"] if number < 999 else []) for number in range(1000)]
    assert len(parse(*subtasks).subtasks) == 1000
    assert sys.getrecursionlimit() == depth


def test_prompt_work_has_no_labels() -> None:
    work = {"kind": "prompt", "prompt": "Say hello"}
    with pytest.raises(PlanInvalid, match=r"subtasks\[0\].labels: prompt work is done at the master"):
        parse_plan(
            {"subtasks": [{"id": "a", "work": work, "labels": ["llm:x"]}]}, skills={}, inputs=(), models=True
        )


def test_prompt_work_passes_where_a_model_is_configured() -> None:
    document = {"subtasks": [{"id": "a", "work": {"kind": "prompt", "prompt": "Say hello"}}]}
    assert parse_plan(document, skills={}, inputs=(), models=True).subtasks[0].work.kind == "prompt"


@pytest.mark.parametrize(
    "subtask",
    [
        skill("text.mood", inputs=["reviews.csv"]),
        skill("text.mood", inputs=["n.txt"]),
        skill(
            "text.mood", foreach={"rows_of": "reviews.csv"}, args={"column": "shop", "top": 5.0, "words": ["a"]}
        ),
        skill("text.mood", args={"column": ""}, inputs=["reviews.csv"]),
        skill("chart.bars", args={"by": "stars", "values": "stars"}, inputs=["reviews.csv", "a.png"]),
        skill("chart.bars", inputs=["numbers.csv"]),
        skill("table.join", inputs=["reviews.csv", "numbers.csv"]),
        skill("table.halfway", inputs=["reviews.csv"]),
        skill("image.turn", args={"degrees": 1}, foreach={"files": "*.png"}),
        skill("image.turn", args={"degrees": 1}, inputs=["a.png"]),
        skill("image.sheet", inputs=["a.png", "b.png"]),
        python(foreach={"items": []}),
        python(foreach={"rows_of": "reviews.csv", "shard_size": 1}),
        python(foreach={"files": "?.png"}),
        python(min_sandbox="none", labels=["gpu"], max_attempts=20, on_failure="continue"),
    ],
)
def test_what_is_right_passes(subtask: dict[str, Any]) -> None:
    assert parse(subtask).subtasks[0].id == "a"
