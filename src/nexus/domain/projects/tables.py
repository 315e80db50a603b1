"""Where projects, builds and stages are kept."""

from nexus.domain.ports.rows import Index, Table
from nexus.domain.projects.model import Build, Project, Stage

PROJECTS = Table(
    "projects",
    Project,
    ("project_id",),
    owner="tenant_id",
    indexes=(
        Index("UserIndex", "user_id", "created_at"),
        Index("StatusIndex", "status", "created_at", keys_only=True),
        Index("TenantIndex", "tenant_id", "created_at"),
        Index("TenantStatusIndex", "tenant_id+status", "created_at"),
    ),
)
STAGES = Table("stages", Stage, ("project_id", "stage_name"), owner="tenant_id")
BUILDS = Table("builds", Build, ("project_id", "build_no"), owner="tenant_id")
