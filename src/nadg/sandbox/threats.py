"""What hostile code may try, by kind, and what each tier does about it; and what no tier here stops."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Grip = Literal["stopped", "bounded", "watched", "open"]
"""`stopped`: it fails; `bounded`: the kernel ends it at the limit; `watched`: the worker looks a few times a
second and ends it, so that a burst may overshoot; `open`: nothing is done about it.
"""


class Threat(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of attack."""

    kind: str
    tried: str
    none: Grip
    landlock: Grip
    namespaces: Grip


THREATS: Final = (
    Threat(
        kind="files",
        tried="reading the worker's environment, keys or other attempts' files; writing outside its folder",
        none="open",
        landlock="stopped",
        namespaces="stopped",
    ),
    Threat(
        kind="processes",
        tried="tracing or signalling others, starting processes or programs, outliving the attempt",
        none="open",
        landlock="stopped",
        namespaces="stopped",
    ),
    Threat(
        kind="network",
        tried="TCP, UDP, DNS, UNIX and other sockets: the internet, cloud metadata, services of this machine",
        none="open",
        landlock="stopped",
        namespaces="stopped",
    ),
    Threat(
        kind="kernel doors",
        tried="io_uring, bpf, perf, userfaultfd, keyrings, new namespaces, setuid programs",
        none="open",
        landlock="stopped",
        namespaces="stopped",
    ),
    Threat(
        kind="sight",
        tried="seeing which files exist and which processes run, without reading them",
        none="open",
        landlock="open",
        namespaces="stopped",
    ),
    Threat(
        kind="memory and CPU",
        tried="taking more memory or processor time than allowed; sleeping or ignoring signals",
        none="bounded",
        landlock="bounded",
        namespaces="bounded",
    ),
    Threat(
        kind="threads",
        tried="starting thousands of threads",
        none="watched",
        landlock="watched",
        namespaces="bounded",
    ),
    Threat(
        kind="disk",
        tried="filling the disk with many files, or using up its inodes; one huge file is bounded in every tier",
        none="watched",
        landlock="watched",
        namespaces="bounded",
    ),
    Threat(
        kind="output",
        tried="floods, bad encodings, terminal codes, forged reports, pickles, deep JSON, endless numbers",
        none="stopped",
        landlock="stopped",
        namespaces="stopped",
    ),
    Threat(
        kind="names",
        tried="links, pipes, devices and names with .. among its artifacts",
        none="stopped",
        landlock="stopped",
        namespaces="stopped",
    ),
    Threat(
        kind="set-up",
        tried="a layer that fails half-way, open descriptors, changed modules left for the next attempt",
        none="stopped",
        landlock="stopped",
        namespaces="stopped",
    ),
)

BEYOND_EVERY_TIER: Final = (
    "holes in the kernel itself, which all processes of a machine share",
    "side channels: timing, caches, the load of the machine",
    "the memory and disk of all attempts together: limits hold for each attempt by itself",
    "in landlock and none: a quota on the disk, and keeping attempts of one user apart but by rules",
    "too much work: whoever may submit runs may keep every slot busy",
)
