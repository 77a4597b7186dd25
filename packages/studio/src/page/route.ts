/** Which page is shown: the address after the #. */

import { signal } from "@preact/signals";

export type Route =
  | { readonly page: "list" }
  | { readonly page: "tradeoff" }
  | { readonly page: "run"; readonly id: string }
  | { readonly page: "compare"; readonly ids: readonly string[] };

export const route = signal<Route>({ page: "list" });

export function hrefOf(to: Route): string {
  switch (to.page) {
    case "list":
      return "#/";
    case "tradeoff":
      return "#/tradeoff";
    case "run":
      return `#/run/${to.id}`;
    case "compare":
      return `#/compare/${to.ids.join("+")}`;
  }
}

/** Follows the address from now on. */
export function followRoute(): void {
  const read = (): void => {
    route.value = routeOf(location.hash);
  };
  addEventListener("hashchange", () => {
    read();
    scrollTo(0, 0);
  });
  read();
}

/** Goes to another page. */
export function go(to: Route): void {
  location.hash = hrefOf(to);
}

function routeOf(hash: string): Route {
  const [, page, rest = ""] = hash.split("/");
  if (page === "run" && rest !== "") return { page, id: rest };
  if (page === "compare") return { page, ids: rest === "" ? [] : rest.split("+") };
  return page === "tradeoff" ? { page } : { page: "list" };
}
