__version__ = "0.3.0"

import os as _os

# Before torch is loaded, which reads it once: threads that have nothing to do sleep. By default they spin, and
# where another program wants the cores too, work on small tensors then takes ten times as long and more.
_os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
