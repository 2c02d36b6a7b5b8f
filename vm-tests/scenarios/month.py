# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# Certificates of 24 hours for thirty days, by the clock of this machine, which is moved. Each day something
# comes at noon that is no renewal, and the renewal an hour before the end. Under load no call fails, and each
# process stays: of the service, whose credentials are mounted anew as systemd does it from 260 on, and of
# one in a folder like a pod's, in which `..data` is swung.
# lanes: qemu
# units: installed

import itertools

start_all()
machine.wait_for_unit("okms-mock-kms.service")
DAYS = 32  # of 23 hours
PKI = "/var/lib/okms-mock-kms/pki"
FILES = "/var/lib/pod"  # credentials, where the service's namespace has them, too
POD, POD_SOCKET = "pod.service", "/run/pod/kms.sock"
TAKEN, REFUSED, ENDS = "certificates read again: ", "certificates on disk are not taken: ", ": expires on "
# Why what is no renewal is refused; each in its turn.
WHY = ("is broken", "is broken", "the KMS refuses our certificate", "expired on")
CERTIFICATE = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost"
SIGNED = f"-CA {FILES}/ca.pem -CAkey {FILES}/ca.key"

# The days, in one process: each that is started takes long here.
MONTH = """
import json, os, shutil, signal, subprocess, sys, time
days, of = int(sys.argv[1]), json.loads(sys.argv[2])  # of: each one's process
CERTIFICATE, FILES, REFUSED = sys.argv[3:]
service = next(iter(of))
user = os.stat(FILES).st_uid
os.chdir(FILES)

def pass_hours(hours):
    time.clock_settime(time.CLOCK_REALTIME, time.time() + hours * 3600)

# Credentials of 24 hours from now, in a folder beside the links.
def issue(name, ca="ca", spoil=lambda certificate: certificate):
    os.mkdir(name)
    certificate, key = name + "/client-cert", name + "/client-key"
    subprocess.run([*CERTIFICATE.split(), "-days", "1", "-CA", ca + ".pem", "-CAkey", ca + ".key",
                    "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    with open(certificate) as file:
        text = file.read()
    with open(certificate, "w") as file:
        file.write(spoil(text))
    shutil.copy("ca.pem", name + "/ca")
    for path in (name, name + "/ca", certificate, key):
        os.chown(path, user, -1)

# Puts them where both processes look, and waits until so many of them refuse them in their lines of state.
def put(name, refused):
    os.symlink(name, "next")
    os.rename("next", "..data")
    subprocess.run(["nsenter", "--target", of[service], "--mount", "mount", "--bind", "--make-private",
                    FILES + "/" + name, "/run/credentials/" + service], check=True)
    for process in of.values():
        os.kill(int(process), signal.SIGHUP)
    show = ["systemctl", "show", "--value", "--property=StatusText", *of]
    while subprocess.run(show, check=True, capture_output=True, text=True).stdout.count(REFUSED) != refused:
        time.sleep(0.1)

wrong = (lambda day, name: issue(name, spoil=lambda text: text[:40] + "AAAA" + text[44:]),
         lambda day, name: issue(name, spoil=lambda text: text[:400]),
         lambda day, name: issue(name, ca="other"),
         lambda day, name: os.symlink(f"day-{day - 2}", name))
for day in range(days):
    pass_hours(12)
    wrong[day % 4](day, f"wrong-{day}")
    put(f"wrong-{day}", refused=2)
    pass_hours(11)
    issue(f"day-{day}")
    put(f"day-{day}", refused=0)
"""


def lines(service: str, *of: str) -> list[str]:
    text = machine.succeed("journalctl --sync", f"journalctl --no-pager --output=cat --unit={service}")
    return [line for line in text.splitlines() if any(part in line for part in of)]


def start_load_of(name: str, socket: str) -> None:
    machine.succeed(f"systemd-run --quiet --unit=load-{name} "
                    f"--property=StandardOutput=file:/run/load-{name}.json "
                    # Or nobody else would come to his turn.
                    "--property=CPUSchedulingPolicy=idle "
                    f"okms-bench --sock {socket} --op encrypt --clients 1 --beside 2 --connections 3 "
                    "--seconds 600")


