import { readdirSync, readFileSync } from "node:fs";
import { Counter, Gauge, type Registry } from "prom-client";
import { BUILD } from "../base/version.ts";

/**
 * What every role tells of its own process, read when it is scraped. prom-client's defaults are not used: under Bun
 * they report a Node version and handles that are not there.
 */
export function registerProcessMetrics(registry: Registry, role: "gateway" | "neuron"): void {
  new Gauge({
    name: "cortex_build_info",
    help: "Always 1; the version and role of this process",
    labelNames: ["version", "role", "bun"],
    registers: [registry],
  }).set({ version: BUILD, role, bun: Bun.version }, 1);
  const startSeconds = Date.now() / 1000 - process.uptime();
  gauge(registry, "process_start_time_seconds", "Start of this process", () => startSeconds);
  gauge(registry, "process_resident_memory_bytes", "Memory in use by this process", readRssBytes);
  gauge(
    registry,
    "process_heap_bytes",
    "JavaScript heap in use",
    () => process.memoryUsage().heapUsed,
  );
  gauge(registry, "process_open_fds", "Open file descriptors", countOpenFiles);
  new Counter({
    name: "process_cpu_seconds_total",
    help: "CPU time of this process, user and system",
    registers: [registry],
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1_000_000);
    },
  });
}

function gauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}

function readRssBytes(): number {
  const pages = Number(readFileSync("/proc/self/statm", "utf8").split(" ")[1]);
  return Number.isFinite(pages) ? pages * 4096 : process.memoryUsage().rss;
}

function countOpenFiles(): number {
  return readdirSync("/proc/self/fd").length;
}
