"""The picture of the explorer that stands in the README, from the sample corpus: `make picture` (Chromium is wanted)."""
import sys
import tempfile
from pathlib import Path

root = Path(__file__).parent.parent
sys.path.insert(0, str(root/'tests'))
from browser import browser, until
from sere_nb.cli import main

with tempfile.TemporaryDirectory() as d:
    main(['demo', '--out', d, '-q'])
    with browser(1280, 1010, still=True) as b:      # the last round, at once
        b.get((Path(d)/'report.html').as_uri())
        app = "const a = document.getElementById('explorer')?.explorer; "
        until(b, app+'return a?.rounds')
        b.execute_script(app+"document.querySelector('header').remove(); document.querySelector('.compared').remove(); a.choose(136)")
        until(b, "return document.querySelector('.panel .picture image')")
        b.execute_script("document.body.style.padding = '.8rem'; scrollTo(0, 0)")
        b.save_screenshot(str(root/'nbs'/'images'/'explorer.png'))
