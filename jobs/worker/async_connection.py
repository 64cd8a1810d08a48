"""A connection to PostgreSQL that nobody waits for: an event loop says when its answer has come.

A thread that waits for the database costs its process more than the statement does: each takes the interpreter from
the other, many times for every job.
"""

import select
from collections.abc import Sequence

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus

Row = tuple[bytes | None, ...]

#: What PostgreSQL says where two transactions were in each other's way, and one must be run again: it is, at once.
_AGAIN = frozenset({b"40001", b"40P01"})


class Line:
    """Runs one prepared statement at a time.

    The server keeps the plan of a prepared statement until something tells it that the tables have grown, which takes
    a minute or more; and a plan made for a small table reads all of it to find a few rows. So the statement is
    prepared anew whenever it has run twice as often as when it last was.
    """

    def __init__(self, connection: psycopg.Connection, statement: str) -> None:
        #: Where nothing is to be prepared, for the sake of a pooler, psycopg is told so too.
        self._prepares = connection.prepare_threshold is not None
        self._connection = connection
        self._pgconn = connection.pgconn
        self._fd = self._pgconn.socket
        self._statement = statement.encode()
        self._runs = 0
        self._prepared = 0
        self._parameters: Sequence[bytes] | None = None
        self._rows: list[Row] = []
        self._sent: Sequence[bytes] = ()
        self._failed = False

    def fileno(self) -> int:
        """Return what becomes readable when an answer, or a part of it, has come."""
        return self._fd

    def send(self, parameters: Sequence[bytes]) -> None:
        """Have the statement run. Raises psycopg.Error where the connection is gone."""
        self._runs += 1
        self._rows = []
        self._sent = parameters
        if not self._prepares:
            self._pgconn.send_query_params(self._statement, parameters)
            return
        if self._prepared == self._runs.bit_length():
            self._pgconn.send_query_prepared(self._name, parameters)
            return
        self._prepared = self._runs.bit_length()
        self._parameters = parameters
        self._pgconn.send_prepare(self._name, self._statement)

    def receive(self) -> list[Row] | None:
        """Take what has come. Returns the rows once all are there. Raises psycopg.Error where the statement failed."""
        self._pgconn.consume_input()
        while not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is not None:
                if result.error_field(DiagnosticField.SQLSTATE) in _AGAIN:
                    self._failed = True
                    continue
                if result.status not in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}:
                    raise psycopg.OperationalError(result.get_error_message())
                width = range(result.nfields)
                self._rows += [
                    tuple(result.get_value(row, column) for column in width) for row in range(result.ntuples)
                ]
            elif self._failed:
                self._failed = False
                self.send(self._sent)
            elif self._parameters is None:
                return self._rows
            else:
                parameters, self._parameters = self._parameters, None
                self._pgconn.send_query_prepared(self._name, parameters)
        return None

    def wait(self, seconds: float) -> list[Row]:
        """Return the rows, waiting at most so long for each part. Raises psycopg.Error where they do not come."""
        # Not `select`: it takes no descriptor above 1,023, and a large pool has more.
        waiting = select.poll()
        waiting.register(self, select.POLLIN)
        while (rows := self.receive()) is None:
            if not waiting.poll(seconds * 1000):
                raise psycopg.OperationalError(f"The database did not answer within {seconds:g} s.")
        return rows

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @property
    def _name(self) -> bytes:
        return f"jobs_{self._prepared}".encode()
