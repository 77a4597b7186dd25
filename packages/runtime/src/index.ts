/** The public interface of @kofn/runtime. */

export { NetworkError } from "./errors.js";
export type { Normalization, Provenance } from "./file/info.js";
export type { LayerInfo, NetworkInfo } from "./info.js";
export { load, type LoadOptions } from "./load.js";
export type { Classification, Network } from "./network.js";
export type { PixelImage } from "./pixels.js";
export type { Source } from "./source.js";
