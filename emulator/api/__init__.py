"""The HTTP surface of DigitalOcean API v2 over ``emulator.cloud``: routes, shapes, errors, pages, tokens.

:mod:`emulator.api.app` is the entry point, a function from request to response that no web framework knows;
``server`` puts it on ports, ``emulator.mock`` behind the ``responses`` library. One file per service.
"""
