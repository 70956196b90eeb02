"""A master that stays, as a process of its own, and HTTP requests to it as a stranger would make them."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.nadg_folder import NADG, PATIENCE_SECONDS

READY = re.compile(r"^master: (http://\S+)")


class Answer:
    """What came back."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.status, self.body, self.headers = status, body, headers

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """The sentence of a refusal."""
        return str(self.document["detail"])


class MasterProcess:
    """`nadg up` with one local worker, ready when this returns."""

    def __init__(self, environment: Mapping[str, str], home: Path, *, port: int = 0, workers: int = 1) -> None:
        self.home = home
        self.environment = {**environment, "NADG_HOME": str(home), "NADG_MASTER_PORT": str(port)}
        self.process = subprocess.Popen(
            [*NADG, "up", "--workers", str(workers)],
            env=self.environment,
            cwd=home.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.told = ""
        """What it said on standard error, as far as that was read; all of it once it has ended."""
        assert self.process.stdout is not None
        found = next((found for line in self.process.stdout if (found := READY.match(line))), None)
        assert found is not None, self.process.communicate(timeout=PATIENCE_SECONDS)
        self.url = found[1]
        self.port = urlsplit(self.url).port or 0

    @property
    def token(self) -> str:
        return (self.home / "master.token").read_text()

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, token: str | None = None, **headers: str
    ) -> Answer:
        """One request with the master's token, or another; `content_type="…"` is a header."""
        sent = {"Authorization": f"Bearer {self.token if token is None else token}"} if token != "" else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), dict(answer.getheaders()))
        finally:
            connection.close()

    def post(self, path: str, document: object) -> Answer:
        return self.ask("POST", path, json.dumps(document).encode(), content_type="application/json")

    def put(self, path: str, body: bytes) -> Answer:
        return self.ask("PUT", path, body, content_type="application/octet-stream")

    def wait_until_told(self, words: str) -> None:
        """Return once it has said this on standard error."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.told += line
            if words in line:
                return
        raise AssertionError(f"{words!r} never came: {self.told}")

    def kill(self) -> None:
        """-9."""
        self.process.kill()
        self._end()

    def stop(self) -> int:
        """As the system stops it; gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._end()

    def _end(self) -> int:
        self.told += self.process.communicate(timeout=PATIENCE_SECONDS)[1] or ""
        return self.process.returncode
