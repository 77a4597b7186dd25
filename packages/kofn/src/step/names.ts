/** The names of what a step has besides the model's tensors, derived from these. */

/** The mask logits of a pruned weight; those of coupled layers are named by the first. */
export const logitsName = (weight: string): string => `${weight}/logits`;

/** The mask of a weight's units [R, n]. */
export const unitsName = (weight: string): string => `${weight}/units`;

/** A weight that reaches the graph masked. */
export const maskedName = (weight: string): string => `${weight}/masked`;

/** The Gumbel noise of a weight's logits, already scaled. */
export const noiseName = (weight: string): string => `${weight}/noise`;

/** A tensor of an optimizer's state. */
export const stateName = (tensor: string, state: string): string => `${tensor}/${state}`;

/** What {@link stateName} gives for the logarithms of the scales of a weight or of an activation. */
export const logScaleName = (of: string): string => `${of}/log-scale`;

/** The mask of a Dropout, by the name of its output. */
export const keptName = (dropout: string): string => `${dropout}/kept`;
