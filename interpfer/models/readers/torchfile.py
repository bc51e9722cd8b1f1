"""Files of ``torch.save``: weights, dictionaries around them, whole modules; zip, legacy and bare pickles."""

import importlib
import pickle
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from interpfer.errors import ModelError, TrustError
from interpfer.models.readers.base import TRUST, Read, Request
from interpfer.models.readers.contents import Contents, find_weights
from interpfer.models.readers.inert import load_inert
from interpfer.models.readers.pickles import imports, suspicious
from interpfer.models.readers.signatures import first_line, not_a_checkpoint


class TorchFile:
    """Reads whatever ``torch.save`` writes; the reader of last resort."""

    def accepts(self, path: Path) -> bool:
        """Take every file."""
        return path.is_file()

    def read(self, path: Path, request: Request) -> Read:
        """Read with ``weights_only=True``; what wants more is read inertly, or with ``trust`` in full."""
        try:
            return _as_read(find_weights(_load_weights_only(path), str(path)))
        except pickle.UnpicklingError as refusal:
            wants = imports(path)
            if not wants:
                raise ModelError(_broken(path, "it holds no tensors")) from refusal
        except ModelError:
            raise
        except Exception as error:  # whatever a broken file brings torch to raise
            wants = imports(path)
            if not wants:
                raise ModelError(_broken(path, first_line(error))) from error
        if request.trust:
            return _unpickle(path, request, wants)
        odd = suspicious(wants)
        if odd:
            raise TrustError(
                f"checkpoint {path} is a pickle that would import and run {few(odd)}, which no weights need; {TRUST}."
            )
        return _read_inertly(path, wants)


def refusal(path: Path, wants: tuple[str, ...]) -> TrustError:
    """Return the error that a pickle may not run."""
    return TrustError(
        f"checkpoint {path} is a pickle that would import and run {few(wants)}; {TRUST}, "
        "or name its architecture with --arch: then only the weights are read."
    )


def few(items: tuple[str, ...] | list[str], count: int = 3) -> str:
    """Return the first few items as text."""
    more = f" and {len(items) - count} more" if len(items) > count else ""
    return ", ".join(items[:count]) + more


def _load_weights_only(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's remarks on old pickles
        return torch.load(path, map_location="cpu", weights_only=True)


def _read_inertly(path: Path, wants: tuple[str, ...]) -> Read:
    try:
        content = load_inert(path, wants)
    except Exception:  # objects that torch's weights_only reading has no room for
        raise TrustError(f"checkpoint {path} is a pickle that would import and run {few(wants)}; {TRUST}.") from None
    found = find_weights(content, str(path))
    if found.class_name is not None:
        return _as_read(found, wants)
    note = f"objects beside the weights were not loaded, as they would run code: {few(wants)}"
    return _as_read(found, (), note)


def _unpickle(path: Path, request: Request, wants: tuple[str, ...]) -> Read:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=False, pickle_module=_finder(request.source))
    except Exception as error:
        try:
            return _as_read(find_weights(load_inert(path, wants), str(path)), wants)
        except Exception:
            source = " or in the FILE.py of --arch" if request.source is None else f" or in {request.source}"
            lost = isinstance(error, AttributeError | ImportError)
            remedy = f"; its classes must be importable{source}" if lost else ""
            raise ModelError(
                f"checkpoint {path} cannot be unpickled: {type(error).__name__}: {first_line(error)}{remedy}."
            ) from error
    return _as_read(find_weights(content, str(path)))


def _finder(source: Path | None) -> Any:
    """Return a pickle module that looks for classes it cannot import in the user's FILE.py."""
    from interpfer.models.architectures import import_file

    @cache
    def own() -> Any:
        return None if source is None else import_file(source)

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if module in ("__main__", "__mp_main__") and hasattr(own(), name):
                return getattr(own(), name)
            try:
                return super().find_class(module, name)
            except (ImportError, AttributeError):
                found = getattr(own(), name, None) or _moved(module, name)
                if found is None:
                    raise
                return found

    finder = ModuleType("interpfer_pickle")
    vars(finder).update(vars(pickle))
    vars(finder).update(Unpickler=Unpickler, load=lambda file, **options: Unpickler(file, **options).load())
    return finder


def _moved(module: str, name: str) -> Any:
    """Return a class of an old timm at its place in the one that is installed, or None."""
    if not module.startswith("timm."):
        return None
    head, _, tail = module.rpartition(".")
    for place in (f"{head}._{tail}", "timm.layers", "timm.models"):
        try:
            found = getattr(importlib.import_module(place), name, None)
        except ImportError:
            continue
        if found is not None:
            return found
    return None


def _as_read(found: Contents, wants: tuple[str, ...] = (), note: str | None = None) -> Read:
    named = type(found.module).__qualname__ if found.module is not None else found.class_name
    kind = "pickled module" if named else "state_dict"
    card: Mapping[str, Any] = found.card
    return Read(
        format=kind,
        weights=found.weights,
        module=found.module,
        card=card,
        where=found.where,
        skipped=found.skipped,
        notes=(*found.notes, *([note] if note else [])),
        class_name=named,
        imports=wants if found.class_name is not None else (),
    )


def _broken(path: Path, reason: str) -> str:
    known = not_a_checkpoint(path)
    return f"{path} is not a readable checkpoint ({known or f'{reason}; copy or download it again'})."
