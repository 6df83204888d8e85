"""Names of the classes that saved weights may build: those that ``framepred.models`` exports, and imported ones."""

from collections.abc import Iterator
from importlib import import_module

from framepred.errors import ConfigError

PACKAGE = "framepred.models"
SCRIPT, SPAWNED_SCRIPT = "__main__", "__mp_main__"
"""Names of the module of the script that runs, in its process and in those that it spawns."""


def exported_class(name: str) -> type | None:
    """Return the class that ``framepred.models`` exports by a name; None if there is none. No other module is read."""
    found = getattr(import_module(PACKAGE), name, None)
    return found if isinstance(found, type) else None


def saved_name(kind: type) -> str:
    """Return the name of a class in saved weights: alone if ``framepred.models`` exports it, else with its module."""
    if exported_class(kind.__name__) is kind:
        return kind.__name__
    module = SCRIPT if kind.__module__ == SPAWNED_SCRIPT else kind.__module__
    return f"{module}.{kind.__qualname__}"


def imported_class(name: str, base: type) -> type | None:
    """Return the subclass of ``base`` outside framepred that a saved name means, if it is imported already.

    The class defined last counts. Earlier versions saved no modules, and the module of a script may have two names.
    Nothing is imported for it, because weights from elsewhere must not choose which code runs.
    """
    kinds = [kind for kind in _subclasses(base) if may_mean(name, saved_name(kind))]
    return max(kinds, key=lambda kind: saved_name(kind) == name, default=None)


def _subclasses(base: type) -> Iterator[type]:
    """Yield the subclasses of a class outside framepred, those defined last first."""
    kinds: list[type] = base.__subclasses__()
    for kind in reversed(kinds):
        if kind.__module__.partition(".")[0] != "framepred":
            yield kind
        yield from _subclasses(kind)


def may_mean(saved: str, name: str) -> bool:
    """Return whether a saved name may be that of a class whose saved name is ``name`` now."""
    saved_module, _, saved_class = saved.rpartition(".")
    module, _, class_name = name.rpartition(".")
    return saved_class == class_name and (saved_module == module or bool({"", SCRIPT} & {saved_module, module}))


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
