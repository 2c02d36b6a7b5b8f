# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Six minutes of two plugins with a KMS, and a Prometheus that watches them: something for a dashboard to show."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grafana

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

# pylint: disable=wrong-import-position
from okms import OkmsMock  # noqa: E402
from peers import Plugin  # noqa: E402
from pki import Pki  # noqa: E402
from processes import Process, free_port  # noqa: E402

SCRAPE_SECONDS = 2
INSTANCES = ("cp-1", "cp-2")
KEYS = ("key-1", "key-2")
_USER = "client"  # the mock's name for the certificate
_HERD = 300  # records that a kube-apiserver wants when it starts
_OUTAGE = 100.0  # a minute of it is OkmsKmsNotReady


class Moments(NamedTuple):
    """Unix times."""

    begin: float
    in_outage: float
    end: float


class Story:
    """All of it is in `folder`, which is empty and has a short path."""

    def __init__(self, build: Path, folder: Path, rules: Path) -> None:
        self._build, self._folder, self._rules = build, folder, rules
        self._pki = Pki(folder / "pki")
        self._pki.add_client(_USER)
        port = free_port()
        keys = [f"id={key},material={os.urandom(32).hex()}" for key in KEYS]
        self._kms = OkmsMock(build / "okms-mock-kms", folder, keys, "--port", str(port),
                             "--delay", "2ms")
        self._key_file = folder / "key-id"
        self._pages = {name: f"127.0.0.1:{free_port()}" for name in INSTANCES}
        self._plugins = [
            Plugin(build / "okms-k8s-encryption-provider", build / "okms-kms-call", folder / name,
                   self._pki, f"localhost:{port}", key_id_file=self._key_file, user=_USER,
                   flags=("--status-listen", self._pages[name])) for name in INSTANCES]
        self._prometheus = Process("Prometheus", folder / "prometheus.log")
        self.address = f"127.0.0.1:{free_port()}"  # of Prometheus
        self._done = threading.Event()
        self._failed: list[BaseException] = []

    def start(self) -> None:
        self._folder.chmod(0o711)  # a plugin that root starts becomes another user
        self._take(self._pki.key(_USER), self._pki.key(_USER))
        self._use_key(KEYS[0])
        self._kms.start()
        for plugin in self._plugins:
            plugin.start()
            plugin.ready()
        config = self._folder / "prometheus.json"  # JSON is YAML
        config.write_text(json.dumps(self._configuration()))
        self._prometheus.start([
            "prometheus", f"--config.file={config}", "--log.level=warn",
            f"--storage.tsdb.path={self._folder / 'tsdb'}", f"--web.listen-address={self.address}"])
        self._prometheus.wait_until(self._is_seen, "two plugins that are up", 60)

    def run(self) -> Moments:
        begin = time.time()
        with self._load():
            self._pause(40)
            self._herd()
            self._pause(30)
            self._use_key(KEYS[1])  # cp-2 is to find it without a signal
            os.kill(self._plugins[0].process.pid, signal.SIGHUP)
            self._pause(75)
            self._pki.add_client("renewed")
            self._take(self._pki.key("renewed"), self._pki.key(_USER))
            self._reload()
            self._pause(25)  # half a pair is not taken
            self._take(self._pki.certificate("renewed"), self._pki.certificate(_USER))
            self._reload()
            self._pause(25)
            self._kms.process.stop()
            self._pause(_OUTAGE)
            in_outage = time.time()
            self._kms.start()
            for plugin in self._plugins:
                plugin.ready()
            self._pause(40)
        return Moments(begin, in_outage, time.time())

    def _configuration(self) -> dict[str, Any]:
        targets = [{"targets": [page], "labels": {"instance": name}}
                   for name, page in self._pages.items()]
        every = f"{SCRAPE_SECONDS}s"
        return {"global": {"scrape_interval": every, "scrape_timeout": "1s",
                           "evaluation_interval": every},
                "rule_files": [str(self._rules)],
                "scrape_configs": [{"job_name": "okms-kms", "static_configs": targets}]}

    def _is_seen(self) -> bool:
        try:
            found = grafana.prometheus(self.address)("query", {"query": "up"})
        except OSError:
            return False
        return [one["value"][1] for one in found] == ["1"] * len(INSTANCES)

    def _use_key(self, key: str) -> None:
        new = self._folder / "key-id.new"
        new.write_text(key)
        new.replace(self._key_file)

    def _reload(self) -> None:
        for plugin in self._plugins:
            os.kill(plugin.process.pid, signal.SIGHUP)

    @staticmethod
    def _take(new: Path, place: Path) -> None:
        new.chmod(0o644)  # for the plugin's user, whoever that is; nothing is worth a secret here
        new.replace(place)

    def _herd(self) -> None:
        subprocess.run([str(self._build / "okms-bench"), "--sock", str(self._plugins[0].socket),
                        "--op", "herd", "--records", str(_HERD)],
                       stdout=subprocess.DEVNULL, check=True)

    @contextlib.contextmanager
    def _load(self) -> Iterator[None]:
        """As of a kube-apiserver beside each plugin."""
        threads = [threading.Thread(target=self._calls, args=(plugin,)) for plugin in self._plugins]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._done.set()
            for thread in threads:
                thread.join()
        if self._failed:
            raise self._failed[0]

    def _calls(self, plugin: Plugin) -> None:
        records: list[dict[str, Any]] = []
        turn = 0
        try:
            while not self._done.wait(0.4):
                if turn % 20 == 0:
                    plugin.status()
                turn += 1
                answer = plugin.encrypt(os.urandom(32))
                records += [answer.body] if answer.ok else []
                if records:
                    plugin.decrypt(random.choice(records))
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            self._failed.append(error)
            self._done.set()

    def _pause(self, seconds: float) -> None:
        """Time for the picture to have a course; ends sooner when the load has failed."""
        self._done.wait(seconds)
        if self._failed:
            raise RuntimeError("the load ended") from self._failed[0]
