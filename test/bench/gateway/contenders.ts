import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadPlan, LoadResult } from "./load-client.ts";

const HERE = import.meta.dir;
const EXECUTABLE = join(HERE, "../../../dist/cortex");
const MAIN = join(HERE, "../../../src/main.ts");

/** Something on a port that answers like a neuron, with the process whose costs are counted. */
export interface Contender {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
}

/** A gateway with what it tells of its requests, in three degrees; the first tells of nothing. */
const OBSERVATIONS = [
  { name: "off", logs: false, ratio: undefined },
  { name: "on, traces of a tenth", logs: true, ratio: 0.1 },
  { name: "on", logs: true, ratio: 1 },
] as const;

/** The mock and what stands in front of it. Owner of the processes and of their folder. */
export class Contenders {
  readonly all: Contender[] = [];
  readonly #children: Bun.Subprocess[] = [];
  #folder = "";

  /** Starts the mock, nginx where it is installed, and the gateway: compiled where it is built, else from source. */
  async start(): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), "cortex-bench-"));
    const mockPort = freePort();
    const mock = this.#spawn(["bun", join(HERE, "mock-neuron.ts"), String(mockPort)]);
    await answers(mockPort);
    this.all.push({ name: "direct", port: mockPort, pid: mock.pid });
    await this.#startNginx(mockPort);
    await this.#startGateway(mockPort);
  }

  /** More gateways over the same mock, and a collector for their traces. */
  async startObserved(): Promise<(Contender & { readonly metricsPort: number })[]> {
    const mockPort = this.all[0]?.port ?? 0;
    const collectorPort = freePort();
    this.#spawn(["bun", join(HERE, "mock-collector.ts"), String(collectorPort)]);
    const started: (Contender & { readonly metricsPort: number })[] = [];
    for (const { name, logs, ratio } of OBSERVATIONS) {
      const [port, metricsPort] = [freePort(), freePort()];
      const config = join(this.#folder, `${name.replaceAll(/\W+/g, "-")}.toml`);
      const requests = logs ? `[request_log]\npath = "${config}.jsonl"\n` : "";
      const endpoint = `endpoint = "http://127.0.0.1:${collectorPort}"\n`;
      const traces =
        ratio === undefined ? "" : `[telemetry]\n${endpoint}sample_ratio = ${ratio.toFixed(1)}\n`;
      await Bun.write(
        config,
        `[gateway]\nlisten = "127.0.0.1:${port}"\nmetrics_listen = "127.0.0.1:${metricsPort}"\n` +
          `log_level = "${logs ? "info" : "error"}"\n${requests}${traces}` +
          `[[neurons]]\nname = "mock"\nendpoint = "http://127.0.0.1:${mockPort}"\n`,
      );
      const program = isCompiled() ? [EXECUTABLE] : ["bun", MAIN];
      const { pid } = this.#spawn([...program, "gateway", "--config", config]);
      await answers(port);
      started.push({ name, port, pid, metricsPort });
    }
    return started;
  }

  async stop(): Promise<void> {
    for (const child of this.#children.toReversed()) {
      child.kill();
      await child.exited;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #startNginx(mockPort: number): Promise<void> {
    const executable = Bun.which("nginx", { PATH: `${process.env["PATH"]}:/usr/sbin` });
    if (executable === null) {
      console.log("nginx is not installed (Debian: nginx-light): no ratios to it");
      return;
    }
    const port = freePort();
    const config = join(this.#folder, "nginx.conf");
    await Bun.write(config, nginxConfig({ folder: this.#folder, port, mockPort }));
    const master = this.#spawn([executable, "-c", config]);
    await answers(port);
    const children = await Bun.file(`/proc/${master.pid}/task/${master.pid}/children`).text();
    this.all.push({ name: "nginx", port, pid: Number(children.trim().split(" ")[0]) });
  }

  async #startGateway(mockPort: number): Promise<void> {
    const port = freePort();
    const compiled = isCompiled();
    const command = compiled
      ? [
          EXECUTABLE,
          "gateway",
          `--listen=127.0.0.1:${port}`,
          `--metrics-listen=127.0.0.1:${freePort()}`,
          `--neuron=mock=http://127.0.0.1:${mockPort}`,
        ]
      : ["bun", join(HERE, "run-gateway.ts"), String(port), String(mockPort)];
    const gateway = this.#spawn(command);
    await answers(port);
    const name = compiled ? "cortex" : "cortex (source)";
    this.all.push({ name, port, pid: gateway.pid });
  }

  #spawn(command: string[]): Bun.Subprocess {
    const child = Bun.spawn(command, {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
      cwd: this.#folder,
    });
    this.#children.push(child);
    return child;
  }
}

/** Runs the load in a process of its own. */
export async function applyLoad(plan: Partial<LoadPlan> & { port: number }): Promise<LoadResult> {
  const whole: LoadPlan = {
    clients: 32,
    seconds: 2,
    stream: false,
    maxTokens: 512,
    paceMs: 0,
    requestsPerClient: 0,
    dialect: "chat",
    ...plan,
  };
  const command = ["bun", join(HERE, "load-client.ts"), JSON.stringify(whole)];
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
  // A peer that never ends an answer must not hold up the others.
  const limit = setTimeout(() => child.kill(), whole.seconds * 1_000 + 60_000);
  const text = await new Response(child.stdout).text();
  clearTimeout(limit);
  return JSON.parse(text) as LoadResult;
}

/** CPU time of a process so far, user and system, in milliseconds. */
export async function readCpuMs(pid: number): Promise<number> {
  const stat = await Bun.file(`/proc/${pid}/stat`).text();
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return ticks * 10;
}

/** Resident memory of a process in MB. */
export async function readRssMb(pid: number): Promise<number> {
  const status = await Bun.file(`/proc/${pid}/status`).text();
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024;
}

function isCompiled(): boolean {
  return existsSync(EXECUTABLE) && process.env["BENCH_SOURCE"] === undefined;
}

function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

async function answers(port: number): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    const response = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok) return;
    await Bun.sleep(20);
  }
  throw new Error(`Nothing answers on port ${port}`);
}

function nginxConfig(options: { folder: string; port: number; mockPort: number }): string {
  const { folder, port, mockPort } = options;
  const temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(" ");
  return `daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 8192; }
http { access_log off; keepalive_requests 100000000; keepalive_timeout 300s; ${temps}
  upstream neuron { server 127.0.0.1:${mockPort}; keepalive 2048; keepalive_requests 100000000; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://neuron; proxy_http_version 1.1;
    proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 600s; } } }
`;
}
