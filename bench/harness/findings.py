"""Compares findings without keeping them: a sum that does not depend on their order."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass

MODULUS = 1 << 128


@dataclass(frozen=True)
class Digest:
    """How many findings, and the sum of their hashes."""

    count: int
    total: int

    def times(self, copies):
        return Digest(self.count * copies, self.total * copies % MODULUS)


def originals(path):
    """The ids that copies of rules have, and the ids of what they are copies of."""
    with open(path, encoding="utf-8") as lines:
        return dict(line.split() for line in lines)


def _keys(path, ids):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            finding = json.loads(line)
            rule, event = finding["rule"]["id"], finding["event"]
            yield f"{ids.get(rule, rule)}\t{event.get('file')}\t{event.get('position')}"


def digest(path, ids):
    count, total = 0, 0
    for key in _keys(path, ids):
        count += 1
        total += int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "big")
    return Digest(count, total % MODULUS)


def difference(first, second, ids):
    """A finding that only one of the two has, or has more often than the other's copies explain."""
    one, two = Counter(_keys(first, ids)), Counter(_keys(second, ids))
    only = [f"missing: {key}" for key in one if key not in two] + [f"extra: {key}" for key in two if key not in one]
    counts = [f"{one[key]} and {two[key]} times: {key}" for key in one if one[key] != two[key]]
    return (only or counts or ["nothing, the sums differ"])[0].replace("\t", " ")
