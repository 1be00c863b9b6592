"""Write down what hftbacktest fills on a small random tape, for every queue model and both exchanges.

Runs in hftbacktest's own environment, beside `hftbacktest_replay.py`; the tape and the terms are those of
`tests/lob/replay/test_hftbacktest.py`, which writes them (`python -m tests.lob.replay.test_hftbacktest FOLDER`):

    python benchmarks/peers/hftbacktest_reference.py FOLDER tests/lob/replay/hftbacktest_fills.npz
"""

import json
import sys
from pathlib import Path

import numpy as np
from hftbacktest_replay import FILL_DTYPE, events, replay


def main():
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    rows = np.load(folder / "rows.npy")
    recorded = {}
    for name, terms in json.loads((folder / "terms.json").read_text()).items():
        data = events(rows, terms["tick_size"])
        fills = np.zeros(len(rows), FILL_DTYPE)
        n, _, _, code = replay(data, {**terms, "depth": "hashmap"}, fills)
        if code != 1:
            raise SystemExit(f"{name}: hftbacktest stopped with {code} (an order filled to its last lot by a part?)")
        fills = fills[:n]
        recorded[name] = np.stack(
            [
                np.searchsorted(rows["exch_ns"], fills["exch_ns"]).astype(np.int32),
                fills["order"].astype(np.int32),
                fills["side"].astype(np.int32),
                (fills["tick"] - int(rows["tick"][0])).astype(np.int32),
                fills["done"].astype(np.int32),
            ]
        )
        if not (rows["exch_ns"][recorded[name][0]] == fills["exch_ns"]).all():
            raise SystemExit(f"{name}: a fill at a time that no row has")
        print(name, n)
    np.savez_compressed(out, **recorded)


if __name__ == "__main__":
    main()
