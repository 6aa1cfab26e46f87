"""The hashes behind Keras's Hashing, HashedCrossing and StringLookup, as TensorFlow computes them.

fingerprint: FarmHash's Fingerprint64 (farmhashna::Hash64, tf.strings.to_hash_bucket_fast). keyed: SipHash-2-4
(tf.strings.to_hash_bucket_strong). crossed: tf.sparse.cross_hashed. All on unsigned 64-bit integers.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

_MASK = 2**64 - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_CAT = 0xC6A4A7935BD1E995
# The key of tf.sparse.cross_hashed (python/ops/sparse_ops.py: _DEFAULT_HASH_KEY).
_CROSS_KEY = 0xDECAFCAFFE


def _fetch(text: bytes, place: int, size: int = 8) -> int:
    return int.from_bytes(text[place : place + size], "little")


def _rotated(value: int, count: int) -> int:
    value &= _MASK
    return (value >> count | value << (64 - count)) & _MASK


def _mixed(value: int) -> int:
    value &= _MASK
    return value ^ value >> 47


def _of_two(first: int, second: int, factor: int) -> int:
    a = _mixed((first ^ second) * factor)
    return _mixed((second ^ a) * factor) * factor & _MASK


def _short(text: bytes) -> int:
    size = len(text)
    factor = _K2 + size * 2
    if size >= 8:
        a, b = _fetch(text, 0) + _K2 & _MASK, _fetch(text, size - 8)
        return _of_two((_rotated(b, 37) * factor + a) & _MASK, (_rotated(a, 25) + b) * factor & _MASK, factor)
    if size >= 4:
        return _of_two(size + (_fetch(text, 0, 4) << 3), _fetch(text, size - 4, 4), factor)
    if size:
        y, z = text[0] + (text[size >> 1] << 8), size + (text[-1] << 2)
        return _mixed(y * _K2 ^ z * _K0) * _K2 & _MASK
    return _K2


def _ends(text: bytes, factor: int) -> tuple[int, int, int]:
    """What texts of 17 to 64 bytes have in common: (a, y, z before it is mixed)."""
    size = len(text)
    a = _fetch(text, 0) * (_K1 if size <= 32 else _K2) & _MASK
    b, c, d = _fetch(text, 8), _fetch(text, size - 8) * factor & _MASK, _fetch(text, size - 16) * _K2 & _MASK
    return a, (_rotated(a + b, 43) + _rotated(c, 30) + d) & _MASK, (a + _rotated(b + _K2, 18) + c) & _MASK


def _middle(text: bytes) -> int:
    size = len(text)
    factor = _K2 + size * 2
    a, y, last = _ends(text, factor)
    if size <= 32:
        return _of_two(y, last, factor)
    z = _of_two(y, last, factor)
    e, f = _fetch(text, 16) * factor & _MASK, _fetch(text, 24)
    g, h = (y + _fetch(text, size - 32)) * factor & _MASK, (z + _fetch(text, size - 24)) * factor & _MASK
    return _of_two((_rotated(e + f, 43) + _rotated(g, 30) + h) & _MASK, (e + _rotated(f + a, 18) + g) & _MASK, factor)


def _weak(text: bytes, place: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = (_fetch(text, place + offset) for offset in (0, 8, 16, 24))
    a = a + w & _MASK
    b = _rotated(b + a + z, 21)
    c = a
    a = a + x + y & _MASK
    b += _rotated(a, 44)
    return a + z & _MASK, b + c & _MASK


State = tuple[int, int, int, tuple[int, int], tuple[int, int]]


def _round(text: bytes, s: int, state: State, factor: int, times: int) -> State:
    """64 bytes. times: 1, and 9 in the last round."""
    x, y, z, v, w = state
    x = _rotated(x + y + v[0] + _fetch(text, s + 8), 37) * factor & _MASK
    y = _rotated(y + v[1] + _fetch(text, s + 48), 42) * factor & _MASK
    x ^= w[1] * times & _MASK
    y = y + v[0] * times + _fetch(text, s + 40) & _MASK
    z = _rotated(z + w[0], 33) * factor & _MASK
    v = _weak(text, s, v[1] * factor & _MASK, x + w[0])
    w = _weak(text, s + 32, z + w[1], y + _fetch(text, s + 16))
    return z, y, x, v, w


def _long(text: bytes) -> int:
    size = len(text)
    y = 81 * _K1 + 113 & _MASK
    state: State = ((81 * _K2 + _fetch(text, 0)) & _MASK, y, _mixed(y * _K2 + 113) * _K2 & _MASK, (0, 0), (0, 0))
    for s in range(0, (size - 1) // 64 * 64, 64):
        state = _round(text, s, state, _K1, 1)
    x, y, z, v, w = state
    factor = _K1 + ((z & 0xFF) << 1)
    w = (w[0] + (size - 1 & 63) & _MASK, w[1])
    v = (v[0] + w[0] & _MASK, v[1])
    w = (w[0] + v[0] & _MASK, w[1])
    x, y, z, v, w = _round(text, size - 64, (x, y, z, v, w), factor, 9)
    first = _of_two(v[0], w[0], factor) + _mixed(y) * _K0 + z
    return _of_two(first & _MASK, _of_two(v[1], w[1], factor) + x & _MASK, factor)


@functools.lru_cache(maxsize=2**16)
def fingerprint(text: bytes) -> int:
    """FarmHash's Fingerprint64."""
    return _short(text) if len(text) <= 16 else _middle(text) if len(text) <= 64 else _long(text)


def keyed(text: bytes, key: Sequence[int]) -> int:
    """SipHash-2-4 under a key of two 64-bit integers."""
    first, second = (word & _MASK for word in key)
    v = [first ^ 0x736F6D6570736575, second ^ 0x646F72616E646F6D,
         first ^ 0x6C7967656E657261, second ^ 0x7465646279746573]

    def rounds(count: int) -> None:
        # Rotations to the left, by 13, 16, 21 and 17.
        for _ in range(count):
            v[0] = v[0] + v[1] & _MASK
            v[1] = _rotated(v[1], 51) ^ v[0]
            v[0] = _rotated(v[0], 32)
            v[2] = v[2] + v[3] & _MASK
            v[3] = _rotated(v[3], 48) ^ v[2]
            v[0] = v[0] + v[3] & _MASK
            v[3] = _rotated(v[3], 43) ^ v[0]
            v[2] = v[2] + v[1] & _MASK
            v[1] = _rotated(v[1], 47) ^ v[2]
            v[2] = _rotated(v[2], 32)

    whole = len(text) // 8 * 8
    last = _fetch(text, whole) | (len(text) & 0xFF) << 56
    for word in (*(_fetch(text, place) for place in range(0, whole, 8)), last):
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def crossed(features: Sequence[bytes | int]) -> int:
    """One hash of several features, a text by its fingerprint and a whole number as it is."""
    result = _CROSS_KEY
    for feature in features:
        number = fingerprint(feature) if isinstance(feature, bytes) else feature & _MASK
        result = result ^ _CAT ^ _mixed(number * _CAT) * _CAT & _MASK
        result = _mixed(_mixed(result * _CAT) * _CAT)
    return result
