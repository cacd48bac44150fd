"""Judge0's HTTP API: takes submissions, keeps them in PostgreSQL, queues them in Valkey.

`app` routes, `submissions` answers for submissions, `information` for everything else; `params`, `validate` and
`render` are the way from a request's body to a row and from a row to JSON; `store` is PostgreSQL, `jobs` is
the queue, `web` is HTTP. `connect.py` is the same file in judge0-worker.
"""
