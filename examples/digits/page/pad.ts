/** The sheet on which one draws, with mouse, pen or finger. */

import type { Point, Stroke } from "./sample.js";

/** The pen's thickness, in sides of the pad. */
const THICKNESS = 0.06;

export class Pad {
  readonly #canvas: HTMLCanvasElement;
  readonly #onChange: (strokes: readonly Stroke[], isDone: boolean) => void;
  #strokes: Point[][] = [];
  /** The pointer that draws; others are left out until it is lifted. */
  #pointer: number | undefined;

  /** @param onChange is told the strokes at every move of the pen, and whether it was lifted. */
  constructor(canvas: HTMLCanvasElement, onChange: (strokes: readonly Stroke[], isDone: boolean) => void) {
    this.#canvas = canvas;
    this.#onChange = onChange;
    canvas.addEventListener("pointerdown", (event) => {
      if (this.#pointer !== undefined || event.button !== 0) return;
      this.#pointer = event.pointerId;
      canvas.setPointerCapture(event.pointerId);
      this.#strokes.push([]);
      this.#add([event]);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId !== this.#pointer) return;
      const between = event.getCoalescedEvents();
      this.#add(between.length > 0 ? between : [event]);
    });
    const lift = ({ pointerId }: PointerEvent): void => {
      if (pointerId !== this.#pointer) return;
      this.#pointer = undefined;
      this.#changed(true);
    };
    canvas.addEventListener("pointerup", lift);
    canvas.addEventListener("pointercancel", lift);
    new ResizeObserver(() => {
      this.paint();
    }).observe(canvas);
  }

  /** Replaces what is drawn; by nothing, if there are no strokes. */
  show(strokes: readonly Stroke[]): void {
    this.#pointer = undefined;
    this.#strokes = strokes.map((stroke) => [...stroke]);
    this.#changed(true);
  }

  #add(events: readonly PointerEvent[]): void {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    for (const { clientX, clientY } of events)
      this.#strokes.at(-1)?.push({ x: (clientX - left) / width, y: (clientY - top) / height });
    this.#changed(false);
  }

  #changed(isDone: boolean): void {
    this.paint();
    this.#onChange(this.#strokes, isDone);
  }

  /** Paints all strokes, in the colour of the page's ink. */
  paint(): void {
    const canvas = this.#canvas;
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    canvas.width = side;
    canvas.height = side;
    const context = canvas.getContext("2d");
    if (context === null) return;
    context.strokeStyle = getComputedStyle(canvas).color;
    context.lineWidth = THICKNESS * side;
    context.lineCap = "round";
    context.lineJoin = "round";
    for (const stroke of this.#strokes) {
      context.beginPath();
      stroke.forEach(({ x, y }, i) => {
        if (i === 0) context.moveTo(x * side, y * side);
        context.lineTo(x * side, y * side);
      });
      context.stroke();
    }
  }
}
