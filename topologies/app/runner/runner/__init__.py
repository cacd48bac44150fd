"""The runner: POST /api/run takes code, has Judge0 run it and answers with the result.

`app` is the HTTP API, `judge0` and `history` (MongoDB) are the services behind it, `errors` what goes wrong.
"""
