"""How tests read an ending, whichever process the sandbox runs in."""

from __future__ import annotations

import json
from typing import Any, Protocol

from nadg.sandbox import Ending
from tests.sandbox.folder_blobs import FolderBlobs


class ReadsEndings(Protocol):
    """What a box for tests can do with what it ran."""

    blobs: FolderBlobs

    def run(self, source: str, **request: Any) -> Ending:
        """Run one attempt to its end."""
        ...

    def value(self, source: str, **request: Any) -> Any:
        """The result of an attempt that must succeed."""
        ending = self.run(source, **request)
        assert ending.kind == "succeeded", f"{ending.reason}\n{ending.detail}\n{ending.stderr_tail}"
        return self.decoded(ending)

    def decoded(self, ending: Ending) -> Any:
        assert ending.result is not None
        if ending.result.blob is not None:
            return json.loads(self.blobs.path(ending.result.blob.sha256).read_bytes())
        return json.loads(ending.result.inline or b"")

    def artifacts(self, ending: Ending) -> dict[str, bytes]:
        return {one.name: self.blobs.path(one.blob.sha256).read_bytes() for one in ending.artifacts}
