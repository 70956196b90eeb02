"""A small assembler for seccomp filters: decision trees over system call numbers.

A filter is a list of rules (number → what to do). Neighbouring numbers with one verdict become one
range, and a binary search over the ranges keeps a run of the filter near ten instructions. That also
keeps loading cheap: the kernel tries every number once when a filter is attached.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
_ERRNO: Final = 0x00050000

_LOAD: Final = 0x20
_JUMP: Final = 0x05
_JUMP_EQUAL: Final = 0x15
_JUMP_GREATER_OR_EQUAL: Final = 0x35
_JUMP_ANY_BIT: Final = 0x45
_AND: Final = 0x54
_RETURN: Final = 0x06

_NUMBER_OFFSET: Final = 0
_ARCHITECTURE_OFFSET: Final = 4
_X32_BIT: Final = 0x40000000
_NEAR: Final = 255


class Instruction(NamedTuple):
    """One `struct sock_filter`; `own_pid` asks to put the loading process's id in place of `k`."""

    code: int
    if_true: int
    if_false: int
    k: int
    own_pid: bool = False


Block = list[Instruction]


def errno_verdict(code: int) -> int:
    """The call is not made and fails with this errno; 0 makes it seem to succeed."""
    return _ERRNO | code


def give(verdict: int) -> Block:
    return [Instruction(_RETURN, 0, 0, verdict)]


def load_argument(index: int, high: bool = False) -> Instruction:
    """The low 32 bits of an argument, which are all that the kernel reads of an int; or the high ones."""
    return Instruction(_LOAD, 0, 0, 16 + 8 * index + (4 if high else 0))


def if_argument(index: int, values: Sequence[int], then: Block, otherwise: Block) -> Block:
    """`then` where the argument is one of `values`."""
    tests = [
        Instruction(_JUMP_EQUAL, len(values) - place - 1 + len(otherwise), 0, value)
        for place, value in enumerate(values)
    ]
    return [load_argument(index), *tests, *otherwise, *then]


def if_own_pid(index: int, then: Block, otherwise: Block, or_zero: bool = False) -> Block:
    """`then` where the argument names the calling process itself."""
    tests = [Instruction(_JUMP_EQUAL, len(otherwise), 0, 0, own_pid=True)]
    if or_zero:
        tests.insert(0, Instruction(_JUMP_EQUAL, 1 + len(otherwise), 0, 0))
    return [load_argument(index), *tests, *otherwise, *then]


def if_any_bit(index: int, mask: int, then: Block, otherwise: Block) -> Block:
    """`then` where the argument has any bit of `mask`."""
    return [load_argument(index), Instruction(_JUMP_ANY_BIT, len(otherwise), 0, mask), *otherwise, *then]


def if_masked(index: int, mask: int, value: int, then: Block, otherwise: Block) -> Block:
    """`then` where the argument's bits under `mask` are `value`."""
    test = Instruction(_JUMP_EQUAL, len(otherwise), 0, value)
    return [load_argument(index), Instruction(_AND, 0, 0, mask), test, *otherwise, *then]


def if_below(index: int, bound: int, then: Block, otherwise: Block) -> Block:
    """`then` where the argument, as an unsigned number, is less than `bound`."""
    return [load_argument(index), Instruction(_JUMP_GREATER_OR_EQUAL, len(then), 0, bound), *then, *otherwise]


def if_null(index: int, then: Block, otherwise: Block) -> Block:
    """`then` where the argument is a null pointer, all 64 bits of it."""
    return [
        load_argument(index),
        Instruction(_JUMP_EQUAL, 0, 2, 0),
        load_argument(index, high=True),
        Instruction(_JUMP_EQUAL, len(otherwise), 0, 0),
        *otherwise,
        *then,
    ]


def assemble(architecture: int, rules: Mapping[int, Block], default: Block) -> Block:
    """The whole filter: a foreign architecture and x32 numbers kill, then the tree decides."""
    head = [
        Instruction(_LOAD, 0, 0, _ARCHITECTURE_OFFSET),
        Instruction(_JUMP_EQUAL, 1, 0, architecture),
        *give(KILL),
        Instruction(_LOAD, 0, 0, _NUMBER_OFFSET),
        Instruction(_JUMP_GREATER_OR_EQUAL, 0, 1, _X32_BIT),
        *give(KILL),
    ]
    return head + _tree(_ranges(rules, default))


def _ranges(rules: Mapping[int, Block], default: Block) -> list[tuple[int, Block]]:
    """(first number, verdict) of each run of numbers with one verdict, covering all numbers from 0."""
    ranges: list[tuple[int, Block]] = [(0, default)]
    for number in sorted(rules):
        for start, verdict in ((number, rules[number]), (number + 1, default)):
            if ranges[-1][0] == start:
                ranges.pop()
            if not ranges or ranges[-1][1] != verdict:
                ranges.append((start, verdict))
    return ranges


def _tree(ranges: list[tuple[int, Block]]) -> Block:
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    below, above = _tree(ranges[:middle]), _tree(ranges[middle:])
    bound = ranges[middle][0]
    if len(below) <= _NEAR:
        return [Instruction(_JUMP_GREATER_OR_EQUAL, len(below), 0, bound), *below, *above]
    jumps = [Instruction(_JUMP_GREATER_OR_EQUAL, 0, 1, bound), Instruction(_JUMP, 0, 0, len(below))]
    return [*jumps, *below, *above]


class FilterProgram(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


class Filter:
    """A finished filter in memory: filled in with the process id and loaded without more work."""

    def __init__(self, block: Block) -> None:
        encoded = b"".join(struct.pack("=HBBI", one.code, one.if_true, one.if_false, one.k) for one in block)
        self._memory = ctypes.create_string_buffer(encoded, len(encoded))
        self._pid_places = tuple(place for place, one in enumerate(block) if one.own_pid)
        self._program = FilterProgram(len(block), ctypes.addressof(self._memory))

    def __len__(self) -> int:
        return int(self._program.length)

    def program_for(self, pid: int) -> FilterProgram:
        """The program with `pid` as the process's own id."""
        for place in self._pid_places:
            struct.pack_into("=I", self._memory, place * 8 + 4, pid)
        return self._program
