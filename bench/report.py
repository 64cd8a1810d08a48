"""From figures to a page that says what was measured, how, on what machine."""

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version
from statistics import median

from bench.rounds import Figures
from bench.variants import OURS, Pool, Variant

#: All rounds' figures of each variant in each pool.
Results = Mapping[tuple[Pool, Variant], Sequence[Figures]]


def report(results: Results, options: object, versions: Mapping[str, str]) -> str:
    return ""
