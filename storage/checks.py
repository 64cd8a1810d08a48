"""Finds half a configuration at start, before a job does."""

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage

from storage.conf import STORE_NAMES, all_settings, is_configured, missing_settings, store_conf


@checks.register
def stores_are_configured(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """A store may be left out as a whole, never in part."""
    found: list[CheckMessage] = []
    for name in STORE_NAMES:
        missing = missing_settings(name)
        if missing and len(missing) < len(all_settings(name)):
            found.append(
                checks.Error(
                    f"The {name} store is configured in part: {', '.join(missing)} is missing.",
                    hint="Set it too, or unset the others: then jobs of that store fail with a clear reason.",
                    id="storage.E001",
                )
            )
    return found


@checks.register
def uploads_are_not_public(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """What the public reads is a bucket of its own."""
    if not (settings.ASSETS_PUBLIC_URL and is_configured("content") and is_configured("assets")):
        return []
    if store_conf("content").place != store_conf("assets").place:
        return []
    return [
        checks.Error(
            f"Everybody could read originals and images of drafts at {settings.ASSETS_PUBLIC_URL}: "
            f"STORAGE_BUCKET and ASSETS_BUCKET are both {settings.ASSETS_BUCKET}.",
            hint="Give what the public is served a bucket of its own, or unset ASSETS_PUBLIC_URL.",
            id="storage.E003",
        )
    ]


@checks.register
def regions_are_names(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """A region is part of every signature; boto3 takes none that could not be part of a host name."""
    return [
        checks.Error(
            f"{prefix}_REGION={region!r} is not valid: it must be 1 to 63 letters, digits and dashes.",
            hint="Take it from the store's own pages (eu-central-1, gra, auto); us-east-1 where they name none.",
            id="storage.E002",
        )
        for prefix in ("STORAGE", "ASSETS")
        if not re.fullmatch(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", region := getattr(settings, f"{prefix}_REGION"))
    ]


@checks.register
def limits_make_sense(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """An image that is accepted must also fit where it goes."""
    if settings.ORPHANS_MIN_AGE_SECONDS >= 600:
        return []
    return [
        checks.Warning(
            f"ORPHANS_MIN_AGE_SECONDS={settings.ORPHANS_MIN_AGE_SECONDS}: an upload whose transaction is still open "
            "could be taken for an orphan.",
            hint="Make it 600 seconds at least; the default is 3600.",
            id="storage.W001",
        )
    ]
