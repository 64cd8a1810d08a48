"""The ledger's tables: fields, constraints and indexes."""

from jobs.models.alert import AlertNotice, AlertTarget, AlertWatch, Incident
from jobs.models.attempt_log import AttemptLog
from jobs.models.breaker import BreakerChange, CircuitBreaker
from jobs.models.dead_letter import DeadLetter
from jobs.models.flow_rule import FlowRule
from jobs.models.group import JobGroup
from jobs.models.job import Attempt, Job
from jobs.models.message import BrokerMessage
from jobs.models.operator_action import OperatorAction
from jobs.models.queue import Queue
from jobs.models.schedule_run import ScheduleRun
from jobs.models.step import Step
from jobs.models.tally import Tally, TallyMark
from jobs.models.token import ApiToken
from jobs.models.turn import Turn
from jobs.models.unique_call import UniqueCall
from jobs.models.waiter import Waiter
from jobs.models.webhook import Webhook, WebhookDelivery
from jobs.models.worker import Worker

__all__ = [
    "AlertNotice",
    "AlertTarget",
    "AlertWatch",
    "ApiToken",
    "Attempt",
    "AttemptLog",
    "BreakerChange",
    "BrokerMessage",
    "CircuitBreaker",
    "DeadLetter",
    "FlowRule",
    "Incident",
    "Job",
    "JobGroup",
    "OperatorAction",
    "Queue",
    "ScheduleRun",
    "Step",
    "Tally",
    "TallyMark",
    "Turn",
    "UniqueCall",
    "Waiter",
    "Webhook",
    "WebhookDelivery",
    "Worker",
]
