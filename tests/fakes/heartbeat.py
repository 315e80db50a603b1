"""Signs of life that a test gives by hand."""

from nexus.domain.ports.heartbeat import Lease, Leases, OnControl
from nexus.domain.ports.rows import Key


class MemoryHeartbeat:
    """Holds, and renews when it is told to."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, Key], tuple[Leases, Lease, OnControl]] = {}

    def start_renewing_lease(self, leases: Leases, lease: Lease, on_control: OnControl) -> None:
        self.held[leases.table_name, lease.key] = leases, lease, on_control

    def stop_renewing_lease(self, leases: Leases, lease: Lease) -> None:
        if self.held.get((leases.table_name, lease.key), (None, None))[1] == lease:
            del self.held[leases.table_name, lease.key]

    async def beat(self) -> None:
        """One round."""
        for leases, lease, on_control in list(self.held.values()):
            [control] = await leases.renew_leases([lease])
            if control is None:
                self.stop_renewing_lease(leases, lease)
            if control != "running":
                on_control(control)
