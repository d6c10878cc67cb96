/** What the server has beside these modules where `uplot` is installed. */
export { default } from "uplot"
