#!/usr/bin/env python3
# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Checks that the #include lines of src/ keep to the layers.

Usage: layers.py SRC. First it checks itself, on lines that must be found and lines that must not.
"""

import pathlib
import re
import sys

# Which layers each one may include, besides itself. main.cc may include all, as may app/, which is
# what its steps are made of, and ctl/, which is another program.
USES = {
    "base": set(),
    "net": {"base"},
    "core": {"base"},
    "kmip": {"base", "net", "core"},
    "http": {"base", "net"},
    "rest": {"base", "core", "http"},
    "service": {"base", "net", "core"},
    "control": {"base"},
    "sandbox": {"base"},
    "config": {"base", "net"},
    "audit": {"base", "core", "net"},
}
USES["app"] = set(USES)
USES["client"] = {"base"}
USES["doctor"] = set(USES)
USES["ctl"] = set(USES)
USES["conformance"] = {"base", "client", "config", "core"}  # another program, too
GENERATED = {"version.h"}  # of the top folder

# The files that see gRPC.
GRPC = {"client/kms_client.cc", "service/completions.cc", "service/completions.h",
        "service/health_service.cc", "service/health_service.h", "service/kms_server.cc",
        "service/kms_service.cc", "service/kms_service.h", "service/other_calls.cc",
        "service/other_calls.h"}
ETCD = {"audit/etcd.cc", "audit/etcd_client.cc", "audit/etcd_client.h", "audit/etcd_history.cc",
        "audit/etcd_watch.cc", "audit/etcd_watch.h"}

# Headers of other projects that only some files may see.
# Each row: what the header's name begins with, and the files or layers that may include it.
RESTRICTED = [
    ("grpcpp/", GRPC | ETCD),
    ("grpc/", GRPC),
    ("etcd/", ETCD),
    ("google/protobuf/", GRPC | {"audit/wire.cc"}),
    ("kms/v2/", GRPC),
    ("openssl/crypto.h", {"net", "base/secret.h"}),
    ("openssl/evp.h", {"net", "audit/sha256.cc"}),
    ("openssl/err.h", {"net", "base/status.cc"}),
    ("openssl/rand.h", {"net", "core", "kmip", "http"}),
    ("openssl/sha.h", {"core/key_id_hash.cc"}),
    ("openssl/ssl.h", {"net", "http/libcurl.cc"}),
    ("openssl/", {"net"}),
    ("ares", {"net/lookup.cc"}),
    ("curl/", {"http/libcurl.h"}),
    ("nlohmann/", {"rest", "control/report_json.cc", "app/status_pages.cc", "conformance/report.cc", "ctl",
                   "doctor/report.cc", "audit/creation_time.cc", "audit/plan.h", "audit/plan_json.cc",
                   "audit/proof.cc", "audit/proof.h", "audit/report.h", "audit/report_json.cc"}),
    ("yaml-cpp/", {"ctl/encryption_file.cc", "doctor/encryption_config.cc"}),
    ("boost/endian/", {"audit"}),
    ("boost/", {"control/http_request.cc", "ctl/http_get.cc"}),
    ("CLI/", {"config/flags.cc", "config/wrong_argument.cc", "conformance/main.cc", "ctl"}),
    ("seccomp.h", {"sandbox/seccomp.cc"}),
    ("cap-ng.h", {"sandbox/privileges.cc"}),
    ("systemd/sd-bus.h", {"control", "ctl/bus_report.cc"}),
    ("systemd/sd-event.h", {"control"}),
    ("systemd/sd-daemon.h", {"control", "service/listen_socket.cc"}),
    ("systemd/", set()),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def mistakes(name, text):
    """What is wrong in the file `name` (relative to src/): a list of "name:line: reason"."""
    layer = name.split("/")[0] if "/" in name else None
    found = []
    if layer is not None and layer not in USES:
        return [f"{name}:1: {layer} is no layer that this check knows"]
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match is None:
            continue
        header = match.group(2)
        for beginning, allowed in RESTRICTED:
            if header.startswith(beginning):
                if name not in allowed and layer not in allowed:
                    found.append(f"{name}:{number}: may not include {header}")
                break
        other = header.split("/")[0]
        if match.group(1) == '"' and "/" not in header and header not in GENERATED:
            found.append(f"{name}:{number}: {header} is named without its layer")
        if other in USES and layer is not None and other != layer and other not in USES[layer]:
            found.append(f"{name}:{number}: {layer} may not include {other}: {header}")
    return found


def self_test():
    wrong = [
        ("core/key_manager.cc", '#include "kmip/session.h"'),
        ("core/key_manager.cc", '#include "net/channel.h"'),
        ("base/log.cc", '#include "core/backend.h"'),
        ("net/resolver.cc", '#include "core/backend.h"'),
        ("kmip/session.cc", '#include "service/listener.h"'),
        ("service/listener.cc", '#include "kmip/session.h"'),
        ("control/event_loop.cc", '#include "net/channel.h"'),
        ("config/config.cc", '#include "core/limits.h"'),
        ("service/listener.cc", "#include <grpcpp/grpcpp.h>"),
        ("app/kms.cc", '#include "ctl/subcommand.h"'),
        ("service/kms_server.h", "#include <grpcpp/grpcpp.h>"),
        ("conformance/run.cc", "#include <grpcpp/grpcpp.h>"),
        ("conformance/run.cc", '#include "service/kms_server.h"'),
        ("app/run.cc", '#include "client/kms_client.h"'),
        ("main.cc", '#include "kms/v2/api.grpc.pb.h"'),
        ("config/config.cc", '#include "app/check_config.h"'),
        ("app/kms.cc", "#include <curl/curl.h>"),
        ("kmip/kmip_backend.cc", "#include <openssl/ssl.h>"),
        ("kmip/kmip_backend.cc", "#include <openssl/err.h>"),
        ("core/key_manager.cc", "  #  include <openssl/evp.h>"),
        ("base/log.cc", "#include <openssl/crypto.h>"),
        ("base/secret.h", "#include <openssl/evp.h>"),
        ("main.cc", "#include <openssl/ssl.h>"),
        ("kmip/session.cc", '#include "session.h"'),
        ("kmip/session.cc", '#include "http/http_client.h"'),
        ("http/http_client.h", '#include "core/backend.h"'),
        ("http/http_client.h", '#include "rest/answer.h"'),
        ("http/proxy.cc", "#include <openssl/ssl.h>"),
        ("rest/rest_backend.cc", '#include "net/io_loop.h"'),
        ("rest/rest_backend.cc", "#include <curl/curl.h>"),
        ("http/curl_client.cc", "#include <ares.h>"),
        ("net/resolver.cc", "#include <ares.h>"),
        ("core/limits.cc", "#include <nlohmann/json.hpp>"),
        ("control/status_server.cc", "#include <boost/beast/http.hpp>"),
        ("app/report.cc", "#include <nlohmann/json.hpp>"),
        ("vault/client.cc", '#include "base/log.h"'),
        ("core/limits.cc", "#include <systemd/sd-daemon.h>"),
        ("sandbox/landlock.cc", "#include <seccomp.h>"),
        ("sandbox/landlock.cc", '#include "net/lookup.h"'),
    ]
    right = [
        ("core/key_manager.cc", '#include "core/limits.h"'),
        ("core/key_manager.cc", "#include <openssl/rand.h>"),
        ("kmip/kmip_backend.cc", '#include "core/backend.h"'),
        ("kmip/session.h", '#include "net/channel.h"'),
        ("service/kms_server.cc", "#include <grpcpp/grpcpp.h>"),
        ("service/kms_server.cc", '#include "kms/v2/api.grpc.pb.h"'),
        ("net/tls_context.cc", "#include <openssl/ssl.h>"),
        ("http/libcurl.h", "#include <curl/curl.h>"),
        ("rest/rest_backend.h", '#include "http/http_client.h"'),
        ("net/lookup.cc", "#include <ares.h>"),
        ("base/secret.h", "#include <openssl/crypto.h>"),
        ("base/status.cc", "#include <openssl/err.h>"),
        ("main.cc", '#include "kmip/kmip_backend.h"'),
        ("main.cc", '#include "version.h"'),
        ("main.cc", '#include "app/kms.h"'),
        ("app/kms.cc", '#include "kmip/kmip_backend.h"'),
        ("ctl/status.cc", "#include <CLI/CLI.hpp>"),
        ("control/http_request.cc", "#include <boost/beast/http/parser.hpp>"),
        ("core/limits.cc", '// #include "kmip/session.h"'),
    ]
    for name, line in wrong:
        if not mistakes(name, f"\n{line}\n"):
            sys.exit(f"the check itself is broken: it lets pass, in {name}: {line}")
    for name, line in right:
        if mistakes(name, line):
            sys.exit(f"the check itself is broken: it refuses, in {name}: {line}")


def main():
    self_test()
    source = pathlib.Path(sys.argv[1])
    files = sorted(p for p in source.rglob("*") if p.suffix in {".h", ".cc"})
    if not files:
        sys.exit(f"no source files in {source}")
    found = []
    for path in files:
        found += mistakes(path.relative_to(source).as_posix(), path.read_text(encoding="utf-8"))
    print("\n".join(found) or f"{len(files)} files keep to their layers")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
