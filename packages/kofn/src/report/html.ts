/** HTML as values: what is put into a template is escaped, unless it is HTML itself. */

/** A piece of HTML. */
export class Html {
  readonly text: string;

  /** @param text sound HTML: nothing that comes from outside. */
  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

/** What a template takes: text and numbers, which are escaped, HTML, and lists of these. */
export type Content = Html | string | number | readonly Content[];

/**
 * A template of HTML (or SVG) whose values are escaped, for text and for attributes in double quotes.
 *
 * @example
 * html`<b title="${'"'}">${"<i>"}</b>`.text; // <b title="&quot;">&lt;i&gt;</b>
 */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(strings.reduce((text, string, i) => text + render(values[i - 1]) + string));
}

function render(content: Content): string {
  if (content instanceof Html) return content.text;
  return typeof content === "object" ? content.map(render).join("") : escape(String(content));
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Control characters, which HTML can't hold, and marks that turn the direction of text, which could hide what it says. */
const UNPRINTABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

function escape(text: string): string {
  return text.replace(UNPRINTABLE, "\ufffd").replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

export interface Column {
  readonly title: string;
  readonly numeric?: true;
}

/** A table that scrolls sideways where it has no room; the first cell of a row is its header. */
export function table(
  caption: string,
  columns: readonly Column[],
  rows: readonly (readonly Content[])[],
): Html {
  const titles = columns.map(({ title, numeric }) => {
    if (title === "") return html`<td></td>`;
    return numeric === true
      ? html`<th scope="col" class="n">${title}</th>`
      : html`<th scope="col">${title}</th>`;
  });
  const body = rows.map((row) => {
    const cells = row.map((cell, i) => {
      const { numeric } = columns[i];
      if (i === 0)
        return numeric === true
          ? html`<th scope="row" class="n">${cell}</th>`
          : html`<th scope="row">${cell}</th>`;
      return numeric === true ? html`<td class="n">${cell}</td>` : html`<td>${cell}</td>`;
    });
    return new Html(`<tr>${render(cells)}</tr>\n`);
  });
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${caption}">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${titles}
        </tr>
      </thead>
      <tbody>
        ${body}
      </tbody>
    </table>
  </div>`;
}
