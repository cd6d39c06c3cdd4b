"""Chromium for the tests that open pages: where it is, how it is started, and what a page may not do."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest

REQUIRED = "PADDLE_MNIST_REQUIRE_BROWSER"  # set to 1 where the tests must not be skipped
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")  # the first takes less time
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def start_chromium():
    """Yield a browser, or skip the tests where there is none (fail, where it is required)."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        skip("pages are opened in Chromium, which is not installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        skip("Chromium is driven by playwright, which is not installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


def skip(reason: str) -> None:
    """Skip a test that needs a browser, or fail it where it is required."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{reason}, and {REQUIRED} is 1")
    pytest.skip(reason)


def watch(context: Any, allowed: tuple[str, ...]) -> list[str]:
    """Return a list that collects the complaints of a context's pages: errors, and requests that leave the machine.

    Args:
        context: a browser context, before its first page.
        allowed: what the addresses of requests must begin with.
    """
    complaints: list[str] = []

    def add(complaint: str) -> None:
        if "ERR_NETWORK_CHANGED" not in complaint:  # the machine's own networks came or went meanwhile
            complaints.append(complaint)

    def watch_page(page: Any) -> None:
        page.on("pageerror", lambda error: add(str(error)))
        page.on("console", lambda message: add(f"{message.type}: {message.text}"))

    context.on("page", watch_page)
    context.on(
        "request", lambda request: request.url.startswith(allowed) or complaints.append(f"request of {request.url}")
    )
    return complaints
