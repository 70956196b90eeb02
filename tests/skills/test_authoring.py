"""What an author of a skill writes, and the errors that tell a form no plan could call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import pytest

from nadg.skills.api import Column, Finding, Needs, Part, Range, RawTable, Table, skill, skill_of


def merge_nothing(parts: Sequence[Part]) -> None:
    """Merge."""


def test_a_spec_is_read_from_the_signature() -> None:
    @skill("money.total", synonyms=("sum up",), examples=("add up the invoices",), produces=("total.csv",))
    def total(
        table: Table,
        column: Annotated[str, Column("number", pick=True), "What to add up."] = "",
        others: Annotated[list[str] | None, Column("category")] = None,
        rounding: Literal["up", "down"] = "up",
        share: Annotated[float, Range(0, 1)] = 0.5,
        times: Annotated[int | None, Range(minimum=1)] = None,
        strict: bool = False,
        *,
        name: str,
    ) -> int:
        """Add up a column.

        More about it.
        """
        return 0

    made = skill_of(total)
    assert made is not None
    spec = made.spec
    assert (spec.name, spec.summary, spec.description) == ("money.total", "Add up a column.", "More about it.")
    assert (spec.takes, spec.maps_over, spec.merges, spec.produces) == ("table", None, False, ("total.csv",))
    assert [(one.name, one.type, one.column_kind) for one in spec.parameters] == [
        ("column", "column", "number"),
        ("others", "columns", "category"),
        ("rounding", "string", "any"),
        ("share", "number", "any"),
        ("times", "integer", "any"),
        ("strict", "boolean", "any"),
        ("name", "string", "any"),
    ]
    by_name = {one.name: one for one in spec.parameters}
    assert by_name["column"].description == "What to add up."
    assert by_name["rounding"].choices == ("up", "down")
    assert (by_name["share"].minimum, by_name["share"].maximum, by_name["share"].default) == (0, 1, 0.5)
    assert by_name["name"].required
    assert made.picked == {"column": Column("number", pick=True)}


def test_a_decorated_function_stays_a_function() -> None:
    @skill("greet.person")
    def greet(name: str = "you") -> str:
        """Greet."""
        return f"hello {name}"

    assert greet(name="me") == "hello me"
    made = skill_of(greet)
    assert made is not None
    assert (made.spec.takes, made.spec.cacheable) == ("nothing", True)
    assert [one.name for one in made.spec.parameters] == ["name"]


def test_a_skill_that_only_needs_others() -> None:
    @skill("join.words", tolerates_missing=True, cacheable=False)
    def words(needs: Needs) -> str:
        """Join."""
        return ""

    made = skill_of(words)
    assert made is not None
    assert (made.spec.takes, made.spec.tolerates_missing, made.spec.cacheable) == ("needs", True, False)


def no_docstring(table: Table) -> None: ...


def no_annotation(table: Table, count=1) -> None:  # type: ignore[no-untyped-def]  # the very mistake
    """Do."""


def odd_type(table: Table, when: bytes = b"") -> None:
    """Do."""


def open_ended(table: Table, **more: str) -> None:
    """Do."""


def on_raw(table: RawTable) -> None:
    """Do."""


def on_typed(table: Table) -> None:
    """Do."""


@pytest.mark.parametrize(
    ("function", "options", "says"),
    [
        (no_docstring, {}, "has no docstring"),
        (no_annotation, {}, "parameter 'count' has no type annotation"),
        (odd_type, {}, "parameter 'when' has type <class 'bytes'>; use str, int"),
        (open_ended, {}, "parameter 'more' must be an ordinary named one"),
        (on_raw, {"name": "Text"}, "'Text' is no skill name; use `field.verb`"),
        (on_raw, {"takes": "image"}, "takes='image', but its first parameter takes 'table'"),
        (on_raw, {"maps_over": "files"}, "maps_over='files' does not fit a skill that takes 'table'"),
        (on_raw, {"maps_over": "rows"}, "a skill over rows takes a RawTable and has a merge function"),
        (on_typed, {"maps_over": "rows", "merge": merge_nothing}, "a skill over rows takes a RawTable"),
        (on_raw, {"merge": merge_nothing}, "merge only makes sense with maps_over"),
        (on_raw, {"primary_table": "x.csv"}, "primary_table 'x.csv' is not among what it produces"),
    ],
)
def test_a_form_that_no_plan_could_call_is_refused(
    function: object, options: dict[str, object], says: str
) -> None:
    name = str(options.pop("name", "field.verb"))
    with pytest.raises(TypeError) as refused:
        skill(name, **options)(function)  # type: ignore[arg-type,type-var]  # each case breaks a rule on purpose
    assert says in str(refused.value)


def test_data_may_not_use_the_names_of_the_form() -> None:
    with pytest.raises(ValueError, match="data may not use the names headline"):
        Finding(title="T", headline="H", data={"headline": 1}).document("a.b")
