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
from interpfer.models.messages import TRUST, first_line, list_few
from interpfer.models.readers.archive import check_archive
from interpfer.models.readers.base import CheckpointData, Request
from interpfer.models.readers.contents import find_weights
from interpfer.models.readers.entries import Contents
from interpfer.models.readers.inert import load_inert
from interpfer.models.readers.pickles import find_imports, select_suspicious
from interpfer.models.readers.signatures import describe_other_file


class TorchFile:
    """Reads files of ``torch.save``; it is tried last and accepts every file."""

    def accepts(self, path: Path) -> bool:
        """Return whether the path is a file."""
        return path.is_file()

    def read(self, path: Path, request: Request) -> CheckpointData:
        """Read with ``weights_only=True``; files that need more are read without their code, or with ``trust``."""
        check_archive(path)
        try:
            return _to_data(find_weights(_load_weights_only(path), str(path), request.key))
        except ModelError:
            raise
        except Exception as error:  # torch may raise anything for a broken file
            imports = _find_imports(path)
            if not imports:
                is_pickle = isinstance(error, pickle.UnpicklingError)
                reason = "it holds no tensors" if is_pickle else first_line(error)
                raise ModelError(_describe_broken(path, reason)) from error
        if request.trust:
            return _unpickle(path, request, imports)
        suspicious = select_suspicious(imports)
        if suspicious:
            raise TrustError(
                f"checkpoint {path} is a pickle that would import and run {list_few(suspicious)}, "
                f"which no weights need; {TRUST}."
            )
        return _read_inert(path, imports, request.key)


def code_error(path: Path, imports: tuple[str, ...]) -> TrustError:
    """Return the error for a pickle whose module needs code."""
    return TrustError(
        f"checkpoint {path} is a pickle that would import and run {list_few(imports)}; {TRUST}, "
        "or pass its architecture with --arch to read the weights only."
    )


def _load_weights_only(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old pickles
        return torch.load(path, map_location="cpu", weights_only=True)


def _find_imports(path: Path) -> tuple[str, ...]:
    try:
        return find_imports(path)
    except Exception as error:  # tarfile may raise anything for a broken archive
        raise ModelError(_describe_broken(path, first_line(error))) from error


def _read_inert(path: Path, imports: tuple[str, ...], key: str | None) -> CheckpointData:
    try:
        content = load_inert(path, imports)
    except Exception:  # objects that torch cannot read with weights_only
        names = list_few(imports)
        raise TrustError(f"checkpoint {path} is a pickle that would import and run {names}; {TRUST}.") from None
    contents = find_weights(content, str(path), key)
    if contents.class_name is not None:
        return _to_data(contents, imports)
    note = f"objects beside the weights were not loaded, as they would run code: {list_few(imports)}"
    return _to_data(contents, (), note)


def _unpickle(path: Path, request: Request, imports: tuple[str, ...]) -> CheckpointData:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(
                path, map_location="cpu", weights_only=False, pickle_module=_pickle_module(request.source)
            )
    except Exception as error:
        try:
            return _to_data(find_weights(load_inert(path, imports), str(path), request.key), imports)
        except Exception:
            source = " or in the FILE.py of --arch" if request.source is None else f" or in {request.source}"
            is_missing = isinstance(error, AttributeError | ImportError)
            remedy = f"; its classes must be importable{source}" if is_missing else ""
            raise ModelError(
                f"checkpoint {path} cannot be unpickled: {type(error).__name__}: {first_line(error)}{remedy}."
            ) from error
    return _to_data(find_weights(content, str(path), request.key))


def _pickle_module(source: Path | None) -> Any:
    """Return a pickle module that looks up classes which it cannot import in the user's FILE.py."""
    from interpfer.models.import_file import import_file

    @cache
    def user_module() -> Any:
        return None if source is None else import_file(source)

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if module in ("__main__", "__mp_main__") and hasattr(user_module(), name):
                return getattr(user_module(), name)
            try:
                return super().find_class(module, name)
            except (ImportError, AttributeError):
                value = getattr(user_module(), name, None) or _find_in_timm(module, name)
                if value is None:
                    raise
                return value

    replacement = ModuleType("interpfer_pickle")
    vars(replacement).update(vars(pickle))
    vars(replacement).update(Unpickler=Unpickler, load=lambda file, **options: Unpickler(file, **options).load())
    return replacement


def _find_in_timm(module: str, name: str) -> Any:
    """Return a class of an old timm from its module in the installed timm; None if there is none."""
    if not module.startswith("timm."):
        return None
    parent, _, child = module.rpartition(".")
    for candidate in (f"{parent}._{child}", "timm.layers", "timm.models"):
        try:
            value = getattr(importlib.import_module(candidate), name, None)
        except ImportError:
            continue
        if value is not None:
            return value
    return None


def _to_data(contents: Contents, imports: tuple[str, ...] = (), note: str | None = None) -> CheckpointData:
    class_name = type(contents.module).__qualname__ if contents.module is not None else contents.class_name
    card: Mapping[str, Any] = contents.card
    return CheckpointData(
        format="pickled module" if class_name else "state_dict",
        weights=contents.weights,
        module=contents.module,
        card=card,
        where=contents.where,
        skipped=contents.skipped,
        notes=(*contents.notes, *([note] if note else [])),
        class_name=class_name,
        imports=imports if contents.class_name is not None else (),
    )


def _describe_broken(path: Path, reason: str) -> str:
    description = describe_other_file(path)
    return f"{path} is not a readable checkpoint ({description or f'{reason}; copy or download it again'})."
