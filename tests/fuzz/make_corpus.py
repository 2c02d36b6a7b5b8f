#!/usr/bin/env python3
# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the hand-made part of the corpora: corpus/<target>/<name>. Inputs that a fuzzer found, and
that are worth keeping, are added beside them under names that say what they were."""

import json
import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"


def item(tag, kind, value, length=None):
    length = len(value) if length is None else length
    return struct.pack(">II", tag << 8 | kind, length) + value + bytes(-len(value) % 8)


def structure(tag, *children):
    return item(tag, 1, b"".join(children))


def integer(tag, value):
    return item(tag, 2, struct.pack(">i", value))


def enumeration(tag, value):
    return item(tag, 5, struct.pack(">I", value))


def boolean(tag, value):
    return item(tag, 6, struct.pack(">Q", value))


def text(tag, value):
    return item(tag, 7, value.encode())


def octets(tag, value):
    return item(tag, 8, value)


def date(tag, value):
    return item(tag, 9, struct.pack(">q", value))


def version(minor, major=1):
    return structure(0x420069, integer(0x42006A, major), integer(0x42006B, minor))


def attribute(name, value, index=None):
    parts = [text(0x42000A, name)]
    if index is not None:
        parts.append(integer(0x420009, index))
    return structure(0x420008, *parts, value)


def request(operation, *payload, minor=4, batch_id=b""):
    return structure(
        0x420078,
        structure(0x420077, version(minor), integer(0x42000D, 1)),
        structure(0x42000F, enumeration(0x42005C, operation), batch_id,
                  structure(0x420079, *payload)))


def response(operation, *payload, minor=4, batch_id=b""):
    return structure(
        0x42007B,
        structure(0x42007A, version(minor), date(0x420092, 1), integer(0x42000D, 1)),
        structure(0x42000F, enumeration(0x42005C, operation), batch_id, enumeration(0x42007F, 0),
                  structure(0x42007C, *payload)))


def batch(message, header, count, *items):
    """A message of several items, which may be counted wrongly."""
    return structure(message, structure(header, version(4), enumeration(0x42000E, 1),
                                        integer(0x42000D, count)), *items)


def asked(number):
    return structure(0x42000F, enumeration(0x42005C, 0x20), octets(0x420093, bytes([number] * 8)),
                     structure(0x420079, KEY, octets(0x4200C2, b"c" * 32)))


def answered(number, size=8):
    return structure(0x42000F, enumeration(0x42005C, 0x20),
                     octets(0x420093, bytes([number] * size)),
                     enumeration(0x42007F, 0),
                     structure(0x42007C, KEY, octets(0x4200C2, b"p" * 32)))


def refusal(reason, words, operation=None, status=1):
    first = [] if operation is None else [enumeration(0x42005C, operation)]
    return structure(
        0x42007B,
        structure(0x42007A, version(0), date(0x420092, 1), integer(0x42000D, 1)),
        structure(0x42000F, *first, enumeration(0x42007F, status), enumeration(0x42007E, reason),
                  text(0x42007D, words)))


KEY = text(0x420094, "key-1")
BATCH_ID = octets(0x420093, b"batch-id")
GCM = structure(0x42002B, enumeration(0x420011, 9), enumeration(0x42005F, 1),
                enumeration(0x420028, 3), boolean(0x4200C5, 0), integer(0x4200CD, 12),
                integer(0x4200CE, 16))
NAME = attribute("Name", structure(0x42000B, text(0x420055, "etcd"), enumeration(0x420054, 1)))


def deep(levels):
    inner = b""
    for _ in range(levels):
        inner = structure(0x420020, inner)
    return inner


TTLV = {
    "integer": integer(0x420020, -8),
    "enumeration": enumeration(0x420020, 255),
    "boolean": boolean(0x420020, 1),
    "boolean_two": boolean(0x420020, 2),
    "text": text(0x420020, "Hello World"),
    "text_of_eight": text(0x420020, "12345678"),
    "empty_text": text(0x420020, ""),
    "octets": octets(0x420020, b"\1\2\3"),
    "date": date(0x420020, 1205495800),
    "long_integer": item(0x420020, 3, bytes(8)),
    "big_integer": item(0x420020, 4, bytes(16)),
    "interval": item(0x420020, 10, bytes(4)),
    "unknown_type": item(0x540001, 0x7F, b"abc"),
    "structure": structure(0x420020, enumeration(0x420004, 254), integer(0x420005, 255)),
    "twice": structure(0x420020, integer(0x420005, 1), integer(0x420005, 2)),
    "empty_structure": structure(0x420020),
    "dirty_padding": item(0x420020, 7, b"A")[:-1] + b"\xff",
    "deep_32": deep(32),
    "deep_33": deep(33),
    "truncated": integer(0x420020, 8)[:-1],
    "trailing": integer(0x420020, 8) + b"\0",
    "length_beyond": item(0x420020, 8, bytes(8), length=9),
    "length_huge": item(0x420020, 8, bytes(8), length=0xFFFFFFFF),
    "length_of_structure_odd": item(0x420020, 1, bytes(8), length=4),
}

MESSAGES = {
    "discover_request": request(0x1E, version(4), version(2), minor=1),
    "discover_response": response(0x1E, version(0), version(4), version(0, major=2), minor=1),
    "query_request": request(0x18, enumeration(0x420074, 1)),
    "query_response": response(0x18, enumeration(0x42005C, 0x1F), enumeration(0x42005C, 0x20)),
    "locate_request": request(0x08, NAME, attribute("Object Type", enumeration(0x42000B, 2)),
                              attribute("State", enumeration(0x42000B, 2))),
    "locate_response": response(0x08, text(0x420094, "a"), text(0x420094, "b")),
    "locate_nothing": response(0x08),
    "attributes_request": request(0x0B, KEY, text(0x42000A, "State")),
    "attributes_response": response(
        0x0B, KEY, attribute("State", enumeration(0x42000B, 2), index=0),
        attribute("Object Type", enumeration(0x42000B, 2)),
        attribute("Cryptographic Algorithm", enumeration(0x42000B, 3)),
        attribute("Cryptographic Length", integer(0x42000B, 256)),
        attribute("Cryptographic Usage Mask", integer(0x42000B, 12)),
        attribute("Initial Date", date(0x42000B, 1))),
    "attributes_names": response(0x0B, KEY, NAME, NAME, batch_id=BATCH_ID),
    "attributes_bare_name": response(0x0B, KEY, attribute("Name", text(0x42000B, "etcd"))),
    "batch_id_request": request(0x08, NAME, batch_id=BATCH_ID),
    "batch_id_response": response(0x08, KEY, batch_id=BATCH_ID),
    "batch_id_empty": response(0x08, KEY, batch_id=octets(0x420093, b"")),
    "batch_id_twice": response(0x08, KEY, batch_id=BATCH_ID + BATCH_ID),
    "batch_id_text": response(0x08, KEY, batch_id=text(0x420093, "batch-id")),
    "batch_request": batch(0x420078, 0x420077, 2, asked(1), asked(2)),
    "batch_request_16": batch(0x420078, 0x420077, 16, *[asked(i) for i in range(16)]),
    "batch_request_17": batch(0x420078, 0x420077, 17, *[asked(i) for i in range(17)]),
    "batch_response": batch(0x42007B, 0x42007A, 2, answered(2), answered(1)),
    "batch_response_17": batch(0x42007B, 0x42007A, 17, *[answered(i) for i in range(17)]),
    "batch_miscounted": batch(0x42007B, 0x42007A, 3, answered(1), answered(2)),
    "batch_uncounted": batch(0x42007B, 0x42007A, 1, answered(1), answered(2)),
    "batch_one_bad": batch(0x42007B, 0x42007A, 2, answered(1), structure(0x42000F)),
    "encrypt_request": request(0x1F, KEY, GCM, octets(0x4200C2, b"p" * 32),
                               octets(0x42003D, b"i" * 12), octets(0x4200FE, b"aad")),
    "encrypt_response": response(0x1F, KEY, octets(0x4200C2, b"c" * 32),
                                 octets(0x42003D, b"i" * 12), octets(0x4200FF, b"t" * 16)),
    "decrypt_request": request(0x20, KEY, GCM, octets(0x4200C2, b"c" * 32),
                               octets(0x42003D, b"i" * 12), octets(0x4200FF, b"t" * 16)),
    "decrypt_response": response(0x20, KEY, octets(0x4200C2, b"p" * 32)),
    "refusal_without_operation": refusal(4, "Error parsing request message."),
    "refusal": refusal(0x0C, "not\nyours\x1b[31m", operation=0x1F),
    "pending": refusal(0, "", operation=0x1F, status=2),
    "undone": refusal(0, "", operation=0x1F, status=3),
    "status_unknown": refusal(0x100, "", operation=0x1F, status=9),
    "without_items": structure(0x42007B, structure(0x42007A, version(4), integer(0x42000D, 0))),
    "items_first": structure(0x42007B, structure(0x42000F)),
}



def talk(how, *messages, piece=200):
    """What a KMS sends: see kmip_connection.cc."""
    return bytes([how, piece]) + b"".join(messages)


def answers(*numbers):
    return batch(0x42007B, 0x42007A, len(numbers), *[answered(number, size=1) for number in numbers])


KNOWN = 0x80
FIRST = octets(0x420093, b"\0")
OFFER = response(0x1E, version(4), version(2), minor=1, batch_id=FIRST)
UNREADABLE = refusal(4, "cannot read this")
CONNECTIONS = {
    "negotiated": talk(0, OFFER, response(0x20, KEY, batch_id=FIRST), response(0x20, KEY)),
    "negotiated_in_drips": talk(0, OFFER, response(0x20, KEY, batch_id=FIRST), piece=0),
    "negotiated_with_1.1": talk(
        0, response(0x1E, version(1), batch_id=FIRST),
        response(0x18, enumeration(0x42005C, 0x1F), enumeration(0x42005C, 0x20), batch_id=FIRST),
        answers(0)),
    "every_header_refused": talk(0, *[UNREADABLE] * 5),
    "one": talk(KNOWN, answers(0), answers(0)),
    "one_of_another": talk(KNOWN, answers(7)),
    "one_refused": talk(KNOWN, answers(0), UNREADABLE, answers(0)),
    "version_refused": talk(KNOWN, UNREADABLE, OFFER, answers(0)),
    "batch": talk(KNOWN + 2, answers(0, 1, 2), answers(2, 0, 1)),
    "batch_16": talk(KNOWN + 15, answers(*range(16)), piece=1),
    "batch_with_less": talk(KNOWN + 2, answers(1), answers(2, 0)),
    "batch_with_more": talk(KNOWN + 1, answers(0, 1, 2)),
    "batch_doubled": talk(KNOWN + 2, answers(0, 1, 0)),
    "batch_of_others": talk(KNOWN + 2, answers(0, 1, 3)),
    "batch_without_ids": talk(KNOWN + 1, batch(0x42007B, 0x42007A, 2, *[answered(0, size=0)] * 2)),
    "batch_refused": talk(KNOWN + 1, UNREADABLE, answers(0, 1)),
    "http": talk(KNOWN, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "oversized": talk(KNOWN, structure(0x42007B)[:4] + b"\x7f\xff\xff\xff"),
}

ADDRESSES = {
    "name": b"kms.example:5696",
    "ipv4": b"192.0.2.1:5696",
    "ipv6": b"[2001:db8::1]:5696",
    "ipv6_bare": b"2001:db8::1:5696",
    "url": b"https://kms:443",
    "url_path": b"https://kms:8443/a/b//",
    "url_ipv6": b"https://[2001:db8::1]:8443/",
    "url_user": b"https://user:secret@kms",
    "url_query": b"https://kms/?a=b#c",
    "url_http": b"http://kms",
    "port_large": b"kms:65536",
    "path": b"/run/kms.sock",
    "uri": b"unix:///run/kms.sock",
    "abstract": b"@kms",
    "abstract_uri": b"unix:///@kms",
    "path_long": b"/" + b"s" * 108,
    "control": b"k\nm\0s:1",
}

REQUIRED = ("--protocol=kmip\n--serv-addr\nkms:5696\n--encryption-key-id=k\n"
            "-client-cert=/c.pem\n--client-key=/c.key")
KEY_ID = "11111111-2222-3333-4444-555555555555"
REST = ("--protocol=rest\n--serv-addr\nhttps://kms:8443/a/\n--okms-id=" + KEY_ID +
        "\n--encryption-key-id=" + KEY_ID + "\n--client-cert=/c.pem\n--client-key=/c.key")
CONFIGS = {
    "required": REQUIRED,
    "label": REQUIRED.replace("--encryption-key-id=k", "--encryption-key-label=etcd"),
    "key_id_file": REQUIRED.replace("--encryption-key-id=k", "--encryption-key-id-file=/no/k"),
    "all": REQUIRED + "\n--timeout=1m30s\n--ca=/ca.pem\n--sock=@kms\n--sock-group=0\n--allow-uid=1"
           "\n--allow-gid\n2\n--debug=false\n--log-format=json\n--okms-id=x\n--max-connections=4"
           "\n--status-listen=0.0.0.0:1\n--status-listen-anywhere",
    "aliases": "-protocol\nkmip\n-kmip-addr=kms:1\n-kmip-key-id=k\n-client-cert=c\n-client-key=k",
    "help": "--help",
    "version": "-version",
    "unknown": REQUIRED + "\n--no-such-flag",
    "empty_value": REQUIRED + "\n--ca=\n--debug",
    "positional": "serve\n--\n-x",
    "rest": REST,
    "rest_label": REST.replace("--encryption-key-id=" + KEY_ID, "--encryption-key-label=etcd"),
    "rest_ca_only": REST + "\n--ca=/ca.pem\n--ca-only",
    "rest_key_upper": REST + "\n--encryption-key-id={" + KEY_ID.upper() + "}",
    "rest_host_port": REST + "\n--serv-addr=kms:5696",
}

# The first byte chooses the status code, the second one the fields of the head: see rest_answer.cc.
STATUS = {200: b"\0", 400: b"\1", 403: b"\3", 404: b"\4", 429: b"\6", 503: b"\x09", 307: b"\x0b"}
JSON, HTML, GZIP, RETRY_AFTER = b"\0", b"\2", b"\x40", b"\x84"
SERVICE_KEY = {"id": KEY_ID, "name": "etcd", "type": "oct", "size": 256,
               "operations": ["encrypt", "decrypt"], "attributes": {"state": "active"}}


def answer(status, body, fields=JSON):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return STATUS[status] + fields + body


def error(*texts, **more):
    return {"errors": list(texts), "error_code": 50462721, "error_id": "0a1b",
            "request_id": "5c6d", **more}


ANSWERS = {
    "key": answer(200, SERVICE_KEY),
    "key_bare": answer(200, {"id": KEY_ID.upper(), "name": "", "type": "RSA", "operations": None}),
    "key_without_id": answer(200, {"name": "etcd", "type": "oct"}),
    "key_state_number": answer(200, SERVICE_KEY | {"attributes": {"state": 1}}),
    "key_operation_number": answer(200, SERVICE_KEY | {"operations": ["encrypt", 1]}),
    "list": answer(200, {"objects_list": [SERVICE_KEY], "continuation_token": "a+/= \u00e9",
                         "is_truncated": True}),
    "list_last": answer(200, {"objects_list": [], "continuation_token": None,
                              "is_truncated": False}),
    "list_without_token": answer(200, {"objects_list": [], "is_truncated": True}),
    "list_of_numbers": answer(200, {"objects_list": [1], "is_truncated": False}),
    "ciphertext": answer(200, {"ciphertext": "eyJhbGciOiJkaXIifQ..a-_b.c.d"}),
    "ciphertext_empty": answer(200, {"ciphertext": ""}),
    "plaintext": answer(200, {"plaintext": "MDEyMzQ1Njc4OWFiY2RlZg=="}),
    "plaintext_no_base64": answer(200, {"plaintext": "secret!"}),
    "refusal": answer(404, error("no such service key", "really")),
    "refusal_types": answer(400, {"errors": [1, None], "error_code": "1", "request_id": 1}),
    "refusal_control": answer(403, error("a\n\x1b[31mb\0c\u00e9")),
    "refusal_repeats": answer(400, error("in MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
                                         request_id="eyJhbGciOiJkaXIifQ..48V1_ALb6US04U3b")),
    "refusal_long": answer(400, error(*["x" * 400] * 6, request_id="r" * 100)),
    "refusal_html": answer(503, b"<html>no</html>", HTML),
    "retry_after": answer(429, error("slower"), RETRY_AFTER),
    "redirect": answer(307, b"https://elsewhere/\r\n"),
    "gzip": answer(200, b"\x1f\x8b\x08\0", GZIP),
    "html": answer(200, b"<html>", HTML),
    "empty": answer(200, b""),
    "not_an_object": answer(200, []),
    "invalid_utf8": answer(200, b'{"ciphertext":"\xff"}'),
    "lone_surrogate": answer(200, b'{"ciphertext":"\\ud800"}'),
    "cut_short": answer(200, b'{"ciphertext":"ey'),
    "deep": answer(200, b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}"),
    "deep_open": answer(200, b"[" * 4000),
    "deep_refusal": answer(404, b'{"errors":' * 400),
    "large_number": answer(404, b'{"error_code":18446744073709551616}'),
    "negative_number": answer(404, b'{"error_code":-9223372036854775808}'),
}

REQUESTS = {
    "get": b"GET /livez HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
    "head": b"HEAD /metrics?a=b HTTP/1.0\r\n\r\n",
    "post": b"POST /readyz HTTP/1.1\r\nContent-Length: 3\r\n\r\na=b",
    "chunked": b"GET /readyz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
    "both_lengths": b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0",
    "length_twice": b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "pipelined": b"GET /livez HTTP/1.1\r\n\r\nGET /readyz HTTP/1.1\r\n\r\n",
    "upgrade": b"GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "absolute": b"GET http://localhost/livez HTTP/1.1\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\n\r\n",
    "folded": b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
    "bare_line_ends": b"GET / HTTP/1.1\nHost: x\n\n",
    "no_target": b"GET  HTTP/1.1\r\n\r\n",
    "control": b"GET /\0 HTTP/1.1\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\0\1\0\1\xfc\3\3",
    "half": b"GET /livez HT",
    "long": b"GET /" + b"a" * 9000,
    "many_fields": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1400,
}


PAGE = 1024


def leaf(number, *elements, count=None, overflow=None):
    """A page of bbolt's, with its overflow. Elements: key, value, and 1 if that is a bucket."""
    table = data = b""
    for key, value, flags in ((*element, 0)[:3] for element in elements):
        table += struct.pack("<IIII", flags, 16 * len(elements) - len(table) + len(data),
                             len(key), len(value))
        data += key + value
    return page(number, 2, table + data, len(elements) if count is None else count, overflow)


