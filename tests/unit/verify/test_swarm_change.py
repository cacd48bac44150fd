"""The image that is broken on purpose."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

from harness.verify.swarm.change import broken_image


def test_the_broken_image_is_the_same_each_time() -> None:
    """Its id is what engines make of its configuration, so that it can be named before it is loaded."""
    image = broken_image()
    with tarfile.open(fileobj=io.BytesIO(image.archive)) as archive:
        files = {each.name: archive.extractfile(each) for each in archive}
        texts = {name: file.read() for name, file in files.items() if file}
    (manifest,) = json.loads(texts["manifest.json"])
    assert image.id == "sha256:" + hashlib.sha256(texts[manifest["Config"]]).hexdigest()
    layers = json.loads(texts[manifest["Config"]])["rootfs"]["diff_ids"]
    assert layers == ["sha256:" + hashlib.sha256(texts[each]).hexdigest() for each in manifest["Layers"]]
    assert broken_image() == image
