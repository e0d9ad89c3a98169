"""Judges OCSF events, one JSON object a line on standard input, by the published schema of version 1.8.

Prints a line for each error and ends with status 1 if there was one. Needs the packages ocsf-json-schema and jsonschema.
"""

import json
import sys

import jsonschema
from ocsf_json_schema import OcsfJsonSchema, OcsfJsonSchemaEmbedded, get_ocsf_schema

VERSION = "1.8.0"
MOST_ERRORS = 50


def main() -> int:
    plain = get_ocsf_schema(VERSION)
    names = {c["uid"]: key for key, c in plain["classes"].items()}
    schema = OcsfJsonSchemaEmbedded(OcsfJsonSchema(plain))
    validators = {}
    errors = 0
    judged = 0
    for number, line in enumerate(sys.stdin, 1):
        event = json.loads(line)
        profiles = tuple(event.get("metadata", {}).get("profiles", []))
        key = (event["class_uid"], profiles)
        if key not in validators:
            validators[key] = jsonschema.Draft202012Validator(
                schema.get_class_schema(names[key[0]], list(profiles))
            )
        judged += 1
        for error in validators[key].iter_errors(event):
            errors += 1
            if errors <= MOST_ERRORS:
                path = ".".join(str(p) for p in error.absolute_path)
                print(f"{number}: class {key[0]}: {path}: {error.message[:300]}")
    print(f"{judged} events, {len(validators)} classes, {errors} errors")
    return 1 if errors else 0


sys.exit(main())
