"""CPU time of PIL for what `npm run bench -- decode` measures: the images of a folder, in so many turns. Prints JSON."""

import json
import os
import sys
import time

import numpy as np
from PIL import Image

side = 224
folder, turns = sys.argv[1], int(sys.argv[2])
paths = sorted(entry.path for entry in os.scandir(folder))


def decode(path, shrinks):
    with Image.open(path) as image:
        if shrinks:
            image.draft("RGB", (2 * side, 2 * side))
        return np.asarray(image.convert("RGB").resize((side, side), Image.BILINEAR), dtype=np.uint8)


def cpu_ms(shrinks):
    before = time.process_time()
    for path in paths:
        decode(path, shrinks)
    return 1000 * (time.process_time() - before) / len(paths)


# Turns in alternation, because others use the machine too.
measured = [[cpu_ms(False), cpu_ms(True)] for _ in range(turns)]
print(json.dumps([min(each) for each in zip(*measured)]))
