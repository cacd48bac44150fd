"""What the cloud offers: regions, sizes and images, with DigitalOcean's names, figures and prices (USD)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from emulator.cloud.errors import NotFoundError


@dataclass(frozen=True)
class Region:
    """A region; retired ones are listed as not available."""

    slug: str
    name: str
    available: bool = True


@dataclass(frozen=True)
class Size:
    """A droplet size. ``memory`` MB, ``disk`` GB, ``transfer`` TB, ``monthly`` USD."""

    slug: str
    memory: int
    vcpus: int
    disk: int
    transfer: float
    monthly: float
    description: str

    @property
    def hourly(self) -> float:
        """A month is billed as 672 hours."""
        return round(self.monthly / 672, 5)


@dataclass(frozen=True)
class Image:
    """A distribution image."""

    id: int
    slug: str
    name: str
    distribution: str
    min_disk: int = 7
    created_at: str = "2025-02-01T00:00:00Z"


FEATURES = ("backups", "ipv6", "metadata", "install_agent", "storage", "image_transfer")

REGIONS: Mapping[str, Region] = {
    region.slug: region
    for region in (
        Region("nyc1", "New York 1"),
        Region("nyc2", "New York 2"),
        Region("nyc3", "New York 3"),
        Region("ams2", "Amsterdam 2", available=False),
        Region("ams3", "Amsterdam 3"),
        Region("sfo1", "San Francisco 1", available=False),
        Region("sfo2", "San Francisco 2"),
        Region("sfo3", "San Francisco 3"),
        Region("sgp1", "Singapore 1"),
        Region("lon1", "London 1"),
        Region("fra1", "Frankfurt 1"),
        Region("tor1", "Toronto 1"),
        Region("blr1", "Bangalore 1"),
        Region("syd1", "Sydney 1"),
    )
}

_BASIC = (
    ("s-1vcpu-512mb-10gb", 512, 1, 10, 0.5, 4.0),
    ("s-1vcpu-1gb", 1024, 1, 25, 1.0, 6.0),
    ("s-1vcpu-2gb", 2048, 1, 50, 2.0, 12.0),
    ("s-2vcpu-2gb", 2048, 2, 60, 3.0, 18.0),
    ("s-2vcpu-4gb", 4096, 2, 80, 4.0, 24.0),
    ("s-4vcpu-8gb", 8192, 4, 160, 5.0, 48.0),
    ("s-8vcpu-16gb", 16384, 8, 320, 6.0, 96.0),
)
_PREMIUM = (
    ("s-1vcpu-1gb", 1024, 1, 25, 1.0, 7.0),
    ("s-1vcpu-2gb", 2048, 1, 50, 2.0, 14.0),
    ("s-2vcpu-2gb", 2048, 2, 60, 3.0, 21.0),
    ("s-2vcpu-4gb", 4096, 2, 80, 4.0, 28.0),
    ("s-4vcpu-8gb", 8192, 4, 160, 5.0, 56.0),
    ("s-8vcpu-16gb", 16384, 8, 320, 6.0, 112.0),
)
_DEDICATED = (
    ("c-2", 4096, 2, 25, 4.0, 42.0, "CPU-Optimized"),
    ("c-4", 8192, 4, 50, 5.0, 84.0, "CPU-Optimized"),
    ("c-8", 16384, 8, 100, 6.0, 168.0, "CPU-Optimized"),
    ("g-2vcpu-8gb", 8192, 2, 25, 4.0, 63.0, "General Purpose"),
    ("g-4vcpu-16gb", 16384, 4, 50, 5.0, 126.0, "General Purpose"),
    ("g-8vcpu-32gb", 32768, 8, 100, 6.0, 252.0, "General Purpose"),
    ("m-2vcpu-16gb", 16384, 2, 50, 4.0, 84.0, "Memory-Optimized"),
    ("m-4vcpu-32gb", 32768, 4, 100, 6.0, 168.0, "Memory-Optimized"),
)


def _sizes() -> list[Size]:
    sizes = [Size(*row, "Basic") for row in _BASIC]
    for suffix, description in (("amd", "Premium AMD"), ("intel", "Premium Intel")):
        premium = [Size(*row, description) for row in _PREMIUM]
        sizes += [replace(size, slug=f"{size.slug}-{suffix}") for size in premium]
    return sizes + [Size(*row) for row in _DEDICATED]


SIZES: Mapping[str, Size] = {size.slug: size for size in sorted(_sizes(), key=lambda size: size.monthly)}

IMAGES: Mapping[str, Image] = {
    image.slug: image
    for image in (
        Image(195932981, "ubuntu-25-10-x64", "25.10 x64", "Ubuntu"),
        Image(155133621, "ubuntu-24-04-x64", "24.04 (LTS) x64", "Ubuntu"),
        Image(129211873, "ubuntu-22-04-x64", "22.04 (LTS) x64", "Ubuntu"),
        Image(190018254, "debian-13-x64", "13 x64", "Debian"),
        Image(136747850, "debian-12-x64", "12 x64", "Debian"),
        Image(133243198, "debian-11-x64", "11 x64", "Debian"),
    )
}


@dataclass(frozen=True)
class DatabaseSize:
    """A size of a managed database cluster's nodes, in GiB."""

    slug: str
    memory: int
    storage: int

    @property
    def storage_mib(self) -> int:
        """As the API counts it."""
        return self.storage * 1024

    @property
    def max_connections(self) -> int:
        """PostgreSQL's: 25 for each GiB of memory. Three of them are for maintenance and no client's."""
        return 25 * self.memory


DATABASE_SIZES: Mapping[str, DatabaseSize] = {
    size.slug: size
    for size in (
        DatabaseSize("db-s-1vcpu-1gb", 1, 10),
        DatabaseSize("db-s-1vcpu-2gb", 2, 30),
        DatabaseSize("db-s-2vcpu-4gb", 4, 60),
        # The storage of these three is not confirmed by DigitalOcean's document or a client.
        DatabaseSize("db-s-4vcpu-8gb", 8, 140),
        DatabaseSize("db-s-6vcpu-16gb", 16, 290),
        DatabaseSize("db-s-8vcpu-32gb", 32, 580),
    )
}


def find_image(identifier: str | int) -> Image:
    """An image by slug or id. Raises ``NotFoundError``."""
    image = IMAGES.get(str(identifier))
    if image is None:
        image = next((image for image in IMAGES.values() if str(image.id) == str(identifier)), None)
    if image is None:
        raise NotFoundError
    return image
