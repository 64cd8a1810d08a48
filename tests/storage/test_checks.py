"""Half a configuration is found at start."""

from pytest_django.fixtures import Settings

from storage.checks import limits_make_sense, stores_are_configured


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
