"""`webhooks list`, `add`, `change`, `delete`, `deliveries`, `redeliver`, `test`."""

from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from jobs.cli import filters
from jobs.cli.changes import add_change_arguments, change, confirm
from jobs.cli.output import Output
from jobs.cli.pages import add_page_arguments, asked_page, tell_of_more
from jobs.cli.verb import Exit, Failed, Given, Verb, actor, nothing
from jobs.core.states import State
from jobs.errors import InvalidWebhook
from jobs.models import Job, Webhook
from jobs.operations import webhooks as operations
from jobs.reports.webhooks import WebhookReport, delivery_json, report, reports, webhook_json
from jobs.webhooks.subscriptions import STATES


def _list(given: Given, out: Output) -> Exit:
    found = reports()
    out.json({"webhooks": [webhook_json(one) for one in found]})
    out.table(
        ["id>", "webhook", "address", "told of", "tasks", "enabled", "last", "arrived>", "waiting>", "dead>"],
        [_row(one) for one in found],
        empty="There are no webhooks. Make one: manage.py jobs webhooks add NAME URL --state dead",
    )
    return Exit.DONE


def _row(one: WebhookReport) -> list[Any]:
    webhook = one.webhook
    return [
        *(str(webhook.pk), webhook.name, one.address, ", ".join(webhook.states), ", ".join(webhook.tasks) or "all"),
        *(webhook.enabled, None if one.last is None else one.last.created_at),
        *(None if one.success_rate is None else f"{one.success_rate:.0%}", one.waiting, one.dead),
    ]


def _webhook_argument(parser: ArgumentParser) -> None:
    parser.add_argument("webhook", help="its name or number")


def _add_what_is_told(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--state",
        action="append",
        dest="states",
        choices=[state.value for state in STATES],
        help="it is told when a job comes into this state; may be repeated",
    )
    parser.add_argument(
        "--task", action="append", dest="tasks", help="of jobs of this task, such as mail.*; may be repeated (all)"
    )
    parser.add_argument("--queue", help="of jobs of this queue only")


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="what it is called")
    parser.add_argument("url", help="where it is: https://…")
    _add_what_is_told(parser)


def _add(given: Given, out: Output) -> Exit:
    said = {"name": given["name"], "url": given["url"], "states": given["states"] or [], **_told(given)}
    with _refusals():
        webhook = operations.create(said, actor=actor())
    _show_secret(webhook, out)
    return Exit.DONE


def _change_arguments(parser: ArgumentParser) -> None:
    _webhook_argument(parser)
    _add_what_is_told(parser)
    parser.add_argument("--name", help="call it so")
    parser.add_argument("--url", help="where it is from now on")
    parser.add_argument("--all-tasks", action="store_true", help="of jobs of all tasks")
    parser.add_argument("--new-secret", action="store_true", help="sign by a new secret, and show it once")
    on = parser.add_mutually_exclusive_group()
    on.add_argument("--enable", action="store_true", help="tell it again")
    on.add_argument("--disable", action="store_true", help="tell it nothing; what waits to be delivered is cancelled")


def _change(given: Given, out: Output) -> Exit:
    webhook = _webhook(given["webhook"])
    said = {name: given[name] for name in ("name", "url", "states") if given[name] is not None} | _told(given)
    if given["all_tasks"]:
        said["tasks"] = []
    if given["enable"] or given["disable"]:
        said["enabled"] = given["enable"]
    if not said and not given["new_secret"]:
        raise Failed("Say what is to change: `manage.py jobs webhooks change --help` lists it.", Exit.USAGE)
    with _refusals():
        operations.change(webhook, said, actor=actor(), renews_secret=given["new_secret"])
    if given["new_secret"]:
        _show_secret(webhook, out)
        return Exit.DONE
    out.json(webhook_json(report(webhook)))
    out.line(f"Webhook {webhook.name} is changed. That takes effect within a second.")
    return Exit.DONE


def _told(given: Given) -> dict[str, Any]:
    return {name: given[name] for name in ("tasks", "queue") if given[name] is not None}


