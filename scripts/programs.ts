/** Where programs are installed that are not ours. */
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import process from "node:process"

// Debian keeps servers where only the path of root looks
const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/bin", "/usr/sbin"]
  .filter((folder) => folder !== "")

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The first of these that is on the path, or where Debian puts programs. undefined: there is none. */
export const find = (...names: ReadonlyArray<string>): string | undefined =>
  folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable)
