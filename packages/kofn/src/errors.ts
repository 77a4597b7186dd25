/**
 * The errors that kofn raises on purpose. Everything else that is thrown is a defect of kofn.
 *
 * Messages are one paragraph: what was expected, what was found, where, and what to do.
 */

/** An error whose message is meant for the user; the command line prints it without a stack trace. */
export class KofnError extends Error {
  /** The process's exit code: 1 the work failed, 2 the command line, config or input is wrong. */
  readonly exitCode: 1 | 2;

  constructor(message: string, options: { exitCode?: 1 | 2; cause?: unknown } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : {});
    this.name = "KofnError";
    this.exitCode = options.exitCode ?? 1;
  }
}

/** The command line, the configuration or an input file is wrong (exit code 2). */
export class InputError extends KofnError {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, { exitCode: 2, ...options });
    this.name = "InputError";
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
