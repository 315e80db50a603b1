"""Signs of life that a test gives by hand."""

from nexus.domain.ports.heartbeat import Hear, Lease, Leases
from nexus.domain.ports.rows import Key


class MemoryHeartbeat:
    """Holds, and renews when it is told to."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, Key], tuple[Leases, Lease, Hear]] = {}

    def hold(self, leases: Leases, lease: Lease, hear: Hear) -> None:
        self.held[leases.name, lease.key] = leases, lease, hear

    def drop(self, leases: Leases, lease: Lease) -> None:
        if self.held.get((leases.name, lease.key), (None, None))[1] == lease:
            del self.held[leases.name, lease.key]

    async def beat(self) -> None:
        """One round."""
        for leases, lease, hear in list(self.held.values()):
            [control] = await leases.renew([lease])
            if control is None:
                self.drop(leases, lease)
            if control != "running":
                hear(control)
