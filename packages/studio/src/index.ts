/** The studio: a server of a local web page that shows kofn's runs. */

export { StudioError, type StudioProblem } from "./server/errors.js";
export { startStudio, type Studio, type StudioOptions } from "./server/serve.js";
