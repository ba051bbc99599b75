"""The part of MessagePack that the frames use (github.com/msgpack/msgpack/blob/master/spec.md), for the worker's side.

``msgspec`` does the same on the server's side, faster and with types; here it would cost 3.5 MB in each worker.
"""

from __future__ import annotations

# The extension alone, and now: once the worker has blown its fuses, nothing can be imported any more.
import _struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Levels of lists and dicts in each other; more is refused, in both directions.
DEPTH_MAX = 100


def pack(value: Any) -> bytes:
    """One value: None, bool, int of 64 bits, float, str, bytes, list, dict with text keys.

    :raises ValueError: it is none of these, or nested too deeply.
    """
    parts: list[bytes] = []
    _pack(value, parts.append, 0)
    return b"".join(parts)


def _pack(value: Any, put: Any, depth: int) -> None:
    kind = type(value)
    if kind is str:
        # Lone surrogates, which JavaScript has and UTF-8 has not, become question marks.
        _text(value.encode("utf-8", "replace"), put)
    elif value is None:
        put(b"\xc0")
    elif kind is bool:
        put(b"\xc3" if value else b"\xc2")
    elif kind is int:
        _integer(value, put)
    elif kind is bytes:
        _header(len(value), put, small=None, codes=b"\xc4\xc5\xc6")
        put(value)
    elif kind is float:
        put(b"\xcb" + _double(value))
    elif depth >= DEPTH_MAX:
        raise ValueError("the value is nested too deeply")
    elif kind is list:
        _header(len(value), put, small=(0x90, 16), codes=b"\x00\xdc\xdd")
        for item in value:
            _pack(item, put, depth + 1)
    elif kind is dict:
        _header(len(value), put, small=(0x80, 16), codes=b"\x00\xde\xdf")
        for key, item in value.items():
            _text(str(key).encode("utf-8", "replace"), put)
            _pack(item, put, depth + 1)
    else:
        raise ValueError(f"a {kind.__name__} cannot be sent")


def _text(data: bytes, put: Any) -> None:
    _header(len(data), put, small=(0xA0, 32), codes=b"\xd9\xda\xdb")
    put(data)


def _header(length: int, put: Any, *, small: tuple[int, int] | None, codes: bytes) -> None:
    """A type and its length in the shortest form; ``codes`` are those with 1, 2 and 4 bytes of length, 0 for none."""
    if small is not None and length < small[1]:
        put(bytes((small[0] | length,)))
    elif length < 256 and codes[0]:
        put(bytes((codes[0], length)))
    elif length < 65_536:
        put(codes[1:2] + length.to_bytes(2, "big"))
    else:
        put(codes[2:3] + length.to_bytes(4, "big"))


def _integer(value: int, put: Any) -> None:
    if 0 <= value < 128:
        put(bytes((value,)))
    elif -(2**63) <= value < 2**63:
        put(b"\xd3" + value.to_bytes(8, "big", signed=True))
    elif 0 <= value < 2**64:
        put(b"\xcf" + value.to_bytes(8, "big"))
    else:
        raise ValueError("an integer of more than 64 bits cannot be sent")


def _double(value: float) -> bytes:
    return _struct.pack(">d", value)


def unpack(data: bytes) -> Any:
    """The one value of a message.

    :raises ValueError: it is no message, or something follows it.
    """
    try:
        value, end = _unpack(data, 0, 0)
    except (IndexError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f"not a message: {error}") from None
    if end != len(data):
        raise ValueError("something follows the message")
    return value


_LENGTH_BYTES = {
    0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4,
}  # fmt: skip
_INTEGERS = {
    0xCC: (1, False), 0xCD: (2, False), 0xCE: (4, False), 0xCF: (8, False),
    0xD0: (1, True), 0xD1: (2, True), 0xD2: (4, True), 0xD3: (8, True),
}  # fmt: skip
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


def _unpack(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    code = data[at]
    at += 1
    if code < 0x80:
        return code, at
    if code >= 0xE0:
        return code - 256, at
    if code in _CONSTANTS:
        return _CONSTANTS[code], at
    if code in _INTEGERS:
        size, signed = _INTEGERS[code]
        return int.from_bytes(_cut(data, at, size), "big", signed=signed), at + size
    if code in (0xCA, 0xCB):
        return _unpack_float(data, at, code)
    if code < 0xC0:
        length = code & (0x1F if code >= 0xA0 else 0x0F)
        code = 0xD9 if code >= 0xA0 else 0xDC if code >= 0x90 else 0xDE
    elif code in _LENGTH_BYTES:
        size = _LENGTH_BYTES[code]
        length = int.from_bytes(_cut(data, at, size), "big")
        at += size
    else:
        raise ValueError(f"the type 0x{code:02x} has no place here")
    if code <= 0xC6:
        return _cut(data, at, length), at + length
    if code <= 0xDB:
        return _cut(data, at, length).decode(), at + length
    return _unpack_many(data, at, length, depth, is_list=code <= 0xDD)


def _unpack_many(data: bytes, at: int, length: int, depth: int, *, is_list: bool) -> tuple[Any, int]:
    if depth >= DEPTH_MAX:
        raise ValueError("the message is nested too deeply")
    if is_list:
        items = []
        for _ in range(length):
            item, at = _unpack(data, at, depth + 1)
            items.append(item)
        return items, at
    fields = {}
    for _ in range(length):
        key, at = _unpack(data, at, depth + 1)
        fields[key], at = _unpack(data, at, depth + 1)
    return fields, at


def _unpack_float(data: bytes, at: int, code: int) -> tuple[float, int]:
    size, form = (4, ">f") if code == 0xCA else (8, ">d")
    return _struct.unpack(form, _cut(data, at, size))[0], at + size


def _cut(data: bytes, at: int, length: int) -> bytes:
    piece = data[at : at + length]
    if len(piece) != length:
        raise ValueError("the message is cut off")
    return piece
