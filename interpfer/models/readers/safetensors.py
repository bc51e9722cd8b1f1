"""safetensors files: weights and a little text, no code."""

from pathlib import Path

from interpfer.errors import ModelError
from interpfer.models.messages import first_line
from interpfer.models.readers.base import CheckpointData, Request
from interpfer.models.readers.contents import find_weights
from interpfer.models.readers.signatures import is_safetensors


class SafeTensors:
    """Reads one safetensors file."""

    def accepts(self, path: Path) -> bool:
        """Return whether the file begins with a safetensors header."""
        return is_safetensors(path)

    def read(self, path: Path, request: Request) -> CheckpointData:
        """Read the weights; such a file holds no code."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            weights = load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(
                f"{path} is a broken safetensors file ({first_line(error)}); copy or download it again."
            ) from error
        if not weights:
            raise ModelError(f"{path} is a safetensors file without any tensor.")
        contents = find_weights(weights, str(path), request.key)
        return CheckpointData("safetensors", contents.weights, where=contents.where, notes=contents.notes)
