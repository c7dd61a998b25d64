"""The code that runs: the disassembly of what ptxas made.

Here: running nvdisasm or cuobjdump on a cubin, its instructions by class, and which PTX line each comes from.
Elsewhere: making the cubin (ptxas.py).
nvdisasm names the PTX line of an instruction where ptxas was asked for line information; cuobjdump does not.
The classes are by the opcode tables of the CUDA Binary Utilities manual.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_gpuemu.engine.artifacts.tools import Tool, Tools
from pytest_gpuemu.engine.errors import ArtifactError

_FUNCTION = re.compile(r"^\.text\.([^:\s]+):|^\s*Function : (\S+)")
_PTX_LINE = re.compile(r'^\s*//## File "\.nv_debug_ptx_txt[^"]*", line (\d+)')
_INSTRUCTION = re.compile(r"^\s*(?:\{\s*)?/\*[0-9a-f]{4,}\*/\s+(?:\{\s*)?(@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)")
# The beginnings of each class's opcodes; the longest that fits decides, so LDG is no LD.
_CLASSES = {
    "tensor": "HMMA IMMA DMMA BMMA QMMA OMMA HGMMA IGMMA QGMMA BGMMA WARPGROUP UTCHMMA UTCQMMA UTCIMMA "
    "UTCOMMA UTCATOMSWS UVIRTCOUNT LDSM STSM MOVM LDTM STTM",
    "local_load": "LDL",
    "local_store": "STL",
    "async_copy": "LDGSTS LDGDEPBAR UBLKCP UBLKRED UBLKPF UTMALDG UTMASTG UTMAPF UTMAREDG UTMACMDFLUSH",
    "global_load": "LDG",
    "global_store": "STG",
    "shared_load": "LDS",
    "shared_store": "STS STAS",
    "constant_load": "LDC ULDC LDCU",
    "generic_load": "LD",
    "generic_store": "ST",
    "atomic": "ATOM RED UATOM SYNCS",
    "cache": "CCTL UTMACCTL",
    "texture": "TEX TLD TMML TXD TXQ SULD SUST SUATOM SURED",
    "float64": "DFMA DADD DMUL DSETP DMNMX",
    "float32": "FFMA FADD FMUL FMNMX FSETP FSEL FSET FCHK FSWZADD",
    "float16": "HFMA2 HADD2 HMUL2 HMNMX2 HSETP2 HSET2 FHADD",
    "special_function": "MUFU",
    "convert": "I2F F2I F2F I2I FRND F2IP",
    "warp": "SHFL VOTE MATCH REDUX CREDUX ELECT UVOTE",
    "barrier": "BAR MEMBAR DEPBAR ERRBAR WARPSYNC UCGABAR CGAERRBAR UTCBAR FENCE",
    "control": "BRA BRX JMP CALL RET EXIT BSSY BSYNC BREAK BPT KILL NANOSLEEP YIELD RPCMOV BMOV ACQBULK "
    "PREEXIT USETMAXREG LEPC",
    "move": "MOV UMOV S2R S2UR CS2R R2UR SEL USEL PRMT UPRMT P2R R2P UP2UR PLOP3 UPLOP3 R2B B2R",
    "integer": "IADD IMAD IMUL ISETP IMNMX IABS IDP ISCADD LEA LOP SHF SHL SHR POPC FLO BREV VABSDIFF VIADD "
    "VIMNMX SGXT BMSK UIADD UIMAD UISETP ULOP USHF ULEA UFLO UPOPC UBREV USGXT UBMSK",
}
_CLASS_OF = sorted(
    ((beginning, name) for name, beginnings in _CLASSES.items() for beginning in beginnings.split()),
    key=lambda pair: -len(pair[0]),
)


@dataclass(frozen=True, slots=True)
class SassInstruction:
    """opcode is the first word ("LDG.E.128"); ptx_line is None where the disassembler does not say it."""

    opcode: str
    ptx_line: int | None = None


@dataclass(frozen=True, slots=True)
class Disassembly:
    """The code of each function of a cubin, by name, without the NOPs that fill its end."""

    tool: Tool
    functions: Mapping[str, tuple[SassInstruction, ...]]


def disassemble(cubin: bytes, tools: Tools) -> Disassembly | None:
    """The code of a cubin by the first disassembler that reads it; None where none does."""
    attempts: list[tuple[Tool, Sequence[str]]] = [(tool, ("-c", "-gp")) for tool in tools.nvdisasm]
    attempts += [(tool, ("-sass",)) for tool in tools.cuobjdump]
    with tempfile.TemporaryDirectory(prefix="gpuemu-sass-") as folder:
        path = Path(folder, "kernel.cubin")
        path.write_bytes(cubin)
        for tool, options in attempts:
            try:
                ended = tool.run(*options, str(path))
            except ArtifactError:
                continue
            functions = read_disassembly(ended.stdout)
            if ended.returncode == 0 and functions:
                return Disassembly(tool, functions)
    return None


def read_disassembly(printed: str) -> dict[str, tuple[SassInstruction, ...]]:
    """The instructions of each function, from what nvdisasm or cuobjdump printed."""
    found: dict[str, list[SassInstruction]] = {}
    current: list[SassInstruction] | None = None
    ptx_line: int | None = None
    for line in printed.splitlines():
        if match := _FUNCTION.match(line):
            current = found.setdefault(match[1] or match[2], [])
            ptx_line = None
        elif match := _PTX_LINE.match(line):
            ptx_line = int(match[1])
        elif current is not None and (match := _INSTRUCTION.match(line)):
            current.append(SassInstruction(match[2].rstrip("."), ptx_line))
    return {name: tuple(i for i in code if i.opcode != "NOP") for name, code in found.items()}


def sass_class(opcode: str) -> str:
    """The class of an opcode: "global_load" for LDG.E.128; "other" for one that is not known."""
    first = opcode.split(".")[0]
    for beginning, name in _CLASS_OF:
        if first.startswith(beginning):
            return name
    return "other"


def instruction_mix(code: Iterable[SassInstruction]) -> dict[str, int]:
    """Instructions by class."""
    return dict(sorted(Counter(sass_class(instruction.opcode) for instruction in code).items()))
