"""The file that a warm process is started with: it finds this package, then becomes a zygote.

Its arguments: the number of the control socket, the order, and the folders that the worker imports from.
"""

from __future__ import annotations

import sys


def main() -> None:
    _, control_fd, order, *folders = sys.argv
    at = next((index for index, path in enumerate(sys.path) if path.endswith("site-packages")), len(sys.path))
    sys.path[at:at] = [folder for folder in folders if folder not in sys.path[:at]]

    from nadg.sandbox.late_random import load_without_hook

    load_without_hook()  # before anything else that imports `random`

    from nadg.sandbox.zygote import main as become_zygote

    become_zygote(int(control_fd), order)


if __name__ == "__main__":
    main()
