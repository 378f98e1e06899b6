"""The pictures of the explorer that stand in the README, from the sample corpus: `make picture` (Chromium is wanted).

`explorer.webp` plays the rounds; `explorer.png` is its last picture, for readers who asked for no motion."""
import io
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

root = Path(__file__).parent.parent
sys.path.insert(0, str(root/'tests'))
from browser import browser, until
from sere_nb.cli import main

APP = "const a = document.getElementById('explorer')?.explorer; "
WIDTH, HEIGHT = 1000, 636      # the map, the clip's panel and the curves


def shot(b):
    time.sleep(.35)      # the map draws itself
    picture = Image.open(io.BytesIO(b.get_screenshot_as_png())).convert('RGB')
    return picture.resize((WIDTH, round(picture.height*WIDTH/picture.width)), Image.LANCZOS).crop((0, 0, WIDTH, HEIGHT))


with tempfile.TemporaryDirectory() as d, browser(1280, 1010, still=True) as b:
    main(['demo', '--out', d, '-q'])
    b.get((Path(d)/'report.html').as_uri())
    until(b, APP+'return a?.rounds')
    b.execute_script("document.querySelector('header')?.remove(); document.querySelector('.compared')?.remove(); document.body.style.padding = '.8rem'; document.documentElement.style.overflow = 'hidden'; scrollTo(0, 0)")
    rounds = b.execute_script(APP+"return typeof a.rounds == 'number' ? a.rounds : a.rounds.length")
    frames, times = [], []
    for at in range(rounds):
        b.execute_script(APP+f'a.go({at})')
        frames.append(shot(b)); times.append(900 if at == 0 else 350)
    b.execute_script(APP+'a.choose(136)')
    until(b, "return document.querySelector('.panel .picture image')")
    frames.append(shot(b)); times.append(3500)
    frames[0].save(root/'nbs'/'images'/'explorer.webp', save_all=True, append_images=frames[1:], duration=times, loop=0, quality=60, method=6)
    frames[-1].save(root/'nbs'/'images'/'explorer.png', optimize=True)
