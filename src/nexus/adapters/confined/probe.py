"""What this machine allows: every plan is tried against real attacks, the strongest that holds is in force."""

import contextlib
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from nexus.adapters.confined.inside import landlock
from nexus.adapters.confined.inside.attacks import ATTACKS
from nexus.adapters.confined.inside.walls import Plan
from nexus.adapters.confined.process import Run, run_isolated_program
from nexus.adapters.confined.workspaces import WorkspacePool
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.code import Limits, Outcome, Program, Tier

_ATTACKS = Path(__file__).parent / "inside" / "attacks.py"
_LIMITS = Limits(seconds=20.0, memory_mb=512)
WORKSPACE = "nexus-code-"
_CANARY = ".canary-"


_LEVELS = ((4, "namespaces"), (3, "own user"), (2, "shared user"))
"""Of plans with a private file system, network and processes; of Landlock under a user that nobody else is; of Landlock under that of
the server, be it root."""


class Found(Struct, frozen=True):
    """The plan in force, if any, and what to tell about it."""

    plan: Plan | None
    tier: Tier


async def find_strongest_isolation(*, data: Path, workspace: Path, user: int) -> Found:
    """The tier of the first plan that refuses every attack, else level 0 with the reasons."""
    if not sys.platform.startswith("linux"):
        return _make_disabled_tier(f"generated code is confined on Linux only, and this is {sys.platform}")
    reasons: list[str] = []
    with contextlib.ExitStack() as stack:
        try:
            attacked = stack.enter_context(make_attack_targets(data, workspace))
        except (OSError, Unavailable) as error:
            return _make_disabled_tier(f"the self-test could not be prepared: {error}")
        for plan in list_isolation_plans(
            root=os.geteuid() == 0, landlock=landlock.find_landlock_version() > 0, user=user
        ):
            reason = await find_plan_weakness(plan, attacked, workspace)
            if reason is None:
                level, name = _LEVELS[0 if plan.own_namespaces else 1 if plan.user is not None else 2]
                return Found(plan, Tier(level=level, name=name, detail=_describe_plan(plan)))
            if reason not in reasons:
                reasons.append(reason)
    return _make_disabled_tier("; ".join(reasons) or "the kernel offers neither namespaces nor Landlock")


def list_isolation_plans(*, root: bool, landlock: bool, user: int) -> list[Plan]:
    """Strongest first. Without a private file system there has to be Landlock, else the machine's files lie open."""
    users = [user, None] if root else [None]
    listed = [Plan(own_namespaces=True, user_namespace=False, landlock=landlock, user=who) for who in users if root]
    listed.append(Plan(own_namespaces=True, user_namespace=True, landlock=landlock))
    if landlock:
        listed += [Plan(own_namespaces=False, user_namespace=False, landlock=True, user=who) for who in users]
    return listed


async def find_plan_weakness(plan: Plan, attacked: dict[str, Any], workspace: Path) -> str | None:
    """Why this plan is not good enough here; None when every attack is refused."""
    program = Program(files={"attacks.py": _ATTACKS.read_text(encoding="utf-8")})
    run = Run(
        program=program, limits=_LIMITS, plan=plan, function="attacks.py:run_attacks", arguments={"targets": attacked}
    )
    try:
        outcome, _ = await run_isolated_program(run, workspace)
    except (Unavailable, OSError) as error:
        return str(error)
    return _find_succeeded_attacks(outcome)


def _find_succeeded_attacks(outcome: Outcome) -> str | None:
    if outcome.status != "ok" or not isinstance(outcome.value, dict):
        return f"the self-test did not end well: {outcome.status}, {outcome.error}"
    held = {name for name, how in outcome.value.items() if str(how).startswith("refused")}
    open_ways = [name for name in ATTACKS if name not in held]
    return f"not refused: {', '.join(open_ways)}" if open_ways else None


def make_attack_target_pools(data: Path) -> tuple[WorkspacePool, WorkspacePool]:
    """Where `targets` makes directories outside of the workspace; the second has a short path, as sockets need."""
    return WorkspacePool(data, _CANARY), WorkspacePool(Path(tempfile.gettempdir()), WORKSPACE)


@contextlib.contextmanager
def make_attack_targets(data: Path, workspace: Path) -> Iterator[dict[str, Any]]:
    """Things worth attacking, all of them within reach of an unconfined program."""
    data.mkdir(parents=True, exist_ok=True)
    name = f"nexus-{secrets.token_hex(8)}"
    with contextlib.ExitStack() as stack:
        kept, near = (stack.enter_context(pool.make_workspace()).path for pool in make_attack_target_pools(data))
        outside = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="outside-", dir=workspace)))
        near.chmod(0o755)
        for directory in (kept, outside):
            directory.chmod(0o777)
            (directory / "canary").write_text("sings")
        tcp, udp, unix, abstract = (
            stack.enter_context(socket.socket(family, kind))
            for family, kind in (
                (socket.AF_INET, socket.SOCK_STREAM),
                (socket.AF_INET, socket.SOCK_DGRAM),
                (socket.AF_UNIX, socket.SOCK_STREAM),
                (socket.AF_UNIX, socket.SOCK_STREAM),
            )
        )
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        unix.bind(str(near / "socket"))
        (near / "socket").chmod(0o777)
        abstract.bind("\0" + name)
        for listener in (tcp, unix, abstract):
            listener.listen()
        yield {
            "data_canary": str(kept / "canary"),
            "canary": str(outside / "canary"),
            "outside": str(outside),
            "unix": str(near / "socket"),
            "abstract": name,
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "server": os.getpid(),
            "uid": os.getuid(),
        }


def _describe_plan(plan: Plan) -> str:
    layers = ["a list of allowed system calls (no sockets, no new processes)", "resource limits"]
    if plan.landlock:
        layers.insert(0, f"Landlock {landlock.find_landlock_version()}")
    if plan.user is not None:
        layers.insert(0, "a user of its own")
    if plan.own_namespaces:
        whose = "of an unprivileged user" if plan.user_namespace else "of its own"
        layers.insert(0, f"files, network, processes and IPC {whose} in namespaces")
    return f"A fresh process with an empty environment behind {', '.join(layers[:-1])} and {layers[-1]}."


def refuse_low_tier(least: int, tier: Tier) -> Found:
    """What is in force where the boundary that holds is not enough."""
    return _make_disabled_tier(
        f"at least tier {least} is asked for, and it reaches {tier.level} ({tier.name}). {tier.detail}"
    )


def _make_disabled_tier(reason: str) -> Found:
    detail = f"Generated code is not run on this machine: {reason.removesuffix('.')}."
    return Found(None, Tier(level=0, name="none", detail=detail))
