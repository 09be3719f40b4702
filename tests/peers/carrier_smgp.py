"""An SMGP 3.0 client written from the protocol document alone: logs in, sends a long message, takes its reports and a
message from a user. Prints one JSON object.

usage: carrier_smgp.py HOST PORT CLIENT_ID SECRET NUMBER TEXT
"""
import hashlib
import json
import socket
import struct
import sys
import time

host, port, client_id, secret, number, text = sys.argv[1:]
wire = socket.create_connection((host, int(port)), timeout=60)
sequence = 0


def padded(value, width):
    data = value.encode("ascii")
    return data + bytes(width - len(data))


def send(request, body):
    global sequence
    sequence += 1
    wire.sendall(struct.pack(">III", 12 + len(body), request, sequence) + body)
    return sequence


def read(count):
    data = b""
    while len(data) < count:
        more = wire.recv(count - len(data))
        if not more:
            raise SystemExit("the gateway ended the connection")
        data += more
    return data


def frame():
    length, request, number = struct.unpack(">III", read(12))
    return request, number, read(length - 12)


stamp = time.strftime("%m%d%H%M%S")
digest = hashlib.md5(client_id.encode() + bytes(7) + secret.encode() + stamp.encode()).digest()
send(1, padded(client_id, 8) + digest + struct.pack(">BIB", 2, int(stamp), 0x30))
request, _, body = frame()
assert request == 0x80000001 and len(body) == 21, (hex(request), len(body))
status = body[:4]
seen = {
    "status": struct.unpack(">I", status)[0],
    "server": body[4:20] == hashlib.md5(status + digest + secret.encode()).digest(),
    "version": body[20],
    "submits": [],
    "reports": [],
    "uplink": None,
}
content = text.encode("utf-16-be")
pieces = [content[at : at + 134] for at in range(0, len(content), 134)]
for place, piece in enumerate(pieces, 1):
    piece = bytes([5, 0, 3, 0x2A, len(pieces), place]) + piece
    body = bytes([6, 1, 0]) + padded("CARD", 10) + b"00" + b"000000" + b"000000" + bytes([8])
    body += bytes(17) + bytes(17) + padded("1065900", 21) + bytes(21) + bytes([1]) + padded(number, 21)
    body += bytes([len(piece)]) + piece + bytes(8)
    for tag, value in ((2, 1), (9, len(pieces)), (10, place)):
        body += struct.pack(">HHB", tag, 1, value)
    send(2, body)
# A report is text around an id of ten binary bytes; labels are found by their places.
PLACES = {"sub": (18, 3), "dlvrd": (28, 3), "submit": (44, 10), "done": (65, 10), "stat": (81, 7), "err": (93, 3)}
while len(seen["submits"]) < len(pieces) or len(seen["reports"]) < len(pieces) or seen["uplink"] is None:
    request, answered, body = frame()
    if request == 0x80000002:
        seen["submits"].append({"id": body[:10].hex(), "status": struct.unpack(">I", body[10:14])[0]})
    elif request == 3:
        is_report, coding = body[10], body[11]
        length = body[68]
        content, rest = body[69 : 69 + length], body[69 + length :]
        if is_report:
            assert content[:3] == b"id:" and b" stat:" in content, content
            report = {name: content[at : at + width].decode() for name, (at, width) in PLACES.items()}
            report.update(id=content[3:13].hex(), length=length, number=body[26:47].rstrip(b"\0").decode())
            seen["reports"].append(report)
        else:
            texts = {0: "ascii", 8: "utf-16-be", 15: "gbk"}
            seen["uplink"] = {"from": body[26:47].rstrip(b"\0").decode(), "text": content.decode(texts[coding])}
            assert rest == bytes(8), rest
        wire.sendall(struct.pack(">III", 26, 0x80000003, answered) + body[:10] + bytes(4))
    else:
        raise SystemExit(f"unexpected request {request:#x}")
tested = send(4, b"")
request, answered, body = frame()
seen["tested"] = (request, answered, body) == (0x80000004, tested, b"")
left = send(6, b"")
request, answered, body = frame()
seen["left"] = (request, answered, body) == (0x80000006, left, b"")
print(json.dumps(seen))
