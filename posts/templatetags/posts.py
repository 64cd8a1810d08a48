"""What the templates of this app need: `{% load posts %}`."""

from collections.abc import Mapping
from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def of(mapping: Mapping[object, object], key: object) -> object:
    """Return what a mapping has for a key, or None."""
    return mapping.get(key) if mapping else None


@register.simple_tag
def day(value: datetime) -> SafeString:
    """Return a date as a reader wants it, with the exact time and zone in its title."""
    local = timezone.localtime(value)
    exact = f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"
    words = f"{local.day} {local:%B %Y}"
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), exact, words)
