"""An SGIP 1.2 service provider written from the protocol document alone: binds, submits, and takes the reports that the
gateway sends over a connection of its own. Prints one JSON object.

usage: carrier_sgip.py HOST PORT RELAY_PORT NAME PASSWORD NUMBER TEXT

What arrives on the connection to RELAY_PORT is what the gateway sends to the provider's own listener.
"""
import json
import socket
import struct
import sys
import time

host, port, relay, name, password, number, text = sys.argv[1:]
NODE = 3021090123
counter = 0


def padded(value, width):
    data = value.encode("ascii")
    return data + bytes(width - len(data))


class Side:
    def __init__(self, where):
        self.wire = socket.create_connection((host, int(where)), timeout=60)

    def read(self, count):
        data = b""
        while len(data) < count:
            more = self.wire.recv(count - len(data))
            if not more:
                raise SystemExit("the gateway ended the connection")
            data += more
        return data

    def frame(self):
        length, command = struct.unpack(">II", self.read(8))
        return command, self.read(12), self.read(length - 20)

    def send(self, command, sequence, body):
        self.wire.sendall(struct.pack(">II", 20 + len(body), command) + sequence + body)


def fresh():
    global counter
    counter += 1
    return struct.pack(">III", NODE, int(time.strftime("%m%d%H%M%S")), counter)


provider, called = Side(port), Side(relay)
sequence = fresh()
provider.send(1, sequence, bytes([1]) + padded(name, 16) + padded(password, 16) + bytes(8))
command, answered, body = provider.frame()
assert (command, answered, len(body)) == (0x80000001, sequence, 9), (hex(command), body)
seen = {"bind": body[0], "submits": [], "reports": []}
content = text.encode("gbk")
pieces = [content[at : at + 134] for at in range(0, len(content), 134)]
for place, piece in enumerate(pieces, 1):
    piece = bytes([5, 0, 3, 7, len(pieces), place]) + piece
    body = padded("10655", 21) + padded("000000000000000000000", 21) + bytes([1]) + padded("86" + number, 21)
    body += padded("90123", 5) + padded("CARD", 10) + bytes([1]) + padded("0", 6) + padded("0", 6)
    body += bytes([0, 2, 0]) + bytes(16) + bytes(16) + bytes([1, 0, 1, 15, 0])
    body += struct.pack(">I", len(piece)) + piece + bytes(8)
    assert len(body) == 144 + len(piece), len(body)
    sequence = fresh()
    provider.send(3, sequence, body)
    command, answered, body = provider.frame()
    assert (command, answered) == (0x80000003, sequence), hex(command)
    seen["submits"].append({"sequence": sequence.hex(), "result": body[0]})
command, sequence, body = called.frame()
assert command == 1 and len(body) == 41, (hex(command), len(body))
seen["called"] = {
    "type": body[0],
    "name": body[1:17].rstrip(b"\0").decode(),
    "password": body[17:33].rstrip(b"\0").decode(),
    "node": struct.unpack(">I", sequence[:4])[0],
}
called.send(0x80000001, sequence, bytes(9))
while len(seen["reports"]) < len(pieces):
    command, sequence, body = called.frame()
    assert command == 5 and len(body) == 44, (hex(command), len(body))
    seen["reports"].append(
        {
            "sequence": body[:12].hex(),
            "type": body[12],
            "number": body[13:34].rstrip(b"\0").decode(),
            "state": body[34],
            "error": body[35],
        }
    )
    called.send(0x80000005, sequence, bytes(9))
sequence = fresh()
provider.send(2, sequence, b"")
command, answered, body = provider.frame()
seen["left"] = (command, answered, body) == (0x80000002, sequence, b"")
print(json.dumps(seen))
