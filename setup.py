"""What setup.cfg cannot say: the C modules, compiled where there is a compiler, and the bundled sample."""

import zlib
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

SAMPLE = "mnist-5k.json.gz"
KERNELS = Path("paddle_mnist/fast/compiled")
# By it, library.py notices a module that was compiled from other sources than those that lie beside it.
SOURCES = zlib.crc32(b"".join(path.read_bytes() for path in sorted(KERNELS.glob("*.[ch]"))))


class BuildWithSample(build_py):
    """Copy the sample of 5,000 digits from work/ into the package, so that an installed package needs no clone."""

    def run(self) -> None:
        """Build the modules, then add the sample; an editable installation reads it from work/."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "paddle_mnist", "sources", SAMPLE)
            self.mkpath(str(target.parent))
            self.copy_file(str(Path("work", SAMPLE)), str(target))


setup(
    cmdclass={"build_py": BuildWithSample},
    ext_modules=[
        # Optional: without it, mnist.json.gz is opened by Python, more slowly.
        Extension(
            "paddle_mnist.sources.mnist_json._lookup", ["paddle_mnist/sources/mnist_json/lookup.c"], optional=True
        ),
        # Optional: without it, nets run on oneDNN and NumPy alone, more slowly.
        Extension(
            "paddle_mnist.fast.compiled._kernels",
            [str(KERNELS / "kernels.c")],
            depends=sorted(map(str, KERNELS.glob("*.h"))),
            define_macros=[("SOURCES", str(SOURCES))],
            extra_compile_args=["-O3", "-fno-math-errno", "-fno-trapping-math"],
            optional=True,
        ),
    ],
)
