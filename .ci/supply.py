"""What the project leans on: a reason for each requirement, a licence for each package that is installed with it, the same versions with and without hashes, and no known hole. Needs no network; what only a network knows is left out with a word.

    python .ci/supply.py              the check, part of .ci/run
    python .ci/supply.py --lock       requirements.lock anew, from constraints.txt (asks pip's index, downloads no package)
"""
import configparser, json, re, shutil, subprocess, sys, tempfile
from importlib import metadata
from pathlib import Path
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as plain

ROOT = Path(__file__).resolve().parent.parent
TABLE, CONSTRAINTS, LOCK = ROOT/'nbs'/'about'/'dependencies.md', ROOT/'constraints.txt', ROOT/'requirements.lock'

# Licences under which the library's own may be used, changed and given away; of MPL, files of theirs that are changed stay under it.
ALLOWED = r'''Apache|BSD|MIT|ISC|PSF|Python Software Foundation|CNRI-Python|MPL-2\.0|Mozilla Public License 2\.0|Zlib|CC0|0BSD|Unlicense|HPND|LLVM-exception'''
# Said here since their own word is missing or is no licence's name: checked by hand, with the reason.
BY_HAND = {
    'umap-learn': 'BSD-3-Clause (its LICENSE.txt; its metadata say "OSI Approved")',
    'cuda-toolkit': 'NVIDIA (a list of the CUDA packages; torch brings it on Linux)',
}
NVIDIA = 'NVIDIA (CUDA libraries, free to use and to pass on with a program; torch brings them on Linux)'


def requirements():
    "{kind: [Requirement]} of settings.ini"
    ini = configparser.ConfigParser(delimiters=['='])
    ini.read(ROOT/'settings.ini', encoding='utf-8')
    return {k.removesuffix('requirements').rstrip('_') or 'run': [Requirement(o) for o in v.split()] for k, v in ini['DEFAULT'].items() if k.endswith('requirements')}


def unreasoned(required, table):
    "Requirements without a row that says why, and rows of what is not required"
    rows = dict(re.findall(r'^\| `([^`]+)` \|\s*(.*?)\s*\|', table, re.M))
    for kind, several in required.items():
        for o in several:
            if not re.search(r'\w', rows.pop(o.name, '')): yield f"{o.name}: in settings.ini ({kind}), but {TABLE.name} does not say what for. Add a row, or do without it."
    for name in rows: yield f"{name}: in {TABLE.name}, but nothing in settings.ini asks for it. Take the row out."


def closure(required):
    "{name: Distribution} of what is installed because of these"
    found, todo = {}, [(plain(o.name), frozenset(o.extras)) for o in required]
    done = set()
    while todo:
        name, extras = at = todo.pop()
        if at in done: continue
        done.add(at)
        try: d = metadata.distribution(name)
        except metadata.PackageNotFoundError: continue      # for another system
        found[name] = d
        for o in map(Requirement, d.requires or ()):
            if o.marker is None or any(o.marker.evaluate({'extra': e}) for e in extras or {''}): todo.append((plain(o.name), frozenset(o.extras)))
    return found


def licence(name, d):
    "What a package says of its licence, in a line; '' if nothing"
    if plain(name) in BY_HAND: return BY_HAND[plain(name)]
    if name.startswith('nvidia-'): return NVIDIA
    m = d.metadata
    classed = '; '.join(o.rpartition(' :: ')[2] for o in m.get_all('Classifier') or () if o.startswith('License ::'))
    return m.get('License-Expression') or classed or (m.get('License') or '').strip().partition('\n')[0][:80]


def may(text):
    "Is that licence one of those allowed? Of several with OR, one is enough"
    if text.startswith('NVIDIA (') or text in BY_HAND.values(): return True
    fits = lambda o: bool(re.search(rf'\b({ALLOWED})', o)) and not re.search(r'\b[AL]?GPL|Proprietary|Affero|non-?commercial', o, re.I)
    return all(any(map(fits, part.split(' OR '))) for part in re.split(r' AND |; ', text))


def pins(text): return {plain(n): v for n, v in re.findall(r'^([A-Za-z0-9._-]+)==([^\s;\\]+)', text, re.M)}


