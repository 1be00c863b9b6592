"""hftbacktest on our tape: the strategy of `benchmarks/replay.py`, its fills, the seconds of the replay alone.

Runs in an environment of its own (hftbacktest 2.4.4, its NumPy, its Numba), not in ours:

    python benchmarks/peers/hftbacktest_replay.py --tape rows.npy --terms terms.json --fills fills.npy

`rows.npy` has the fields of our rows; `terms.json` what `benchmarks/replay.py` writes. Prints one line of JSON. A row
that goes on in the next one (MORE) is heard with it, as both engines wake once an instant.
"""

import argparse
import json
import resource
import time

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    FILLED,
    GTX,
    LIMIT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
    ROIVectorMarketDepthBacktest,
    event_dtype,
)
from hftbacktest.order import CANCELED, EXPIRED, PARTIALLY_FILLED
from numba import njit

FILL_DTYPE = np.dtype([("exch_ns", "i8"), ("order", "i8"), ("side", "i8"), ("tick", "i8"), ("done", "i8")])
DEPTH, TRADE, KIND = 1, 4, 63
NEVER = 1 << 60


@njit
def _done(order):
    return round(order.qty) if order.status == FILLED else round(order.qty - order.leaves_qty)


@njit
def quote(hbt, out, lots, most):
    """Quote both sides at the touch, post-only; when the touch has moved cancel, and once that is known quote anew."""
    n = 0
    wakes = 0
    next_id = 1
    ids = np.zeros(2, np.int64)
    seen = np.zeros(2, np.int64)
    orders = hbt.orders(0)
    depth = hbt.depth(0)
    tick_size = depth.tick_size
    ended = False
    while True:
        code = hbt.wait_next_feed(True, NEVER)
        if code not in (2, 3):
            if code != 1 or ended:
                return n, wakes, code
            ended = True
        wakes += 1
        bid, ask = depth.best_bid_tick, depth.best_ask_tick
        held = hbt.position(0)
        over = False
        for k in range(2):
            side = 1 - 2 * k
            touch = bid if k == 0 else ask
            if ids[k] != 0:
                order = orders.get(ids[k])
                status = order.status
                done = _done(order)
                if status in (FILLED, PARTIALLY_FILLED, CANCELED) and done != seen[k]:
                    out[n].exch_ns = order.exch_timestamp
                    out[n].order = ids[k]
                    out[n].side = side
                    out[n].tick = order.price_tick
                    out[n].done = done
                    seen[k] = done
                    n += 1
                if status in (FILLED, CANCELED, EXPIRED):
                    ids[k] = 0
                    over = True
                elif order.cancellable and order.price_tick != touch:
                    hbt.cancel(0, ids[k], False)
            if ids[k] == 0 and not ended and held * side < most and bid > 0 and ask < 1 << 40:
                if k == 0:
                    hbt.submit_buy_order(0, next_id, touch * tick_size, lots, GTX, LIMIT, False)
                else:
                    hbt.submit_sell_order(0, next_id, touch * tick_size, lots, GTX, LIMIT, False)
                ids[k] = next_id
                seen[k] = 0
                next_id += 1
        if over:
            hbt.clear_inactive_orders(0)


def events(rows, tick_size):
    """Our rows as hftbacktest's events."""
    kind = rows["kind"] & KIND
    if not np.isin(kind, (DEPTH, TRADE)).all():
        raise SystemExit("only changes of depth and trades can be compared")
    out = np.zeros(len(rows), event_dtype)
    out["ev"] = np.where(kind == DEPTH, DEPTH_EVENT, TRADE_EVENT) | np.where(rows["side"] > 0, BUY_EVENT, SELL_EVENT)
    out["ev"] |= EXCH_EVENT | LOCAL_EVENT
    out["exch_ts"], out["local_ts"] = rows["exch_ns"], rows["local_ns"]
    out["px"], out["qty"] = rows["tick"] * tick_size, rows["lots"]
    return out


def asset(data, terms):
    """The market: latencies, queue model and exchange as the terms say."""
    made = BacktestAsset().data([data]).linear_asset(1.0)
    made = made.constant_order_latency(terms["entry_ns"], terms["response_ns"])
    models = {
        "risk_averse": made.risk_adverse_queue_model,
        "power": lambda: made.power_prob_queue_model(terms["power"]),
        "power2": lambda: made.power_prob_queue_model2(terms["power"]),
        "power3": lambda: made.power_prob_queue_model3(terms["power"]),
        "log": made.log_prob_queue_model,
        "log2": made.log_prob_queue_model2,
    }
    made = models[terms["queue"]]()
    made = made.partial_fill_exchange() if terms["partial"] else made.no_partial_fill_exchange()
    made = made.trading_value_fee_model(0.0, 0.0).tick_size(terms["tick_size"]).lot_size(1.0).last_trades_capacity(0)
    if terms["depth"] == "roi":
        low, high = terms["roi"]
        made = made.roi_lb(low * terms["tick_size"]).roi_ub(high * terms["tick_size"])
    return made


def replay(data, terms, out):
    """(fills, wakes, seconds, code) of one replay."""
    build = ROIVectorMarketDepthBacktest if terms["depth"] == "roi" else HashMapMarketDepthBacktest
    hbt = build([asset(data, terms)])
    start = time.process_time()
    n, wakes, code = quote(hbt, out, float(terms["lots"]), float(terms["most"]))
    seconds = time.process_time() - start
    hbt.close()
    return n, wakes, seconds, code


def main():
    parser = argparse.ArgumentParser()
    for name in ("--tape", "--terms", "--fills"):
        parser.add_argument(name, required=True)
    parser.add_argument("--cold", action="store_true", help="no warm-up: for the time from start to result")
    args = parser.parse_args()
    with open(args.terms) as file:
        terms = json.load(file)
    data = events(np.load(args.tape), terms["tick_size"])
    out = np.zeros(len(data), FILL_DTYPE)
    if not args.cold:
        replay(data[:2000].copy(), terms, np.zeros(2000, FILL_DTYPE))
    n, wakes, seconds, code = replay(data, terms, out)
    np.save(args.fills, out[:n])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"fills": n, "wakes": wakes, "seconds": seconds, "code": code, "peak_bytes": peak}))


if __name__ == "__main__":
    main()
