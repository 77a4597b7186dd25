/** Components that are drawn anew only if what they show has changed. */

import { Component, type ComponentChildren, type ComponentType } from "preact";

/** @param same whether two sets of properties look the same. */
export function memo<P extends object>(
  draw: (props: P) => ComponentChildren,
  same: (one: P, other: P) => boolean,
): ComponentType<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      return !same(this.props, next);
    }

    override render(): ComponentChildren {
      return draw(this.props);
    }
  };
}
