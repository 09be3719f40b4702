"""Logs in at a mock CMPP gateway with pycmpp, an independent client, and sends messages. Prints one JSON object.

usage: carrier_cmpp.py HOST PORT ACCOUNT SECRET NUMBER TEXT

pycmpp answers no DELIVER and reads no report: both are done here, from the layouts of the protocol document.
"""
import json
import struct
import sys

from pycmpp.cmpp import Cmpp
from pycmpp.response import ConnectResponseInstance, SubmitResponseInstance

host, port, account, secret, number, text = sys.argv[1:]
# It would test the link every three seconds and break the stream with its answers.
client = Cmpp(host, int(port), account, secret, "", delivery=1, client_heartbeat=False)
client.so.settimeout(60)


def read(count):
    data = b""
    while len(data) < count:
        more = client.so.recv(count - len(data))
        if not more:
            raise SystemExit("the gateway ended the connection")
        data += more
    return data


def frame():
    head = read(12)
    length, command, sequence = struct.unpack("!LLL", head)
    return command, sequence, head + read(length - 12)


client.connect()
client.auth()
command, _, message = frame()
assert command == 0x80000001, hex(command)
login = ConnectResponseInstance()
login.resolve(message)
seen = {"status": login.status, "submits": [], "reports": []}
if login.status == 0:
    client.submit(text, [number])
    parts = 1 if len(text) < 70 else -(-len(text) // 64)
    while len(seen["submits"]) < parts or len(seen["reports"]) < parts:
        command, sequence, message = frame()
        if command == 0x80000004:
            answer = SubmitResponseInstance()
            answer.resolve(message)
            seen["submits"].append({"id": f"{answer.msg_id:016x}", "result": answer.status})
        elif command == 0x00000005:
            body = message[12:]
            (delivery,) = struct.unpack("!Q", body[:8])
            # 2.0: Dest_Id 21, Service_Id 10, TP_pid, TP_udhi, Msg_Fmt, Src_terminal_Id 21, Registered_Delivery, Msg_Length
            registered, length = body[63], body[64]
            content = body[65 : 65 + length]
            (reported,) = struct.unpack("!Q", content[:8])
            seen["reports"].append(
                {
                    "registered": registered,
                    "length": length,
                    "id": f"{reported:016x}",
                    "stat": content[8:15].decode(),
                    "number": content[35:56].rstrip(b"\0").decode(),
                    "rest": len(body) - 65 - length,
                }
            )
            client.send(struct.pack("!LLLQB", 21, 0x80000005, sequence, delivery, 0))
        else:
            raise SystemExit(f"unexpected command {command:#x}")
    client.terminate()
    command, _, _ = frame()
    seen["terminated"] = command == 0x80000002
client.close()
print(json.dumps(seen))
