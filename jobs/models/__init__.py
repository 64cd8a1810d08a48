"""The ledger's tables: fields, constraints and indexes."""

from jobs.models.dead_letter import DeadLetter
from jobs.models.house import ApiToken, OperatorAction, Queue, ScheduleRun, Worker
from jobs.models.job import Attempt, Job
from jobs.models.message import BrokerMessage
from jobs.models.tally import Tally, TallyMark

__all__ = [
    "ApiToken",
    "Attempt",
    "BrokerMessage",
    "DeadLetter",
    "Job",
    "OperatorAction",
    "Queue",
    "ScheduleRun",
    "Tally",
    "TallyMark",
    "Worker",
]
