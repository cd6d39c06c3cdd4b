"""The one thing that setup.cfg cannot say: what is to be compiled, where there is a compiler."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        # Without it, mnist.json.gz is opened by NumPy, in twice the time.
        Extension(
            "paddle_mnist.sources.mnist_json._lookup", ["paddle_mnist/sources/mnist_json/lookup.c"], optional=True
        ),
    ]
)
