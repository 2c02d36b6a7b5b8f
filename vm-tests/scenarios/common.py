# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# What several scenarios use. Comes before each of them in the same name space; `machine` and
# `subtest` are the driver's, and so is INSTANCE: of the units that the scenarios are about, "" being
# the plain pair.

import base64
import json
import shlex
from typing import Any

PLUGIN = "okms-k8s-encryption-provider"
SEED = "5eed" * 16


def service_of(instance: str) -> str:
    return f"{PLUGIN}@{instance}.service" if instance else f"{PLUGIN}.service"


def socket_of(instance: str) -> str:
    return f"{PLUGIN}@{instance}.socket" if instance else f"{PLUGIN}.socket"


def path_of(instance: str) -> str:
    return f"/run/{PLUGIN}/{instance}/kms.sock" if instance else f"/run/{PLUGIN}/kms.sock"


SERVICE = service_of(INSTANCE)
SOCKET = socket_of(INSTANCE)
PATH = path_of(INSTANCE)
PAGES = f"{PLUGIN}-status@{INSTANCE}.socket" if INSTANCE else f"{PLUGIN}-status.socket"
PAGES_PATH = PATH.replace("kms.sock", "status.sock")
BUS_INTERFACE = "internal.okms.Kms1"
BUS_PATH = "/internal/okms/Kms1"
RENEW = f"{PLUGIN}-renew@{INSTANCE}.service" if INSTANCE else f"{PLUGIN}-renew.service"
RENEW_PATH, RENEW_TIMER = RENEW.replace(".service", ".path"), RENEW.replace(".service", ".timer")


def bus_name_of(instance: str) -> str:
    return f"{BUS_INTERFACE}.{instance}" if instance else BUS_INTERFACE


def as_user(user: str) -> str:
    """Comes before a command: with that user's groups and no other."""
    return f"setpriv --reuid={user} --regid={user} --init-groups"


def call(*words: str, path: str = PATH, user: str = "root", timeout: str = "20s") -> str:
    """A command that makes one call of the KMS v2 service."""
    command = f"okms-kms-call --sock {path} --timeout {timeout} {shlex.join(words)}"
    return command if user == "root" else f"{as_user(user)} {command}"


def status(path: str = PATH) -> dict[str, str]:
    reply: dict[str, str] = json.loads(machine.succeed(call("status", path=path)))
    return reply


def encrypt(path: str = PATH) -> dict[str, str]:
    record: dict[str, str] = json.loads(machine.succeed(call("encrypt", SEED, path=path)))
    return record


def decrypt_command(record: dict[str, str], path: str = PATH, user: str = "root",
                    timeout: str = "20s") -> str:
    command = call("decrypt", path=path, user=user, timeout=timeout)
    return f"{command} <<< {shlex.quote(json.dumps(record))}"


def round_trip(path: str = PATH) -> None:
    answer = machine.succeed(decrypt_command(encrypt(path), path=path))
    assert json.loads(answer) == {"plaintext": SEED}, answer


def unit(name: str, what: str) -> str:
    return machine.get_unit_property(what, name)


def status_text(service: str = SERVICE) -> str:
    return unit("StatusText", service)


def wait_for_status_text(part: str, service: str = SERVICE, timeout: int = 60) -> None:
    machine.wait_until_succeeds(
        f"systemctl show --value --property=StatusText {shlex.quote(service)} "
        f"| grep -F -- {shlex.quote(part)} >/dev/null", timeout=timeout)


def wait_for_journal(part: str, service: str = SERVICE, timeout: int = 30) -> None:
    """A line of the service, or about it."""
    machine.wait_until_succeeds(
        f"journalctl --sync; journalctl --no-pager --output=cat --unit={shlex.quote(service)} "
        f"| grep -F -- {shlex.quote(part)} >/dev/null", timeout=timeout)


def page(name: str, user: str = "root", path: str = PAGES_PATH) -> str:
    """A command that gets one of the status pages."""
    command = f"curl --silent --show-error --max-time 20 --unix-socket {path} http://localhost/{name}"
    return command if user == "root" else f"{as_user(user)} {command}"


def bus(verb: str, what: str = "", user: str = "root", instance: str = INSTANCE) -> str:
    """A command that asks an instance on the system bus."""
    command = f"busctl --system --timeout=20 {verb} {bus_name_of(instance)} {BUS_PATH} {what}"
    return command if user == "root" else f"{as_user(user)} {command}"


def wait_for_property(name: str, value: str, instance: str = INSTANCE) -> None:
    show = bus("get-property", f"{BUS_INTERFACE} {name}", instance=instance)
    machine.wait_until_succeeds(f"{show} | grep -Fx -- {shlex.quote(value)}", timeout=60)


