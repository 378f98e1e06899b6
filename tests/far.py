"""A device that is not there: tensors that say they lie on another device and are kept apart from the processor's, so that code for GPUs can be tried on a machine without one.

The arithmetic is the processor's, so what comes out is the same to the last bit. What only a real device can show (that it knows each operation, rounding, speed) stays untried."""
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only

FAR = torch.device('meta')      # torch has no numbers there, so nothing can lie there by accident
aten = torch.ops.aten


class Far(torch.Tensor):
    "A tensor on the far device; `near` is where its numbers really are"
    @staticmethod
    def __new__(cls, near):
        return torch.Tensor._make_wrapper_subclass(cls, near.shape, strides=near.stride(), storage_offset=near.storage_offset(), dtype=near.dtype, device=FAR)

    def __init__(self, near): self.near = near
    def __repr__(self): return f'Far({self.near})'
    def tolist(self): return self.near.tolist()     # torch copies for it, where it may

    @classmethod
    def __torch_dispatch__(cls, op, types, args=(), kwargs=None):
        with Away(): return op(*args, **(kwargs or {}))


def _far(x): return isinstance(x, Far)


def _mixed(op, args, kwargs):
    "Does an operation take tensors of both devices that torch would not take?"
    if op in (aten.copy_.default, aten._to_copy.default): return False
    # positions and masks may come from the processor, and so may single numbers
    if op in (aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default): args = [args[0], [t for t in args[1] if _far(t)], *args[2:]]
    there = {_far(t) for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor) and (_far(t) or t.ndim)}
    return len(there) > 1


class Away(TorchDispatchMode):
    "Within it, tensors can be made on the far device and sent there"
    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if _mixed(op, args, kwargs): raise RuntimeError(f'{op}: expected all tensors to be on the same device')
        to = kwargs.get('device')
        if to is not None: kwargs['device'] = torch.device('cpu')
        if kwargs.get('generator') is not None and to == FAR: raise RuntimeError(f"{op}: expected a generator of the same device")
        far = to == FAR if to is not None else any(map(_far, tree_leaves((args, kwargs))))
        near = lambda x: x.near if _far(x) else x
        out = op(*tree_map(near, args), **tree_map(near, kwargs))
        if not far or not isinstance(out, (torch.Tensor, tuple, list)): return out
        # what is changed in place stays the tensor that it was
        same = {id(t.near): t for t in tree_leaves((args, kwargs)) if _far(t)}
        return tree_map_only(torch.Tensor, lambda t: same.get(id(t)) if id(t) in same else Far(t), out)
