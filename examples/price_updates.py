"""Many small changes of a table, in few statements: a batch gets up to 500 of the waiting jobs in one call."""

from typing import NamedTuple

from examples.models import Product
from jobs import Batch, Permanent, job


class Price(NamedTuple):
    """The arguments of one job."""

    sku: str
    cents: int


@job(batch=500, time_limit=60)
def set_price(batch: Batch[Price]) -> None:
    """Set the prices of products. A product that is not there fails its own job alone."""
    # Of two changes of one product the later job counts.
    wanted = {item.value.sku: item.value.cents for item in sorted(batch, key=lambda item: item.job_id)}
    known = list(Product.objects.filter(sku__in=wanted))
    for product in known:
        product.cents = wanted[product.sku]
    # In the order of their keys: two batches at once lock the same rows one after the other.
    Product.objects.bulk_update(sorted(known, key=lambda product: product.sku), ["cents"])
    there = {product.sku for product in known}
    for item in batch:
        if item.value.sku not in there:
            item.fail(Permanent(f"There is no product {item.value.sku!r}."))
