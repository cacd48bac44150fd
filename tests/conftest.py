"""Lets every test import the modules that lie beside this file, and says which test files begin first."""

from __future__ import annotations

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is; what never ends is ended by pytest's own timeout.
settings.register_profile("wavetank", deadline=None)
settings.load_profile("wavetank")

# Files that take long, the longest first: they begin before all others, or everybody would wait for them at
# the end. `make test-fast` leaves them out.
SLOW = (
    "test_end_to_end",
    "test_editor",
    "test_editor_swarm",
    "test_swarm_cluster",
    "test_up_faults",
    "test_interrupts",
    "test_as_cloud",
    "test_model_packets",
    "test_proof",
    "test_mutation_tank",
    "test_paced_scan",
    "test_scan_tank",
    "test_power_cycle",
    "test_swarm_up",
    "test_cli_flow",
    "test_judge0_durable",
    "test_model_invariants",
    "test_deploy",
    "test_html_browser",
    "test_judge0_faults",
    "test_mutation_campaign",
    "test_emulation",
    "test_cli_existing",
    "test_reaper",
    "test_cli_taking_down",
    "test_faults",
    "test_html",
    "test_partition",
    "test_cli_isolation",
    "test_html_load",
    "test_cli_refusals",
    "test_mutation_apply",
    "test_slow_links",
    "test_mutation_killed",
    "test_judge0_answers",
    "test_mutation_views",
    "test_generator",
    "test_bad_files",
    "test_known_answers",
    "test_mutation_generate",
    "test_emulator_server",
    "test_locust_run",
    "test_mutation_cli",
    "test_verify_recorder",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first, all others as they were."""
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: SLOW.index(item.path.stem) if item.path.stem in SLOW else len(SLOW))
