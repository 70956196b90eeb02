"""What may be a worker's token: text that an HTTP header carries as it is, and nobody guesses."""

from __future__ import annotations

SHORTEST_TOKEN = 16
"""Characters of a token where others than this machine can reach the worker."""
MAKE_TOKEN = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'


def flaw_of_token(token: str, *, guessable_by_others: bool = False) -> str | None:
    """What is wrong with a token and how to make a better one, without showing it; None where it is fit."""
    if not (token.isascii() and token.isprintable() and token == token.strip()):
        return f"a token is printable ASCII without spaces around it; make one: {MAKE_TOKEN}"
    if guessable_by_others and len(token) < SHORTEST_TOKEN:
        return f"the token is shorter than {SHORTEST_TOKEN} characters and easily guessed; make one: {MAKE_TOKEN}"
    return None
