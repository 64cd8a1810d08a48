"""The examples' jobs, where a worker looks for them."""

from examples.image_pipeline import shrink, strip, thumbnails
from examples.payment import charge
from examples.price_updates import set_price
from examples.webhooks import deliver

__all__ = ["charge", "deliver", "set_price", "shrink", "strip", "thumbnails"]
