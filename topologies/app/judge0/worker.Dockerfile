# Runs submissions. The first layer is the same as the server's.
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
RUN python3 -m compileall -q /opt/judge0
# What only apt, dpkg and perl need stays behind, and the rest is one layer: a node loads it in half the time.
RUN rm -rf /var/lib/apt /var/lib/dpkg /var/cache/* /usr/bin/perl* /usr/lib/*/perl-base /usr/share/perl5 \
      /usr/share/bash-completion /usr/share/doc /usr/share/zoneinfo/right /usr/share/zoneinfo/posix \
      /usr/share/nodejs/@types \
      /usr/bin/apt* /usr/bin/dpkg* /usr/bin/gpgv /usr/lib/apt /usr/lib/dpkg /usr/lib/*/libapt-* /usr/lib/*/libgnutls* \
      /usr/lib/*/libp11-kit* /usr/lib/*/libhogweed* /usr/lib/*/libnettle* /usr/lib/*/libunistring* /usr/share/keyrings

FROM scratch
COPY --from=build / /
WORKDIR /opt/judge0
CMD ["python3", "-m", "judge0_worker"]
