"""The code contract in a model's words: what `python` work may rely on (docs/CODE_CONTRACT.md, shortened)."""

from __future__ import annotations

CODE_CONTRACT = """\
The code runs as `__main__`, in an empty folder, in a sandbox: no network, no subprocesses, no files but those
given. The Python standard library, pandas, numpy, scikit-learn, matplotlib (no display) and Pillow are there.
These names are set before it begins:
- `inputs`: dict, name of an input of this subtask -> path of the file
- `needs`: dict, id of a needed subtask -> its result (the list of all item results, in order, for a foreach)
- `needs_files`: dict, id of a needed subtask -> path of the folder with the files that it wrote
- in a foreach over items, files or results: `item` (the item, or the path of the file) and `item_index`; the
  code runs once per item
- in a foreach over rows: `rows`, a list of dicts (CSV cells are text); the code runs once per batch and sets
  `result` to a list as long as `rows`, or to one value for the batch
It sets `result` to something that JSON can say, and may write files into the current folder: these become
artifacts. It does not print what it should return. It must not call input(), exit() or use __file__.
Open text with encoding="utf-8". Cells may be missing or malformed: expect it. Never hide errors."""
