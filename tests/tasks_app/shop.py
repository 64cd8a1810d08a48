"""The tasks of the examples in docs/testing.md."""

from jobs import job, step

charged: list[str] = []
mailed: list[str] = []


@job(name="shop.charge", queue="tests.other", retry_jitter=False)
def charge(order: str) -> None:
    step("charge", charged.append, order)
    mail.delay(order, kind="receipt")


@job(name="shop.mail")
def mail(order: str, kind: str) -> None:
    mailed.append(f"{kind} for {order}")
