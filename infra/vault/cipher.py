"""Boxes: XChaCha20-Poly1305, with a nonce that follows from what is sealed.

The nonce is keyed BLAKE2b over (associated data, field, plaintext), the way SIV modes do it: the same again gives the
same bytes, and a nonce meets another plaintext only by a collision of 192 bits. Format: nonce (24 bytes), ciphertext
and tag (16). Who has no key learns the length, and whether the same field of the same message was sealed twice alike.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

NONCE: Final = 24
KEY: Final = 32


def new_key() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(KEY)


def seal(key: bytes, plain: bytes, bound: bytes, field: str = "") -> bytes:
    """A box that opens with the same key and the same associated data only."""
    nonce_key, content_key = _derived(key)
    text = b"".join(len(part).to_bytes(8, "big") + part for part in (bound, field.encode(), plain))
    nonce = blake2b(text, key=nonce_key, digest_size=NONCE).digest()
    return nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(plain, bound, nonce, content_key)


def open_box(key: bytes, box: bytes, bound: bytes) -> bytes | None:
    """What is in a box; None when it is not of this key, not for this place, or damaged."""
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(box[NONCE:], bound, box[:NONCE], _derived(key)[1])
    except (CryptoError, TypeError, ValueError):
        return None


def fingerprint(key: bytes) -> str:
    """16 hexadecimal digits that tell one key from another and say nothing else about it."""
    return blake2b(b"fingerprint", key=key, digest_size=8).hexdigest()


def proof(key: bytes, state: bytes) -> bytes:
    """A keyed hash of what may hold personal data: it confirms no guess to who has no key."""
    return blake2b(state, key=blake2b(b"thespis state hash", key=key).digest(), digest_size=32).digest()


def _derived(key: bytes) -> tuple[bytes, bytes]:
    both = blake2b(b"thespis subject key", key=key, digest_size=64).digest()
    return both[:32], both[32:]
