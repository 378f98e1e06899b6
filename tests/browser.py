"""Debian's Chromium, without a window and without a network."""
import contextlib
import shutil
import time

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="left out: chromium and chromedriver are not installed (apt install chromium chromium-driver)")

# Of the browser's own words, not the page's: what it says when there is nobody to play sound to, and what JupyterLab asks of the network.
NOT_OURS = ("favicon", "404 (Not Found)", "net::ERR_INTERNET_DISCONNECTED", "Permissions policy violation")


@contextlib.contextmanager
def browser(width=1280, height=1000, dark=False, offline=False, still=False):
    from selenium import webdriver
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for o in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--window-size={width},{height}", "--autoplay-policy=no-user-gesture-required",
              "--disable-background-networking", "--disable-component-update", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1"):
        options.add_argument(o)
    if still: options.add_argument("--force-prefers-reduced-motion")
    if dark: options.add_argument("--blink-settings=preferredColorScheme=0")
    b = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        b.set_script_timeout(60)
        if offline: b.set_network_conditions(offline=True, latency=0, throughput=0)
        yield b
    finally: b.quit()


def until(b, script, seconds=60, what=None):
    "Wait until a script gives something that is true, and give it"
    end = time.time()+seconds
    while True:
        got = b.execute_script(script)
        if got: return got
        assert time.time() < end, f"waited {seconds} s for: {what or script}"
        time.sleep(.1)


def complaints(b):
    "Errors in the console"
    return [o["message"] for o in b.get_log("browser") if o["level"] == "SEVERE" and not any(n in o["message"] for n in NOT_OURS)]
