/** The frame of all pages: where one is, and how the connection stands. */

import { useSignalEffect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ComparePage } from "./compare-page.js";
import { connection, notice, retryNow } from "./connection.js";
import { hrefOf, type Route, route } from "./route.js";
import { RunPage } from "./run-page.js";
import { RunTable } from "./run-table.js";
import { chosen, folder, folderProblem, runs } from "./store.js";
import { TradeoffPage } from "./tradeoff-page.js";

export function App() {
  const { page } = route.value;
  useSignalEffect(() => {
    document.title = `${titleOf(route.value)} – kofn studio`;
  });
  return (
    <>
      <a class="skip" href="#content" onClick={skip}>
        Skip to the content
      </a>
      <header>
        <a class="brand" href={hrefOf({ page: "list" })}>
          <img src="/icon.svg" alt="" width="20" height="20" />
          kofn studio
        </a>
        <nav aria-label="Pages">
          <NavLink to={{ page: "list" }} current={page === "list" || page === "run"}>
            Runs
          </NavLink>
          <NavLink to={{ page: "tradeoff" }} current={page === "tradeoff"}>
            Trade-offs
          </NavLink>
          <NavLink to={{ page: "compare", ids: chosen.value }} current={page === "compare"}>
            Compare{chosen.value.length > 0 ? ` (${chosen.value.length})` : ""}
          </NavLink>
        </nav>
        <ConnectionState />
      </header>
      <ConnectionBanner />
      {folderProblem.value !== null && (
        <p class="banner" role="alert">
          {folder.value}: {folderProblem.value}
        </p>
      )}
      <main id="content" tabIndex={-1}>
        {connection.value.kind === "refused" ? <NoToken problem={connection.value.problem} /> : <Page />}
      </main>
    </>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

function NavLink(props: {
  readonly to: Route;
  readonly current: boolean;
  readonly children: preact.ComponentChildren;
}) {
  return (
    <a href={hrefOf(props.to)} aria-current={props.current ? "page" : undefined}>
      {props.children}
    </a>
  );
}

function Page() {
  const now = route.value;
  // Who reads the page aloud is told that it is another one.
  const key = now.page === "run" ? now.id : now.page;
  useEffect(() => {
    if (location.hash.length > 2) document.querySelector<HTMLElement>("main h1")?.focus();
  }, [key]);
  switch (now.page) {
    case "list":
      return (
        <>
          <h1 tabIndex={-1}>
            Runs <small>in {folder.value}</small>
          </h1>
          <RunTable />
        </>
      );
    case "tradeoff":
      return <TradeoffPage />;
    case "run":
      return <RunPage key={now.id} id={now.id} />;
    case "compare":
      return <ComparePage ids={now.ids} />;
  }
}

function titleOf(now: Route): string {
  switch (now.page) {
    case "list":
      return "Runs";
    case "tradeoff":
      return "Trade-offs";
    case "run":
      return runs.value.get(now.id)?.path ?? "Run";
    case "compare":
      return "Compare";
  }
}

function ConnectionState() {
  const { kind } = connection.value;
  const words = { connecting: "connecting", open: "live", lost: "disconnected", refused: "no access" };
  return (
    <p class={`connection ${kind}`}>
      <span class="dot" aria-hidden="true" />
      {words[kind]}
    </p>
  );
}

function ConnectionBanner() {
  const now = connection.value;
  return (
    <div role="status">
      {now.kind === "lost" && (
        <p class="banner">
          The connection to the studio is lost; what is shown may be old. Trying again every{" "}
          {now.retryIn === 1 ? "second" : `${now.retryIn} seconds`}.{" "}
          <button type="button" onClick={retryNow}>
            Try now
          </button>
        </p>
      )}
      {now.kind === "open" && notice.value !== "" && <p class="banner good">{notice.value}</p>}
    </div>
  );
}

function NoToken({ problem }: { readonly problem: string }) {
  return (
    <div class="empty">
      <h1 tabIndex={-1}>No access</h1>
      <p>{problem}</p>
      <p>
        It begins with http://127.0.0.1 and ends with a token, and stands in the terminal in which the studio
        runs.
      </p>
    </div>
  );
}
