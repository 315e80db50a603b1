"""The list of system calls a program may make: what computing needs, and none that reaches out of the process."""

import ctypes
import struct

from nexus.adapters.confined.inside import kernel

# name:number on x86_64:number on aarch64
_COMPUTE = """
read:0:63 write:1:64 readv:19:65 writev:20:66 pread64:17:67 pwrite64:18:68 preadv:295:69 pwritev:296:70
close:3:57 close_range:436:436 lseek:8:62 fstat:5:80 newfstatat:262:79 stat:4:- lstat:6:- statx:332:291
statfs:137:43 fstatfs:138:44 access:21:- faccessat:269:48 faccessat2:439:439 getdents64:217:61 getdents:78:-
getcwd:79:17 chdir:80:49 fchdir:81:50 readlink:89:- readlinkat:267:78 dup:32:23 dup2:33:- dup3:292:24 pipe:22:-
pipe2:293:59 poll:7:- ppoll:271:73 select:23:- pselect6:270:72 epoll_create:213:- epoll_create1:291:20
epoll_ctl:233:21 epoll_wait:232:- epoll_pwait:281:22 eventfd:284:- eventfd2:290:19 flock:73:32 fsync:74:82
fdatasync:75:83 fadvise64:221:223 sendfile:40:71 copy_file_range:326:285 getxattr:191:8 lgetxattr:192:9
fgetxattr:193:10 listxattr:194:11 llistxattr:195:12 flistxattr:196:13 mmap:9:222 munmap:11:215 mremap:25:216
mprotect:10:226 madvise:28:233 brk:12:214 msync:26:227 membarrier:324:283 futex:202:98 set_robust_list:273:99
rseq:334:293 set_tid_address:218:96 sched_yield:24:124 sched_getaffinity:204:123 getcpu:309:168
gettid:186:178 getpid:39:172 getppid:110:173 getpgid:121:155 getpgrp:111:- getsid:124:156 getuid:102:174
geteuid:107:175 getgid:104:176 getegid:108:177 getresuid:118:148 getresgid:120:150 getgroups:115:158
getpriority:140:141 rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 rt_sigpending:127:136
rt_sigsuspend:130:133 rt_sigtimedwait:128:137 sigaltstack:131:132 pause:34:- restart_syscall:219:128 alarm:37:-
setitimer:38:103 getitimer:36:102 clock_gettime:228:113 clock_getres:229:114 clock_nanosleep:230:115
nanosleep:35:101 gettimeofday:96:169 time:201:- times:100:153 getrusage:98:165 getrlimit:97:163
setrlimit:160:164 sysinfo:99:179 uname:63:160 getrandom:318:278 umask:95:166 exit:60:93 exit_group:231:94
wait4:61:260 waitid:247:95 recvfrom:45:207 sendto:44:206 shutdown:48:210 getsockopt:55:209 getsockname:51:204
"""
_WRITE_FILES = """
open:2:- openat:257:56 creat:85:- mkdir:83:- mkdirat:258:34 rmdir:84:- unlink:87:- unlinkat:263:35 rename:82:-
renameat:264:38 renameat2:316:276 link:86:- linkat:265:37 symlink:88:- symlinkat:266:36 truncate:76:45
ftruncate:77:46 fallocate:285:47 chmod:90:- fchmod:91:52 fchmodat:268:53 utime:132:- utimes:235:- utimensat:280:88
futimesat:261:-
"""
_OPEN = "open:2:- openat:257:56"
_PARTLY = "clone:56:220 kill:62:129 tgkill:234:131 prctl:157:167 ioctl:16:29 fcntl:72:25 prlimit64:302:261"
_SOCKET_PAIR = "socketpair:53:199"

_NAMESPACES_AND_THREAD, _THREAD = 0x7E030000, 0x00010000
_WRITING = 0o3 | 0o100 | 0o1000 | 0o20000000  # write or both; create; truncate; nameless file
_FILE_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 1030)  # duplicate, flags, locks: no signals to others
_DEVICE_COMMANDS = (0x5401, 0x5413, 0x5421, 0x5450, 0x5451)  # is it a terminal, how wide; non-blocking; close on exec
_SET_THREAD_NAME = 15

