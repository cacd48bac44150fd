"""Takes submissions from the queue, runs them in a sandbox and writes what became of them.

`node` is the worker process and its slots, `sweep` finds what got lost, `execute` compiles and runs one
submission, `sandbox` calls `box` (box.c), `report` reads what it says, `cgroups` finds the control groups,
`verdict` judges, `store` is PostgreSQL, `callback` tells whoever asked.
"""
