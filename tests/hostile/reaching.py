"""Programs that want out: into the kernel, the network, the worker's files, other boxes."""

from __future__ import annotations

from hostile.model import ACCEPTED, BASH, JAVASCRIPT, NONZERO, PYTHON, Attack, python

# All are forbidden, whatever their arguments; the machine's numbers, as a program knows them.
FORBIDDEN = """
unshare=272 setns=308 mount=165 umount2=166 pivot_root=155 chroot=161 fsopen=430 fsconfig=431 fsmount=432 fspick=433
open_tree=428 move_mount=429 mount_setattr=442 quotactl=179 name_to_handle_at=303 open_by_handle_at=304
fanotify_init=300 ptrace=101 process_vm_readv=310 process_vm_writev=311 process_madvise=440 pidfd_getfd=438 kcmp=312
kexec_load=246 kexec_file_load=320 init_module=175 finit_module=313 delete_module=176 reboot=169 swapon=167
swapoff=168 acct=163 syslog=103 settimeofday=164 clock_settime=227 clock_adjtime=305 sethostname=170
setdomainname=171 bpf=321 perf_event_open=298 userfaultfd=323 keyctl=250 add_key=248 request_key=249
io_uring_setup=425 io_uring_enter=426 io_uring_register=427 lookup_dcookie=212 move_pages=279 migrate_pages=256
iopl=172 ioperm=173 modify_ldt=154 uselib=134
"""

