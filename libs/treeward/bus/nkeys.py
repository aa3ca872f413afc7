"""Making nkeys: a seed, which is the secret, and the public key, which the server is told."""

import secrets

import nkeys  # type: ignore[import-untyped]

SEED_BYTES = 32


def new_seed() -> str:
    """A fresh user seed, `SU...`."""
    seed: bytes = nkeys.encode_seed(secrets.token_bytes(SEED_BYTES), nkeys.PREFIX_BYTE_USER)
    return seed.decode()


def public_key(seed: str) -> str:
    """The public key of a user seed, `U...`; raises ValueError if it is none."""
    try:
        key: bytes = nkeys.from_seed(bytearray(seed.strip().encode())).public_key
    except (nkeys.NkeysError, ValueError) as error:
        raise ValueError(f"not an nkey seed: {error!r}") from None
    return key.decode()
