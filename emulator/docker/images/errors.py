"""What goes wrong when images are made, in the emulator's own terms."""

from __future__ import annotations

from collections.abc import Sequence

from emulator.planes.base import PlaneError


class ImageBuildError(PlaneError):
    """An image could not be made: which one, at which step, and the last lines of the build's output."""

    def __init__(self, image: str, step: str, reason: str, output: Sequence[str] = ()) -> None:
        self.image, self.step, self.reason, self.output = image, step, reason, tuple(output)
        lines = [f"image {image!r} failed to build at {step}: {reason}"]
        lines += [f"  | {line}" for line in output]
        super().__init__("\n".join(lines))
