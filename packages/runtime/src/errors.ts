/** The one error that the runtime raises on purpose. */

/** A file that is damaged or does not fit, an operator that is not supported, an input of the wrong length. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
}
