import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { SummaryReporter } from "./scripts/summary-reporter.ts"

const src = fileURLToPath(new URL("./src", import.meta.url))

export default defineConfig({
  resolve: {
    // Tests import the package by its own name, as a user does, and get the sources.
    alias: [
      { find: /^effect-resilience$/, replacement: `${src}/index.ts` },
      { find: /^effect-resilience\/(?!package\.json)(.+)$/, replacement: `${src}/$1/index.ts` }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    environment: "node",
    // One process per worker keeps a test that blocks its event loop from slowing its neighbours;
    // two of them suit the small machines that run CI.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ["default", new SummaryReporter()]
  }
})
