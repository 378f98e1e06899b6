"Everything comes from settings.ini, which nbdev reads too."
import os
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).parent
ini = ConfigParser(delimiters=['='])
ini.read(here/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']

stages = dict(enumerate('Planning|Pre-Alpha|Alpha|Beta|Production/Stable|Mature|Inactive'.split('|'), 1))
extras = {o: cfg[f'{o}_requirements'].split() for o in ('dev','samples','cluster','speed','excel','voices','segments','media','export','rivals','tune')}
extras['dev'] += extras['cluster']+extras['excel']+extras['voices']+extras['segments']+extras['media']+extras['export']+extras['rivals']+extras['tune']  # the tests start a cluster, read workbooks, find voices and speech, decode, export, compare, tune

# Beside the package in the repository, within it once installed: `pip install --user` and `--target` put nothing anywhere else.
inside = {'sere_nb.share.data_samples': 'data_samples', 'sere_nb.share.workshop': 'nbs/_workshop'}

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'], keywords=cfg['keywords'],
    author=cfg['author'], author_email=cfg['author_email'], license='Apache-2.0', license_files=['LICENSE'],
    url=cfg['git_url'],
    project_urls={'Documentation': cfg['doc_host']+cfg['doc_baseurl'], 'Changes': cfg['git_url']+'/blob/main/CHANGELOG.md'},
    long_description=(here/'README.md').read_text(encoding='utf-8'), long_description_content_type='text/markdown',
    classifiers=[f"Development Status :: {cfg['status']} - {stages[int(cfg['status'])]}",
                 f"Intended Audience :: {cfg['audience']}", f"Natural Language :: {cfg['language']}",
                 'Programming Language :: Python :: 3'],
    packages=[*find_packages(include=['sere_nb', 'sere_nb.*']), *inside], package_dir=inside,
    package_data={'sere_nb': ['**/*.js', '**/*.css', '**/*.html'], **{o: ['**/*'] for o in inside}},
    python_requires=f">={cfg['min_python']}", install_requires=cfg['requirements'].split(),
    extras_require={**extras, 'all': sum(extras.values(), [])},
    entry_points={'console_scripts': [cfg['console_scripts']],
                  'nbdev': ['sere_nb=sere_nb._modidx:d']},  # lets nbdev link `names` in the docs to their page
    zip_safe=False)
