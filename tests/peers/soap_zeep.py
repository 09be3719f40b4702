"""Calls a mock partner's SOAP services from their WSDL with zeep, an independent client. Prints one JSON object.

usage: soap_zeep.py MARRIAGE_WSDL_URL COUNTER_WSDL_URL
"""
import json
import sys

import zeep
from zeep.exceptions import Fault
from zeep.helpers import serialize_object

marriage_url, counter_url = sys.argv[1:]
client = zeep.Client(marriage_url)
person = {"idNo": "310101199003074514", "name": "张三", "kind": "valid", "phone": "13900000000"}
seen = {}
for version in ("Soap11", "Soap12"):
    service = client.bind("MarriageService", version)
    answers = {"stub": service.queryRecord(person=person, office=[310101, 310104])}
    answers["skeleton"] = service.queryRecord(person={**person, "idNo": "310101199003074530"}, office=[310101])
    answers["bare"] = service.checkCertificate("J310101-2020-000001")
    try:
        service.checkCertificate("J310101-2020-000999")
    except Fault as fault:
        answers["fault"] = {"code": fault.code, "message": fault.message}
    try:
        # zeep checks little itself: the pattern is the mock's to refuse
        service.queryRecord(person={**person, "idNo": "short"}, office=[310101])
    except Fault as fault:
        answers["strict"] = {"code": fault.code, "message": fault.message}
    seen[version] = serialize_object(answers, dict)
client.bind("MarriageService", "Soap11").notify("公告")
seen["rpc"] = serialize_object(zeep.Client(counter_url).service.take(hall="east", count=41), dict)
print(json.dumps(seen, ensure_ascii=False, default=str))
