/** How ranges and scales are chosen. */

export const CALIBRATION_METHODS = ["minmax", "percentile", "mse"] as const;

/** How scales are chosen after training: for the whole range, for nearly all of it, or for the least squared error. */
export type CalibrationMethod = (typeof CALIBRATION_METHODS)[number];
