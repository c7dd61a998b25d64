"""What the daemon and its clients say to each other: one message each way.

Protocol 1 is one JSON object, tensors in base64, as the `gpuemu` client on PyPI speaks it. Protocol 2 is
the same message with the tensors as raw bytes behind it. A reply comes in the protocol of its request.
Nothing in a message names code, and nothing is unpickled; what does not fit is a ProtocolError with one
of the codes below. tensor.py: tensors; framing.py: bytes to message and back; requests/: what may be asked.
This package imports no NumPy, so that the daemon answers as soon as Python has started.
"""

from __future__ import annotations

PROTOCOL_VERSION = 1
# The test id of what a client had judged.
CLIENT = "client"
# How the note begins that comes with a verdict where the store cannot be written.
NOT_STORED = "not stored"
MAX_MESSAGE_BYTES = 256 * 2**20
MAX_BATCH_BYTES = 64 * 2**20

OP_NOT_FOUND = "OpNotFound"
REFERENCE_FAILED = "ReferenceScriptFailed"
INVALID_REQUEST = "InvalidRequest"
INTERNAL_ERROR = "InternalError"
NOT_FOUND = "NotFound"
CONFIG_ERROR = "ConfigError"
BASELINE_NOT_FOUND = "BaselineNotFound"
ARTIFACT_NOT_FOUND = "ArtifactNotFound"
KERNEL_NOT_FOUND = "KernelNotFound"
PTX_PARSE_ERROR = "PtxParseError"
CUOBJDUMP_NOT_AVAILABLE = "CuobjdumpNotAvailable"
STORE_ERROR = "StoreError"
VERSION_MISMATCH = "VersionMismatch"
CANNOT_RUN_HERE = "CannotRunHere"
NO_OP_TO_RUN = "NoOpToRun"
