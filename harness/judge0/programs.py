"""Small programs that tests submit, in each of our languages."""

from __future__ import annotations

from collections.abc import Mapping

# Programs that print their input doubled, by our names of languages.
DOUBLING: Mapping[str, str] = {
    "python": "print(2 * int(input()))",
    "c": '#include <stdio.h>\nint main(void) { int n; scanf("%d", &n); printf("%d\\n", 2 * n); }',
    "cpp": "#include <iostream>\nint main() { int n; std::cin >> n; std::cout << 2 * n << std::endl; }",
    "bash": "read n; echo $((2 * n))",
    "javascript": "process.stdin.on('data', text => console.log(2 * parseInt(text.toString(), 10)))",
}
_SLEEPING: Mapping[str, str] = {
    "python": "import os\nos.system('sleep {nap}')\nprint('{text}')",
    "c": """\
#include <stdio.h>
#include <stdlib.h>
int main(void) {{ if (system("sleep {nap}")) return 1; puts("{text}"); }}
""",
    "cpp": """\
#include <cstdio>
#include <cstdlib>
int main() {{ if (std::system("sleep {nap}")) return 1; std::puts("{text}"); }}
""",
    "bash": "sleep {nap}; echo {text}",
    "javascript": "require('child_process').execSync('sleep {nap}'); console.log('{text}')",
}
_FAILING: Mapping[str, str] = {
    "python": "import sys\nprint('{text}', file=sys.stderr)\nsys.exit(3)",
    "c": '#include <stdio.h>\nint main(void) {{ fputs("{text}\\n", stderr); return 3; }}',
    "cpp": '#include <iostream>\nint main() {{ std::cerr << "{text}" << std::endl; return 3; }}',
    "bash": "echo {text} >&2; exit 3",
    "javascript": "console.error('{text}'); process.exit(3)",
}
# Languages whose compiler says what is wrong before anything runs.
COMPILED = ("c", "cpp")


def failing(language: str, text: str) -> str:
    """A program that prints ``text`` to standard error and ends with status 3."""
    return _FAILING[language].format(text=text)


def broken(text: str) -> str:
    """A program in C or C++ that a compiler refuses, quoting ``text``."""
    return f'#error "{text}"\nint main(void) {{ return 0; }}\n'


def sleeping(language: str, nap: float | str, text: str) -> str:
    """A program that runs ``sleep NAP``, so that a process shows where it runs, and then prints ``text``."""
    return _SLEEPING[language].format(nap=nap, text=text)
