# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""etcd and kube-apiserver as units of the machine, which start with it. What kube-apiserver has to do
with the provider comes with the latter's units."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from overlay import TOOLS, Overlay
from units import Encryption

PROGRAMS = ("kube-apiserver", "etcd")
_FOLDER = "/etc/control-plane"
_ETCD = f"""\
[Unit]
Description=etcd
[Service]
Type=notify
StateDirectory=etcd
ExecStart={TOOLS}/etcd --data-dir /var/lib/etcd \\
  --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379
[Install]
WantedBy=multi-user.target
"""


def install(disk: Overlay, programs: Path, encryption: Encryption) -> None:
    for program in PROGRAMS:
        shutil.copy(programs / program, disk.path(TOOLS))
    folder = disk.path(_FOLDER)
    folder.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                    "-subj", "/CN=kube-apiserver", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")],
                   check=True, capture_output=True)
    disk.write(f"{_FOLDER}/tokens.csv", "admin,admin,admin,system:masters\n", 0o600)
    disk.write(encryption.path, json.dumps(encryption.configuration))
    disk.write("/etc/sysusers.d/control-plane.conf", "u kubernetes -\n")
    disk.add_users()
    subprocess.run(["chroot", str(disk.root), "chown", "-R", "kubernetes:", _FOLDER], check=True)
    disk.write("/etc/systemd/system/etcd.service", _ETCD)
    disk.write("/etc/systemd/system/kube-apiserver.service", _apiserver(encryption))
    disk.enable("etcd.service", "kube-apiserver.service")


def _apiserver(encryption: Encryption) -> str:
    return f"""\
[Unit]
Description=kube-apiserver
Wants={' '.join(encryption.wants)}
After=etcd.service {' '.join(encryption.after)}
[Service]
Type=notify
User=kubernetes
SupplementaryGroups={' '.join(encryption.groups)}
Restart=on-failure
WorkingDirectory={_FOLDER}
ExecStart={TOOLS}/kube-apiserver --etcd-servers http://127.0.0.1:2379 \\
  --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --secure-port 6443 \\
  --tls-cert-file tls.crt --tls-private-key-file tls.key \\
  --token-auth-file tokens.csv --authorization-mode RBAC \\
  --service-account-issuer https://localhost \\
  --service-account-key-file tls.key --service-account-signing-key-file tls.key \\
  --service-cluster-ip-range 10.0.0.0/24 --endpoint-reconciler-type none \\
  --disable-admission-plugins ServiceAccount {encryption.options}
[Install]
WantedBy=multi-user.target
"""
