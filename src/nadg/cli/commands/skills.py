"""`nadg skills`: what the grid can do without being given code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nadg.cli.commands.arguments import JsonOption

app = typer.Typer(help="The installed skills.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def list_skills(context: typer.Context, as_json: JsonOption = False) -> None:
    """The installed skills."""
    if context.invoked_subcommand is not None:
        return
    from nadg.bootstrap.catalogue import broken_skill_packages, skill_specs
    from nadg.cli.console import create_console, print_table
    from nadg.cli.render.safe import one_line
    from nadg.cli.render.tables import skills_table

    specs = skill_specs()
    for package, reason in broken_skill_packages().items():
        print(one_line(f"nadg: the skills of {package} could not be loaded: {reason}", 500), file=sys.stderr)
    if as_json:
        _print_json([specs[name] for name in sorted(specs)])
    else:
        print_table(create_console(), skills_table(specs))


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A skill, such as text.sentiment.")],
    as_json: JsonOption = False,
) -> None:
    """One skill: what it takes, what it gives, and its arguments."""
    from nadg.bootstrap.catalogue import skill_spec
    from nadg.cli.render.tables import skill_lines

    spec = skill_spec(name)
    if as_json:
        _print_json(spec)
    else:
        print("\n".join(skill_lines(spec)))


def _print_json(document: object) -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