def drop_in(what: str, text: str, name: str = "test") -> None:
    """Until the next boot. Takes effect when the unit starts again."""
    folder = f"/run/systemd/system/{what}.d"
    machine.succeed(f"mkdir -p {folder}",
                    f"printf %s {shlex.quote(text)} > {folder}/{name}.conf",
                    "systemctl daemon-reload")


def remove_drop_in(what: str, name: str = "test") -> None:
    machine.succeed(f"rm /run/systemd/system/{what}.d/{name}.conf", "systemctl daemon-reload")


def asked_the_kms(operation: str) -> int:
    """How often the KMS was asked for it so far."""
    show = "journalctl --sync; journalctl --no-pager --output=cat --unit=okms-mock-kms.service"
    lines = f"{show} | {{ grep -F 'asked so far:' || true; }}"
    before = len(machine.succeed(lines).splitlines())
    machine.succeed("systemctl kill --signal=USR1 okms-mock-kms.service")
    machine.wait_until_succeeds(f"[ $({lines} | wc -l) -gt {before} ]", timeout=30)
    words = machine.succeed(lines).splitlines()[-1].split()
    return int(words[words.index(operation) + 1]) if operation in words else 0


def start_load(seconds: int, clients: int = 8) -> None:
    """Clients that call without pause, beside whatever the scenario does meanwhile. Returns when
    their calls reach the KMS."""
    before = asked_the_kms("Decrypt")
    machine.succeed("rm -f /run/load.json; systemctl reset-failed load.service || true")
    machine.succeed("systemd-run --quiet --unit=load --property=StandardOutput=file:/run/load.json "
                    f"okms-bench --sock {PATH} --clients {clients} --connections {clients} "
                    f"--seconds {seconds}")
    while asked_the_kms("Decrypt") < before + 100:
        machine.succeed("systemctl is-active load.service")


def finish_load() -> dict[str, Any]:
    machine.wait_until_succeeds("test -s /run/load.json", timeout=60)
    load: dict[str, Any] = json.loads(machine.succeed("cat /run/load.json"))
    return load


# Connects again and again, a little later than the time before, and counts how it went.
KNOCKER = """
import json, os, signal, socket, sys, time
path, pause = sys.argv[1], float(sys.argv[2])
counts, going = {}, True
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
while going:
    knock = socket.socket(socket.AF_UNIX)
    knock.settimeout(5)
    try:
        knock.connect(path)
        outcome = "connected"
    except OSError as error:
        outcome = type(error).__name__
    knock.close()
    counts[outcome] = counts.get(outcome, 0) + 1
    time.sleep(pause)
print(json.dumps(counts), flush=True)
"""


def start_knocking(pause: float) -> None:
    machine.succeed(f"printf %s {shlex.quote(KNOCKER)} > /run/knocker.py; rm -f /run/knocks.json",
                    "systemd-run --quiet --unit=knocker --collect "
                    "--property=StandardOutput=file:/run/knocks.json "
                    f"python3 /run/knocker.py {PATH} {pause}")


def stop_knocking() -> dict[str, int]:
    machine.succeed("systemctl stop knocker.service")
    counts: dict[str, int] = json.loads(machine.succeed("cat /run/knocks.json"))
    return counts


# Of kube-apiserver and etcd.

API = "https://127.0.0.1:6443"
ETCD = "http://127.0.0.1:2379"


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def api(path: str, *options: str) -> str:
    """A command; its status is not 0 when the apiserver refuses."""
    return shlex.join(["curl", "--silent", "--show-error", "--fail-with-body", "--insecure",
                       "--max-time", "20", "--header", "Authorization: Bearer admin", *options,
                       API + path])


def send(method: str, path: str, body: dict[str, Any]) -> None:
    machine.succeed(api(path, "--request", method, "--header", "Content-Type: application/json",
                        "--data", json.dumps(body)))


def get(path: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(machine.succeed(api(path)))
    return answer


def create_secret(name: str, value: str) -> None:
    send("POST", "/api/v1/namespaces/default/secrets",
         {"metadata": {"name": name}, "data": {"value": encoded(value)}})


def read_secret(name: str) -> str:
    secret = get(f"/api/v1/namespaces/default/secrets/{name}")
    return base64.b64decode(secret["data"]["value"]).decode()


def etcd(call_name: str, **fields: str) -> dict[str, Any]:
    """Keys and values go in base64."""
    answer: dict[str, Any] = json.loads(machine.succeed(
        shlex.join(["curl", "--silent", "--fail", "--data", json.dumps(fields),
                    f"{ETCD}/v3/kv/{call_name}"])))
    return answer


def stored(key: str) -> bytes:
    return base64.b64decode(etcd("range", key=encoded(key))["kvs"][0]["value"])


def wait_until_ready() -> None:
    machine.wait_for_unit("kube-apiserver.service", timeout=120)
    machine.wait_until_succeeds(api("/readyz"), timeout=120)
    machine.wait_until_succeeds(api("/api/v1/namespaces/default"), timeout=60)
