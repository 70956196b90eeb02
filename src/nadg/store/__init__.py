"""What a master remembers: runs, workers and blobs in a database, every write fenced by the run's lease."""

from nadg.store.api import (
    LEASE_SECONDS,
    BlobIndex,
    ModelAnswers,
    ModelCalls,
    Runs,
    Store,
    StoredBlob,
    StoredEvent,
    StoreTrouble,
    Workers,
)
from nadg.store.schema import NoTables
from nadg.store.store import SqlStore, create_store, open_store, opened

__all__ = [
    "LEASE_SECONDS",
    "BlobIndex",
    "ModelAnswers",
    "ModelCalls",
    "NoTables",
    "Runs",
    "SqlStore",
    "Store",
    "StoreTrouble",
    "StoredBlob",
    "StoredEvent",
    "Workers",
    "create_store",
    "open_store",
    "opened",
]
