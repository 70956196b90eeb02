"""Real worker processes for the tests of this folder."""

from tests.support.worker_process import shared_worker, start_worker

__all__ = ["shared_worker", "start_worker"]
