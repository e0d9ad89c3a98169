"""Validates OCSF events, one JSON object a line, against the published JSON schemas of their classes.

Exits 77 when the packages ocsf-json-schema and jsonschema are not installed.
"""

import json
import sys

try:
    from jsonschema import Draft202012Validator
    from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
except ImportError as missing:
    print(missing)
    sys.exit(77)

schemas = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.8.0"))
classes = {c["uid"]: name for name, c in get_ocsf_schema(version="1.8.0")["classes"].items()}
validators = {}
valid = bad = 0
with open(sys.argv[1], encoding="utf-8") as lines:
    for number, line in enumerate(lines, 1):
        event = json.loads(line)
        name = classes[event["class_uid"]]
        if name not in validators:
            validators[name] = Draft202012Validator(schemas.get_class_schema(name))
        errors = list(validators[name].iter_errors(event))
        valid += not errors
        bad += bool(errors)
        for error in errors[:5]:
            print(f"line {number}, {name}: {'/'.join(map(str, error.path))}: {error.message[:300]}")
print(f"{valid} valid")
sys.exit(1 if bad else 0)
