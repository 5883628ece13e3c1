import { openEngine } from "bun-ffi-cuda-bindings-local";
import type { NativeEngine } from "bun-ffi-cuda-bindings-local/engine";

/**
 * Opens the native library. Main thread and Workers call it with the same path and share one image.
 * @throws NativeError when it cannot be loaded or speaks another ABI version
 */
export function openLibrary(path: string): NativeEngine {
  return openEngine(path);
}
