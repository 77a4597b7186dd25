/** What can keep the studio from starting. */

/** The folder can't be shown, the port can't be had, or the page has not been built. */
export type StudioProblem = "folder" | "port" | "page";

/** The message says what was expected, what was found, and what to do. */
export class StudioError extends Error {
  readonly reason: StudioProblem;

  constructor(reason: StudioProblem, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = "StudioError";
    this.reason = reason;
  }
}

export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The code of an error of the system, such as "ENOENT". */
export function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string"
    ? thrown.code
    : undefined;
}
