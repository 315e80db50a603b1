"""Builds the walls around this very process, in the order in which they do not stand in each other's way."""
# ruff: noqa: PTH102, PTH103, PTH110, PTH112, PTH114, PTH115, PTH120, PTH123, PTH208, PTH211
# (importing pathlib would cost every call some milliseconds)

import os
import resource
import sys
from typing import NamedTuple

from nexus.adapters.confined.inside import kernel, landlock, seccomp

SPACE_BYTES = 32 * 1024 * 1024

_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
_READABLE = ("/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime")
_DEVICES = ("/dev/null", "/dev/urandom")
_INSTALLED_PACKAGES = ("site-packages", "dist-packages")
_SPACE = "/space"
_TEMPORARY = "/tmp"  # noqa: S108 - private to the run


class Plan(NamedTuple):
    """Which layers to use. `user`: the uid to become; `own_namespaces`: with a private file system and no network."""

    own_namespaces: bool
    user_namespace: bool
    landlock: bool
    user: int | None = None


def unshare_namespaces(plan: Plan) -> None:
    """Before the fork: the child is then the first process of its namespace, and everything ends with it."""
    if not plan.own_namespaces:
        return
    user, group = os.getuid(), os.getgid()
    flags = kernel.NEW_MOUNTS | kernel.NEW_PROCESSES | kernel.NEW_NETWORK | kernel.NEW_IPC | kernel.NEW_HOST_NAME
    kernel.unshare(flags | (kernel.NEW_USERS if plan.user_namespace else 0))
    if plan.user_namespace:
        _write_proc_file("/proc/self/setgroups", "deny")
        _write_proc_file("/proc/self/uid_map", f"{user} {user} 1")
        _write_proc_file("/proc/self/gid_map", f"{group} {group} 1")


def enter_isolation(plan: Plan, directory: str, files: dict[str, str]) -> str:
    """Everything up to the files of the program, whose root is returned; `close` does the rest."""
    _write_proc_file("/proc/self/oom_score_adj", "1000")
    if plan.own_namespaces:
        _mount_private_root(directory, plan.user)
        directory = _SPACE
    elif plan.user is not None:
        os.chown(directory, plan.user, plan.user)
    if plan.user is not None:
        os.setgroups([])
        os.setresgid(plan.user, plan.user, plan.user)
        os.setresuid(plan.user, plan.user, plan.user)
    kernel.die_with_parent()
    root = f"{directory}/program"
    for made in (root, directory + _TEMPORARY):
        os.mkdir(made, 0o700)
    for path, text in files.items():
        _write_program_file(f"{root}/{path}", text)
    os.chdir(root)
    return root


def lock_down_process(plan: Plan, directory: str) -> None:
    """The last wall: from here on there is only computing, and files where they are private."""
    kernel.drop_privileges()
    if plan.landlock:
        if plan.own_namespaces:
            landlock.restrict_file_access(read=["/"], write=[_SPACE, "/dev/null"])
        else:
            readable = [directory, *_list_interpreter_files(), *_SYSTEM_LIBRARIES, *_READABLE, "/dev/urandom"]
            landlock.restrict_file_access(read=readable, write=[])
    seccomp.install_seccomp_filter(writable=plan.own_namespaces, own_pid=os.getpid())


def set_resource_limits(*, memory_mb: int, seconds: float, alone: bool) -> None:
    """`alone`: no other process runs under this uid, so that the number of its threads can be counted."""
    processor = int(seconds) + 2
    limits = {
        resource.RLIMIT_AS: memory_mb * 1024 * 1024,
        resource.RLIMIT_CPU: processor,
        resource.RLIMIT_FSIZE: SPACE_BYTES // 2,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if alone:
        limits[resource.RLIMIT_NPROC] = 64
    for kind, most in limits.items():
        allowed = resource.getrlimit(kind)[1]
        most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
        resource.setrlimit(kind, (most, most))


def _mount_private_root(root: str, user: int | None) -> None:
    """A root that holds the interpreter and the system's libraries, read only, and an empty space of bounded size."""
    kernel.mount("none", "/", flags=kernel.RECURSIVE | kernel.PRIVATE)
    kernel.mount("tmpfs", root, kind="tmpfs", flags=kernel.NO_SETUID, options="size=1m,mode=0755")
    for path in dict.fromkeys((*_SYSTEM_LIBRARIES, *_list_python_folders(), *_READABLE, *_DEVICES)):
        _bind_path(root, path)
    for path in _list_package_folders():
        if os.path.isdir(root + path):
            kernel.mount("tmpfs", root + path, kind="tmpfs", flags=kernel.READ_ONLY, options="size=4k,mode=0755")
    owner = "" if user is None else f",uid={user},gid={user}"
    os.mkdir(root + _SPACE)
    os.symlink(_SPACE + _TEMPORARY, root + _TEMPORARY)
    kernel.add_mount_flags(root, kernel.READ_ONLY | kernel.NO_SETUID)
    private = kernel.NO_SETUID | kernel.NO_DEVICES | kernel.NO_EXEC
    kernel.mount(
        "tmpfs",
        root + _SPACE,
        kind="tmpfs",
        flags=private,
        options=f"size={SPACE_BYTES},nr_inodes=4096,mode=0700{owner}",
    )
    kernel.pivot_root(root)


def _bind_path(root: str, path: str) -> None:
    """Makes `path` of the machine visible below the new root; one that lies in what is shown already is there."""
    target = root + path
    if not os.path.exists(path) or os.path.exists(target):
        return
    if os.path.islink(path) and path in _SYSTEM_LIBRARIES:
        os.symlink(os.readlink(path), target)
        return
    os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
    if os.path.isdir(path):
        os.mkdir(target, 0o755)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    kernel.mount(path, target, flags=kernel.BIND | kernel.RECURSIVE)


def _list_python_folders() -> list[str]:
    """The directories of the standard library and of the interpreter's own shared libraries."""
    found = [path for path in sys.path if path.startswith(sys.base_prefix) and os.path.isdir(path)]
    libraries = f"{sys.base_prefix}/lib"
    found += [
        f"{libraries}/{name}" for name in _list_directory_names(libraries) if name.startswith("lib") and ".so" in name
    ]
    return [os.path.realpath(path) for path in found]


def _list_directory_names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _list_interpreter_files() -> list[str]:
    """As `_interpreter`, but what other people installed beside the standard library is not among it."""
    listed: list[str] = []
    for path in _list_python_folders():
        listed += [f"{path}/{name}" for name in _list_directory_names(path) if name not in _INSTALLED_PACKAGES] or [
            path
        ]
    return listed


def _list_package_folders() -> list[str]:
    return [f"{path}/{name}" for path in (*_list_python_folders(), "/usr/lib/python3") for name in _INSTALLED_PACKAGES]


def _write_program_file(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "w", encoding="utf-8", errors="replace", newline="") as file:
        file.write(text)


def _write_proc_file(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
