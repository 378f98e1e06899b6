"""Debian's Chromium, without a window and without a network."""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

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


@contextlib.contextmanager
def served(tmp_path, nb):
    "Where JupyterLab shows a notebook, which lies in a folder of its own"
    for c in nb['cells']:
        if c['cell_type'] == 'code': c['outputs'], c['execution_count'] = [], None
    (tmp_path/'work').mkdir()
    (tmp_path/'work'/'seen.ipynb').write_text(json.dumps(nb))
    with socket.socket() as o:
        o.bind(('127.0.0.1', 0))
        port = o.getsockname()[1]
    own = {k: str(tmp_path/k.lower()) for k in ('JUPYTER_CONFIG_DIR', 'JUPYTER_DATA_DIR', 'JUPYTER_RUNTIME_DIR', 'IPYTHONDIR', 'JUPYTERLAB_SETTINGS_DIR', 'JUPYTERLAB_WORKSPACES_DIR')}
    kernels = Path(own['JUPYTER_DATA_DIR'])/'kernels'/'python3'
    kernels.mkdir(parents=True)
    (kernels/'kernel.json').write_text(json.dumps(dict(argv=[sys.executable, '-m', 'ipykernel_launcher', '-f', '{connection_file}'], display_name='Python 3', language='python')))
    with open(tmp_path/'log', 'wb') as log:
        server = subprocess.Popen([sys.executable, '-m', 'jupyterlab', '--no-browser', f'--port={port}', '--ServerApp.port_retries=0', '--IdentityProvider.token=', '--ServerApp.password=', '--allow-root',
                                   f'--ServerApp.root_dir={tmp_path/"work"}', '--LabApp.news_url=None', '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate'], stdout=log, stderr=log, env=os.environ | own | {'PYTHONPATH': str(Path(__file__).parent.parent)})
        try:
            for _ in range(300):
                assert server.poll() is None, (tmp_path/'log').read_text()
                try: urllib.request.urlopen(f'http://127.0.0.1:{port}/api')
                except OSError: time.sleep(.1)
                else: break
            yield f'http://127.0.0.1:{port}/lab/tree/seen.ipynb'
        finally:
            server.terminate()
            server.wait(20)


def opened(b, url):
    "Go to a notebook, till all its cells can be run"
    b.get(url)
    until(b, "return document.querySelector('.jp-Notebook .jp-CodeCell') && document.querySelector('.jp-NotebookPanel-toolbar')", what='the notebook is open')
    until(b, "return document.querySelector('[data-status=idle]') && [...document.querySelectorAll('#jp-main-statusbar span')].some(o => /[|] Idle$/.test(o.textContent))", what='the kernel is idle')


def menu(b, *names):
    for name in names:
        until(b, f"return [...document.querySelectorAll('.lm-MenuBar-itemLabel, .lm-Menu-itemLabel')].some(o => o.textContent == '{name}')", what=name)
        next(o for o in b.find_elements('css selector', '.lm-MenuBar-itemLabel, .lm-Menu-itemLabel') if o.get_attribute('textContent') == name).click()

