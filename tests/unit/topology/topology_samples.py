"""A small valid topology and its application, as text."""

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
