"""A compose file of the shape of Judge0's own: two privileged services of one image, a database and a queue.

All four read or mount ``judge0.conf``, which holds both passwords.
"""

from __future__ import annotations

from pathlib import Path

POSTGRES, REDIS = "pg-password-0123", "redis-password-0123"

COMPOSE = """\
x-logging: &small-logs
  logging:
    driver: json-file
    options:
      max-size: 100m

services:
  server:
    image: judge0/judge0:1.13.1
    volumes:
      - ./judge0.conf:/judge0.conf:ro
    ports:
      - "2358:2358"
    privileged: true
    <<: *small-logs
    restart: always

  workers:
    image: judge0/judge0:1.13.1
    command: ["./scripts/workers"]
    volumes:
      - ./judge0.conf:/judge0.conf:ro
    privileged: true
    <<: *small-logs
    restart: always

  db:
    image: postgres:16.2
    env_file: judge0.conf
    volumes:
      - data:/var/lib/postgresql/data/
    <<: *small-logs
    restart: always

  redis:
    image: redis:7.2.4
    command: ["bash", "-c", 'docker-entrypoint.sh --appendonly no --requirepass "$$REDIS_PASSWORD"']
    env_file: judge0.conf
    <<: *small-logs
    restart: always

volumes:
  data:
"""

CONF = f"""\
# Where the queue is.
REDIS_HOST=redis
REDIS_PORT=6379
REDIS_PASSWORD={REDIS}

POSTGRES_HOST=db
POSTGRES_DB=judge0
POSTGRES_USER=judge0
POSTGRES_PASSWORD={POSTGRES}
AUTHN_TOKEN=
"""

# ENTRYPOINT and CMD, by compose service.
IMAGES = {
    "server": (("/api/docker-entrypoint.sh",), ("/api/scripts/server",)),
    "workers": (("/api/docker-entrypoint.sh",), ("/api/scripts/server",)),
    "db": (("docker-entrypoint.sh",), ("postgres",)),
    "redis": (("docker-entrypoint.sh",), ("redis-server",)),
}


def write(directory: Path) -> Path:
    """The compose file, with its configuration beside it."""
    (directory / "judge0.conf").write_text(CONF)
    file = directory / "docker-compose.yml"
    file.write_text(COMPOSE)
    return file