def branch(number, *children):
    table = b"".join(struct.pack("<IIQ", 16 * (len(children) - i), 1, child)
                     for i, child in enumerate(children))
    return page(number, 1, table + b"k", len(children))


def page(number, kind, content, count, overflow=None):
    pages = -(-(16 + len(content)) // PAGE)
    head = struct.pack("<QHHI", number, kind, count, pages - 1 if overflow is None else overflow)
    return (head + content).ljust(pages * PAGE, b"\0")


def bolt(root, *pages, freelist=2**64 - 1, page_size=PAGE, version=2):
    """A file of bbolt's: two metas, and these pages."""
    body = b"".join(pages)
    metas = b""
    for number in (0, 1):
        meta = struct.pack("<IIIIQQQQQ", 0xED0CDAED, version, page_size, 0, root, 0, freelist,
                           2 + len(body) // PAGE, 9 - number)
        checksum = 0xCBF29CE484222325
        for byte in meta:
            checksum = (checksum ^ byte) * 0x100000001B3 % 2**64
        metas += page(number, 4, meta + struct.pack("<Q", checksum), 0)
    return metas + body


def revision(main, sub=0, mark=b""):
    return struct.pack(">Q", main) + b"_" + struct.pack(">Q", sub) + mark


def put(main, key, value, created=None):
    """An element of etcd's bucket `key`, whose value is a mvccpb.KeyValue."""
    key, created = b"/registry/" + key, created or main
    assert max(main, created, len(key)) < 128
    size = bytes([len(value) & 127 | 128, len(value) >> 7])
    return revision(main), (bytes([0x0A, len(key)]) + key + bytes([0x10, created, 0x18, main, 0x20, 1])
                            + b"\x2a" + size + value)


def deleted(main, key):
    key = b"/registry/" + key
    return revision(main, 0, b"t"), bytes([0x0A, len(key)]) + key


def bucket(name, number):
    return name, struct.pack("<QQ", number, 0), 1


def inline(name, *elements):
    size = 32 + sum(16 + len(element[0]) + len(element[1]) for element in elements)
    return name, (struct.pack("<QQ", 0, 0) + leaf(0, *elements))[:size], 1


META = inline(b"meta", (b"finishedCompactRev", revision(3)), (b"scheduledCompactRev", revision(4)))
RECORDS = (put(5, b"a", b"k8s:enc:kms:v2:okms:1"), put(6, b"a", b"k8s:enc:kms:v2:okms:2", 5),
           put(7, b"b", b"{}"), deleted(8, b"b"))
SNAPSHOTS = {
    "empty": bolt(2, leaf(2, inline(b"key"))),
    "inline": bolt(2, leaf(2, inline(b"key", *RECORDS), META)),
    "no_key_bucket": bolt(2, leaf(2, META)),
    "branch": bolt(5, leaf(2, *RECORDS[:2]), leaf(3, *RECORDS[2:]), branch(4, 2, 3),
                   leaf(5, bucket(b"key", 4), META)),
    "overflow": bolt(5, leaf(2, put(5, b"a", b"v" * 2500)), leaf(5, bucket(b"key", 2))),
    "nested": bolt(4, leaf(2, inline(b"inner", (b"x", b"1"))), leaf(3, bucket(b"outer", 2)),
                   leaf(4, inline(b"key", *RECORDS), bucket(b"other", 3))),
    "freed": bolt(6, leaf(2, *RECORDS[:2]), leaf(3, put(4, b"c", b"gone"), *RECORDS),
                  leaf(4, *RECORDS[1:]), page(5, 16, struct.pack("<QQ", 2, 3), 2),
                  leaf(6, bucket(b"key", 4), META), freelist=5),
    "freed_overflow": bolt(5, leaf(2, put(3, b"c", b"v" * 2500)),
                           leaf(5, inline(b"key", *RECORDS))),
    "freed_overwritten": bolt(5, leaf(2, put(2, b"d", b"w"), put(3, b"c", b"v" * 2500))[:2 * PAGE],
                              leaf(4, put(4, b"e", b"later")), leaf(5, inline(b"key", *RECORDS))),
    "circle": bolt(2, branch(2, 2)),
    "twice": bolt(3, leaf(2, *RECORDS), branch(3, 2, 2)),
    "buckets_in_a_circle": bolt(2, leaf(2, bucket(b"a", 2))),
    "child_beyond": bolt(2, branch(2, 2**63)),
    "root_beyond": bolt(77, leaf(2)),
    "count_beyond": bolt(2, leaf(2, inline(b"key"), count=65535)),
    "overflow_beyond": bolt(2, leaf(2, inline(b"key"), overflow=2**32 - 1)),
    "freed_overflow_beyond": bolt(3, leaf(2, RECORDS[0], overflow=2**32 - 1),
                                  leaf(3, inline(b"key"))),
    "bucket_cut": bolt(2, leaf(2, (b"key", b"1234567", 1))),
    "inline_cut": bolt(2, leaf(2, (b"key", bytes(20), 1))),
    "page_size_zero": bolt(2, leaf(2), page_size=0),
    "page_size_odd": bolt(2, leaf(2), page_size=1025),
    "page_size_huge": bolt(2, leaf(2), page_size=2**31),
    "no_record": bolt(2, leaf(2, inline(b"key", (revision(5), b"\xff")))),
    "revision_of_another": bolt(2, leaf(2, inline(b"key", (revision(9), RECORDS[0][1])))),
    "out_of_order": bolt(2, leaf(2, inline(b"key", *RECORDS[::-1]))),
    "bumped": bolt(2, leaf(2, inline(b"key", *RECORDS, (revision(1000), b"")))),
    "compaction_cut": bolt(2, leaf(2, inline(b"key"),
                                   inline(b"meta", (b"finishedCompactRev", b"7")))),
    "first_meta_gone": bytes(PAGE) + bolt(2, leaf(2, inline(b"key", *RECORDS)))[PAGE:],
    "cut": bolt(2, leaf(2, inline(b"key")))[:-1],
    "gzip": b"\x1f\x8b\x08\0",
    "magic_alone": bytes(16) + struct.pack("<I", 0xED0CDAED),
    "format_3": bolt(2, leaf(2), version=3),


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def encrypted(*more, key_id=b"key-1", kind=1):
    """What KMS v2 stores, after its prefix."""
    return (b"k8s:enc:kms:v2:okms:" + field(1, bytes(80)) + field(2, key_id) + field(3, b"sealed")
            + b"".join(more) + field(5, kind))


ANNOTATION = field(4, field(1, b"tag.okms.internal") + field(2, b"tag"))
OBJECT = field(1, field(1, b"name") + field(8, field(1, 1700000000) + field(2, 0)))
ENVELOPES = {
    "kms_v2": encrypted(),
    "kms_v2_key": encrypted(kind=0),
    "kms_v2_annotations": encrypted(ANNOTATION, ANNOTATION),
    "kms_v2_annotation_cut": encrypted(field(4, b"\x0a\xff")),
    "kms_v2_type": encrypted(kind=2**63),
    "kms_v2_key_id": encrypted(key_id=b"\xff"),
    "kms_v2_unknown_fields": encrypted(field(15, b"x"), field(2**29 - 1, 1), b"\x5d\1\2\3\4"),
    "kms_v2_group": encrypted(b"\x53" * 200),
    "kms_v2_length": encrypted(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    "kms_v2_no_name": b"k8s:enc:kms:v2::",
    "kms_v1": b"k8s:enc:kms:v1:okms:\0\3abc" + bytes(60),
    "kms_v1_cut": b"k8s:enc:kms:v1:okms:\xff\xffabc",
    "aescbc": b"k8s:enc:aescbc:v1:key1:" + bytes(64),
    "aesgcm": b"k8s:enc:aesgcm:v1:key1:" + bytes(64),
    "secretbox": b"k8s:enc:secretbox:v1:key1:" + bytes(64),
    "unknown_provider": b"k8s:enc:future:v9:\x1b[31m:",
    "protobuf": b"k8s\0" + field(1, field(1, b"v1")) + field(2, OBJECT),
    "protobuf_deep": b"k8s\0" + field(2, b"\x0b" * 5000),
    "json": b'{"kind":"A","metadata":{"creationTimestamp":"2023-11-14T22:13:20Z"}}',
    "json_deep": b'{"metadata":' * 500,
    "json_array": b'{"metadata":{"creationTimestamp":[["2023-11-14T22:13:20Z"]]}}',
    "cbor": b"\xd9\xd9\xf7\xa0",
    "empty": b"",
    "key": b"/registry/a.b/things/ns/\x1b[31m",
}


def main():
    for target, inputs in (("ttlv_parse", TTLV), ("kmip_message", MESSAGES),
                           ("kmip_connection", CONNECTIONS),
                           ("addresses", ADDRESSES), ("config", CONFIGS),
                           ("http_request", REQUESTS),
                           ("rest_answer", ANSWERS), ("bbolt", SNAPSHOTS),
                           ("envelope", ENVELOPES)):
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in inputs.items():
            (folder / name).write_bytes(value if isinstance(value, bytes) else value.encode())


if __name__ == "__main__":
    main()
