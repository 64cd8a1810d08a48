"""How every page shows states, times, durations and ids: `{% load look %}`."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from jobs.core.states import State
from jobs.operations.wording import NOTHING, ago, duration, short_id

register = template.Library()
register.filter(duration)
register.filter(short_id)

#: The shape of each state, in a box of 16 by 16. `full` parts are filled, all others drawn.
SHAPES = {
    State.SCHEDULED: '<circle cx="8" cy="8" r="6.25"/><path d="M8 4.5V8l2.25 1.75"/>',
    State.QUEUED: '<path d="M8 1.75 14.25 5 8 8.25 1.75 5zM1.75 8 8 11.25 14.25 8M1.75 11 8 14.25 14.25 11"/>',
    State.RUNNING: '<circle class="full" cx="8" cy="8" r="4.5"/><circle cx="8" cy="8" r="7"/>',
    State.RETRYING: '<path d="M13.75 8a5.75 5.75 0 1 1-1.7-4.08M13.75 1.5v3.25H10.5"/>',
    State.SUCCEEDED: '<path d="m2.5 8.75 3.75 3.75L13.5 4.25"/>',
    State.DEAD: '<path d="m3.5 3.5 9 9M12.5 3.5l-9 9"/>',
    State.CANCELLED: '<circle cx="8" cy="8" r="6.25"/><path d="M5 8h6"/>',
}


@register.simple_tag
def state_icon(state: str) -> SafeString:
    """Return a state's shape alone, for where its word stands elsewhere."""
    shape = mark_safe(SHAPES[State(state)])  # noqa: S308  A constant of this module.
    return format_html('<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">{}</svg>', shape)


@register.simple_tag
def state(state: str, word: str = "") -> SafeString:
    """Return a state as shape, word and hue; `word` where another one than its name is meant."""
    return format_html('<span class="state {}">{}{}</span>', state, state_icon(state), word or state)


@register.simple_tag
def moment(value: datetime | None, now: datetime | None = None) -> SafeString:
    """Return a time as people say it, with the exact one in its title; the page's script keeps it true."""
    if value is None:
        return format_html('<span class="soft">{}</span>', NOTHING)
    local = timezone.localtime(value)
    exact = f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"
    words = ago(value, now or timezone.now())
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        value.isoformat(),
        exact,
        words,
    )
