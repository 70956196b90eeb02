"""The good code of the soak: ordinary work of many kinds, each with the one right answer."""

from __future__ import annotations

import json
import random

from soak_task import Maker, SoakTask, ends, gives

from nadg.domain.assignment import Items
from nadg.domain.blob import FileRef, Value
from nadg.domain.outcome import Outcome
from nadg.link.blobfolder import BlobFolder


def arithmetic(chance: random.Random) -> SoakTask:
    first, second = chance.randrange(10**6), chance.randrange(1, 1000)
    code = f"result = [{first} + {second}, {first} * {second}, {first} // {second}, {first} % {second}]"
    right = [first + second, first * second, first // second, first % second]
    return SoakTask(kind="arithmetic", code=code, judge=gives(right))


def json_text(chance: random.Random) -> SoakTask:
    numbers = [chance.randrange(9) for _ in range(20)]
    document = {"name": f"é{chance.random()}", "list": numbers, "none": None}
    code = f"import json\nresult = json.loads({json.dumps(document)!r})\nresult['sum'] = sum(result['list'])"
    return SoakTask(kind="json", code=code, judge=gives({**document, "sum": sum(numbers)}))


def csv_rows(chance: random.Random) -> SoakTask:
    numbers = [chance.randrange(1000) for _ in range(200)]
    code = f"""
import csv, io
text = io.StringIO()
csv.writer(text).writerows([["n", "word"], *([number, "a,b"] for number in {numbers})])
text.seek(0)
result = sum(int(row["n"]) for row in csv.DictReader(text) if row["word"] == "a,b")
"""
    return SoakTask(kind="csv", code=code, judge=gives(sum(numbers)))


def files(chance: random.Random) -> SoakTask:
    texts = {f"part-{number}.txt": f"{chance.random()}\n" * 50 for number in range(3)}
    texts["deep/er/last.txt"] = "the last"
    code = f"""
import os
os.makedirs("deep/er")
for name, text in {texts}.items():
    with open(name, "w") as file:
        file.write(text)
result = sorted(os.listdir())
"""
    right = sorted({name.partition("/")[0] for name in texts})
    made = {name: text.encode() for name, text in texts.items()}
    return SoakTask(kind="files", code=code, judge=gives(right, made))


def threads(chance: random.Random) -> SoakTask:
    count = chance.randrange(2, 9)
    code = f"""
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor({count}) as pool:
    result = list(pool.map(lambda number: number * number, range(50)))
"""
    return SoakTask(kind="threads", code=code, judge=gives([number * number for number in range(50)]))


def items(chance: random.Random) -> SoakTask:
    values = [chance.randrange(1000) for _ in range(chance.randrange(1, 40))]
    piece = Items(first=7, count=len(values), values=Value(inline=json.dumps(values).encode()))
    right = [[7 + index, value + 1] for index, value in enumerate(values)]
    return SoakTask(kind="items", code="result = [item_index, item + 1]", piece=piece, judge=gives(right))


def needed(chance: random.Random) -> SoakTask:
    numbers = [chance.randrange(100) for _ in range(100)]
    needs = {"before": Value(inline=json.dumps(numbers).encode())}
    code = "result = sum(needs['before'])"
    return SoakTask(kind="needs", code=code, needs=needs, judge=gives(sum(numbers)))


def library(chance: random.Random) -> SoakTask:
    number = chance.randrange(1000)
    code = f"""
import asyncio, sqlite3, tempfile, zipfile
async def twice(value):
    await asyncio.sleep(0)
    return 2 * value
with sqlite3.connect(":memory:") as database:
    (row,) = database.execute("SELECT ? + 1", ({number},))
with tempfile.TemporaryFile() as file:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", "x" * {number})
    size = len(zipfile.ZipFile(file).read("a"))
result = [asyncio.run(twice({number})), row[0], size]
"""
    return SoakTask(kind="library", code=code, judge=gives([2 * number, number + 1, number]))


def large_result(chance: random.Random) -> SoakTask:
    count = chance.randrange(15_000, 20_000)
    return SoakTask(kind="large result", code=f"result = list(range({count}))", judge=gives(list(range(count))))


def talks(chance: random.Random) -> SoakTask:
    word = f"word-{chance.random()}"

    def judge(outcome: Outcome, blobs: BlobFolder) -> str:
        if outcome.stdout_tail != f"{word}\n" or outcome.stderr_tail != "aside\n":
            return f"it printed {outcome.stdout_tail[:50]!r} and {outcome.stderr_tail[:50]!r}"
        return gives(None)(outcome, blobs)

    code = f"import sys\nprint({word!r})\nprint('aside', file=sys.stderr)"
    return SoakTask(kind="talks", code=code, judge=judge)


def raises(chance: random.Random) -> SoakTask:
    number = chance.randrange(1000)
    code = f"open('half-done', 'w').close()\nraise ValueError('number {number}')"
    return SoakTask(kind="raises", code=code, judge=ends("failed", saying=f"ValueError: number {number}"))


def cancelled(_: random.Random) -> SoakTask:
    code = "import time\nopen('left', 'w').close()\nprint('on', flush=True)\nwhile True: time.sleep(60)"
    return SoakTask(kind="cancelled", code=code, cancel_when_it_speaks=True, judge=ends("cancelled"))


def table(chance: random.Random) -> SoakTask:
    keys = [chance.choice("abc") for _ in range(100)]
    code = f"""
import pandas
frame = pandas.DataFrame({{"key": {keys}, "value": range(100)}})
result = frame.groupby("key")["value"].sum().to_dict()
"""
    right = {key: sum(at for at in range(100) if keys[at] == key) for key in sorted(set(keys))}
    return SoakTask(kind="table", code=code, judge=gives(right))


def plot(chance: random.Random) -> SoakTask:
    def judge(outcome: Outcome, blobs: BlobFolder) -> str:
        heads = {file.name: blobs.read(file.blob.sha256)[:4] for file in outcome.artifacts}
        fits = outcome.kind == "succeeded" and heads == {"plot.png": b"\x89PNG"}
        return "" if fits else f"{outcome.kind}: {outcome.reason} {heads}"

    code = f"""
import matplotlib.pyplot as plt
plt.plot([{chance.random()}, 2, 1])
plt.savefig("plot.png")
"""
    return SoakTask(kind="plot", code=code, judge=judge)


def input_reader(blobs: BlobFolder) -> Maker:
    """Makes tasks that read an input; a hundred different ones, so that they come again."""

    def reads(chance: random.Random) -> SoakTask:
        data = bytes([chance.randrange(100)]) * 10_000
        given = (FileRef(name="given.bin", blob=blobs.put(data)),)
        code = "data = open(inputs['given.bin'], 'rb').read()\nresult = [len(data), data[0]]"
        return SoakTask(kind="input", code=code, inputs=given, judge=gives([10_000, data[0]]))

    return reads


def good_makers(blobs: BlobFolder) -> dict[Maker, float]:
    """Every kind with its weight."""
    return {
        arithmetic: 20, json_text: 10, csv_rows: 10, files: 10, threads: 5, items: 10, needed: 5, library: 3,
        large_result: 2, talks: 5, raises: 5, cancelled: 2, input_reader(blobs): 8, table: 3, plot: 1.5,
    }  # fmt: skip
