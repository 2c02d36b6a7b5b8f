# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The KMS is away when the plugin starts, comes, goes and comes back: the plugin starts all the same,
# says what is the matter, and recovers by itself.
# lanes: nspawn

start_all()
machine.wait_for_unit("okms-mock-kms.service")
machine.succeed("systemctl stop okms-mock-kms.service")


def status_says(part: str) -> None:
    answer = machine.fail(call("status"))
    assert part in answer and "UNAVAILABLE" in answer, answer


def wait_for_refusal() -> None:
    machine.wait_until_succeeds(
        f"{{ {call('status')} || true; }} | grep -F 'Connection refused' >/dev/null", timeout=20)


with subtest("it starts without the KMS, and Status says why it does not serve"):
    wait_for_refusal()
    machine.wait_for_unit(SERVICE)
    status_says("Connection refused")

with subtest("systemctl status says it too"):
    wait_for_status_text("Connection refused")

with subtest("when the KMS comes, it serves"):
    machine.succeed("systemctl start okms-mock-kms.service")
    machine.wait_until_succeeds(call("status"), timeout=30)
    round_trip()
    wait_for_status_text("serving; key ")
    record = encrypt()

with subtest("when the KMS goes, it says so, and since when"):
    machine.succeed("systemctl stop okms-mock-kms.service")
    machine.fail(decrypt_command(record))
    wait_for_status_text("KMS unreachable for")
    wait_for_refusal()  # after ten seconds of silence
    status_says("Connection refused")

with subtest("when the KMS is back, old records can be read"):
    machine.succeed("systemctl start okms-mock-kms.service")
    machine.wait_until_succeeds(decrypt_command(record), timeout=30)
    machine.wait_until_succeeds(call("status"), timeout=30)
    wait_for_status_text("serving; key ")

with subtest("all in one process"):
    assert unit("NRestarts", SERVICE) == "0"
