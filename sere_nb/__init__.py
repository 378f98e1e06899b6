__version__ = "0.3.0"

import os as _os

# Before torch is loaded, which reads it once: threads that have nothing to do sleep. By default they spin, and
# where another program wants the cores too, work on small tensors then takes ten times as long and more.
_os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

# Intel's MKL, which multiplies matrices for torch, reads this at its first product: how numbers lie in memory may
# choose the order in which they are added, and the same fit then differs in its last digits from call to call. AUTO
# asks for one order; it costs no time that could be measured.
_os.environ.setdefault('MKL_CBWR', 'AUTO')
