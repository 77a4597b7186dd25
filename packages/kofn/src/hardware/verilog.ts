/** The Verilog that comes with memory images: a layer that multiplies once per clock, and a test bench for each layer. */

import { isSign } from "./codes.js";
import type { LayerImages } from "./layer-images.js";

export const LAYER_FILE = "kofn_layer.v";

/** In the order of rows, a product per clock. */
export const LAYER_VERILOG = `// A layer of integers: reads its memory images, and sums one product per clock, row by row.
//
// Each row has GROUPS groups of N units, of which K are kept; a unit is SPAN weights next to each other, and SHARE rows
// have their indices once. ROWS_PER_SLICE rows read the same part of the input (all, but for convolutions in groups). A
// convolution is computed place by place: its input is what lies under its window, [channels, height, width].
//
// sum = bias + the sum of weight * (x - INPUT_ZERO)
// code = floor((sum * multiplier + 2^(shift - 1)) / 2^shift) + OUTPUT_ZERO, from LOW to HIGH (BINARY if it is above 0)
module kofn_layer #(
  parameter ROWS = 1, GROUPS = 1, N = 1, K = 1, SPAN = 1, SHARE = 1, ROWS_PER_SLICE = 1,
  parameter DENSE = 0,         // all weights are kept: there are no indices
  parameter VALUE_WIDTH = 8,   // two's complement; of width 1: 1 is 1 and 0 is -1
  parameter INDEX_WIDTH = 8,
  parameter INPUT_SIGNED = 0, INPUT_ZERO = 0,
  parameter HAS_BIAS = 0,
  parameter RESCALES = 0,      // sums become codes
  parameter BINARY = 0,        // codes are BINARY for large sums, and 0 for others
  parameter SIGNS = 0,         // codes are BINARY for sums from 0 on, and -BINARY for others
  parameter OUTPUT_ZERO = 0, LOW = 0, HIGH = 255,
  parameter VALUES = "", INDICES = "", BIAS = "", MULTIPLIERS = "", SHIFTS = ""
) (
  input clk,
  input reset,                 // begins a place anew
  output [31:0] address,       // of the input
  input [7:0] x,               // the input there, in the same clock
  output reg valid,            // row, sum and code are there
  output reg [31:0] row,
  output reg signed [31:0] sum,
  output signed [31:0] code
);
  localparam ENTRIES = GROUPS * K * SPAN;
  localparam INDEX_DEPTH = DENSE ? 1 : ROWS / SHARE * GROUPS * K;

  reg signed [VALUE_WIDTH-1:0] values [0:ROWS*ENTRIES-1];
  reg [INDEX_WIDTH-1:0] indices [0:INDEX_DEPTH-1];
  reg signed [31:0] bias [0:(HAS_BIAS ? ROWS : 1)-1];
  reg [30:0] multipliers [0:(RESCALES ? ROWS : 1)-1];
  reg [5:0] shifts [0:(RESCALES ? ROWS : 1)-1];

  initial begin
    $readmemh(VALUES, values);
    if (!DENSE) $readmemh(INDICES, indices);
    if (HAS_BIAS) $readmemh(BIAS, bias);
    if (RESCALES) begin
      $readmemh(MULTIPLIERS, multipliers);
      $readmemh(SHIFTS, shifts);
    end
  end

  reg [31:0] at_row, group, unit, place; // in the row: group, unit of those kept, and weight of the unit
  reg [31:0] at;                         // among the values
  reg signed [31:0] total;

  wire [31:0] index = DENSE ? unit : indices[(at_row / SHARE * GROUPS + group) * K + unit];
  assign address = at_row / ROWS_PER_SLICE * (GROUPS * N * SPAN) + (group * N + index) * SPAN + place;

  wire signed [31:0] value = VALUE_WIDTH == 1 ? (values[at] ? 32'sd1 : -32'sd1) : values[at];
  wire signed [31:0] read = $signed(INPUT_SIGNED ? {{24{x[7]}}, x} : {24'd0, x}) - INPUT_ZERO;
  wire signed [31:0] begun = HAS_BIAS ? bias[at_row] : 32'sd0;
  wire is_first = group == 0 && unit == 0 && place == 0;
  wire is_last = group == GROUPS - 1 && unit == K - 1 && place == SPAN - 1;
  wire signed [31:0] next = (is_first ? begun : total) + value * read;

  always @(posedge clk) begin
    valid <= 0;
    if (reset) begin
      at_row <= 0;
      group <= 0;
      unit <= 0;
      place <= 0;
      at <= 0;
    end else if (at_row < ROWS) begin
      total <= next;
      at <= at + 1;
      if (place < SPAN - 1) place <= place + 1;
      else begin
        place <= 0;
        if (unit < K - 1) unit <= unit + 1;
        else begin
          unit <= 0;
          group <= group < GROUPS - 1 ? group + 1 : 0;
        end
      end
      if (is_last) begin
        valid <= 1;
        row <= at_row;
        sum <= next;
        at_row <= at_row + 1;
      end
    end
  end

  wire signed [31:0] multiplier = {1'b0, multipliers[row]};
  wire signed [63:0] product = sum * multiplier;
  wire signed [63:0] rescaled = ((product + (64'sd1 <<< (shifts[row] - 6'd1))) >>> shifts[row]) + OUTPUT_ZERO;
  wire signed [63:0] binary = (SIGNS ? sum >= 0 : rescaled > 0) ? BINARY : SIGNS ? -BINARY : 0;
  wire signed [63:0] wide = BINARY != 0 ? binary : rescaled;
  assign code = wide < LOW ? LOW : wide > HIGH ? HIGH : wide[31:0];
endmodule
`;

