"""Judge0's HTTP API: takes submissions, keeps them in PostgreSQL, queues them in Valkey.

`app` takes requests, `routes` knows the paths; `submissions` answers for submissions, `information` for
everything else. `forms`, `params`, `validate` and `render` lead from a request to a row and from a row to
JSON, `answers` makes responses. `store` is PostgreSQL, `jobs` the queue, `cache` rows that were just shown,
`web` HTTP.
"""
