"""Half a configuration is found at start."""

import pytest
from pytest_django.fixtures import Settings

from storage.checks import limits_make_sense, regions_are_names, stores_are_configured, uploads_are_not_public
from tests.storage.stores import Stores


def test_a_store_configured_in_part_is_an_error(settings: Settings) -> None:
    for name in ("ENDPOINT", "BUCKET", "ACCESS_KEY", "SECRET_KEY"):
        setattr(settings, f"STORAGE_{name}", "")
        setattr(settings, f"ASSETS_{name}", "")
    assert stores_are_configured(None) == []
    settings.ASSETS_ENDPOINT = "https://r2.example.com"
    [error] = stores_are_configured(None)
    assert error.id == "storage.E001"
    assert "ASSETS_BUCKET, ASSETS_ACCESS_KEY, ASSETS_SECRET_KEY" in error.msg


def test_an_age_that_would_take_uploads_for_orphans_is_a_warning(settings: Settings) -> None:
    assert limits_make_sense(None) == []
    settings.ORPHANS_MIN_AGE_SECONDS = 5
    [warning] = limits_make_sense(None)
    assert warning.id == "storage.W001"


def test_one_bucket_for_both_is_an_error_where_the_world_reads_it(stores: Stores, settings: Settings) -> None:
    settings.ASSETS_PUBLIC_URL = "https://cdn.example.com"
    assert uploads_are_not_public(None) == []
    settings.ASSETS_BUCKET = settings.STORAGE_BUCKET
    [error] = uploads_are_not_public(None)
    assert error.id == "storage.E003"
    assert "STORAGE_BUCKET and ASSETS_BUCKET are both content" in error.msg
    settings.ASSETS_PUBLIC_URL = ""
    assert uploads_are_not_public(None) == []


@pytest.mark.parametrize("region", ["eu-central-1", "auto", "gra", "GRA"])
def test_the_name_of_a_region_passes(settings: Settings, region: str) -> None:
    settings.STORAGE_REGION = settings.ASSETS_REGION = region
    assert regions_are_names(None) == []


@pytest.mark.parametrize("region", ["eu central", "-a", "a-", "x" * 64, "zürich", "a.b", "a\n"])
def test_what_names_no_region_is_an_error(settings: Settings, region: str) -> None:
    settings.ASSETS_REGION = region
    [error] = regions_are_names(None)
    assert error.id == "storage.E002"
    assert f"ASSETS_REGION={region!r}" in error.msg
