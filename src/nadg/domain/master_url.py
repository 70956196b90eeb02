"""The address of a master's API."""

from __future__ import annotations

from urllib.parse import urlsplit


def checked_master_url(url: str) -> str:
    """The URL without a trailing slash. Raises ValueError, without showing it, where it is none of http(s)."""
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("this is no address of a master; give one like http://127.0.0.1:8400")
    return url.strip().rstrip("/")
