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
      /usr/share/perl5 /usr/share/zoneinfo /usr/share/bash-completion /usr/share/doc

FROM scratch
COPY --from=build / /
WORKDIR /opt/judge0
CMD ["python3", "-m", "judge0_server"]
