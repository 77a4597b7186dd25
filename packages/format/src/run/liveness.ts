/**
 * The rule by which kofn and the studio tell whether the process is there that a file of a run names. It imports nothing:
 * who asks says how the system is asked.
 */

/** How a file names a process. */
export interface ProcessName {
  readonly pid: number;
  readonly host: string;
  /**
   * When it started, in the system's own count (Linux: clock ticks since the system did): a later process with the same pid differs
   * in it. Absent where that can't be known.
   */
  readonly born?: string | undefined;
}

/** Of a process on another machine nothing is known. */
export type Presence = "here" | "gone" | "elsewhere";

/** The machine that is asked about its processes. */
export interface System {
  /** Its name, as `os.hostname()` gives it. */
  readonly host: string;
  /** As `process.kill(pid, 0)`: throws if there is no such process, with the code EPERM if it is another user's. */
  signal(pid: number): unknown;
  /** The text of a file; throws if there is none. */
  read(path: string): string;
}

/**
 * Where a process is, seen from a machine.
 *
 * @example
 * presenceOf({ pid: 4711, host: "a" }, { ...system, host: "b" }); // "elsewhere"
 */
export function presenceOf({ pid, host, born }: ProcessName, system: System): Presence {
  if (host !== system.host) return "elsewhere";
  if (!isThere(pid, system)) return "gone";
  const found = stateOf(pid, system);
  if (found === undefined) return "here";
  const hasEnded = found.state === "Z" || found.state === "X";
  return hasEnded || (born !== undefined && born !== found.born) ? "gone" : "here";
}

/** When a process of this machine started, as {@link ProcessName} has it. */
export function birthOf(pid: number, system: System): string | undefined {
  return stateOf(pid, system)?.born;
}

function isThere(pid: number, system: System): boolean {
  try {
    system.signal(pid);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** Undefined where the system is not Linux. */
function stateOf(pid: number, system: System): { state: string; born: string } | undefined {
  try {
    const stat = system.read(`/proc/${pid}/stat`);
    // The second field, the program's name, may hold spaces and brackets; the state and the start time are the 3rd and 22nd.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0], born: fields[19] };
  } catch {
    return undefined;
  }
}
