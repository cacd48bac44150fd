"""``wavetank report``: the run's report as an HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli import options


@click.command()
@options.reading
@click.option(
    "--html",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write. Default: report.html next to report.json.",
)
@click.option("--open", "opened", is_flag=True, help="Open the page in the browser.")
@options.output
def report(file: Path | None, opened: bool, output: str, **common: Any) -> int:
    """Write the run's report as one HTML page, and print its path."""
    import webbrowser

    from harness import html
    from harness.core.errors import MissingProgramError, TopologyError, UsageError
    from harness.run import settings
    from harness.run.report import REMEDY, read

    run_dir = settings.choose_existing(options.settings(common)).run_dir
    wanted = file or run_dir.report.with_name(html.NAME)
    found = read(run_dir)
    try:
        page = html.write(found, wanted)
    except OSError as error:
        raise UsageError(f"{wanted} cannot be written: {error.strerror}") from error
    except Exception as error:  # any error in a section that is not as the schema says
        problem = f"cannot be shown: a section does not have the expected form: {error!r:.200}"
        raise TopologyError(problem, file=run_dir.report, remedy=REMEDY) from error
    options.show({"html": str(page)}, str(page), output)
    if opened and not webbrowser.open(page.resolve().as_uri()):
        raise MissingProgramError("xdg-open", f"install a browser, or open {page} yourself")
    return 0
