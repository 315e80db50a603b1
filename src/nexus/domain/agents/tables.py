"""Where agents, versions, deployments and invocations are kept."""

from nexus.domain.agents.model import Agent, Deployment, Invocation, Reservation, Version
from nexus.domain.ports.rows import Index, Table

AGENTS = Table(
    "agents",
    Agent,
    ("agent_id",),
    owner="tenant_id",
    indexes=(
        Index("ProjectIndex", "project_id", "created_at"),
        Index("StatusIndex", "status", "created_at", keys_only=True),
        Index("CategoryIndex", "category", "created_at", keys_only=True),
        Index("TenantIndex", "tenant_id", "created_at"),
        Index("TenantSlugIndex", "tenant_id", "slug"),
        Index("TenantCategoryIndex", "tenant_id+category", "created_at"),
    ),
)
VERSIONS = Table("versions", Version, ("agent_id", "version"), owner="tenant_id")
RESERVATIONS = Table(
    "reservations",
    Reservation,
    ("tenant_id", "slug"),
    owner="tenant_id",
    indexes=(Index("ProjectIndex", "project_id", "slug"),),
)
DEPLOYMENTS = Table("deployments", Deployment, ("agent_id", "deployment_id"), owner="tenant_id")
INVOCATIONS = Table(
    "invocations",
    Invocation,
    ("invocation_id",),
    owner="tenant_id",
    indexes=(
        Index("AgentIndex", "agent_id", "created_at"),
        Index("SessionIndex", "session_id", "created_at"),
        Index("TenantIndex", "tenant_id", "created_at"),
    ),
)
