/** Options that say what is trained, on what, and where the result goes. */

import { text } from "../kinds.js";
import { option } from "../option.js";

export const SOURCE = {
  model: option({ kind: text("the name of a model of the zoo, or the path of an .onnx file") }),
  data: option({
    kind: text("the name of a data set"),
    value: "<name>",
    help: "data set: a name (see kofn data list), a folder of images, or .parquet",
    default: "glyphs",
  }),
  dataDir: option({
    kind: text("the path of a folder"),
    value: "<dir>",
    help: "folder with the data set's files",
  }),
  out: option({
    kind: text("the path of the run directory"),
    value: "<dir>",
    help: "run directory",
    otherwise: "a new one in runs/",
  }),
};
