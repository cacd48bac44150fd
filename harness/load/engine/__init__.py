"""The open-loop engine: raw HTTP/1.1 on kept connections, one thread, epoll and timerfd.

==============  ==========================================================================================
``timer``       timerfd
``deadlines``   a timing wheel for deadlines that rarely expire
``loop``        what is ready and what is due
``request``     a request and its answer
``responses``   from bytes to responses, by httptools
``dial``        connected sockets: TCP, Unix, SOCKS, TLS
``connection``  one connection and the request that it carries
``pool``        connections up to a limit, and the queue for them
``engine``      arrivals, and the interface for submission protocols
==============  ==========================================================================================

Dependencies go upwards in this table only. It is our own because no Python library keeps a schedule to a
tenth of a millisecond: asyncio's clock has epoll's resolution of 1 ms, and its clients cost 20 times as much
CPU.
"""

from harness.load.engine.engine import Engine
from harness.load.engine.request import Answer

__all__ = ["Answer", "Engine"]
