/** Who may ask for what: the Host and Origin headers, the cookie, and the headers of every answer. */

import type { Context, MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import type { Problem } from "../api.js";
import { isSame } from "./token.js";

/** The page loads its own scripts and styles, and talks to this server; nothing else. */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** A run's report is a file that anybody may have made: it is shown without scripts, apart from this server's origin. */
export const REPORT_POLICY = [
  "sandbox",
  "default-src 'none'",
  "style-src 'unsafe-inline'",
  "img-src data:",
  "font-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HEADERS: Readonly<Record<string, string>> = {
  "Cache-Control": "no-store",
  "Content-Security-Policy": PAGE_POLICY,
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

/** The names under which the server may be asked; others come from a site whose name was bound to this address. */
export function hostsOf(port: number): ReadonlySet<string> {
  return new Set([`127.0.0.1:${port}`, `localhost:${port}`]);
}

/** Cookies are shared by all ports of a host. */
export function cookieName(port: number): string {
  return `kofn-studio-${port}`;
}

/** Sets the headers of every answer, and refuses requests under another name or from other sites. */
export function guardSite(hosts: ReadonlySet<string>): MiddlewareHandler {
  return async (context, next) => {
    for (const [name, value] of Object.entries(HEADERS)) context.header(name, value);
    const host = context.req.header("host") ?? "";
    if (!hosts.has(host))
      return refuse(context, 421, "This server answers to 127.0.0.1 and localhost alone.");
    const { method } = context.req;
    if (method !== "GET" && method !== "HEAD" && context.req.header("origin") !== `http://${host}`) {
      return refuse(context, 403, "This request does not come from the studio's page.");
    }
    return next();
  };
}

/** Refuses requests without the cookie, and those that a browser says come from elsewhere. */
export function guardSession(cookie: string, secret: string): MiddlewareHandler {
  return async (context, next) => {
    const site = context.req.header("sec-fetch-site") ?? "same-origin";
    if (site !== "same-origin" && site !== "none") {
      return refuse(context, 403, "This request does not come from the studio's page.");
    }
    if (!isSame(getCookie(context, cookie) ?? "", secret)) {
      return refuse(context, 401, "Open the address that kofn studio has printed: it holds the token.");
    }
    return next();
  };
}

/** An answer that says why there is no other. */
export function refuse(
  context: Context,
  status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 421 | 500,
  problem: string,
): Response {
  return context.json<Problem>({ problem }, status);
}
