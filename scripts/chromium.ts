/** Where a Chromium is, and how it is started for a page of our own: without asking anybody outside for anything. */
import process from "node:process"
import { type Browser, chromium } from "playwright-core"
import * as programs from "./programs.ts"

/** That of the environment variable CHROMIUM, or else the first on the path. undefined: there is none. */
export const find = (): string | undefined => {
  const named = process.env["CHROMIUM"]
  return named !== undefined && named !== ""
    ? named
    : programs.find("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
}

/** Starts it, with a profile of its own that is gone when the browser is closed. */
export const launch = (executablePath: string): Promise<Browser> =>
  chromium.launch({
    executablePath,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync"
    ]
  })
