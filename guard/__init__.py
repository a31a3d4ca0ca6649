"""guard keeps programs that touch personal data inside the law.

Every attempted operation becomes one `Activity`; OPA policies turn it into one `Decision`; the adapter that
caught it carries the decision out; the register keeps who asked what about whom, why, and what was decided.
Begin with `Guard.load("guard.yaml")`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guard.catalogue import Catalogue
    from guard.config import Settings
    from guard.context import Acting
    from guard.errors import ConfigError, GuardError, Held, Misuse, Problem, Refused
    from guard.facade import Guard
    from guard.model import Activity, Actor, Consent, Decision, Declared, Notice, Outcome, Recipient, Verdict
    from guard_ledger.consent_record import ConsentRecord

__version__ = "0.1.0"

_HOME = {
    "Acting": "guard.context",
    "Activity": "guard.model",
    "Actor": "guard.model",
    "Catalogue": "guard.catalogue",
    "ConfigError": "guard.errors",
    "Consent": "guard.model",
    "ConsentRecord": "guard_ledger.consent_record",
    "Decision": "guard.model",
    "Declared": "guard.model",
    "Guard": "guard.facade",
    "GuardError": "guard.errors",
    "Held": "guard.errors",
    "Misuse": "guard.errors",
    "Notice": "guard.model",
    "Outcome": "guard.model",
    "Problem": "guard.errors",
    "Recipient": "guard.model",
    "Refused": "guard.errors",
    "Settings": "guard.config",
    "Verdict": "guard.model",
}

__all__ = [  # the public surface, pinned by a test; the table above says where each lives
    "Acting",
    "Activity",
    "Actor",
    "Catalogue",
    "ConfigError",
    "Consent",
    "ConsentRecord",
    "Decision",
    "Declared",
    "Guard",
    "GuardError",
    "Held",
    "Misuse",
    "Notice",
    "Outcome",
    "Problem",
    "Recipient",
    "Refused",
    "Settings",
    "Verdict",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for (PEP 562): `import guard` itself loads next to nothing."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'guard' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
