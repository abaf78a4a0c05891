"""A real headless browser, driven through Chromium's debugging pipe."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Optional

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run "
    "--remote-debugging-pipe"
).split()
SECONDS = 120


class Browser:
    """One page of a browser that reaches this machine only."""

    def __init__(self) -> None:
        """Start the browser, or skip the test where none is installed."""
        found = next(filter(None, map(shutil.which, BROWSERS)), None)
        if found is None:
            pytest.skip(f"no browser is installed: none of {', '.join(BROWSERS)}")
        self.profile = tempfile.mkdtemp()
        read_commands, self.commands = os.pipe()
        self.answers, write_answers = os.pipe()

        def connect() -> None:
            # the browser reads commands from 3 and answers on 4; neither pipe may end up there
            first, second = os.dup(read_commands), os.dup(write_answers)
            os.dup2(first, 3)
            os.dup2(second, 4)

        self.process = subprocess.Popen(
            [
                found,
                *FLAGS,
                f"--user-data-dir={self.profile}",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            ],
            preexec_fn=connect,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_commands)
        os.close(write_answers)
        self.buffer, self.number = b"", 0
        self.requests: list[str] = []
        self.session: Optional[str] = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: Any) -> None:
        self.process.kill()
        self.process.wait(timeout=SECONDS)
        os.close(self.commands)
        os.close(self.answers)
        shutil.rmtree(self.profile, ignore_errors=True)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command to the browser and return its answer."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": params}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode("utf8") + b"\0")
        while (answer := self.read()).get("id") != self.number:
            pass
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def read(self) -> dict[str, Any]:
        """Read the next message and record the addresses that a page requests."""
        while b"\0" not in self.buffer:
            piece = os.read(self.answers, 1 << 20)
            assert piece, "the browser has stopped"
            self.buffer += piece
        line, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(line)
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        return message

    def open(self, url: str, width: int = 1280, height: int = 900, *, dark: bool = False) -> None:
        """Open a page and wait until it is loaded.

        url (str): The address.
        width, height (int): Of the viewport, in CSS pixels.
        dark (bool): Ask for dark colours.
        """
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.requests = []
        self.send("Page.navigate", url=url)
        self.run(
            "new Promise((done) => document.readyState === 'complete' ? done(1) "
            ": addEventListener('load', () => done(1)))"
        )

    def run(self, script: str) -> Any:
        """Evaluate an expression in the page, awaiting promises."""
        answer = self.send(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 60.0) -> None:
        """Wait until an expression is true in the page."""
        met = self.run(
            "new Promise((done) => { const end = Date.now() + "
            f"{1000 * seconds}; const look = () => {{ if ({condition}) done(true); "
            "else if (Date.now() > end) done(false); else setTimeout(look, 30); }; look(); })"
        )
        assert met, f"never true: {condition}"

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Write what the page looks like as PNG."""
        found = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def find_violations(self) -> list[tuple[str, list[str]]]:
        """Check the open page with axe-core, whose axe.min.js the variable AXE_JS names.

        RETURNS (List[Tuple[str, List[str]]]): Violated rules, and where.
        """
        axe = os.environ.get("AXE_JS")
        if not axe:
            pytest.skip("AXE_JS names no axe.min.js (npm pack axe-core)")
        self.run(Path(axe).read_text(encoding="utf8") + ";0")
        found = self.run(
            "axe.run().then((f) => [f.passes.length, f.violations.map((v) => "
            "[v.id, v.nodes.map((n) => n.html + ' ' + n.failureSummary)])])"
        )
        assert found[0] > 15
        return found[1]

    def is_too_wide(self) -> bool:
        """Check if the page has to be scrolled sideways."""
        return self.run(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
