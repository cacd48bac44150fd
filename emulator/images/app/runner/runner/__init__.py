"""The runner: POST /api/run takes code, has Judge0 run it and answers with the result; runs are kept in MongoDB.

`app` is the HTTP API, `judge0` and `history` are the two services behind it, `errors` what goes wrong with them.
"""