def _show_secret(webhook: Webhook, out: Output) -> None:
    out.json({**webhook_json(report(webhook)), "secret": webhook.secret})
    out.line(webhook.secret)
    out.line(f"This secret signs what {webhook.name} is told. This is the only time it is shown.")


def _delete_arguments(parser: ArgumentParser) -> None:
    _webhook_argument(parser)
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask for confirmation")


def _delete(given: Given, out: Output) -> Exit:
    webhook = _webhook(given["webhook"])
    if not given["yes"]:
        confirm(f"Delete webhook {webhook.name} and all that is known of its deliveries")
    operations.delete(webhook, actor=actor())
    out.json({"webhook": webhook.name, "deleted": True})
    out.line(f"Webhook {webhook.name} is deleted. What waited to be delivered is cancelled.")
    return Exit.DONE


def _deliveries_arguments(parser: ArgumentParser) -> None:
    _webhook_argument(parser)
    parser.add_argument(
        "--state", action="append", dest="states", choices=[state.value for state in State], help="may be repeated"
    )
    add_page_arguments(parser)


def _deliveries(given: Given, out: Output) -> Exit:
    rows = operations.deliveries(_webhook(given["webhook"]), [State(state) for state in given["states"] or ()])
    found = asked_page(rows, "created_at", given)
    out.json({"deliveries": [delivery_json(job) for job in found.rows], "next_cursor": found.next_cursor})
    out.table(
        ["id", "event", "job", "task", "state", "attempt>", "answer>", "made", "error"],
        [_delivery_row(job) for job in found.rows],
        empty="No delivery matches.",
    )
    tell_of_more(found.next_cursor, out)
    return Exit.DONE


def _delivery_row(job: Job) -> list[Any]:
    told = delivery_json(job)
    status = None if told["status"] is None else str(told["status"])
    return [
        *(job.pk, told["event"], told["job_id"], told["task"], job.state, job.attempt, status),
        *(job.created_at, told["last_error"]),
    ]


def _redeliver_arguments(parser: ArgumentParser) -> None:
    _webhook_argument(parser)
    parser.add_argument("ids", nargs="*", type=filters.key, metavar="id", help="these deliveries")
    add_change_arguments(parser)


def _redeliver(given: Given, out: Output) -> Exit:
    webhook = _webhook(given["webhook"])
    if not given["ids"] and not given["all"]:
        raise Failed("Say which: ids of deliveries, or --all for all that died.", Exit.USAGE)
    act = partial(operations.redeliver, webhook, ids=given["ids"], actor=actor())
    return change(given, out, f"Deliver {{}} events again to {webhook.name}", act)


def _test(given: Given, out: Output) -> Exit:
    webhook = _webhook(given["webhook"])
    job_id = operations.send_test(webhook, actor=actor())
    out.json({"webhook": webhook.name, "job_id": str(job_id)})
    out.line(f"A test is on its way to {webhook.name}, as job {job_id}.")
    return Exit.DONE


def _webhook(name: str) -> Webhook:
    found = operations.find(name)
    if found is None:
        raise Failed(f"There is no webhook {name!r}. `manage.py jobs webhooks list` shows them.")
    return found


@contextmanager
def _refusals() -> Iterator[None]:
    """Say of a webhook that cannot be why."""
    try:
        yield
    except InvalidWebhook as exc:
        raise Failed(str(exc)) from exc


VERBS = [
    Verb(("webhooks", "list"), "list the webhooks, and how they fare", _list, nothing),
    Verb(("webhooks", "add"), "have an address told what becomes of jobs; shows its secret once", _add, _add_arguments),
    Verb(("webhooks", "change"), "change, enable or disable a webhook", _change, _change_arguments),
    Verb(("webhooks", "delete"), "delete a webhook and its deliveries", _delete, _delete_arguments),
    Verb(("webhooks", "deliveries"), "list what a webhook was told", _deliveries, _deliveries_arguments),
    Verb(
        ("webhooks", "redeliver"),
        "deliver again what died, or what is named",
        _redeliver,
        _redeliver_arguments,
        "Each event keeps its id, so that a receiver can tell that it has seen it.",
    ),
    Verb(("webhooks", "test"), "send a webhook a test", _test, _webhook_argument),
]
