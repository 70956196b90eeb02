"""Requests to a master, which are made again for as long as it is out of reach."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import msgspec

from nadg.domain.errors import ModelUnavailable, NadgError, NotFound, PlanInvalid, StoreUnavailable, UserError
from nadg.domain.master_api import NOTHING_HERE, Refusal

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
"""How long a master may take to answer; then it is asked again, which changes nothing that was done."""
LONG_SECONDS = 20.0
"""After so long without a master, another one that shares its database has taken its runs over."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 3.0
NOTHING_HERE_OF_OTHERS = "Not Found"
"""So a worker and others of its make say it, in the form in which a master refuses."""
OF_ITSELF = "the master "
"""So a master begins when it tells why it waits."""
_AGAIN = (502, 503, 504)
"""Statuses of a master that waits or goes, or of a proxy before it. One of its own 502s has our JSON."""

Notice = Callable[[str], None]


class Lasting(msgspec.Struct, frozen=True, kw_only=True):
    """What is told, once, of trouble that lasts."""

    advice: Callable[[], str]
    seconds: float = LONG_SECONDS


class Connection:
    """Says once that the master is out of reach, and once that it is back; made by `connected`."""

    def __init__(self, http: httpx.AsyncClient, url: str, notice: Notice | None, lasting: Lasting | None) -> None:
        self.http, self.url = http, url
        self._notice, self._lasting = notice, lasting
        self._in_trouble_since: float | None = None
        self._told_that_it_lasts = False
        self._reached = False

    async def ask(
        self,
        method: str,
        path: str,
        *,
        content: bytes | Callable[[], AsyncIterator[bytes]] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = ANSWER_SECONDS,
    ) -> bytes:
        """The body of the answer. Whatever is asked must be harmless when it is asked twice.

        Raises UserError, PlanInvalid, NotFound or ModelUnavailable as the master says; where the first request
        finds no master, UserError; later ones wait until there is one.
        """
        pause = FIRST_PAUSE_SECONDS
        timeout = httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS)
        while True:
            body = content() if callable(content) else content
            try:
                answer = await self.http.request(method, path, content=body, headers=headers, timeout=timeout)
            except httpx.LocalProtocolError as error:
                raise UserError(f"what was to be sent changed meanwhile ({error}); try again") from error
            except httpx.TransportError as error:
                trouble = f"the master at {self.url} cannot be reached ({_words_of(error)})"
                if self._notice is None or not self._reached:
                    raise self._no_master(_words_of(error)) from error
            else:
                if not _is_trouble(answer):
                    self._is_back()
                    return _body_of(answer, self.url)
                trouble = _waiting(answer, self.url)
                if self._notice is None:
                    raise StoreUnavailable(trouble)
                self._reached = True
            self._tell(trouble)
            await asyncio.sleep(pause * (0.5 + random.random() / 2))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    @asynccontextmanager
    async def streamed(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """A body piece by piece. Raises httpx.TransportError where it is cut off, NotFound and the like."""
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        async with self.http.stream("GET", path, timeout=timeout) as answer:
            if answer.is_error:
                await answer.aread()
                _body_of(answer, self.url)
            yield answer.aiter_bytes()

    def _no_master(self, trouble: str) -> UserError:
        return UserError(
            f"NADG_MASTER_URL: no master answers at {self.url} ({trouble}); start one there: `nadg up`, "
            "or unset the variable to run without one"
        )

    def _tell(self, trouble: str) -> None:
        if self._notice is None:
            return
        now = time.monotonic()
        if self._in_trouble_since is None:
            self._in_trouble_since, self._told_that_it_lasts = now, False
            self._notice(f"{trouble[0].upper()}{trouble[1:]}; waiting. The run is not lost.")
            return
        lasted = now - self._in_trouble_since
        if self._lasting is not None and not self._told_that_it_lasts and lasted >= self._lasting.seconds:
            self._told_that_it_lasts = True
            self._notice(self._lasting.advice())

    def _is_back(self) -> None:
        self._reached = True
        if self._in_trouble_since is not None and self._notice is not None:
            self._in_trouble_since = None
            self._notice(f"The master at {self.url} answers again.")


@asynccontextmanager
async def connected(
    url: str, token: str, notice: Notice | None, lasting: Lasting | None = None
) -> AsyncIterator[Connection]:
    """A connection for the length of a `with`; nothing is sent yet. `notice` hears of trouble.

    Without it nothing is waited for: UserError says that no master answers, StoreUnavailable that it cannot now.
    """
    headers = {"Authorization": f"Bearer {token}", "User-Agent": "nadg"}
    direct = _is_loopback(urlsplit(url).hostname or "")  # no proxy could reach it
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=not direct) as http:
        yield Connection(http, url, notice, lasting)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_trouble(answer: httpx.Response) -> bool:
    if answer.status_code == 502:
        return not _is_ours(answer)
    return answer.status_code in _AGAIN


def no_master(url: str, found: str) -> UserError:
    """Another service, such as a worker, has the address that the setting names."""
    return UserError(
        f"NADG_MASTER_URL: what answers at {url} is no NADG master ({found}); "
        "give the address that `nadg up` prints as `master:`"
    )


def _is_ours(answer: httpx.Response) -> bool:
    try:
        msgspec.json.decode(answer.content, type=Refusal)
    except msgspec.DecodeError:
        return False
    return True


def _words_of(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ReadTimeout):
        return "it took the request and said nothing for long"
    return str(error) or type(error).__name__


def _waiting(answer: httpx.Response, url: str) -> str:
    """Why a master that is there carries nothing out now, in its own words where it has some."""
    said = _detail(answer).detail
    if said.startswith(OF_ITSELF):
        return f"{OF_ITSELF}at {url} {said.removeprefix(OF_ITSELF)}"
    return f"{OF_ITSELF}at {url} cannot answer now ({said})"


def _detail(answer: httpx.Response) -> Refusal:
    try:
        return msgspec.json.decode(answer.content, type=Refusal)
    except msgspec.DecodeError:
        return Refusal(detail=f"HTTP {answer.status_code}")


def _body_of(answer: httpx.Response, url: str) -> bytes:
    """Raises what a refusal means here."""
    status = answer.status_code
    if answer.is_success:
        return answer.content
    said = _detail(answer)
    if status == 401:
        raise UserError(
            f"the master at {url} refused the token; set NADG_MASTER_TOKEN to its own, "
            "which stands in master.token in its home folder"
        )
    if status == 404 and answer.request.method == "HEAD":
        raise NotFound(f"{answer.request.url.path} is not there")
    if answer.is_redirect or not _is_ours(answer):
        raise no_master(url, f"HTTP {status}")
    if status == 404 and said.detail == NOTHING_HERE:
        raise UserError(
            f"NADG_MASTER_URL: a master answers at {url}, but not under that path; "
            "give the address that `nadg up` prints, without /v1 or the like"
        )
    if status == 404 and said.detail == NOTHING_HERE_OF_OTHERS:
        raise no_master(url, f"HTTP {status}")
    if said.problems:
        raise PlanInvalid(said.problems)
    kinds: dict[int, type[NadgError]] = {404: NotFound, 502: ModelUnavailable}
    kind = kinds.get(status, UserError if status < 500 else NadgError)
    raise kind(said.detail)
