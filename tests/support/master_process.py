"""A master that stays, as a process of its own, and HTTP requests to it as a stranger would make them."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.nadg_folder import NADG, PATIENCE_SECONDS

LOOK_SECONDS = 0.05
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
        self.log = home.parent / "master.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*NADG, "up", "--workers", str(workers)],
                env=self.environment,
                cwd=home.parent,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        found = next((found for line in self.process.stdout if (found := READY.match(line))), None)
        assert found is not None, self.log.read_text()
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

    def wait_for_log(self, words: str) -> None:
        """Return once it has told this. It tells it to a file, so there is nothing but to look."""
        while words not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(LOOK_SECONDS)

    def kill(self) -> None:
        """-9."""
        self.process.kill()
        self.process.communicate(timeout=PATIENCE_SECONDS)

    def stop(self) -> int:
        """As the system stops it; gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode
