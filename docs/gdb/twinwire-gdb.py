# SPDX-License-Identifier: Apache-2.0
"""GDB commands that know fibers: what each of them waits for, and where.

    (gdb) source docs/gdb/twinwire-gdb.py
    (gdb) twinwire fibers          every live fiber of the process: name, state, what it waits for
    (gdb) twinwire bt              the backtrace of every fiber that is not running
    (gdb) twinwire bt reader       of those whose name holds "reader"
    (gdb) twinwire bt #3           of the third in `twinwire fibers`

Works on a live process and on a core file, at any optimisation, with and without the program's types: fibers are found
by the StackLabel at the end of each stack's slot (transport/fiber/stack_pool.h), and nothing in the process is changed.
A core file must be the kernel's: gdb's own generate-core-file gives up on a mapping at its first guard.
x86-64 only; the saved registers are laid out as Boost.Context 1.81 does it (jump_x86_64_sysv_elf_gas.S).
"""

import re
import struct

import gdb
import gdb.unwinder

MAGIC = 0x74776972655F6669  # StackLabel::magic_value
LABEL = struct.Struct("<6Q")  # magic, fiber, name, state, waiting_for, context
SLOT_MIN = 16 * 1024  # slots are aligned to their size, a power of two of at least this
MAPPING_MAX = 64 << 30  # what is larger is a sanitizer's shadow memory and no row of stacks
PARKED = 2
STATES = {0: "ready", 1: "running", PARKED: "parked", 3: "done"}

# What jump_fcontext saves, from the context pointer upwards: MXCSR and the x87 control word, a word that is not used,
# then these, eight bytes each. The stack pointer afterwards is the context + 0x48.
SAVED = ("r12", "r13", "r14", "r15", "rbx", "rbp", "rip")
SAVED_AT = 0x10
FRAME_SIZE = 0x48


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def read_pointer(address):
    return struct.unpack("<Q", read(address, 8))[0]


def read_text(address, limit=64):
    text = b""
    while address and len(text) < limit and not text.endswith(b"\0"):
        text += read(address + len(text), 1)
    return text.rstrip(b"\0").decode(errors="replace")


class Fiber:
    def __init__(self, number, label):
        _, self.address, name, state, waiting_for, context = LABEL.unpack(label)
        self.number = number
        self.name = read_text(name)
        self.state = read(state, 1)[0]
        self.waiting_for = read_text(read_pointer(waiting_for)) if self.state == PARKED else ""
        self.context = read_pointer(context)

    @property
    def state_name(self):
        return STATES.get(self.state, "?")


def stack_memory():
    """Ranges of memory that may hold stacks: mapped, and not from a file."""
    for line in gdb.execute("info proc mappings", to_string=True).splitlines():
        fields = line.split()
        if len(fields) < 4 or not fields[0].startswith("0x"):
            continue
        # start, end, size, offset, [permissions,] [file]
        rest = [f for f in fields[4:] if not re.fullmatch(r"[-r][-w][-x][-ps]", f)]
        permissions = [f for f in fields[4:] if f not in rest]
        if rest or any("w" not in p for p in permissions):
            continue
        yield int(fields[0], 16), int(fields[1], 16)


def core_memory():
    """The same in a core file, whose mappings are its sections."""
    for line in gdb.execute("maintenance info sections", to_string=True).splitlines():
        match = re.search(r"(0x[0-9a-f]+)->(0x[0-9a-f]+) at 0x[0-9a-f]+: load\w* ", line)
        if match:
            yield int(match[1], 16), int(match[2], 16)


def find_fibers():
    ranges = sorted(set(stack_memory()) | set(core_memory()))
    fibers = []
    seen = set()
    for start, end in ranges:
        if end - start > MAPPING_MAX:
            continue
        slot_end = (start // SLOT_MIN + 1) * SLOT_MIN
        while slot_end <= end:
            try:
                label = read(slot_end - LABEL.size, LABEL.size)
            except gdb.MemoryError:
                label = b"\0" * LABEL.size  # not in the core: never touched
            magic, fiber = LABEL.unpack(label)[:2]
            if magic == MAGIC and fiber != 0 and slot_end not in seen:
                seen.add(slot_end)
                fibers.append(Fiber(len(fibers) + 1, label))
            slot_end += SLOT_MIN
    return fibers


class FiberUnwinder(gdb.unwinder.Unwinder):
    """Makes a fiber's saved registers the caller of the present frame, for as long as `fiber` is set."""

    def __init__(self):
        super().__init__("twinwire-fiber")
        self.enabled = False
        self.context = 0
        self.innermost = 0

    def __call__(self, pending):
        stack_pointer = pending.read_register("rsp")
        if int(stack_pointer) & (2**64 - 1) != self.innermost:
            return None
        pc = pending.read_register("rip")
        word = stack_pointer.type if stack_pointer.type.code == gdb.TYPE_CODE_INT else gdb.lookup_type("long")
        # The frame's identity must lie below its caller's on the same stack, or gdb takes the stack for corrupt.
        unwound = pending.create_unwind_info(FrameId(gdb.Value(self.context).cast(word), pc))
        for index, register in enumerate(SAVED):
            value = gdb.Value(read_pointer(self.context + SAVED_AT + 8 * index))
            unwound.add_saved_register(register, value.cast(word))
        unwound.add_saved_register("rsp", gdb.Value(self.context + FRAME_SIZE).cast(word))
        return unwound


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


UNWINDER = FiberUnwinder()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)


def backtrace(fiber):
    """Lines like gdb's own, innermost first."""
    gdb.newest_frame().select()
    UNWINDER.innermost = int(gdb.newest_frame().read_register("rsp")) & (2**64 - 1)
    UNWINDER.context = fiber.context
    UNWINDER.enabled = True
    gdb.invalidate_cached_frames()
    try:
        frame = gdb.newest_frame().older()
        number = 0
        while frame is not None and frame.is_valid() and frame.pc() != 0:
            place = frame.find_sal()
            where = f" at {place.symtab.filename}:{place.line}" if place.symtab else ""
            name = frame.name() or "??"
            yield f"  #{number:<3} {frame.pc():#018x} in {name}{where}"
            # Where a fiber begins; what lies beyond is the frame that make_fcontext laid out.
            if "FiberEntry::enter" in name or name == "enter":
                break
            number += 1
            try:
                frame = frame.older()
            except gdb.error as problem:
                yield f"       ({problem})"
                break
    finally:
        UNWINDER.enabled = False
        gdb.invalidate_cached_frames()


def chosen(argument):
    fibers = find_fibers()
    if argument.startswith("#"):
        return [f for f in fibers if f.number == int(argument[1:], 10)]
    return [f for f in fibers if argument in f.name]


def headline(fiber):
    waiting = f", waiting for {fiber.waiting_for}" if fiber.waiting_for else ""
    return f"#{fiber.number} '{fiber.name}' {fiber.state_name}{waiting}"


class Twinwire(gdb.Command):
    """Fibers of twinwire: `twinwire fibers`, `twinwire bt [part of a name | #number]`."""

    def __init__(self):
        super().__init__("twinwire", gdb.COMMAND_STACK, prefix=True)


class Command(gdb.Command):
    def invoke(self, argument, from_tty):
        if gdb.selected_thread() is None:
            raise gdb.GdbError("There is no process and no core file to look into.")
        architecture = gdb.newest_frame().architecture().name()
        if "x86-64" not in architecture:
            raise gdb.GdbError(f"twinwire's fibers are understood on x86-64 only; this is {architecture}.")
        self.run(argument.strip())


class Fibers(Command):
    """Lists every live fiber of the process: number, name, state, what it waits for."""

    def __init__(self):
        super().__init__("twinwire fibers", gdb.COMMAND_STACK)

    def run(self, argument):
        fibers = chosen(argument)
        for fiber in fibers:
            print(headline(fiber))
        print(f"{len(fibers)} fiber{'' if len(fibers) == 1 else 's'}")


class Backtrace(Command):
    """Prints the backtraces of fibers that are not running: all, those whose name holds a text, or one by #number."""

    def __init__(self):
        super().__init__("twinwire bt", gdb.COMMAND_STACK)

    def run(self, argument):
        fibers = chosen(argument)
        if not fibers:
            raise gdb.GdbError(f"No fiber is called like '{argument}'." if argument else "There is no fiber.")
        for fiber in fibers:
            print(headline(fiber))
            if STATES.get(fiber.state) == "running":
                print("  (it has the thread: see gdb's own `bt`)")
                continue
            for line in backtrace(fiber):
                print(line)


Twinwire()
Fibers()
Backtrace()
