"""A trained net for use elsewhere: as a Paddle program, as an ONNX file, or as one HTML page.

model        what is exported: the net as a layer, as a graph and as arrays, with how pixels go in and answers come out
fold         batch norms folded into the layers before them
quantize     the net in 8 bits, measured on training digits
to_paddle    what ``paddle.jit.save`` writes
to_onnx      an ONNX file, in float32 or int8; ``onnx_writer`` writes its operations
to_html      one page with a pad to draw on; ``web/`` holds its parts, ``page_twin`` runs its nets in Python
verify       compares an export with the net that it came from, on the evaluation digits
write        ``export``: all of this in the right order
"""

from paddle_mnist.exports.verify import DifferentError
from paddle_mnist.exports.write import Exported, export

__all__ = ["DifferentError", "Exported", "export"]
