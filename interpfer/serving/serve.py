"""Serves the page: offline, for this computer alone unless another address is passed."""

import ipaddress
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from interpfer.errors import InterpferError, PluginError
from interpfer.registry import missing_package
from interpfer.serving.answers import Answers
from interpfer.serving.options import ServeOptions

OFFLINE = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""Environment in which gradio asks nothing of the network."""


FONTS = ["system-ui", "sans-serif"]
"""Of the reader's own system: others would be loaded."""


def serve(models: Sequence[str | Path], options: ServeOptions, report: Callable[[str], None]) -> None:
    """Serve the page until it is interrupted.

    Args:
        models: checkpoints.
        options: how pictures are explained, and where the page is.
        report: called with lines for the user.

    Raises:
        InterpferError: a package is missing, a model cannot be loaded, or the port is taken.
    """
    with open_page(models, options) as (page, address):
        report(f"{address} (Ctrl-C ends it)")
        if not is_loopback(options.host):
            report(f"everyone who reaches {options.host} can have pictures explained here; there is no password")
        page.block_thread()


@contextmanager
def open_page(models: Sequence[str | Path], options: ServeOptions) -> Iterator[tuple[Any, str]]:
    """Open the page in the background; what was uploaded is deleted afterwards.

    Args:
        models: checkpoints.
        options: how pictures are explained, and where the page is.

    Yields:
        The page and its address.

    Raises:
        InterpferError: as ``serve``.
    """
    os.environ.update(OFFLINE)
    gradio = _import_gradio()
    require_free_port(options.host, options.port)
    from interpfer.serving.page import build_page

    with tempfile.TemporaryDirectory(prefix="interpfer-serve-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        answers = Answers(models, options, Path(folder))
        page = build_page(gradio, answers)
        try:
            _, address, _ = page.launch(
                server_name=options.host,
                server_port=options.port,
                share=False,
                quiet=True,
                show_error=False,
                footer_links=[],
                theme=gradio.themes.Default(font=FONTS, font_mono="monospace"),
                enable_monitoring=False,
                ssr_mode=False,
                pwa=False,
                prevent_thread_lock=True,
            )
        except OSError as error:
            raise InterpferError(f"the page cannot be served at {options.host}:{options.port}: {error}.") from error
        try:
            yield page, address
        finally:
            page.close(verbose=False)


def _import_gradio() -> Any:
    """Import gradio.

    Raises:
        PluginError: it is not installed.
    """
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise PluginError(f"serve needs {missing_package(error)}") from error
    return gradio


def require_free_port(host: str, port: int) -> None:
    """Check that a page can be served at an address.

    Raises:
        InterpferError: the port is taken, or the host is none of this computer.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror:
            raise InterpferError(f"host {host} is no address of this computer: pass --host 127.0.0.1.") from None
        except OSError as error:
            if error.errno == 98 or "in use" in str(error):
                raise InterpferError(f"port {port} of {host} is taken: pass another one, --port N.") from None
            raise InterpferError(f"the page cannot be served at {host}:{port}: {error.strerror}.") from None


def is_loopback(host: str) -> bool:
    """Return whether an address is reachable from this computer alone.

    Examples:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
