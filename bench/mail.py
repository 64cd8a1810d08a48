"""`python -m bench.mail`: mails a second over a connection that stays open, and over one for each mail."""

import argparse
import logging
import os
import tempfile
from email.message import EmailMessage
from functools import partial
from pathlib import Path

from bench.ways import Way, table, times, took
from mail import addresses
from mail.client import deliver, disconnect
from mail.conf import SmtpConf
from tests.servers.smtp import SmtpServer


def main() -> None:
    """Measure, with STARTTLS and a login as in production, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.mail", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mails", type=int, default=500)
    options = parser.parse_args()
    # The server's own, one line for each login.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    single, kept = Way("a connection for each mail"), Way("one that stays open")
    with tempfile.TemporaryDirectory(prefix="nightshift-bench-") as name:
        server = SmtpServer(Path(name), tls="starttls", login=("user", "password")).start()
        os.environ["SSL_CERT_FILE"] = str(server.certificate)
        conf = SmtpConf("localhost", server.port, "user", "password")
        try:
            for _ in range(options.rounds):
                for way in (single, kept):
                    way.add(options.mails, took(partial(_send, conf, options.mails, keep=way is kept)))
        finally:
            server.stop()
    print(table("sending over", "mails", [single, kept]))
    print(f"\nA connection that stays open sends {times(kept, single)} times as many (median of the rounds).")


def _send(conf: SmtpConf, mails: int, *, keep: bool) -> None:
    sender, recipient = addresses.parse("from@example.com"), addresses.parse("to@example.com")
    message = EmailMessage()
    message["Subject"] = "A mail"
    message.set_content("A line of text.\n" * 100)
    disconnect()
    for _ in range(mails):
        deliver(conf, message, sender=sender, recipient=recipient)
        if not keep:
            disconnect()


if __name__ == "__main__":
    main()
