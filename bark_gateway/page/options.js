// The options of a take, kept from visit to visit.

import { device } from "./storage.js";

const KEPT = "bark-options";
const LANGUAGES = ["de", "en", "es", "fr", "hi", "it", "ja", "ko", "pl", "pt", "ru", "tr", "zh"]; // Bark's
const FIELDS = ["speed", "temperature", "language", "seed", "low-latency", "fast"];
const $ = (id) => document.getElementById(id);

export function setUp() {
  const names = new Intl.DisplayNames(["en"], { type: "language" });
  const named = LANGUAGES.map((code) => [names.of(code), code]).sort();
  $("language").append(...named.map(([name, code]) => new Option(name, code)));
  restore();
  for (const id of FIELDS) $(id).addEventListener("input", changed);
  $("options-open").onclick = () => {
    const shown = $("options").hidden;
    $("options").hidden = !shown;
    $("options-open").setAttribute("aria-expanded", String(shown));
  };
  changed();
}

/** The fields of the request that are not as usual. Throws a RangeError in words. */
export function chosen() {
  const seed = $("seed").value.trim();
  if (seed && !(/^\d{1,20}$/.test(seed) && BigInt(seed) < 2n ** 64n)) {
    throw new RangeError(`Seed: ${seed} is no whole number from 0 to 18446744073709551615.`);
  }
  return {
    ...(Number($("speed").value) === 1 ? {} : { speed: Number($("speed").value) }),
    ...($("temperature").value ? { semantic_temperature: Number($("temperature").value) } : {}),
    ...($("language").value ? { language: $("language").value } : {}),
    ...($("low-latency").checked ? { latency: "low" } : {}),
    ...($("fast").checked ? { schedule: "fast" } : {}),
    ...(seed ? { seed: BigInt(seed).toString() } : {}),
  };
}

export function useSeed(seed) {
  $("seed").value = seed;
  changed();
}

function changed() {
  $("speed-words").textContent = `${Number($("speed").value)}×`;
  $("speed").setAttribute("aria-valuetext", `${Number($("speed").value)} times`);
  const count = FIELDS.filter((id) => value($(id)) !== usual($(id))).length;
  $("options-count").textContent = count ? ` (${count})` : "";
  device.set(KEPT, JSON.stringify(Object.fromEntries(FIELDS.map((id) => [id, value($(id))]))));
}

const value = (field) => (field.type === "checkbox" ? field.checked : field.value);

function usual(field) {
  if (field.type === "checkbox") return field.defaultChecked;
  return field.type === "range" || field.type === "text" ? field.defaultValue : "";
}

function restore() {
  const values = JSON.parse(device.get(KEPT) ?? "{}");
  for (const id of FIELDS.filter((id) => id in values)) {
    $(id)[$(id).type === "checkbox" ? "checked" : "value"] = values[id];
  }
}
