/** Names that break out of whatever does not hold them as text. */

export const hostileNames: ReadonlyArray<string> = [
  "</script><script>alert(1)</script>",
  "a\"b'c`d\\e",
  "line\nbreak\r\nfake=\"1\" level=INFO\ttab",
  "snö-наука-🚀-\u202Eright",
  "\u001B[31mred\u0000\u007F",
  "x".repeat(500),
  "__proto__",
  "constructor",
  "<img src=x onerror=alert(1)>",
  "data: x\n\nevent: y",
  "{curly=\"braces\"} 1"
]