/** What a test bench is written from: a layer without it, and the vectors. */
type Bench = NonNullable<LayerImages["test"]>;

/** A test bench that computes a layer for each place of an input, and counts the results that differ from what is expected. */
export function benchText(layer: Omit<LayerImages, "test">, test: Bench): string {
  const { name, rows, fanIn, rowsPerSlice, groups, n, k, span, share, values, indices, bias } = layer;
  const { input, output, range, multipliers, shifts } = layer;
  const isCodes = test.compares === "codes";
  const [low, high] = range ?? [0, 0];
  const hasBias = bias !== null && bias.format === "int";
  const parameters: (readonly [string, string | number])[] = [
    ["ROWS", rows],
    ["GROUPS", groups],
    ["N", n],
    ["K", k],
    ["SPAN", span],
    ["SHARE", share],
    ["ROWS_PER_SLICE", rowsPerSlice],
    ["DENSE", indices === null ? 1 : 0],
    ["VALUE_WIDTH", values.width],
    ["INDEX_WIDTH", indices?.width ?? 1],
    ["INPUT_SIGNED", input === null || input.type === "int8" ? 1 : 0],
    ["INPUT_ZERO", input?.zero ?? 0],
    ["HAS_BIAS", hasBias ? 1 : 0],
    ["RESCALES", isCodes ? 1 : 0],
    ["BINARY", output?.threshold === undefined ? 0 : output.high],
    ["SIGNS", output !== null && isSign(output) ? 1 : 0],
    ["OUTPUT_ZERO", output?.zero ?? 0],
    ["LOW", low],
    ["HIGH", high],
    ["VALUES", quoted(values.file)],
    ["INDICES", quoted(indices?.file ?? "")],
    ["BIAS", quoted(hasBias ? bias.file : "")],
    ["MULTIPLIERS", quoted(multipliers?.file ?? "")],
    ["SHIFTS", quoted(shifts?.file ?? "")],
  ];
  const inputs = (rows / rowsPerSlice) * fanIn;
  const width = test.expected.width;
  const result = isCodes ? "code[7:0]" : "sum";
  const what = isCodes ? "codes" : "sums";
  return `// Test bench of the layer ${JSON.stringify(name.replace(/[^ -~]/g, "?"))}: its ${what} for the inputs of an image, against those of another.
//   iverilog -o ${test.bench.slice(0, -2)} ${test.bench} ${LAYER_FILE} && vvp -n ${test.bench.slice(0, -2)}
// Other images: iverilog -Ptb.POSITIONS=64, vvp with +input=FILE and +expected=FILE.
module tb;
  parameter POSITIONS = ${test.positions};
  localparam INPUTS = ${inputs}, ROWS = ${rows};

  reg [7:0] inputs [0:POSITIONS*INPUTS-1];
  reg [${width - 1}:0] expected [0:POSITIONS*ROWS-1];
  reg [8*1024-1:0] input_file, expected_file;
  reg clk = 0, reset = 1;
  wire valid;
  wire [31:0] address, row;
  wire signed [31:0] sum, code;
  integer place, count, different = 0;

  kofn_layer #(
${parameters.map(([key, value]) => `    .${key}(${value})`).join(",\n")}
  ) layer (
    .clk(clk), .reset(reset), .address(address), .x(inputs[place * INPUTS + address]),
    .valid(valid), .row(row), .sum(sum), .code(code)
  );

  always #5 clk = ~clk;

  initial begin
    if (!$value$plusargs("input=%s", input_file)) input_file = ${quoted(test.input.file)};
    if (!$value$plusargs("expected=%s", expected_file)) expected_file = ${quoted(test.expected.file)};
    $readmemh(input_file, inputs);
    $readmemh(expected_file, expected);
    for (place = 0; place < POSITIONS; place = place + 1) begin
      reset = 1;
      @(posedge clk);
      @(negedge clk) reset = 0;
      count = 0;
      while (count < ROWS) begin
        @(negedge clk);
        if (valid) begin
          if (${result} !== expected[place * ROWS + row]) begin
            different = different + 1;
            if (different <= 5) $display("place %0d, row %0d: %h, expected %h", place, row, ${result}, expected[place * ROWS + row]);
          end
          count = count + 1;
        end
      end
    end
    $display("%0d ${what}, %0d different", POSITIONS * ROWS, different);
    $finish;
  end
endmodule
`;
}

function quoted(text: string): string {
  return `"${text}"`;
}
