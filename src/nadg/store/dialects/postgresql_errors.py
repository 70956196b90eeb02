"""What PostgreSQL and its poolers say when they fail: which of it passes, and what people are told."""

from __future__ import annotations

import re

from nadg.domain.errors import NadgError, StoreUnavailable, UserError

_PASSING_CLASSES = ("08", "53")
"""Connection exceptions; insufficient resources: disk full, out of memory, too many connections."""
_PASSING_STATES = {
    "25006",  # read only: a standby during failover, or Supabase with its disk full
    "25P03",  # idle within a transaction for too long: this process stood still
    "25P04",  # the transaction took too long
    "40001",  # serialization failure
    "40P01",  # deadlock
    "55P03",  # lock timeout
    "57014",  # statement timeout
    "57P01",  # shut down by an administrator
    "57P02",  # crash of another backend
    "57P03",  # starting up, stopping, recovering
    "57P05",  # idle for too long
    "58030",  # input/output error
}
_WITHOUT_ANSWER = ("OperationalError", "InterfaceError", "InternalError", "DatabaseError")
"""How psycopg calls these, the answers of a pooler among them that come twice when it lost its server."""
_INTERNAL = "XX000"
"""Poolers send their own troubles under it; they are told apart by their words."""
_PASSING_WORDS = re.compile(
    r"max ?clients|EMAXCONN|ECHECKOUTTIMEOUT|check ?out (process|connection)|too many (clients|connections)|"
    r"terminat|starting up|shutting down|timed? ?out|unexpectedly|refused|unreachable|try again",
    re.IGNORECASE,
)
_LASTING_WORDS = re.compile(
    r"authentication failed|no password supplied|pg_hba\.conf|(database|role|user) \S+ does not exist|"
    r"no such (database|user)|tenant or user not found|ENOTFOUND|invalid (connection|sslmode|port|integer)|"
    r"certificate|does not support SSL|SSL required|not support(ed)? .*SASL|permission denied",
    re.IGNORECASE,
)
_REASONS = (
    (r"^53100|no space left", "the database's disk is full"),
    (r"^25006", "the database takes no writes at present: a standby, or its disk is full"),
    (r"^53|max ?clients|EMAXCONN|too many|check ?out|remaining connection slots", "no connection is free"),
    (r"^25P0[34]", "the database ended a transaction that took too long"),
    (r"^57P03|starting up|shutting down|recovery", "the database starts or stops"),
    (r"^57P0[12]|terminating|terminat", "the database ended the connection"),
    (r"^(40001|40P01|55P03)", "other writers are in the way"),
    (r"^57014", "the database ended a statement that took too long"),
    (r"refused|unreachable|no route", "no database answers at its address"),
    (r"resolve|translate host name|name or service", "the database's host is not found"),
    (r"timed? ?out|timeout", "the database does not answer"),
)
"""By the state and the words, in this order."""
_HINTS = (
    (r"tenant or user not found|ENOTFOUND", "the pooler knows no such project or user; copy the whole URI anew"),
    (r"authentication failed|no password|SASL", "user or password is not accepted; check both in the URL"),
    (r"invalid .*option", "libpq knows no such setting in the URL; leave it out"),
    (r"certificate|SSL", "TLS cannot be agreed on; check sslmode and sslrootcert in the URL"),
    (r"does not exist|no such", "there is no such database or user; check the names in the URL"),
    (r"permission denied", "the user lacks a right; let the database's owner run `nadg db upgrade`"),
    (r"pg_hba", "the server lets this user in from elsewhere only; ask who runs it"),
)


def is_passing(error: BaseException) -> bool:
    """See `nadg.store.dialect.Dialect.is_passing`; takes the driver's own error."""
    if not _is_drivers(error):
        return False
    words, state = str(error), getattr(error, "sqlstate", None)
    if _LASTING_WORDS.search(words):
        return False
    if state is None:  # it never came to an answer: no connection, it broke, or it answers something else
        return type(error).__name__ in _WITHOUT_ANSWER or bool(_PASSING_WORDS.search(words))
    if state == _INTERNAL:
        return bool(_PASSING_WORDS.search(words))
    return state[:2] in _PASSING_CLASSES or state in _PASSING_STATES or type(error).__name__ == "ConnectionTimeout"


def passing_reason(error: BaseException) -> str:
    """Why the database does not answer, of an error that is waited for: in a few words of ours.

    Anybody may read them: neither the server's words nor its address and user are in them.
    """
    words, state = str(error), getattr(error, "sqlstate", None) or ""
    if (hint := _hint(error, words)) is not None:
        return hint
    return next(
        (reason for pattern, reason in _REASONS if re.search(pattern, f"{state} {words}", re.IGNORECASE)),
        "the connection to the database was lost",
    )


def explain(name: str, error: BaseException, secret: str, what: str, after: str) -> NadgError:
    """One sentence without the secret; a UserError where waiting is in vain: wrong is the URL, or the rights."""
    answered = getattr(error, "sqlstate", None) is not None  # then the lines below show the statement
    words = " ".join((str(error).partition("\n")[0] if answered else str(error)).split())
    if secret:
        words = words.replace(secret, "***")
    if (hint := _hint(error, words)) is not None:
        return UserError(f"database {name}{what}: {hint} ({words})")
    return StoreUnavailable(f"database {name}{what}: {words}{after}")


def _hint(error: BaseException, words: str) -> str | None:
    """What is wrong with the URL or the rights; None where it is neither."""
    if not _LASTING_WORDS.search(words) and getattr(error, "sqlstate", None) != "42501":
        return None
    return next((hint for pattern, hint in _HINTS if re.search(pattern, words, re.IGNORECASE)), None)


def _is_drivers(error: BaseException) -> bool:
    """Whether psycopg raised it; said by name, so that nothing is imported for it."""
    return type(error).__module__.partition(".")[0] == "psycopg"
