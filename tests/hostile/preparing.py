"""Submissions that attack before they run: while they are compiled, or unpacked."""

from __future__ import annotations

import base64
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping

from hostile.model import (
    ACCEPTED,
    BASH,
    COMPILATION_ERROR,
    CPP,
    EXECUTABLE,
    MULTI_FILE,
    NONZERO,
    PYTHON,
    Attack,
    C,
)

END = struct.Struct("<4s4H2LH")
ENTRY = struct.Struct("<4s6H3L5H2L")
HEADER = struct.Struct("<4s5H3L2H")


def archive(
    files: Mapping[str, bytes], *, mode: int = stat.S_IFREG | 0o700, kind: int = zipfile.ZIP_STORED
) -> bytes:
    """A zip file; ``mode`` says what its entries pretend to be."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, kind
            made.writestr(info, content)
    return buffer.getvalue()


def entries(count: int) -> bytes:
    """A zip file that is a list of ``count`` names, and the file of none of them."""
    name = b"%06d"
    head = HEADER.pack(b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 6, 0) + b"no one"
    listed = b"".join(
        ENTRY.pack(b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0) + name % number
        for number in range(count)
    )
    many = min(count, 0xFFFF)
    return head + listed + END.pack(b"PK\5\6", 0, 0, many, many, len(listed), len(head), 0)


# bz2.compress(bytes(LARGE)), which takes long to make.
LARGE = 500 << 20
CHECK = 0x876BEF2A
SMALL = zlib.decompress(
    base64.b85decode(
        "c-nJ{%CIzaj8qGb<l}sFpE17Af#CoH1BU{GL4&WG(*o6%Tn*Dl<*6Z`xP9RThA9)A!17=fXIM3tvAFbhD5+HJo}_uGrJd>RbPWK7"
        "ZF*|"
    )
)


def bomb() -> bytes:
    """A zip file with one file of LARGE bytes; reading the first of it unpacks all."""
    sizes = (CHECK, len(SMALL), LARGE)
    head = HEADER.pack(b"PK\3\4", 46, 0, 12, 0, 0, *sizes, 4, 0) + b"zero"
    listed = ENTRY.pack(b"PK\1\2", 46, 46, 0, 12, 0, 0, *sizes, 4, 0, 0, 0, 0, 0, 0) + b"zero"
    return head + SMALL + listed + END.pack(b"PK\5\6", 0, 0, 1, 1, len(listed), len(head) + len(SMALL), 0)


# Stands in for a part of the compiler: with -B, a compiler looks for its parts in the box.
PART = rb"""#!/usr/bin/python3
import os
for fd in range(3, 64):
    try: os.write(fd, b"\nstatus:\nexitcode:0\n"); os.lseek(fd, 3 << 30, 0)
    except OSError: pass
if os.fork() == 0:
    os.setsid()
    while True:
        try: open("/box/a.out", "w").write("#!/bin/sh\necho right\n"); os.chmod("/box/a.out", 0o700)
        except OSError: pass
