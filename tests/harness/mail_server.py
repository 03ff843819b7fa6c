"""A mail server for the tests: STARTTLS before anything else, AUTH, and a file for each mail it took.

    mail_server.py FOLDER CERTIFICATE KEY

Prints its port. Takes the user `logwarden` with the password in FOLDER/password. While FOLDER/refuse exists every mail
is answered with 451. Each mail becomes FOLDER/NNNN.json, parsed by Python's own reader of mails.
"""

import asyncio
import email
import email.policy
import itertools
import json
import pathlib
import ssl
import sys
import time

from aiosmtpd.smtp import SMTP, AuthResult


class Folder:
    """What the server asks: who may send, and what becomes of a mail."""

    def __init__(self, path):
        self.path = path
        self.password = (path / "password").read_bytes().strip()
        self.numbers = itertools.count()

    def authenticate(self, server, session, envelope, mechanism, data):
        login = getattr(data, "login", b"")
        good = login == b"logwarden" and getattr(data, "password", b"") == self.password
        return AuthResult(success=good, auth_data=login.decode("utf-8", "replace"))

    async def handle_DATA(self, server, session, envelope):
        if (self.path / "refuse").exists():
            return "451 4.3.0 try again later"
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = [part for part in mail.walk() if not part.is_multipart()]
        facts = {
            "received_unix_ms": time.time_ns() // 1_000_000,
            "user": session.auth_data if session.authenticated else None,
            "encrypted": session.ssl is not None,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": [[name, str(value)] for name, value in mail.items()],
            "raw_head": envelope.content.split(b"\r\n\r\n", 1)[0].decode("utf-8", "replace"),
            "defects": [repr(defect) for part in mail.walk() for defect in part.defects],
            "parts": [{"type": part.get_content_type(), "text": text_of(part)} for part in parts],
        }
        name = f"{next(self.numbers):04}.json"
        unfinished = self.path / (name + ".part")
        unfinished.write_text(json.dumps(facts), encoding="utf-8")
        unfinished.rename(self.path / name)
        return "250 2.0.0 taken"


def text_of(part):
    content = part.get_content()
    return content.decode("utf-8") if isinstance(content, bytes) else content


async def serve(folder, certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    owner = Folder(pathlib.Path(folder))

    def connection():
        return SMTP(
            owner,
            hostname="mail.test",
            tls_context=context,
            require_starttls=True,
            authenticator=owner.authenticate,
            auth_required=True,
            auth_require_tls=True,
        )

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
