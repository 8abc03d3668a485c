"""Checkpoints of the learned systems; `talkhead weights` in Python is `talkhead.weights.catalogue`.

What there is: `manifest`. Where it lies: `store`. How it comes here: `fetch`. What users say about licences: `answers`.
How it becomes tensors: `load`.
"""