def finish_load_of(name: str) -> None:
    machine.succeed(f"systemctl is-active load-{name}", f"systemctl stop load-{name}")
    load = json.loads(machine.succeed(f"cat /run/load-{name}.json"))
    machine.log(f"{name}: {load['calls']} Encrypts, {load['beside']['calls']} Decrypts")
    assert load["errors"] == 0 and load["calls"] > 100, load
    assert load["beside"]["errors"] == 0 and load["beside"]["calls"] > 100, load


def make(name: str, options: str) -> str:
    """A command that makes that certificate and key."""
    return f"{CERTIFICATE} {options} -keyout {name}.key -out {name}.pem 2>&1"


# Authorities that live longer than all of this, and a server of one of them.
machine.succeed(f"systemctl stop {RENEW_PATH} {RENEW_TIMER} {RENEW} {SOCKET} {SERVICE}",
                f"mkdir -p {FILES}/first /run/pod; chown okms-kms {FILES} /run/pod; cd {FILES}; "
                f"{make('ca', '-days 60')}; {make('other', '-days 60')}; "
                f"cp ca.pem {PKI}/; cp ca.pem /etc/credstore/{PLUGIN}.ca; cd {PKI}; "
                + make("server", f"{SIGNED} -days 60 -addext subjectAltName=DNS:localhost"),
                f"systemctl restart okms-mock-kms.service; cd /etc/{PLUGIN}; "
                f"{make('client', f'{SIGNED} -days 1')}; cp client.pem {FILES}/first/client-cert; "
                f"cp client.key {FILES}/first/client-key; cd {FILES}; cp ca.pem first/ca; "
                "chown -R okms-kms first; ln -s first ..data; "
                "for name in client-cert client-key ca; do ln -s ..data/$name $name; done",
                f"systemctl start {SOCKET}")
round_trip()
machine.succeed(f"systemctl stop {RENEW_PATH} {RENEW_TIMER} {RENEW}",  # which are for the systemd of before
                f"program=$(systemctl cat {SERVICE} | sed -n 's/^ExecStart=//p'); "
                f"systemd-run --quiet --unit={POD} --property=Type=notify --property=User=okms-kms "
                f"--property=EnvironmentFile=/etc/{PLUGIN}/environment $program --sock {POD_SOCKET} "
                f"--client-cert {FILES}/client-cert --client-key {FILES}/client-key --ca {FILES}/ca")
round_trip(POD_SOCKET)
process = {name: unit("MainPID", name) for name in (SERVICE, POD)}

with subtest("thirty days, each with something that is no renewal, and one: no call fails"):
    start_load_of("service", PATH)
    start_load_of("pod", POD_SOCKET)
    machine.succeed(f"nice -n -15 python3 -c {shlex.quote(MONTH)} {DAYS} {shlex.quote(json.dumps(process))} "
                    f"{shlex.quote(CERTIFICATE)} {FILES} {shlex.quote(REFUSED)}", timeout=580)
    finish_load_of("service")
    finish_load_of("pod")

with subtest("each refusal, each renewal, and each end in sight was said, by the processes of the beginning"):
    for service, pid in process.items():
        assert unit("MainPID", service) == pid
        # It may have looked by itself before the signal, which is answered by the same line again.
        outcomes = [list(group) for _, group in itertools.groupby(lines(service, TAKEN, REFUSED),
                                                                  lambda line: TAKEN in line)]
        assert len(outcomes) == 2 * DAYS, outcomes
        for day in range(DAYS):
            refusals, renewals = outcomes[2 * day:2 * day + 2]
            assert all(REFUSED in line and WHY[day % len(WHY)] in line for line in refusals), refusals
            assert len(renewals) == 1 and TAKEN in renewals[0], renewals
        ends = lines(service, ENDS)
        assert len(ends) == DAYS and all("left: renew it" in line for line in ends), ends
