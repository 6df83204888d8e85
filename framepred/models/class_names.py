"""Names of the classes that saved weights may build: those that ``framepred.models`` exports, and imported ones."""

from importlib import import_module

from framepred.errors import ConfigError

PACKAGE = "framepred.models"


def exported_class(name: str) -> type | None:
    """Return the class that ``framepred.models`` exports by a name; None if there is none. No other module is read."""
    found = getattr(import_module(PACKAGE), name, None)
    return found if isinstance(found, type) else None


def imported_class(name: str, base: type) -> type | None:
    """Return the subclass of ``base`` of a name outside framepred, the one defined last, if it is imported already.

    Nothing is imported for it, because weights from elsewhere must not choose which code runs.
    """
    kinds: list[type] = base.__subclasses__()
    for kind in reversed(kinds):
        named = kind.__name__ == name and kind.__module__.partition(".")[0] != "framepred"
        if found := kind if named else imported_class(name, kind):
            return found
    return None


def check_exported(kind: type) -> None:
    """Refuse a class of ``framepred.models`` that is not exported: saved weights name it, and could not be loaded.

    Raises:
        ConfigError: if it is not exported; classes of other packages are accepted.
    """
    if kind.__module__.startswith(f"{PACKAGE}.") and exported_class(kind.__name__) is not kind:
        raise ConfigError(
            f"{PACKAGE} does not export {kind.__name__}, so its weights could not be loaded; "
            "import it in framepred/models/__init__.py."
        )
