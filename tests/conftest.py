"""Lets every test import the modules that lie beside this file, and says which test files begin first."""

from __future__ import annotations

import pytest

# Files that take long, the longest first: they begin before all others, or everybody would wait for them at
# the end. `make test-fast` leaves them out.
SLOW = (
    "test_end_to_end",
    "test_up_faults",
    "test_swarm_cluster",
    "test_swarm_up",
    "test_mutation_tank",
    "test_paced_scan",
    "test_plane_docker",
    "test_model_packets",
    "test_proof",
    "test_interrupts",
    "test_model_invariants",
    "test_cli_flow",
    "test_mutation_campaign",
    "test_mutation_views",
    "test_mutation_apply",
    "test_partition",
    "test_bad_files",
    "test_cli_taking_down",
    "test_cli_isolation",
    "test_mutation_generate",
    "test_faults",
    "test_emulation",
    "test_cli_existing",
    "test_reaper",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first, all others as they were."""
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: SLOW.index(item.path.stem) if item.path.stem in SLOW else len(SLOW))
