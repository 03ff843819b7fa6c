"""Shippers as Debian has them: each sends the events that stand on standard input, through its own way in.

Arguments: the shipper, and where to find the server (HTTP, TCP and UDP port, token). Each event is {text, level, extra}.
Ends when everything has been handed over; daemons are stopped in order, so that they send what they hold.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

shipper, http, tcp, udp, token = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
events = json.load(sys.stdin)
PRIORITY = {"info": 6, "warn": 4, "error": 3}
NAME = {"info": "info", "warn": "warning", "error": "err"}
UNPACKED = pathlib.Path(__file__).parents[3] / ".test-tools/syslog-ng"
os.environ["PATH"] += ":/usr/sbin:/sbin"
folder = pathlib.Path(tempfile.mkdtemp(prefix="shipper-"))


def logger(port, *options):
    for event in events:
        subprocess.run(["logger", "--server", "127.0.0.1", "--port", str(port), "--size", "64KiB", "--tag", "shop",
                        "--priority", f"user.{NAME[event['level']]}", *options, "--", event["text"]], check=True)


def until(look):
    deadline = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < deadline, "it does not start"
        time.sleep(0.02)
    return found


def connect(family, address):
    stream = socket.socket(family, socket.SOCK_STREAM)
    try:
        stream.connect(address)
        return stream
    except OSError:
        stream.close()


def daemon(command, way_in, header, environment=None):
    """Runs a daemon, hands it everything counted, so that line breaks stay inside, and ends it in order."""
    log = folder / "stderr"
    child = subprocess.Popen(command, env={**os.environ, "TZ": "UTC", **(environment or {})},
                             stdout=subprocess.DEVNULL, stderr=log.open("w"))

    def look():
        assert child.poll() is None, log.read_text()
        return connect(*way_in)
    try:
        with until(look) as stream:
            for event in events:
                message = (header % (8 + PRIORITY[event["level"]]) + event["text"]).encode()
                stream.sendall(b"%d %s" % (len(message), message))
        time.sleep(0.7)
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(60)


def rsyslog(action, modules=""):
    configuration = folder / "rsyslog.conf"
    configuration.write_text(f'''global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imptcp")
{modules}
input(type="imptcp" path="{folder}/in" unlink="on")
template(name="document" type="list" option.jsonf="on") {{
    property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="host" name="hostname" format="jsonf")
    property(outname="severity" name="syslogseverity-text" format="jsonf")
    property(outname="message" name="msg" position.from="2" format="jsonf")
}}
action({action} queue.type="LinkedList" queue.timeoutShutdown="20000" action.resumeRetryCount="3")
''')
    daemon(["rsyslogd", "-n", "-f", configuration, "-i", folder / "pid"], (socket.AF_UNIX, f"{folder}/in"),
           "<%d>Nov 22 04:22:59 web1 shop: ")


def forwarding(protocol, port, more=""):
    rsyslog(f'type="omfwd" target="127.0.0.1" port="{port}" protocol="{protocol}" {more}')


def syslog_ng(destination):
    modules = next(UNPACKED.glob("usr/lib/syslog-ng/*"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = folder / "syslog-ng.conf"
    configuration.write_text(f'''@version: 3.35
options {{ log-msg-size(65536); keep-hostname(yes); stats-freq(0); }};
source in {{ syslog(ip("127.0.0.1") port({port}) transport("tcp")); }};
destination out {{ {destination} }};
log {{ source(in); destination(out); }};
''')
    daemon([UNPACKED / "usr/sbin/syslog-ng", "--foreground", "--no-caps", "--cfgfile", configuration,
            "--module-path", modules, "--persist-file", folder / "persist", "--pidfile", folder / "pid",
            "--control", folder / "control"],
           (socket.AF_INET, ("127.0.0.1", port)), "<%d>1 2026-11-22T04:22:59Z web1 shop - - - ",
           {"LD_LIBRARY_PATH": str(modules.parent)})


def journal_upload():
    def field(name, text):
        return name.encode() + b"\n" + len(text.encode()).to_bytes(8, "little") + text.encode() + b"\n"
    entries = b""
    for number, event in enumerate(events):
        entries += b"__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n" % (1795321379961000 + number, 1000 + number)
        entries += b"_BOOT_ID=0123456789abcdef0123456789abcdef\nSYSLOG_IDENTIFIER=shop\n"
        entries += b"PRIORITY=%d\n" % PRIORITY[event["level"]] + field("MESSAGE", event["text"]) + b"\n"
    place = "/lib/systemd/systemd-journal-"
    subprocess.run([place + "remote", "--output", folder / "shop.journal", "-"], input=entries, check=True,
                   stderr=subprocess.DEVNULL)
    subprocess.run([place + "upload", f"--url=http://127.0.0.1:{http}", f"--directory={folder}", "--follow=no",
                    f"--save-state={folder}/state"], check=True, capture_output=True)


BULK = f'''http(url("http://127.0.0.1:{http}/_bulk") method("POST") user("shop") password("{token}")
    headers("Content-Type: application/x-ndjson") batch-lines(5) batch-timeout(100)
    body("{{\\"create\\":{{\\"_index\\":\\"logs\\"}}}}\\n$(format-json message=$MSG severity=$LEVEL @timestamp=$ISODATE)\\n"));'''
SHIPPERS = {
    "logger over TCP, counted": lambda: logger(tcp, "--tcp", "--octet-count", "--rfc5424"),
    "logger over UDP, RFC 5424": lambda: logger(udp, "--udp", "--rfc5424"),
    "logger over UDP, RFC 3164": lambda: logger(udp, "--udp", "--rfc3164"),
    "rsyslog over TCP": lambda: forwarding("tcp", tcp),
    "rsyslog over TCP, counted": lambda: forwarding(
        "tcp", tcp, 'TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format"'),
    "rsyslog over UDP": lambda: forwarding("udp", udp, 'template="RSYSLOG_ForwardFormat"'),
    "rsyslog, omrelp": lambda: rsyslog(
        f'type="omrelp" target="127.0.0.1" port="{tcp}" template="RSYSLOG_SyslogProtocol23Format"',
        'module(load="omrelp")'),
    "rsyslog, omelasticsearch": lambda: rsyslog(
        f'type="omelasticsearch" server="http://127.0.0.1:{http}" uid="shop" pwd="{token}" searchType="" '
        'searchIndex="logs" template="document" bulkmode="on" errorFile="' + str(folder) + '/errors"',
        'module(load="omelasticsearch")'),
    "syslog-ng, syslog()": lambda: syslog_ng(f'syslog("127.0.0.1" port({tcp}) transport("tcp"));'),
    "syslog-ng, network()": lambda: syslog_ng(f'network("127.0.0.1" port({tcp}) transport("tcp"));'),
    "syslog-ng, http()": lambda: syslog_ng(BULK),
    "systemd-journal-upload": journal_upload,
}
try:
    SHIPPERS[shipper]()
finally:
    shutil.rmtree(folder)
