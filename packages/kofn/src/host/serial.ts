/** Samplers in one thread, one after the other. */

import type { UpdateScalars } from "../optim/optimizer.js";
import { HostSampler } from "./sampler.js";
import { type HostSamplerOptions, roomsFor } from "./sampler-room.js";
import type { Draw } from "./task.js";

export class SerialSamplers {
  readonly all: readonly HostSampler[];

  constructor(options: readonly HostSamplerOptions[]) {
    const rooms = roomsFor(options);
    this.all = options.map((own, i) => new HostSampler(own, rooms[i]));
  }

  open(): Promise<void> {
    return Promise.resolve();
  }

  sample({ step, beta, k }: Draw): void {
    for (const [i, one] of this.all.entries()) one.sample(step, beta, k[i]);
  }

  update(tau: number, ofLogits: UpdateScalars, ofWeights: UpdateScalars, next?: Draw): void {
    for (const one of this.all) one.update(tau, ofLogits, ofWeights);
    if (next !== undefined) this.sample(next);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
