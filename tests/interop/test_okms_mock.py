# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The OKMS mock against clients by other authors: what the plugin's own tests prove about REST is
worth as much as this mock is true. curl speaks HTTP, the cryptography module knows AES-GCM, and
Schemathesis compares the mock with OVHcloud's description of the API."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import unittest
import uuid
from pathlib import Path
from typing import Any

import openapi
import runner
from okms import CurlError, HttpAnswer, OkmsMock, curl, nginx, post
from runner import Programs

_JSON = "application/json"
_MATERIAL = {bits: os.urandom(bits // 8) for bits in (128, 192, 256)}
_AES = {bits: str(uuid.UUID(int=bits << 100 | 0xABCDEF, version=4)) for bits in _MATERIAL}
_UNKNOWN = "dead0000-0000-4000-8000-00000000beef"
_MANY = 105  # more than a page holds
_ACTIVE = [str(uuid.uuid4()) for _ in range(_MANY)]
_STATES = {
    "pre_active": "PreActive", "deactivated": "Deactivated", "compromised": "Compromised",
    "destroyed": "Destroyed", "destroyed_compromised": "DestroyedCompromised",
}
_INACTIVE = {state: str(uuid.uuid4()) for state in _STATES}
_ENCRYPT_ONLY = str(uuid.uuid4())
_NO_UUID = "key-1"

folder: Path
mock: OkmsMock


def setUpModule() -> None:
    global folder, mock
    temporary = runner.temporary_folder()
    unittest.addModuleCleanup(temporary.cleanup)
    folder = Path(temporary.name)
    keys = [f"id={_AES[bits].upper()},name=aes-{bits},material={material.hex()}"
            for bits, material in _MATERIAL.items()]
    keys += [f"id={key},name=many" for key in _ACTIVE]
    keys += [f"id={key},state={_STATES[state]}" for state, key in _INACTIVE.items()]
    keys += [f"id={_ENCRYPT_ONLY},usage=encrypt", f"id={_NO_UUID}"]
    mock = OkmsMock(Programs.mock_kms, folder, keys)
    mock.start()
    unittest.addModuleCleanup(_stop)


def _stop() -> None:
    status = mock.process.stop()
    if status != 0:
        raise AssertionError(f"okms-mock-kms ended with status {status}")


def path(key: str = "", call: str = "", *, okms_id: str | None = None) -> str:
    return "/".join(filter(None, ("/api", okms_id or mock.okms_id, "v1/servicekey", key, call)))


def decoded(text: str) -> bytes:
    """base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class OkmsTest(unittest.TestCase):
    def assert_ok(self, answer: HttpAnswer) -> Any:
        self.assertEqual((answer.status, answer.content_type), (200, _JSON), answer.body)
        return answer.json

    def assert_error(self, answer: HttpAnswer, status: int, category: int) -> None:
        self.assertEqual((answer.status, answer.content_type), (status, _JSON), answer.body)
        body = answer.json
        self.assertEqual(set(body), {"error_id", "error_code", "errors", "request_id"})
        self.assertTrue(all(isinstance(each, str) for each in body["errors"]), body)
        self.assertEqual(str(uuid.UUID(body["request_id"])), body["request_id"])
        # REST, Service Keys API.
        self.assertEqual(body["error_code"] >> 16, 0x0303)
        self.assertEqual(body["error_code"] >> 12 & 0xF, category, body)

    def encrypt(self, key: str, plaintext: bytes, **body: Any) -> str:
        body["plaintext"] = base64.b64encode(plaintext).decode()
        answer = self.assert_ok(post(mock, mock.url + path(key, "encrypt"), body))
        self.assertEqual(set(answer), {"ciphertext"})
        return answer["ciphertext"]

    def decrypt(self, key: str, ciphertext: str, **body: Any) -> HttpAnswer:
        return post(mock, mock.url + path(key, "decrypt"), {"ciphertext": ciphertext, **body})


class Http(OkmsTest):
    """One round trip the ways a client may take."""

    def round_trip(self, url: str, http_version: str, **options: Any) -> None:
        seed = base64.b64encode(os.urandom(32)).decode()
        key = curl(mock, url + path(_AES[256]), **options)
        encrypted = post(mock, url + path(_AES[256], "encrypt"), {"plaintext": seed}, **options)
        self.assertLess(len(self.assert_ok(encrypted)["ciphertext"]), 1024)
        back = post(mock, url + path(_AES[256], "decrypt"), encrypted.json, **options)
        self.assertEqual(self.assert_ok(back), {"plaintext": seed})
        self.assertEqual({key.http_version, encrypted.http_version, back.http_version},
                         {http_version})

    def front(self, **options: Any) -> str:
        process, url = mock.front(folder / self.id().rsplit(".", 1)[-1], **options)
        self.addCleanup(process.stop)
        return url

    def test_http_1_1(self) -> None:
        self.round_trip(mock.url, "1.1")

    def test_http_2_through_nginx(self) -> None:
        self.round_trip(self.front(), "2")

    def test_http_1_1_through_nginx(self) -> None:
        self.round_trip(self.front(), "1.1", http="--http1.1")

    def test_nginx_without_http_2(self) -> None:
        self.round_trip(self.front(http2=False), "1.1")

    def test_nobody_without_certificate(self) -> None:
        with self.assertRaises(CurlError):
            curl(mock, mock.url + path(_AES[256]), certificate=False)
        answer = curl(mock, self.front() + path(_AES[256]), certificate=False)
        self.assertEqual(answer.status, 400)
        self.assertIn(b"No required SSL certificate", answer.body)


class Ciphertext(OkmsTest):
    """RFC 7516, with AES-GCM by others."""

    def aes(self, bits: int) -> Any:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        return AESGCM(_MATERIAL[bits])

    def test_is_a_jwe_that_others_decrypt(self) -> None:
        for bits, key in _AES.items():
            with self.subTest(bits=bits):
                parts = self.encrypt(key, b"a seed").split(".")
                self.assertEqual((len(parts), parts[1]), (5, ""))
                self.assertEqual(json.loads(decoded(parts[0])),
                                 {"alg": "dir", "enc": f"A{bits}GCM", "kid": key})
                iv, data, tag = map(decoded, parts[2:])
                self.assertEqual((len(iv), len(tag)), (12, 16))
                self.assertEqual(self.aes(bits).decrypt(iv, data + tag, parts[0].encode()),
                                 b"a seed")

    def jwe(self, header: dict[str, Any], *, bits: int = 256) -> str:
        head, iv = encoded(json.dumps(header).encode()), os.urandom(12)
        sealed = self.aes(bits).encrypt(iv, b"theirs", head.encode())
        return ".".join((head, "", encoded(iv), encoded(sealed[:-16]), encoded(sealed[-16:])))

    def test_of_others_is_decrypted(self) -> None:
        for bits, key in _AES.items():
            jwe = self.jwe({"kid": key, "enc": f"A{bits}GCM", "alg": "dir"}, bits=bits)
            answer = self.assert_ok(self.decrypt(key, jwe))
            self.assertEqual(base64.b64decode(answer["plaintext"]), b"theirs")

    def test_of_others_must_say_what_it_is(self) -> None:
        good = {"alg": "dir", "enc": "A256GCM", "kid": _AES[256]}
        for change in ({"alg": "A256KW"}, {"enc": "A128GCM"}, {"kid": _AES[128]}, {"zip": "DEF"},
                       {"crit": ["exp"]}):
            with self.subTest(**change):
                self.assert_error(self.decrypt(_AES[256], self.jwe({**good, **change})), 400, 8)

    def test_changed_is_refused(self) -> None:
        parts = self.encrypt(_AES[256], b"a seed").split(".")
        for index in (0, 2, 3, 4):
            with self.subTest(part=index):
                changed = list(parts)
                changed[index] = ("B" if parts[index][0] != "B" else "C") + parts[index][1:]
                self.assert_error(self.decrypt(_AES[256], ".".join(changed)), 400, 8)
        self.assert_error(self.decrypt(_AES[128], ".".join(parts)), 400, 8)
        self.assert_error(self.decrypt(_AES[256], ".".join(parts[:4])), 400, 8)

    def test_is_bound_to_its_context(self) -> None:
        jwe = self.encrypt(_AES[256], b"a seed", context="é" * 64)
        self.assert_ok(self.decrypt(_AES[256], jwe, context="é" * 64))
        self.assert_error(self.decrypt(_AES[256], jwe, context="another"), 400, 8)
        self.assert_error(self.decrypt(_AES[256], jwe, context=None), 400, 8)
        jwe = self.encrypt(_AES[256], b"a seed", context=None)
        self.assert_ok(self.decrypt(_AES[256], jwe))
        self.assert_error(self.decrypt(_AES[256], jwe, context="one"), 400, 8)


class Keys(OkmsTest):
    def page(self, **query: str) -> HttpAnswer:
        options = []
        for name, value in query.items():
            options += ["--data-urlencode", f"{name.replace('_', '-')}={value}"]
        return curl(mock, mock.url + path(), "--get", *options)

    def pages(self, **query: str) -> list[list[dict[str, Any]]]:
        pages: list[list[dict[str, Any]]] = []
        while True:
            answer = self.assert_ok(self.page(**query))
            pages.append(answer["objects_list"])
            self.assertTrue(answer["continuation_token"])
            if not answer["is_truncated"]:
                return pages
            query["continuation_token"] = answer["continuation_token"]

    def ids(self, **query: str) -> list[str]:
        return [key["id"] for page in self.pages(**query) for key in page]

    def test_description(self) -> None:
        described = {
            "id": _AES[192], "name": "aes-192", "type": "oct", "size": 192,
            "operations": ["encrypt", "decrypt"], "protectionLevel": "SOFTWARE",
            "attributes": {"state": "active"},
        }
        for spelled in (_AES[192], _AES[192].upper()):
            self.assertEqual(self.assert_ok(curl(mock, mock.url + path(spelled))), described)
        for state, key in _INACTIVE.items():
            answer = self.assert_ok(curl(mock, mock.url + path(key)))
            self.assertEqual(answer["attributes"]["state"], state)

    def test_list_has_every_key_once(self) -> None:
        active = {*_AES.values(), *_ACTIVE, _ENCRYPT_ONLY}
        for query in ({}, {"state": "all"}):
            self.assertCountEqual(self.ids(**query), active | set(_INACTIVE.values()))
        self.assertCountEqual(self.ids(state="active"), active)
        for state, key in _INACTIVE.items():
            self.assertEqual(self.ids(state=state), [key])

    def test_pages(self) -> None:
        sizes = [len(page) for page in self.pages(state="active")]
        self.assertEqual(sizes, [100, _MANY + len(_AES) + 1 - 100])
        sizes = [len(page) for page in self.pages(state="active", max="10")]
        self.assertEqual(sizes, [10] * 10 + [9])

    def test_token_needs_percent_encoding(self) -> None:
        token = self.assert_ok(self.page(max="10"))["continuation_token"]
        for character in "+/=":
            self.assertIn(character, token)
        # A bare "+" is a space there.
        answer = curl(mock, f"{mock.url}{path()}?continuation-token={token}")
        self.assert_error(answer, 400, 8)

    def test_queries_that_are_refused(self) -> None:
        for query in ({"max": "9"}, {"max": "101"}, {"max": "ten"}, {"max": ""},
                      {"state": "Active"}, {"state": ""}, {"continuation_token": "x"}, {"continuation_token": ""}):
            with self.subTest(**query):
                self.assert_error(self.page(**query), 400, 8)
        for query in ("max=10&max=20", "state=%zz"):
            self.assert_error(curl(mock, f"{mock.url}{path()}?{query}"), 400, 8)


class Refusals(OkmsTest):
    def test_what_is_not_there(self) -> None:
        for each in (path(_UNKNOWN), path(okms_id=_UNKNOWN), "/", "/api", path() + "/", "//",
                     path(_AES[256], "sign")):
            expected = (400, 8) if each.endswith("servicekey/") else (404, 5)
            with self.subTest(path=each):
                self.assert_error(curl(mock, mock.url + each), *expected)
        self.assert_error(post(mock, mock.url + path(_UNKNOWN, "encrypt"), {"plaintext": "aGk="}),
                          404, 5)

    def test_ids_that_are_none(self) -> None:
        for each in (path(_NO_UUID), path(okms_id="x"), path(_AES[256].replace("-", "")),
                     path(f"%7B{_AES[256]}%7D"), path(_AES[256][:-1] + "g")):
            with self.subTest(path=each):
                self.assert_error(curl(mock, mock.url + each), 400, 8)

    def test_methods(self) -> None:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            with self.subTest(method=method):
                answer = curl(mock, mock.url + path(_AES[256]), "--request", method)
                self.assert_error(answer, 405, 8)
        answer = curl(mock, mock.url + path(_AES[256], "encrypt"), "--include")
        self.assertIn(b"\r\nAllow: POST\r\n", answer.body)

    def test_keys_that_may_not(self) -> None:
        for key in _INACTIVE.values():
            self.assert_error(post(mock, mock.url + path(key, "encrypt"), {"plaintext": "aGk="}),
                              400, 8)
        jwe = self.encrypt(_ENCRYPT_ONLY, b"a seed")
        self.assert_error(self.decrypt(_ENCRYPT_ONLY, jwe), 400, 8)

    def test_bodies(self) -> None:
        most = base64.b64encode(bytes(4096)).decode()
        answer = post(mock, mock.url + path(_AES[256], "encrypt"), {"plaintext": most})
        self.assert_ok(answer)
        self.assert_error(self.decrypt(_AES[256], answer.json["ciphertext"]), 400, 8)
        for body in ("", "{", "[]", "null", {}, {"plaintext": 1}, {"plaintext": None},
                     {"plaintext": ""}, {"plaintext": "AAAA" + most}, {"plaintext": "aGk"},
                     {"plaintext": "aGl="}, {"plaintext": "aG k="}, {"plaintext": "a_-="},
                     {"plaintext": "aGk=", "context": 1}, {"plaintext": "aGk=", "more": 1},
                     {"plaintext": "aGk=", "context": "é" * 65}, {"ciphertext": "aGk="}):
            with self.subTest(body=body):
                self.assert_error(post(mock, mock.url + path(_AES[256], "encrypt"), body), 400, 8)
        answer = curl(mock, mock.url + path(_AES[256], "encrypt"), "--data-raw",
                      '{"plaintext":"aGk="}')  # as a form
        self.assert_error(answer, 400, 8)


class Description(OkmsTest):
    """OVHcloud's own OpenAPI description, which Schemathesis turns into some hundred requests, good
    ones and bad ones."""

    # Not unsupported_method: a method that cpp-httplib has never heard of is 400 there.
    checks = ("not_a_server_error", "status_code_conformance", "content_type_conformance",
              "response_schema_conformance", "negative_data_rejection")

    def schemathesis(self, server: OkmsMock, *options: str) -> subprocess.CompletedProcess[str]:
        schema = folder / "openapi.json"
        schema.write_text(json.dumps(openapi.trimmed(
            server.okms_id, [_AES[256], _UNKNOWN], self.encrypt(_AES[256], b"a seed"))))
        return subprocess.run(
            [str(Programs.schemathesis / "bin" / "schemathesis"), "run", str(schema),
             "--url", server.url, "--checks", ",".join(self.checks), "--no-color",
             "--generation-deterministic", "--request-timeout", "20",
             "--tls-verify", str(server.pki / "ca.pem"),
             "--request-cert", str(server.pki / "client.pem"),
             "--request-cert-key", str(server.pki / "client.key"), *options],
            capture_output=True, text=True, timeout=150, check=False, cwd=folder)

    def test_conforms(self) -> None:
        done = self.schemathesis(mock, "--phases", "examples,coverage,fuzzing",
                                 "--max-examples", "200")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"\bTested: 4\b")

    def test_notices_what_does_not_conform(self) -> None:
        for fault, finding in (("empty-token:list", "Response violates schema"),
                               ("plain-error=500:get", "Server error")):
            with self.subTest(fault=fault):
                own_folder = folder / fault
                own_folder.mkdir()
                faulty = OkmsMock(Programs.mock_kms, own_folder, [f"id={_AES[256]}"],
                                  "--rest-fault", fault)
                self.addCleanup(faulty.process.stop)
                faulty.start()
                done = self.schemathesis(faulty, "--phases", "coverage", "--max-examples", "10")
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn(finding, done.stdout)


def _missing() -> list[str]:
    absent = [f"{program}: apt-get install {package}" for program, package, there in (
        ("curl", "curl", shutil.which("curl")), ("nginx", "nginx-light", nginx())) if not there]
    absent += [f"python module {name} of {sys.executable}: apt-get install {package}"
               for name, package in (("cryptography", "python3-cryptography"),
                                     ("yaml", "python3-yaml"))
               if importlib.util.find_spec(name) is None]
    absent += runner.missing_programs(
        Programs.schemathesis / "bin", ("schemathesis",),
        "scripts/schemathesis installs it")
    if not openapi.description().exists():
        absent.append(f"{openapi.description()}: set OKMS_OPENAPI to OVHcloud's description")
    return absent


if __name__ == "__main__":
    runner.main("__main__", _missing, programs=("mock_kms",), folders=("schemathesis",))
