"""Small valid topologies, one with a swarm, and their application, as text."""

from __future__ import annotations

SMALL = """\
schema: wavetank/topology/v1
name: small
region: fra1
vpc: {ip_range: 10.20.0.0/24}
defaults: {size: s-1vcpu-1gb, image: ubuntu-24-04-x64}
droplets:
  web: {}
  api-1: {role: api}
  api-2: {role: api}
databases:
  store:
    engine: pg
    version: "15"
    size: db-s-1vcpu-1gb
    trusted_sources: [api]
management:
  bastion: web
  operators: [self, 198.51.100.0/24]
firewalls:
  front:
    droplets: [web]
    inbound:
      - {protocol: tcp, ports: "80", from: [internet]}
    outbound:
      - {protocol: tcp, ports: "8000-8001", to: [api]}
  back:
    droplets: [api]
    inbound:
      - {protocol: tcp, ports: "8000-8001", from: [web]}
    outbound:
      - {protocol: tcp, ports: "25060", to: [vpc]}
intent:
  - {from: internet, to: web, tcp: [80]}
  - {from: web, to: api, tcp: [8000, 8001]}
  - {from: api, to: store, tcp: [25060]}
app: app
services:
  web:
    droplets: [web]
    ports: [80]
    health: http://127.0.0.1:80/
    environment:
      API_URL: "http://{{ nodes['api-1'].private_ip }}:8000"
    files:
      nginx.conf: web/nginx.conf.j2
  api:
    droplets: [api]
    compose: api/docker-compose.yml
    ports: [8000, 8001]
    environment:
      DATABASE_URL: "{{ databases.store.private.uri }}"
checks:
  front_door:
    node: web
    path: /run
    request: {code: source}
    reply: {stdout: output.text}
  judge0: {node: api-1, port: 8000, source: web}
"""
SWARM = """\
schema: wavetank/topology/v1
name: small-swarm
region: fra1
vpc: {ip_range: 10.20.0.0/24}
defaults: {size: s-1vcpu-1gb, image: ubuntu-24-04-x64, public_networking: true}
droplets:
  web: {public_networking: true}
  api-1: {role: api}
  api-2: {role: api}
databases:
  store:
    engine: pg
    version: "15"
    size: db-s-1vcpu-1gb
    trusted_sources: [api]
management:
  bastion: web
  operators: [self]
firewalls:
  member:
    droplets: [web, api]
    inbound:
      - {protocol: tcp, ports: "7946", from: [web, api]}
      - {protocol: udp, ports: "7946", from: [web, api]}
      - {protocol: udp, ports: "4789", from: [web, api]}
    outbound:
      - {protocol: tcp, ports: "7946", to: [web, api]}
      - {protocol: udp, ports: "7946", to: [web, api]}
      - {protocol: udp, ports: "4789", to: [web, api]}
  front:
    droplets: [web]
    inbound:
      - {protocol: tcp, ports: "80", from: [internet]}
      - {protocol: tcp, ports: "2377", from: [api]}
    outbound: []
  back:
    droplets: [api]
    inbound: []
    outbound:
      - {protocol: tcp, ports: "2377", to: [web]}
      - {protocol: tcp, ports: "25060", to: [vpc]}
intent:
  - {from: internet, to: web, tcp: [80]}
  - {from: api, to: web, tcp: [2377]}
  - {from: [web, api], to: [web, api], tcp: [7946], udp: [4789, 7946]}
  - {from: api, to: store, tcp: [25060]}
app: app
swarm:
  managers: [web]
  stack: small-stack
  network: {name: small-net}
  heartbeat: 3
  services:
    web:
      droplets: [web]
      ports: [80]
      order: stop-first
      environment:
        API_URL: "http://api:8000"
      files:
        nginx.conf: web/nginx.conf.j2
    api:
      droplets: [api]
      replicas: 2
      constraints: ["node.role == worker"]
      cap_add: [SYS_ADMIN]
      environment:
        DATABASE_URL: "{{ databases.store.private.uri }}"
checks:
  judge0: {service: api, port: 8000}
"""
# What makes of it one with an encrypted overlay, honestly: open droplets, and an intent that says so.
ENCRYPTED = (
    (
        SWARM[SWARM.index("firewalls:\n") : SWARM.index("app: app")],
        """\
firewalls: {}
intent:
  - {from: vpc, to: [web, api], tcp: ["0"], udp: ["0"], icmp: true}
  - {from: [web, api], to: vpc, tcp: ["0"], udp: ["0"], icmp: true}
  - {from: internet, to: web, tcp: ["0"], udp: ["0"], icmp: true}
  - {from: web, to: internet, tcp: ["0"], udp: ["0"], icmp: true}
  - {from: api, to: store, tcp: [25060]}
""",
    ),
    ("x64, public_networking: true}", "x64, public_networking: false}"),
    ("network: {name: small-net}", "network: {name: small-net, encrypted: true, esp: uncovered}"),
)
COMPOSE = """\
services:
  main:
    image: example
    networks: [private]  # goes
networks:
  private:
"""
TEMPLATE = """\
upstream api {
{% for each in role("api") %}
    server {{ each.private_ip }}:8000;
{% endfor %}
}
"""
