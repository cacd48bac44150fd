"""Account, regions, sizes, images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.api.http import Request, Response
from emulator.api.pages import page
from emulator.api.routing import Routes
from emulator.cloud.catalogue import FEATURES, IMAGES, REGIONS, SIZES, Image, Region, Size, find_image

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

ROUTES = Routes("Account and catalogue")


@ROUTES.on("GET", "/v2/account", "account_get")
def _account(cloud: Cloud, _request: Request) -> Response:
    account = cloud.account
    body = {
        "droplet_limit": cloud.limits.droplets,
        "floating_ip_limit": 3,
        "reserved_ip_limit": 3,
        "volume_limit": 100,
        "email": "operator@wavetank.invalid",
        "name": "Wavetank",
        "uuid": account.uuid,
        "email_verified": True,
        "status": "active",
        "status_message": "",
        "team": {"uuid": account.team_uuid, "name": "Wavetank"},
    }
    return Response(200, {"account": body})


@ROUTES.on("GET", "/v2/regions", "regions_list")
def _regions(_cloud: Cloud, request: Request) -> Response:
    return page(request, "regions", [region_view(region) for region in REGIONS.values()])


@ROUTES.on("GET", "/v2/sizes", "sizes_list")
def _sizes(_cloud: Cloud, request: Request) -> Response:
    return page(request, "sizes", [size_view(size) for size in SIZES.values()])


@ROUTES.on("GET", "/v2/images", "images_list")
def _images(_cloud: Cloud, request: Request) -> Response:
    kind = request.query.get("type", "")
    theirs = kind == "application" or request.query.get("private") == "true" or "tag_name" in request.query
    images = [] if theirs else [image_view(image) for image in IMAGES.values()]
    return page(request, "images", images)


@ROUTES.on("GET", "/v2/images/{image_id}", "images_get")
def _image(_cloud: Cloud, request: Request) -> Response:
    return Response(200, {"image": image_view(find_image(request.params["image_id"]))})


def region_view(region: Region) -> dict[str, Any]:
    """A region as the API shows it."""
    return {
        "name": region.name,
        "slug": region.slug,
        "features": list(FEATURES),
        "available": region.available,
        "sizes": list(SIZES) if region.available else [],
    }


def size_view(size: Size) -> dict[str, Any]:
    """A size as the API shows it."""
    return {
        "slug": size.slug,
        "memory": size.memory,
        "vcpus": size.vcpus,
        "disk": size.disk,
        "transfer": size.transfer,
        "price_monthly": size.monthly,
        "price_hourly": size.hourly,
        "regions": [region.slug for region in REGIONS.values() if region.available],
        "available": True,
        "description": size.description,
    }


def image_view(image: Image) -> dict[str, Any]:
    """An image as the API shows it."""
    return {
        "id": image.id,
        "name": image.name,
        "distribution": image.distribution,
        "slug": image.slug,
        "public": True,
        "regions": [region.slug for region in REGIONS.values() if region.available],
        "created_at": image.created_at,
        "min_disk_size": image.min_disk,
        "type": "base",
        "size_gigabytes": 0.6,
        "description": f"{image.distribution} {image.name}",
        "tags": [],
        "status": "available",
    }
