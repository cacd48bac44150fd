"""An image of a few programs: what a droplet gets of a test's application, in a tenth of the base's bytes."""

from __future__ import annotations

import io
from typing import Any

NAME = "wavetank-test/small:latest"

# Every node is sent all of it, unpacks it and checks its sums: most of the work of a deployment.
DOCKERFILE = """\
FROM wavetank/base:latest AS whole
RUN mkdir -p /small/tmp /small/usr/bin /small/usr/lib /small/usr/lib64 && cd /small \\
 && ln -s usr/bin bin && ln -s usr/lib lib && ln -s usr/lib64 lib64 \\
 && for program in bash cat env perl sh sleep true; do \\
      cp -L --parents "/usr/bin/$program" $(ldd "/usr/bin/$program" | grep -o '/[^ ]*') . || exit 1; \\
    done \\
 && cp -a --parents /usr/lib/*/perl-base .
FROM scratch
COPY --from=whole /small /
"""


def build(engine: Any) -> str:
    """Make the image, unless it is there. Returns its id."""
    # The engine's own builder knows by its cache that nothing has changed.
    image, _ = engine.images.build(fileobj=io.BytesIO(DOCKERFILE.encode()), tag=NAME, rm=True)
    return str(image.id)
