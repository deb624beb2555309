import { type OwnedRopeTable, type RopeOf, ropeTable } from "@ziggurat/cache";
import type { Backend } from "@ziggurat/tensor";
import type { Rope } from "../families/family.js";
import { Lock } from "./lock.js";
import { settle } from "./settle.js";

interface TableSet {
  readonly rows: number;
  readonly byRope: ReadonlyMap<Rope, OwnedRopeTable>;
  leases: number;
}

/** Rotation tables that are not freed before `release`. */
export interface RopeLease {
  readonly rope: RopeOf;
  release(): void;
}

/**
 * A model's rotation tables, shared by its generations. They grow when a longer text is read; the smaller set is freed
 * with its last lease.
 */
export class RopeTables {
  readonly #backend: Backend;
  readonly #ropes: readonly Rope[];
  readonly #lock = new Lock();
  #current: TableSet | undefined;

  constructor(backend: Backend, ropes: readonly Rope[]) {
    this.#backend = backend;
    this.#ropes = ropes;
  }

  /** Tables for at least `positions` positions. Rejects if there is no memory for them. */
  lease(positions: number): Promise<RopeLease> {
    // One at a time, so that two callers that need longer tables share them.
    return this.#lock.run(() => this.#lease(positions));
  }

  async #lease(positions: number): Promise<RopeLease> {
    if (!this.#current || this.#current.rows < positions) {
      const made = this.#make(Math.max(256, 2 ** Math.ceil(Math.log2(positions))));
      try {
        // Tables that got no memory must not be shared.
        await settle(this.#backend, ...[...made.byRope.values()].map(({ slice }) => slice));
      } catch (error) {
        this.#free(made);
        throw error;
      }
      const old = this.#current;
      this.#current = made;
      if (old?.leases === 0) this.#free(old);
    }
    const set = this.#current;
    set.leases++;
    let held = true;
    return {
      rope: (layer) => set.byRope.get(this.#ropes[layer]!),
      release: () => {
        if (!held) return;
        held = false;
        set.leases--;
        if (set.leases === 0 && set !== this.#current) this.#free(set);
      },
    };
  }

  #make(rows: number): TableSet {
    const distinct = [...new Set(this.#ropes)];
    return {
      rows,
      leases: 0,
      byRope: new Map(distinct.map((one) => [one, ropeTable(this.#backend, one.frequencies, rows, one.factor)])),
    };
  }

  #free(set: TableSet): void {
    for (const table of set.byRope.values()) table.free();
  }

  free(): void {
    if (this.#current) this.#free(this.#current);
    this.#current = undefined;
  }
}
