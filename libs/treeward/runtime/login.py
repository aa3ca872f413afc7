"""How a program logs in to NATS, as the settings say: one place for services and commands."""

import ssl

from treeward.bus.connection import Credentials
from treeward.runtime.settings import Settings
from treeward.runtime.settings_file import BadSettingsError


def credentials_of(settings: Settings) -> Credentials:
    """Key, credentials file and TLS of the settings; raises BadSettingsError if a file of them cannot be used."""
    return Credentials(
        credentials_file=str(settings.nats_credentials_file) if settings.nats_credentials_file else None,
        nkey_seed_file=str(settings.nats_nkey_file) if settings.nats_nkey_file else None,
        tls=tls_of(settings),
    )


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """What the servers' certificates are checked with, and our own; None if nothing asks for TLS."""
    demanded = any(url.startswith("tls://") for url in settings.nats_url)
    if not demanded and not settings.nats_tls_ca_file and not settings.nats_tls_certificate_file:
        return None
    try:
        tls = ssl.create_default_context(cafile=settings.nats_tls_ca_file)
        if settings.nats_tls_certificate_file is not None:
            tls.load_cert_chain(settings.nats_tls_certificate_file, settings.nats_tls_key_file)
    except (OSError, ssl.SSLError) as error:
        raise BadSettingsError(f"the TLS files of TREEWARD_NATS_TLS_... cannot be used: {error}") from None
    return tls