os.abort()
"""

PREPARING = (
    Attack("source-broken", "is no program", C, "int main(){", COMPILATION_ERROR),
    Attack(
        "compiler-reads-files",
        "has the compiler show files in its errors",
        C,
        "\n".join(
            f'#include "{path}"'
            for path in ("/etc/shadow", "/proc/1/environ", "/proc/self/environ", "/ca.pem", "/run/app/.env")
        ),
        COMPILATION_ERROR,
        lacks=(b"secret", b"POSTGRES", b"root:*"),
    ),
    Attack(
        "compiler-reads-for-ever",
        "has the compiler read a file without an end",
        C,
        '#include "/dev/zero"',
        COMPILATION_ERROR,
    ),
    Attack(
        "compiler-waits",
        "has the compiler wait for input that never comes, and read its own streams",
        C,
        '#include "/dev/stdin"\n#include "/dev/stdout"\n#include "/proc/self/fd/3"\nint main(){',
        COMPILATION_ERROR,
    ),
    Attack(
        "compiler-prints-for-ever",
        "has the compiler print errors for ever",
        C,
        "#if __INCLUDE_LEVEL__ < 60\n" + '#include "main.c"\n' * 8 + "#endif\n" + "#error no\n" * 50,
        COMPILATION_ERROR,
    ),
    Attack(
        "compiler-writes-gigabytes",
        "is a short source of a very large program",
        C,
        "char a[1 << 30] = {1};\nint main(){}",
        COMPILATION_ERROR,
    ),
    Attack(
        "compiler-computes-for-ever",
        "has the compiler compute for ever",
        CPP,
        "template<int n, int m> struct f { static const int v = f<n - 1, m * 2>::v + f<n - 1, m * 2 + 1>::v; };\n"
        "template<int m> struct f<0, m> { static const int v = m; };\nint x = f<40, 1>::v;\nint main(){}",
        COMPILATION_ERROR,
    ),
    Attack(
        "compiler-replaced",
        "has a program of its own run as a part of the compiler: it forges, and stays behind",
        C,
        "int main(){}",
        COMPILATION_ERROR,
        archive=archive({"cc1": PART, "as": PART, "ld": PART, "collect2": PART}),
        body={"compiler_options": "-B/box/", "expected_output": "right"},
    ),
    Attack(
        "compiler-options",
        "has shell syntax in the compiler's options",
        C,
        "int main(){",
        COMPILATION_ERROR,
        body={"compiler_options": "-O0 ; exit 0 # $(exit 0) `exit 0`\n\nexit 0"},
    ),
    Attack("executable-none", "is no program of any kind", EXECUTABLE, "\x7fELF nonsense", NONZERO),
    Attack(
        "archive-leads-out",
        "has an archive with names that lead out of the box, and over what is there",
        PYTHON,
        "import os\nfor where, _, names in os.walk('/box'):\n"
        "    for name in sorted(names): print(os.path.join(where, name), os.path.islink(os.path.join(where, name)))",
        ACCEPTED,
        "/box/abs False\n/box/run False\n/box/script.py False\n/box/up False\n",
        archive=archive(
            {"../../../up": b"x", "/abs": b"x", "run": b"echo forged", "a/../script.py": b"print('forged')"}
        ),
    ),
    Attack(
        "archive-of-links",
        "has an archive with links, and files that go through them",
        BASH,
        "cat /box/link; ls -l /box | grep -c '^l'; ls /box/link/",
        NONZERO,
        "/etc0\n",
        archive=archive({"link": b"/etc", "link/passwd": b"root::0:0::/:/bin/sh"}, mode=stat.S_IFLNK | 0o777),
    ),
    Attack(
        "archive-of-names",
        "has an archive that is a very long list of names",
        BASH,
        "echo ran",
        ACCEPTED,
        "ran\n",
        archive=entries(60_000),
    ),
    Attack(
        "archive-bomb",
        "has an archive that becomes half a gigabyte once its first byte is read",
        BASH,
        "ls /box",
        ACCEPTED,
        "run\nscript.sh\n",
        archive=bomb(),
    ),
    Attack(
        "archive-bomb-deflated",
        "has an archive of what nearly nothing was left of",
        BASH,
        "ls /box",
        ACCEPTED,
        "run\nscript.sh\n",
        archive=archive({"zero": bytes(32 << 20)}, kind=zipfile.ZIP_DEFLATED),
    ),
    Attack(
        "archive-none",
        "has an archive that is none",
        BASH,
        "ls /box",
        ACCEPTED,
        "run\nscript.sh\n",
        archive=b"PK\3\4" + bytes(5000) + b"PK\5\6" + b"\xff" * 18,
    ),
    Attack(
        "many-files-without-a-script",
        "is an archive, and says nothing of how it is run",
        MULTI_FILE,
        "",
        NONZERO,
        archive=archive({"x": b"x"}),
    ),
    Attack(
        "many-files-and-no-file-to-run",
        "has directories where scripts should be",
        MULTI_FILE,
        "",
        NONZERO,
        archive=archive({"run/x": b"x", "compile/x": b"x"}),
    ),
    Attack(
        "many-files-and-a-link-to-compile",
        "has a link where its compile script should be",
        MULTI_FILE,
        "",
        COMPILATION_ERROR,
        lacks=(b"root:",),
        archive=archive({"compile": b"/etc/passwd", "run": b"echo x"}, mode=stat.S_IFLNK | 0o777),
    ),
    Attack(
        "many-files-and-a-patient-compiler",
        "leaves processes when it is compiled that would write its program later",
        MULTI_FILE,
        "",
        ACCEPTED,
        "compiled\n",
        archive=archive(
            {
                "compile": b"echo echo compiled > it; setsid sh -c 'sleep 0.3; while :; do echo echo forged > it; done' &",
                "run": b"sleep 0.5; bash it",
            }
        ),
    ),
)


def encoded(archive_: bytes) -> str:
    """As ``additional_files`` takes it."""
    return base64.b64encode(archive_).decode()
