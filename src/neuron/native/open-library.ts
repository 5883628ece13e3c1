import { openEngine } from "bun-ffi-cuda-bindings-local";
import type { NativeEngine } from "bun-ffi-cuda-bindings-local/engine";

/**
 * Opens the native library. Main thread and Workers call it with the same path and share one image.
 * @throws StaleLibraryError when it was built for another interface, and Error when it cannot be loaded
 */
export function openLibrary(path: string): NativeEngine {
  return openEngine(path);
}
