import type { Order, Report, Start } from "./messages.js";

// The program of each worker thread, in Node or a browser: it instantiates the kernels and serves the host. It imports
// types only, so that the built file needs no other.

interface Kernels {
  join(thread: number, threads: number): void;
  run(address: number, words: number): void;
  serve(): number;
  check(): number;
}

interface Port {
  postMessage(report: Report, transfer?: readonly ArrayBuffer[]): void;
  listen(listener: (message: unknown) => void): void;
}

function connect(): Port {
  const threads = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  const parent = threads?.parentPort;
  if (parent) {
    return {
      postMessage: (report, transfer = []) => parent.postMessage(report, [...transfer]),
      listen: (listener) => parent.on("message", listener),
    };
  }
  const scope = globalThis as unknown as DedicatedWorker;
  return {
    postMessage: (report, transfer = []) => scope.postMessage(report, [...transfer]),
    listen: (listener) => scope.addEventListener("message", ({ data }) => listener(data)),
  };
}

interface DedicatedWorker {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
}

const port = connect();
const guarded = (work: () => void) => {
  try {
    work();
  } catch (error) {
    port.postMessage({ error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) });
  }
};

let memory: WebAssembly.Memory;
let kernels: Kernels;

function start({ module, thread, threads, memory: shared, maximumPages }: Start): void {
  memory = shared ?? new WebAssembly.Memory({ initial: 1, maximum: maximumPages });
  const instance = new WebAssembly.Instance(module, {
    env: {
      memory,
      abort: () => {
        throw new Error("a kernel gave up");
      },
    },
  });
  kernels = instance.exports as unknown as Kernels;
  kernels.join(thread, threads);
  const wrong = kernels.check();
  port.postMessage(wrong === 0 ? { ready: true } : { ready: true, wrong: `relaxed SIMD check ${wrong}` });
  if (!shared) return;
  // From here on, this thread waits on the shared memory alone.
  while (true) port.postMessage({ done: kernels.serve() });
}

function obey(order: Order): void {
  switch (order.do) {
    case "grow": {
      const missing = order.bytes - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / 65536));
      return;
    }
    case "run":
      new Int32Array(memory.buffer).set(order.words, order.address / 4);
      kernels.run(order.address, order.words.length);
      return;
    case "write":
      new Uint8Array(memory.buffer).set(order.data, order.address);
      return;
    case "read": {
      const data = new Uint8Array(memory.buffer.slice(order.address, order.address + order.bytes) as ArrayBuffer);
      port.postMessage({ done: order.id, data }, [data.buffer]);
      return;
    }
    case "synchronise":
      port.postMessage({ done: order.id });
  }
}

port.listen((message) => guarded(() => (kernels ? obey(message as Order) : start(message as Start))));
