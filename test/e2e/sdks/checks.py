"""Runs the checks of one library and prints what came of each as a line of JSON."""

import argparse
import json
import time
import traceback
import urllib.request

MODEL = "smollm2-135m-instruct"
CITIES = ["Oslo", "Lima"]
WEATHER_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": CITIES}},
    "required": ["city"],
    "additionalProperties": False,
}
# A client that leaves frees its slot within this time.
FREED_WITHIN_SECONDS = 1.0
# More requests at once than the neuron takes.
TOO_MANY = 12


class Servers:
    """Where the gateway is, and the neuron that knows how busy it is."""

    def __init__(self):
        parser = argparse.ArgumentParser()
        parser.add_argument("--gateway", required=True)
        parser.add_argument("--neuron", required=True)
        args = parser.parse_args()
        self.gateway = args.gateway
        self.neuron = args.neuron

    def model(self):
        with urllib.request.urlopen(f"{self.neuron}/models/{MODEL}") as answer:
            return json.load(answer)

    def expect_freed(self):
        end = time.monotonic() + FREED_WITHIN_SECONDS
        while True:
            model = self.model()
            if model["slots_busy"] == 0 and model["in_flight"] == 0:
                return
            assert time.monotonic() < end, f"still busy: {model}"
            time.sleep(0.02)


def expect_raises(kind, call):
    """What the call raised, which has to be of that class."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def run_checks(checks):
    for check in checks:
        failure = None
        try:
            check()
        except Exception:
            failure = traceback.format_exc()
        print(json.dumps({"name": check.__name__, "failure": failure}), flush=True)
