# Judge0's API. The first layer is the same as the worker's.
FROM wavetank/base:latest AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-asyncpg python3-hiredis python3-httptools python3-redis python3-uvloop \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/*
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-starlette python3-uvicorn \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/*
COPY judge0_common /opt/judge0/judge0_common
COPY judge0_server /opt/judge0/judge0_server
COPY healthy /usr/local/bin/healthy
RUN python3 -m compileall -q /opt/judge0 && chmod 0755 /usr/local/bin/healthy
# What only apt, dpkg and perl need stays behind, and the rest is one layer: a node loads it in half the time.
RUN rm -rf /var/lib/apt /var/lib/dpkg /var/cache/* /usr/bin/perl* /usr/lib/*/perl-base /usr/lib/*/gconv \
      /usr/share/perl5 /usr/share/zoneinfo /usr/share/bash-completion /usr/share/doc \
      /usr/bin/apt* /usr/bin/dpkg* /usr/bin/gpgv /usr/lib/apt /usr/lib/dpkg /usr/lib/*/libapt-* /usr/lib/*/libgnutls* \
      /usr/lib/*/libp11-kit* /usr/lib/*/libhogweed* /usr/lib/*/libnettle* /usr/lib/*/libunistring* /usr/share/keyrings \
      /usr/lib/python3.*/test /usr/lib/python3.*/pydoc_data /usr/lib/python3.*/lib2to3 /usr/lib/python3.*/idlelib

FROM scratch
COPY --from=build / /
WORKDIR /opt/judge0
CMD ["python3", "-m", "judge0_server"]
