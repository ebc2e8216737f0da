"""The table of faults that `make test-faults` ends with, from what pytest wrote about its tests (JUnit XML).

python tests/faults/table.py FILE...
"""

import collections
import sys
from xml.etree import ElementTree


def main(paths):
    tried, outcomes = collections.Counter(), collections.defaultdict(collections.Counter)
    for path in paths:
        for case in ElementTree.parse(path).iter("testcase"):
            said = {entry.get("name"): entry.get("value") for entry in case.iter("property")}
            ended = next((kind for kind in ("failure", "error", "skipped") if case.find(kind) is not None), "passed")
            if "fault" not in said and ended == "skipped":
                continue  # a module that needs what is not installed
            fault = said.get("fault", case.get("name"))  # the name of a module that cannot even be read
            outcomes[fault][ended] += 1
            if ended != "skipped":
                tried[fault] += int(said.get("tried", 1))
    print("| fault | times tried | tests |\n|---|---:|---|")
    for fault in sorted(outcomes):
        told = ", ".join(f"{number} {ended}" for ended, number in sorted(outcomes[fault].items()))
        print(f"| {fault} | {tried[fault]} | {told} |")


if __name__ == "__main__":
    main(sys.argv[1:])
