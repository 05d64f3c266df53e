export {
  type BackendName,
  type BackendOptions,
  backendNames,
  defaultBackend,
  isBackendName,
  limitReason,
  memoryLimit,
  useBackend,
  weightBytes,
} from "./choose.ts";
export { type BackendReport, selfTest } from "./self-test.ts";
export { onShapes, type ShapeRun } from "./shapes.ts";
