# What the editor calls judge0/judge0:1.13.1: server and worker in one image, as Judge0's own is. The first layers are the
# same as those of the reference worker's.
FROM wavetank/base:latest AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-asyncpg python3-hiredis python3-httptools python3-redis python3-uvloop \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/*
# The languages. What a compiler needs stays: headers, libc and libstdc++; link-time optimisation, sanitizers and profilers go.
RUN apt-get update \
 && apt-get install -y --no-install-recommends bash gcc g++ libc6-dev nodejs \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/* /usr/share/locale/* \
 && cd /usr/lib/gcc/x86_64-linux-gnu/12 2>/dev/null || cd /usr/lib/gcc/aarch64-linux-gnu/12 \
 && rm -rf lto1 plugin lib?san* /usr/lib/*/lib?san.so.* /usr/lib/*/libasan.so.* \
      /usr/lib/*/libubsan.so.* /usr/lib/*/libhwasan.so.* /usr/lib/*/libgprofng* /usr/lib/*/gprofng \
      /usr/bin/*lto-dump* /usr/bin/*gold /usr/bin/*dwp /usr/bin/gp-* /usr/bin/*gprof* /usr/include/node \
      /usr/share/gdb /usr/share/perl /usr/share/gcc/python
COPY box.c /usr/src/box.c
RUN gcc -O2 -Wall -Wextra -Werror -o /usr/local/bin/box /usr/src/box.c
COPY unpack.py /usr/local/lib/judge0/unpack.py
COPY judge0_common /opt/judge0/judge0_common
COPY judge0_worker /opt/judge0/judge0_worker
RUN apt-get update \
 && apt-get install -y --no-install-recommends curl python3-starlette python3-uvicorn \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/*
COPY judge0_server /opt/judge0/judge0_server
RUN python3 -m compileall -q /opt/judge0 && mkdir -p /api/scripts \
 && printf '#!/bin/sh\ncd /opt/judge0 && exec python3 -m judge0_server\n' > /api/scripts/server \
 && printf '#!/bin/sh\ncd /opt/judge0 && exec python3 -m judge0_worker\n' > /api/scripts/workers \
 && chmod 0755 /api/scripts/*
# What only apt, dpkg and perl need stays behind, and the rest is one layer: a node loads it in half the time.
RUN rm -rf /var/lib/apt /var/lib/dpkg /var/cache/* /usr/bin/perl* /usr/lib/*/perl-base /usr/share/perl5 \
      /usr/share/bash-completion /usr/share/doc /usr/share/zoneinfo/right /usr/share/zoneinfo/posix \
      /usr/share/nodejs/@types

FROM scratch
COPY --from=build / /
WORKDIR /api
CMD ["./scripts/server"]
