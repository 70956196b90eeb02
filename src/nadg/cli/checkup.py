"""What `nadg worker doctor` does."""

from __future__ import annotations

import msgspec

from nadg.cli.configuration import read_settings
from nadg.cli.console import create_console, print_table
from nadg.cli.failure import FAILED
from nadg.cli.render.doctor import advice_lines, host_lines, threats_table, tier_lines, verdict_line

LEGEND = """\
stopped: it fails; bounded: the kernel ends it at the limit; watched: the worker looks a few times a second and
ends it; open: nothing is done about it."""


async def check_up(as_json: bool) -> int:
    """Show what this host can enforce; 0 where some tier isolates, else 1."""
    from nadg.bootstrap.doctor import diagnose_here

    found = await diagnose_here(read_settings())
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        print("\n".join(["Tiers, strongest first", *tier_lines(found), "", "This machine", *host_lines(found)]))
        print("\n".join(["", "What is missing here", *advice_lines(found), "", "What each tier does"]))
        print_table(create_console(), threats_table(found))
        print(LEGEND)
        print("\n".join(["", "What no tier covers", *(f"  - {one}" for one in found.beyond_every_tier)]))
        print(f"\n{verdict_line(found)}")
    return 0 if found.isolates else FAILED