REACHING = (
    Attack(
        "forbidden-calls",
        "makes every system call that lets out, or lets the kernel be attacked",
        PYTHON,
        python(f"""
for word in {FORBIDDEN!r}.split():
    name, number = word.split("=")
    became = call(int(number), 0, 0, 0, 0, 0, 0)
    if became != "EPERM":
        print(name, became)
print("end")
"""),
        ACCEPTED,
        "end\n",
        machine="x86_64",
    ),
    Attack(
        "socket-families",
        "opens sockets of all families: AF_VSOCK leads to the host, AF_ALG and others into seldom used code",
        PYTHON,
        python("""
for family in (*range(10), *range(11, 64)):  # not every machine has IPv6
    for kind in (1, 2, 3, 5):
        made = libc.socket(family, kind, 0)
        if made >= 0:
            os.close(made)
            break
        if ctypes.get_errno() not in (errno.EAFNOSUPPORT, errno.EPERM, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            print(family, kind, named(ctypes.get_errno()))
    else:
        continue
    print(family)
"""),
        ACCEPTED,
        "1\n2\n16\n",
    ),
    Attack(
        "vsock",
        "connects to the hypervisor, where no network namespace is in the way",
        PYTHON,
        python("""
tell(
    stream=attempt(socket.socket, 40, socket.SOCK_STREAM),
    datagram=attempt(socket.socket, 40, socket.SOCK_DGRAM),
    disguised=call(41, 40 | 1 << 32, 1 | 1 << 33, 0),
    pair=call(53, 40, 1, 0, (ctypes.c_int * 2)()),
    device=attempt(os.open, "/dev/vsock", os.O_RDONLY),
)
"""),
        ACCEPTED,
        "stream EAFNOSUPPORT\ndatagram EAFNOSUPPORT\ndisguised EAFNOSUPPORT\npair EAFNOSUPPORT\ndevice ENOENT\n",
        machine="x86_64",
    ),
    Attack(
        "socket-protocols",
        "asks for protocols that the kernel would load a module for, for raw packets, and for kernel services",
        PYTHON,
        python("""
for family, kind, protocols in ((2, 1, (132, 262)), (2, 5, (0, 132)), (2, 6, (0, 33)), (2, 2, (136,)), (2, 10, (3,)),
                                (2, 3, (1, 255)), (10, 1, (262,)), (10, 3, (58,)), (16, 3, range(1, 32)), (1, 1, ())):
    for protocol in protocols:
        if (became := attempt(socket.socket, family, kind, protocol)) not in ("EPROTONOSUPPORT", "EPERM"):
            print(family, kind, protocol, became)
print("end")
"""),
        ACCEPTED,
        "end\n",
    ),
    Attack(
        "socket-pairs",
        "makes pairs of sockets of other families, as of TIPC's",
        PYTHON,
        python("""
two = (ctypes.c_int * 2)()
for family in range(64):
    for kind in (1, 2, 5):
        if libc.socketpair(family, kind, 0, two) == 0:
            print(family, kind)
            os.close(two[0]), os.close(two[1])
"""),
        ACCEPTED,
        "1 1\n1 2\n1 5\n",
    ),
    Attack(
        "calls-of-32-bits",
        "makes system calls by the entry of 32-bit programs, where they have other numbers",
        PYTHON,
        python("""
import mmap
code = b"\\xb8\\x66\\x00\\x00\\x00" + b"\\xbb\\x01\\x00\\x00\\x00" + b"\\xcd\\x80" + b"\\xc3"
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
print("returned")
"""),
        NONZERO,
        lacks=(b"returned",),
        machine="x86_64",
    ),
    Attack(
        "calls-of-x32",
        "makes system calls by their x32 numbers",
        PYTHON,
        python(
            "tell(**{name: call(0x40000000 + n, 40, 1, 0) for name, n in (('socket', 41), ('mount', 165))})"
        ),
        ACCEPTED,
        "socket ENOSYS\nmount ENOSYS\n",
        machine="x86_64",
    ),
    Attack(
        "namespaces",
        "makes namespaces of its own, to be root in them",
        PYTHON,
        python("""
for bit in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
    if libc.unshare(bit) == 0 or call(56, bit | 17, 0, 0, 0, 0) != "EPERM":
        print(hex(bit))
print(call(435, (ctypes.c_char * 88)(), 88))
"""),
        ACCEPTED,
        "ENOSYS\n",
        machine="x86_64",
    ),
    Attack(
        "mounts",
        "mounts a proc, a control group, a tmpfs and the root again",
        PYTHON,
        python("""
for kind in (b"proc", b"cgroup", b"cgroup2", b"tmpfs", b"sysfs", b"overlay", b"devtmpfs"):
    print(libc.mount(kind, b"/tmp", kind, 0, None), named(ctypes.get_errno()))
print(libc.mount(b"/", b"/tmp", None, 4096, None), libc.umount2(b"/proc", 2), libc.umount2(b"/box", 2))
"""),
        ACCEPTED,
        "-1 EPERM\n" * 7 + "-1 -1 -1\n",
    ),
    Attack(
        "network",
        "connects to addresses of every kind of network",
        PYTHON,
        python("""
for family, address in ((2, "127.0.0.1"), (2, "10.0.0.1"), (2, "172.17.0.1"), (2, "169.254.169.254"), (10, "::1")):
    for port in (22, 25060, 25061, 2358):
        s = socket.socket(family, socket.SOCK_STREAM)
        s.settimeout(1)
        if (became := attempt(s.connect, (address, port))) not in ("ENETUNREACH", "EADDRNOTAVAIL"):
            print(address, port, became)
        s.close()
print(len(open("/proc/net/unix").readlines()), os.listdir("/proc/sys/net/ipv4/conf"))
"""),
        ACCEPTED,
        lacks=(b"25060", b"25061", b"2358", b" 22 ", b"eth0"),
    ),
    Attack(
        "network-allowed",
        "has the worker's network, and wants to take it away, or to listen to it",
        PYTHON,
        python("""
import fcntl, struct
s = socket.socket()
tell(
    down=attempt(fcntl.ioctl, s, 0x8914, struct.pack("16sh", b"eth0", 0)),
    address=attempt(fcntl.ioctl, s, 0x8916, struct.pack("16sHH4s8x", b"eth0", 2, 0, b"\\x0a\\0\\0\\1")),
    raw=attempt(socket.socket, 2, 3, 1),
    packet=attempt(socket.socket, 17, 3, 0x300),
    vsock=attempt(socket.socket, 40, 1, 0),
    netfilter=attempt(socket.socket, 16, 3, 12),
    priority=attempt(s.setsockopt, 1, 36, 1),
)
"""),
        ACCEPTED,
        "down EPERM\naddress EPERM\nraw EPERM\npacket EAFNOSUPPORT\nvsock EAFNOSUPPORT\nnetfilter EPROTONOSUPPORT\n"
        "priority EPERM\n",
        body={"enable_network": True},
    ),
    Attack(
        "control-groups",
        "looks for the control groups that count what it uses",
        BASH,
        "cat /proc/self/cgroup | cut -d: -f3 | sort -u; grep -c cgroup /proc/self/mountinfo; ls /sys /run 2>&1 | wc -l",
        ACCEPTED,
        "/\n0\n2\n",
    ),
    Attack(
        "kernel-settings",
        "writes to whatever the kernel shows as files, as core_pattern",
        PYTHON,
        python("""
for top in ("/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi", "/proc/scsi", "/proc/tty"):
    for where, _, names in os.walk(top):
        for name in names:
            path = os.path.join(where, name)
            if attempt(lambda: os.write(os.open(path, os.O_WRONLY | os.O_CLOEXEC), b"1")) == "done":
                print(path)
for name in ("sysrq-trigger", "kcore", "kmsg", "kpageflags", "mtrr", "slabinfo", "vmallocinfo", "timer_list"):
    if attempt(os.open, "/proc/" + name, os.O_RDWR) == "done":
        print(name)
print("end")
"""),
        ACCEPTED,
        "end\n",
    ),
    Attack(
        "devices",
        "makes devices, and opens those that a machine has",
        PYTHON,
        python("""
import stat
print(sorted(os.listdir("/dev")))
for name in ("mem", "kmsg", "kvm", "fuse", "vda", "sda", "loop0", "net/tun", "shm", "pts", "mqueue"):
    if attempt(os.open, "/dev/" + name, os.O_RDONLY) != "ENOENT":
        print(name)
for kind, major, minor in ((stat.S_IFBLK, 254, 0), (stat.S_IFCHR, 1, 1), (stat.S_IFCHR, 10, 241)):
    for where in ("/tmp", "/box"):
        print(attempt(os.mknod, where + "/device", kind | 0o600, os.makedev(major, minor)))
"""),
        ACCEPTED,
        "['fd', 'full', 'null', 'random', 'stderr', 'stdin', 'stdout', 'urandom', 'zero']\n" + "EPERM\n" * 6,
    ),
    Attack(
        "privileges",
        "becomes root by number, by capability and by program",
        PYTHON,
        python("""
import subprocess
tell(
    uid=attempt(os.setuid, 0), gid=attempt(os.setresgid, 0, 0, 0), groups=attempt(os.setgroups, [0]),
    owner=attempt(os.chown, "/box", 0, 0),
)
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status"))
print(*(status[name].strip("0\\n") for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")), status["NoNewPrivs"], end="")
for program in (["su", "-c", "id"], ["mount", "-t", "tmpfs", "x", "/tmp"], ["chsh"], ["newgrp", "root"]):
    try:
        done = subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    except FileNotFoundError:
        continue
    if done.returncode == 0:
        print(program, done.stdout)
"""),
        ACCEPTED,
        "uid EPERM\ngid EPERM\ngroups EPERM\nowner EPERM\n    1\n",
    ),
    Attack(
        "tree",
        "writes wherever its user may, outside of /box and /tmp",
        BASH,
        "find / -xdev \\( -path /proc -o -path /dev -o -path /box -o -path /tmp \\) -prune -o ! -type l -writable -print 2>/dev/null; "
        "find /usr /etc -writable ! -type l -print -quit; touch /x /usr/x /etc/x /dev/x 2>/dev/null; echo end",
        ACCEPTED,
        "end\n",
    ),
    Attack(
        "workers-files",
        "reads the worker's programs, settings and environment",
        BASH,
        "cat /opt/judge0/*/*.py /ca.pem /run/app/.env /proc/*/environ /run/judge0/slots/*/* /etc/shadow; "
        "ls -a /root /home /var /run /opt /mnt; env",
        ACCEPTED,
        lacks=(b"asyncpg", b"POSTGRES", b"REDIS", b"secret", b"BEGIN CERT", b"root:*"),
    ),
    Attack(
        "way-up",
        "climbs out of its root by directories that it holds open",
        PYTHON,
        python("""
root = os.open("/", os.O_RDONLY)
for _ in range(40):
    os.chdir("..")
    root = os.open("..", os.O_RDONLY, dir_fd=root)
print(sorted(os.listdir("/")) == sorted(os.listdir(root)) == sorted(os.listdir(".")))
print([attempt(os.open, f"/proc/self/fd/{n}/..", os.O_RDONLY) for n in (0, 1, 2)])
print(os.path.samestat(os.stat("/proc/self/root"), os.stat("/")), attempt(os.link, "/proc/self/exe", "/box/x"))
"""),
        ACCEPTED,
        "True\n['ENOTDIR', 'ENOTDIR', 'ENOTDIR']\nTrue EXDEV\n",
    ),
    Attack(
        "other-boxes",
        "looks for processes, names and memory of programs that run beside it",
        PYTHON,
        python("""
print(len([p for p in os.listdir("/proc") if p.isdigit()]) <= 3, os.uname().nodename)
for name in ("msg", "sem", "shm"):
    print(len(open(f"/proc/sysvipc/{name}").readlines()))
s = socket.socket(socket.AF_UNIX)
print([attempt(s.connect, "\\0" + name) for name in ("judge0", "containerd", "/run/docker.sock")])
"""),
        ACCEPTED,
        "True box\n1\n1\n1\n['ECONNREFUSED', 'ECONNREFUSED', 'ECONNREFUSED']\n",
    ),
    Attack(
        "core",
        "crashes to have the kernel write, or pipe, a core",
        BASH,
        "ulimit -c unlimited 2>/dev/null; bash -c 'kill -ABRT $$' 2>/dev/null; ls -A /box",
        ACCEPTED,
        "run\nscript.sh\n",
    ),
    Attack(
        "streams-by-name",
        "no attack: programs open their streams by name, and that must go on working",
        JAVASCRIPT,
        "const fs = require('fs'); fs.writeFileSync('/dev/stdout', fs.readFileSync('/dev/stdin', 'utf8') + "
        "Object.keys(require('os').networkInterfaces()).length)",
        ACCEPTED,
        "21\n0",
        body={"stdin": "21\n"},
    ),
    Attack(
        "names-resolved",
        "no attack: what the C library does with sockets, names and interfaces must go on working",
        PYTHON,
        "import socket\nprint(socket.if_nameindex(), socket.getaddrinfo('127.0.0.1', 80)[0][4])\n"
        "import asyncio, multiprocessing, subprocess\n"
        "async def main(): return await (await asyncio.create_subprocess_exec('true')).wait()\n"
        "print(asyncio.run(main()), multiprocessing.get_context('fork').Process(target=int).start())",
        ACCEPTED,
        "[(1, 'lo')] ('127.0.0.1', 80)\n0 None\n",
    ),
)
