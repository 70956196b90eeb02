"""`python -m nadg` is the command `nadg`."""

from __future__ import annotations

from nadg.cli.main import main

if __name__ == "__main__":
    main()
