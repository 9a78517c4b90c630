"""A child for the tests: echoes, hoards memory, sleeps, chatters or dies on request."""

import os
import time

from evaluators.children import serve


def handle(request, answer):
    if request["do"] == "echo":
        print("noise that must not mix with answers")
        answer({"said": request["say"]})
    elif request["do"] == "hoard":
        hoard = bytearray(os.urandom(1 << 20) * request["megabytes"])
        time.sleep(60)
        answer({"size": len(hoard)})
    elif request["do"] == "sleep":
        time.sleep(60)
    elif request["do"] == "chatter":
        while True:
            answer({"share": 0.5})
            time.sleep(0.05)
    elif request["do"] == "die":
        os._exit(3)


if __name__ == "__main__":
    serve(handle)