_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_FOREIGN_CALLS = 0x40000000  # the x32 numbers of x86_64 would pass by the list
_CLONE3, _CLONE3_IS_UNKNOWN = 435, 0x00050000 | 38  # its flags lie in memory, unseen; the C library falls back to clone
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000

_LOAD, _MASK, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16

Instruction = tuple[int, int, int, int]
Test = tuple[int, int, int]  # argument, mask, value


def parse_syscall_numbers(listing: str) -> dict[str, int]:
    """The calls that this machine has, by name."""
    column = {"x86_64": 1, "aarch64": 2}[kernel.get_cpu_architecture()]
    known = (entry.split(":") for entry in listing.split())
    return {fields[0]: int(fields[column]) for fields in known if fields[column] != "-"}


def make_seccomp_filter(*, writable: bool, own_pid: int) -> list[Instruction]:
    """What is not named is refused with EPERM. `writable`: files may be made and changed, where the mounts allow it."""
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, _ARCHITECTURE[kernel.get_cpu_architecture()]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _FOREIGN_CALLS),
        (_RETURN, 0, 0, _REFUSE),
    ]
    for number in parse_syscall_numbers(_COMPUTE + (_WRITE_FILES if writable else "")).values():
        code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    for number, alternatives in _list_syscall_conditions(writable, own_pid):
        code += _make_filter_branch(number, alternatives)
    return [*code, (_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _CLONE3_IS_UNKNOWN), (_RETURN, 0, 0, _REFUSE)]


def _list_syscall_conditions(writable: bool, own_pid: int) -> list[tuple[int, list[list[Test]]]]:
    rules: dict[str, list[list[Test]]] = {
        "clone": [[(0, _NAMESPACES_AND_THREAD, _THREAD)]],
        "kill": [[(0, 0xFFFFFFFF, own_pid)]],
        "tgkill": [[(0, 0xFFFFFFFF, own_pid)]],
        "prctl": [[(0, 0xFFFFFFFF, _SET_THREAD_NAME)]],
        "ioctl": [[(1, 0xFFFFFFFF, command)] for command in _DEVICE_COMMANDS],
        "fcntl": [[(1, 0xFFFFFFFF, command)] for command in _FILE_COMMANDS],
        "prlimit64": [[(0, 0xFFFFFFFF, 0)]],
    }
    listed = parse_syscall_numbers(_PARTLY)
    found = [(listed[name], alternatives) for name, alternatives in rules.items()]
    # asyncio wakes itself through a pair of unix stream sockets: they lead nowhere else
    found.append((parse_syscall_numbers(_SOCKET_PAIR)["socketpair"], [[(0, 0xFFFFFFFF, 1), (1, 0xF, 1)]]))
    if not writable:
        found += [
            (number, [[(1 if name == "open" else 2, _WRITING, 0)]])
            for name, number in parse_syscall_numbers(_OPEN).items()
        ]
    return found


def _make_filter_branch(number: int, alternatives: list[list[Test]]) -> list[Instruction]:
    """Allowed when every test of one of the alternatives holds; only the low half of an argument is looked at."""
    body: list[Instruction] = []
    for tests in alternatives:
        for position, (argument, mask, value) in enumerate(tests):
            remaining = 3 * (len(tests) - position - 1) + 1
            body += [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument), (_MASK, 0, 0, mask), (_EQUAL, 0, remaining, value)]
        body.append((_RETURN, 0, 0, _ALLOW))
    body.append((_RETURN, 0, 0, _REFUSE))
    return [(_EQUAL, 0, len(body), number), *body]


def install_seccomp_filter(*, writable: bool, own_pid: int) -> None:
    code = make_seccomp_filter(writable=writable, own_pid=own_pid)
    listing = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in code))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(listing)))
    kernel.prctl(22, 2, ctypes.addressof(head))
