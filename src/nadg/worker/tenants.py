"""The masters of a worker: who has a link, who is gone, and which of them holds a run's attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from nadg.domain.clock import Clock
from nadg.domain.ids import run_of
from nadg.link.session import Session
from nadg.worker.slots import Slots
from nadg.worker.tenant import Held, Tenant


class Tenants:
    """All tenants. One that is gone longer than the grace time is dropped, with what it had."""

    def __init__(
        self, slots: Slots, clock: Clock, grace_seconds: float, give_up: Callable[[Tenant, Held], None]
    ) -> None:
        self._slots, self._clock = slots, clock
        self._grace_seconds = grace_seconds
        self._give_up = give_up
        self._tenants: dict[str, Tenant] = {}
        self._changed = asyncio.Event()

    def __iter__(self) -> Iterator[Tenant]:
        return iter(list(self._tenants.values()))

    def held(self) -> Iterator[Held]:
        """Every attempt of every master."""
        return (held for tenant in self for held in tenant.held.values())

    def held_runs(self) -> set[str]:
        return {run_of(held.attempt_id) for held in self.held()}

    def attach(self, master_id: str, session: Session) -> Tenant:
        """A master's link opened; one it had before is closed."""
        tenant = self._tenants.get(master_id)
        if tenant is None:
            tenant = self._tenants[master_id] = Tenant(master_id)
            self._slots.join(tenant)
        if tenant.session is not None:
            tenant.session.close("the master opened a newer link")
        tenant.session, tenant.gone_at = session, None
        return tenant

    def detach(self, tenant: Tenant, session: Session) -> None:
        """A link ended; its attempts go on for the grace time."""
        if tenant.session is not session:
            return
        tenant.session, tenant.gone_at = None, self._clock.monotonic()
        if not tenant.held:
            self._drop(tenant)
        self.changed()

    def move(self, run_id: str, owner: Tenant) -> list[Held]:
        """Whatever is here of this run is this master's from now on. Returns all of it."""
        for other in self:
            if other is owner:
                continue
            for held in [held for held in other.held.values() if run_of(held.attempt_id) == run_id]:
                self._hand_over(held, other, owner)
            if other.session is None and not other.held:
                self._drop(other)
        return [held for held in owner.held.values() if run_of(held.attempt_id) == run_id]

    def changed(self) -> None:
        """Something that `wait_until` or `forget_gone` may wait for has come about."""
        self._changed.set()

    async def wait_empty(self, *, linked_only: bool) -> None:
        """Return when no master, or none with a link, has anything here."""
        while any(tenant.held for tenant in self if not linked_only or tenant.session is not None):
            self._changed.clear()
            await self._changed.wait()

    async def forget_gone(self) -> None:
        """Drop who was gone for too long; then wait for the next one, or for a change."""
        now = self._clock.monotonic()
        due = None
        for tenant in self:
            if tenant.gone_at is None:
                continue
            left = tenant.gone_at + self._grace_seconds - now
            if left <= 0:
                self._drop(tenant)
                self.changed()
            else:
                due = left if due is None else min(due, left)
        try:
            async with asyncio.timeout(due):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    def _hand_over(self, held: Held, old: Tenant, new: Tenant) -> None:
        if held.attempt_id in new.held:
            return  # it gave it to this worker itself; the other one goes with its master
        old.remove(held)
        new.add(held)
        if held.state == "ready":
            old.ready.remove(held)
            new.ready.append(held)

    def _drop(self, tenant: Tenant) -> None:
        """Cancel and forget everything of a master."""
        del self._tenants[tenant.master_id]
        self._slots.leave(tenant)
        for held in list(tenant.held.values()):
            self._give_up(tenant, held)
        tenant.held.clear()
