"""`nadg worker doctor`: what a worker started here could enforce."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from nadg.bootstrap.home import Home
from nadg.link.blobfolder import BlobFolder
from nadg.sandbox.doctor import Diagnosis, diagnose
from nadg.settings import Settings

__all__ = ["Diagnosis", "diagnose_here"]


async def diagnose_here(settings: Settings) -> Diagnosis:
    """Try everything where local workers keep their attempts. Raises UserError where the home is unfit."""
    place = Home(
        settings
    ).workers  # a name that begins with our process id is known for a leftover if we are killed
    with tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-doctor-", dir=place) as folder:
        return await diagnose(Path(folder), BlobFolder(Path(folder) / "blobs"))
