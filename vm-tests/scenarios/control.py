# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The control program beside the unit that systemd runs: what it says of it, before and after the start.
# lanes: nspawn
# units: installed

CONTROL = "okms-kms-ctl"


def check(*arguments: str, status: int) -> dict[str, str]:
    result, said = machine.execute(" ".join((CONTROL, "check -o json --unit", SERVICE, *arguments)))
    assert result == status, f"{result}: {said}"
    return {finding["id"]: finding["outcome"] for finding in json.loads(said)["findings"]}


start_all()
machine.wait_for_unit("okms-mock-kms.service")

with subtest("before the start only the plugin is missing"):
    found = check(status=3)
    assert found.pop("socket.status") != "passed"
    assert set(found.values()) <= {"passed", "warning", "unknown", "skipped"}, found

with subtest("it reads the unit's credentials and variables, and finds nothing wrong"):
    round_trip()
    found = check("--as member", status=0)
    assert found["config.source"] == found["files.readers"] == found["key.round-trip"] == "passed", found
    assert found["socket.status"] == found["socket.as-user"] == "passed", found
    assert set(found.values()) <= {"passed", "warning"}, found

with subtest("a stranger is told apart"):
    found = check("--as stranger", status=1)
    assert found["socket.as-user"] == "failed" and found["socket.status"] == "passed", found

with subtest("everybody can ask how it is, on the bus"):
    said = machine.succeed(f"{as_user('stranger')} {CONTROL} status --wait")
    assert said.startswith("ready\n") and "on the system bus" in said, said

with subtest("a report for others has the unit and the log in it, and no key"):
    said = machine.succeed(f"{CONTROL} bugreport")
    assert "encrypts and decrypts" in said and SERVICE in said, said
    assert "PRIVATE KEY" not in said, said

with subtest("without the KMS it names what is away, and what that keeps from being seen"):
    machine.succeed("systemctl stop okms-mock-kms.service")
    found = check(status=1)
    assert found["endpoint.connect"] == "failed" and found["key.round-trip"] == "skipped", found