def differing(constraints, lock):
    "Where the two lists of versions say different things"
    a, b = pins(constraints), pins(lock)
    for name in sorted({*a, *b}):
        if a.get(name)!=b.get(name): yield f"{name}: {a.get(name, 'nothing')} in constraints.txt, {b.get(name, 'nothing')} in requirements.lock. Renew the latter: python .ci/supply.py --lock"
    for name in re.findall(r'^([A-Za-z0-9._-]+)==\S+ *$', lock, re.M): yield f"{name}: no hash in requirements.lock. Renew it: python .ci/supply.py --lock"


def audit():
    "(problems, a line about what was done)"
    program = shutil.which('pip-audit')
    if not program: return [], "Known holes were not looked up: pip-audit is not installed."
    try: said = subprocess.run([program, '--requirement', LOCK, '--require-hashes', '--disable-pip', '--no-deps', '--progress-spinner=off', '--format=json', '--timeout=15'], capture_output=True, text=True, timeout=180)
    except subprocess.TimeoutExpired: return [], "Known holes were not looked up: the database did not answer in time."
    try: found = json.loads(said.stdout)['dependencies']
    except (ValueError, KeyError, TypeError): return [], f"Known holes were not looked up: {(said.stderr.strip().splitlines() or ['no answer'])[-1][:160]}"
    known = [o for o in found if 'skip_reason' not in o]
    if not known: return [], f"Known holes were not looked up, for none of {len(found)} packages: {found[0]['skip_reason'][:160] if found else 'the list is empty'}"
    holes = [f"{o['name']} {o['version']}: {v['id']}, mended in {', '.join(v['fix_versions']) or 'no version yet'}" for o in known for v in o.get('vulns', ())]
    return holes, f"{len(known)} of {len(found)} packages looked up by pip-audit, {len(holes)} known holes."


def lock():
    "requirements.lock: the versions of constraints.txt with the hash of the file that pip takes on this system"
    with tempfile.TemporaryDirectory() as d:
        report, pinned = Path(d)/'report.json', Path(d)/'pinned.txt'
        pinned.write_text(''.join(f'{n}=={v}\n' for n, v in pins(CONSTRAINTS.read_text(encoding='utf-8')).items()))
        subprocess.run([sys.executable, '-m', 'pip', 'install', '--dry-run', '--ignore-installed', '--no-deps', '--quiet', '--disable-pip-version-check', '--report', report, '-r', pinned], check=True)
        items = [(o['metadata']['name'], o['metadata']['version'], o['download_info']['archive_info']['hashes']['sha256']) for o in json.loads(report.read_text())['install']]
    head = f'# The versions of constraints.txt with a hash each, for Python {sys.version_info[0]}.{sys.version_info[1]} on {sys.platform}: made by .ci/supply.py --lock.\n# pip install --require-hashes --no-deps -r requirements.lock && pip install --no-deps --no-build-isolation -e .\n'
    LOCK.write_text(head+''.join(f'{plain(n)}=={v} --hash=sha256:{h}\n' for n, v, h in sorted(items, key=lambda o: plain(o[0]))), encoding='utf-8')
    print(f'{len(items)} packages in {LOCK.name}')


def main():
    required = requirements()
    problems = [*unreasoned(required, TABLE.read_text(encoding='utf-8'))]
    packages = {k: licence(k, d) for k, d in closure(required['run']).items()}
    problems += [f"{k}: licence {v!r} is not on the list in .ci/supply.py. Look at it, and add it there or do without the package." for k, v in packages.items() if not may(v)]
    problems += differing(CONSTRAINTS.read_text(encoding='utf-8'), LOCK.read_text(encoding='utf-8'))
    holes, word = audit()
    by = {}
    for k, v in packages.items(): by.setdefault(v or 'none said', []).append(k)
    for v, names in sorted(by.items(), key=lambda o: -len(o[1])): print(f'{v}: {", ".join(sorted(names))}')
    print(f'{len(packages)} packages are installed to run sere_nb, under {len(by)} licences as they name them.\n{word}')
    for o in problems+holes: print(o, file=sys.stderr)
    return 1 if problems or holes else 0


if __name__ == '__main__': sys.exit(lock() if '--lock' in sys.argv else main())
