"""The examples' jobs, where a worker looks for them."""

from examples.image_pipeline import shrink, strip
from examples.payment import charge
from examples.price_updates import set_price
from examples.report import no_report, report_of, words_in
from examples.webhooks import deliver

__all__ = ["charge", "deliver", "no_report", "report_of", "set_price", "shrink", "strip", "words_in"]
