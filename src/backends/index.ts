export { type BackendName, backendNames, useBackend } from "./choose.ts";
