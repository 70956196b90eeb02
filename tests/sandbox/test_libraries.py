"""What ordinary code does with ordinary libraries works inside."""

# ruff: noqa: E501 the code under test is quoted as it is

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import csv; f = open('a.csv', 'w'); csv.writer(f).writerow([1, 2]); f.close(); result = open('a.csv').read()",
         "1,2\n"),
        ("import asyncio\nasync def f():\n    await asyncio.sleep(0); return await asyncio.to_thread(lambda: 3)\n"
         "result = asyncio.run(f())", 3),
        ("import threading; r = []; t = [threading.Thread(target=r.append, args=(n,)) for n in range(8)]\n"
         "for x in t: x.start()\nfor x in t: x.join()\nresult = sorted(r)", list(range(8))),
        ("import sqlite3; c = sqlite3.connect('a.db'); c.execute('create table t (x)')\n"
         "c.execute('insert into t values (1)'); c.commit(); result = c.execute('select * from t').fetchall()", [[1]]),
        ("import zipfile, os; open('a', 'w').write('x'); z = zipfile.ZipFile('a.zip', 'w'); z.write('a'); z.close()\n"
         "result = zipfile.ZipFile('a.zip').namelist()", ["a"]),
        ("import shutil, os; os.makedirs('a/b'); open('a/b/c', 'w').write('x'); shutil.copytree('a', 'd')\n"
         "shutil.copy2('a/b/c', 'e'); shutil.move('d', 'f'); shutil.rmtree('a'); shutil.make_archive('g', 'tar', 'f')\n"
         "result = sorted(os.listdir())", ["e", "f", "g.tar"]),
        ("import tempfile, os\nwith tempfile.TemporaryDirectory() as d: open(d + '/x', 'w').close()\n"
         "with tempfile.TemporaryFile() as f: f.write(b'x')\nresult = os.path.exists(d)", False),
        ("import zoneinfo, datetime\n"
         "t = datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin')); result = t.isoformat()",
         "2026-07-01T00:00:00+02:00"),
        ("import mmap; f = open('a', 'w+b'); f.write(b'x' * 4096); f.flush(); m = mmap.mmap(f.fileno(), 0)\n"
         "result = len(m[:])", 4096),
        ("import random, uuid, secrets; result = len({random.random(), uuid.uuid4(), secrets.token_hex()})", 3),
        ("import subprocess\ntry: subprocess.run(['ls'])\nexcept PermissionError: result = 'refused'", "refused"),
        ("import multiprocessing\ntry: multiprocessing.Pool(2)\nexcept OSError: result = 'refused'", "refused"),
        ("import ssl, hashlib, lzma, bz2, gzip, decimal, ctypes, readline, socket, email, xml.etree.ElementTree as e\n"
         "result = e.fromstring('<a>1</a>').text", "1"),
        ("import logging; logging.basicConfig(filename='log'); logging.warning('x'); result = open('log').read()",
         "WARNING:root:x\n"),
        ("import platform, os, time, locale; platform.platform(); os.cpu_count(); time.localtime(); result = 1", 1),
        ("import signal\ndef f(*a): raise TimeoutError('late')\nsignal.signal(signal.SIGALRM, f); signal.alarm(1)\n"
         "try: signal.pause()\nexcept TimeoutError: result = 'late'", "late"),
    ],
)  # fmt: skip
def test_the_standard_library(box: Any, source: str, expected: object) -> None:
    assert box.value(source) == expected


def test_random_numbers_differ_between_attempts(data_box: Any) -> None:
    source = "import random, numpy; result = [random.random(), float(numpy.random.rand())]"
    first, second = data_box.value(source), data_box.value(source)
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_pandas_reads_and_writes(data_box: Any) -> None:
    source = """
import numpy as np, pandas as pd
frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"], "t": pd.to_datetime(["2026-01-01"] * 3)})
frame.to_csv("a.csv", index=False)
again = pd.read_csv("a.csv")
again.groupby("b").mean(numeric_only=True).to_json("b.json")
result = {"n": len(again), "mean": again["a"].mean(), "frame": again.head(2), "series": frame["t"],
          "array": np.arange(3), np.int64(1): np.float32(0.5), "nat": pd.NaT, "na": pd.NA, "ts": pd.Timestamp(0),
          "nan": np.array([1.0, np.nan]), "dates": np.array(["2026-01-01", "NaT"], "datetime64[D]")}
"""
    ending = data_box.run(source)
    assert ending.kind == "succeeded", ending.reason + ending.detail
    value = data_box.decoded(ending)
    assert value["mean"] == 2.0
    assert value["frame"] == [
        {"a": 1, "b": "x", "t": "2026-01-01"},
        {"a": 2, "b": None, "t": "2026-01-01"},
    ]
    assert value["array"] == [0, 1, 2]
    assert value["1"] == 0.5
    assert value["nat"] is value["na"] is None
    assert value["nan"] == [1.0, None]
    assert value["dates"] == ["2026-01-01", None]
    assert value["series"][0].startswith("2026-01-01")
    assert set(data_box.artifacts(ending)) == {"a.csv", "b.json"}


def test_matplotlib_draws(data_box: Any) -> None:
    source = """
import matplotlib.pyplot as plt
plt.plot([1, 2], [3, 1]); plt.title("x"); plt.savefig("a.png"); plt.savefig("b.svg")
"""
    ending = data_box.run(source)
    assert ending.kind == "succeeded", ending.reason + ending.detail
    assert data_box.artifacts(ending)["a.png"].startswith(b"\x89PNG")
    assert ending.stderr_tail == ""


def test_pillow_and_scikit_learn(data_box: Any) -> None:
    source = """
from PIL import Image
Image.new("RGB", (8, 8), "red").resize((4, 4)).save("a.jpg")
from sklearn.linear_model import LinearRegression
model = LinearRegression().fit([[0], [1], [2]], [1, 3, 5])
result = [round(float(model.coef_[0]), 6), Image.open("a.jpg").size]
"""
    ending = data_box.run(source)
    assert ending.kind == "succeeded", ending.reason + ending.detail
    assert data_box.decoded(ending) == [2.0, [4, 4]]
    assert ending.stderr_tail == ""


def test_matplotlib_loads_in_a_lean_process_too(data_box: Any) -> None:
    source = "import matplotlib.pyplot as plt; plt.plot([1]); plt.savefig('a.png')"
    ending = data_box.run(source, zygote="lean")
    assert ending.kind == "succeeded", ending.reason + ending.detail
    assert set(data_box.artifacts(ending)) == {"a.png"}


def test_out_of_memory_in_numpy_is_the_memory_limit(data_box: Any) -> None:
    ending = data_box.run("import numpy as np; x = np.ones(1 << 28)")
    assert ending.reason == "memory limit of 512 MiB reached"
