// Puts the parts of the page together.

import * as api from "./api.js";
import * as options from "./options.js";
import { Player } from "./player.js";
import { Reading } from "./reading.js";
import { clock, floats } from "./sound.js";
import { Spectrogram } from "./spectrogram.js";
import { tab } from "./storage.js";
import { Take, line } from "./takes.js";
import { Voices } from "./voices.js";

const RATE = 24_000; // Hz, of all that the gateway sends
const LOOK_S = 10; // between two looks at a server that is ready
const LOOK_SOON_S = 1; // at one that is not
const $ = (id) => document.getElementById(id);

const player = new Player(RATE);
const spectrogram = new Spectrogram({ canvas: $("spectrogram"), head: $("head"), seek: $("seek"), rate: RATE });
const reading = new Reading($("reading"));
const voices = new Voices({ onChoose: showVoice, onHear: () => player.pause() });
let making = null; // the take that is made now, and what stops it

// Speak

async function speak() {
  complain("");
  if (making) return;
  const input = $("text").value;
  if (!input.trim()) {
    $("text").focus();
    return complain("Write what should be said.");
  }
  let request;
  try {
    request = { input, voice: voices.chosen, ...options.chosen() };
  } catch (error) {
    $("options").hidden = false;
    $("options-open").setAttribute("aria-expanded", "true");
    $("seed").focus();
    return complain(error.message);
  }
  const take = new Take(request, RATE);
  making = { take, stop: new AbortController() };
  show(take);
  const opened = player.play(take); // from the click, or the browser stays silent
  refresh();
  try {
    await opened;
    const answer = await api.speak(request, { signal: making.stop.signal });
    take.seed = answer.headers.get("x-bark-seed") ?? take.seed;
    for await (const event of api.events(answer)) receive(take, event);
    if (!take.complete) throw new api.Refused("The connection to the gateway broke off.");
  } catch (error) {
    const stopped = error.name === "AbortError";
    if (!take.complete) take.end({ problem: stopped ? "stopped" : "broke off" });
    if (!stopped) complain(error.message);
  }
  making = null;
  player.complete(take);
  if (take.length || take.seed) remember(take);
  if (!take.length) hide(take);
  refresh();
}

function receive(take, event) {
  if (event.type === "speech.audio.delta") {
    const samples = floats(event.audio);
    take.add(samples, event);
    player.add(take, samples);
    if (player.take === take) spectrogram.draw();
  } else if (event.type === "speech.audio.done") {
    take.end({ told: event.bark });
  }
  refresh();
}

function stop() {
  making?.stop.abort();
  player.pause();
  if (player.take) edit();
}

// Play

async function play(take) {
  if (player.take === take) return player.toggle();
  show(take);
  await player.play(take);
}

function show(take) {
  $("player").hidden = false;
  $("hint").hidden = true;
  spectrogram.show(take);
  read(take);
}

/** A take without any sound: there is nothing to show. */
function hide(take) {
  if (player.take !== take) return;
  player.take = null;
  player.state = { position: 0, playing: false, waiting: false };
  $("player").hidden = true;
  spectrogram.show(null);
  edit();
}

function read(take) {
  reading.show(take.request.input);
  $("reading").hidden = false;
  $("text").hidden = true;
}

function edit() {
  const inside = document.activeElement === $("reading");
  $("reading").hidden = true;
  $("text").hidden = false;
  if (inside) $("text").focus();
}

function refresh() {
  const { take, state } = player;
  const playing = Boolean(take) && state.playing;
  $("speak").hidden = Boolean(making);
  $("stop").hidden = !making;
  $("play").disabled = !take || !take.length;
  $("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  $("play").querySelector("use").setAttribute("href", playing ? "#i-pause" : "#i-play");
  $("time-words").textContent = take ? clock(player.seconds, take.seconds) : "";
  say(words(take, state));
  $("seek").disabled = !take?.length;
  $("seek").max = spectrogram.shown;
  $("seek").value = player.seconds;
  $("seek").setAttribute("aria-valuetext", take ? `${player.seconds.toFixed(1)} of ${take.seconds.toFixed(1)} seconds` : "");
  spectrogram.move(take ? player.seconds : 0);
  if (take && !$("reading").hidden) reading.move(take.pieces, player.seconds, take.seconds);
}

function words(take, { playing, waiting, position }) {
  if (!take) return "";
  if (!take.length) return making?.take === take ? "Making the first sound" : "";
  if (playing && waiting) return "Waiting for more";
  if (making?.take === take) return playing ? "Playing; more is being made" : "More is being made";
  if (playing) return "Playing";
  return position && position < take.length ? "Paused" : take.verdict === "good" ? "All pieces are good" : "";
}

function say(words) {
  if ($("state").textContent !== words) $("state").textContent = words; // a screen reader reads each change
}

// History

function remember(take) {
  $("history").hidden = false;
  $("takes").prepend(line(take, { onPlay: play, onSeed: options.useSeed, onDrop: forget, onProblem: (error) => complain(error.message) }));
}

function forget(take, item) {
  if (player.take === take) {
    player.pause();
    hide(take);
    refresh();
  }
  const next = item.nextElementSibling ?? item.previousElementSibling;
  item.remove();
  (next?.querySelector(".again") ?? $("text")).focus();
  $("history").hidden = !$("takes").children.length;
}

// Around it

function showVoice(name) {
  $("voice-name").textContent = name ?? "Any speaker";
  tab.set("bark-voice", name ?? "");
}

function complain(words) {
  $("problem").textContent = words.charAt(0).toUpperCase() + words.slice(1);
  $("problem").hidden = !words;
}

async function look() {
  while (document.hidden) await new Promise((changed) => document.addEventListener("visibilitychange", changed, { once: true }));
  const state = await api.ready();
  const told = { "ready": "Ready", "no server": "No speech server", "no gateway": "The gateway does not answer" }[state];
  $("server").dataset.state = state;
  if ($("server-words").textContent !== told) $("server-words").textContent = told;
  setTimeout(look, (state === "ready" ? LOOK_S : LOOK_SOON_S) * 1000);
}

let asking = null; // several requests ask for the key once

api.onKeyNeeded((words, changed) => {
  if (changed) return true; // another request has asked meanwhile
  asking ??= new Promise((resolve) => {
    $("key-words").textContent = words;
    $("key-text").value = "";
    $("key").returnValue = "";
    $("key").showModal();
    $("key").onclose = () => {
      asking = null;
      const given = $("key").returnValue === "use" && $("key-text").value.trim();
      if (given) api.useKey(given, { keep: $("key-keep").checked });
      $("key-open").hidden = !api.key();
      resolve(Boolean(given));
    };
  });
  return asking;
});

$("composer").onsubmit = (event) => { event.preventDefault(); speak(); };
$("text").oninput = () => { complain(""); tab.set("bark-text", $("text").value); };
$("stop").onclick = stop;
$("play").onclick = () => { if (!player.state.playing) read(player.take); player.toggle(); };
$("reading").onclick = edit;
$("reading").onkeydown = (event) => { if (event.key === "Enter") { event.preventDefault(); edit(); } };
$("voice-open").onclick = () => voices.open();
$("key-open").onclick = () => { api.forgetKey(); voices.load().then(refresh); };
$("seek").oninput = () => { if (player.take) player.seek($("seek").value * RATE); };
player.addEventListener("moved", refresh);
player.addEventListener("ended", edit);
document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); speak(); }
  if (event.key === "Escape") stop();
});

options.setUp();
$("text").value = tab.get("bark-text") ?? "";
$("key-open").hidden = !api.key();
const before = tab.get("bark-voice");
if (before) { voices.chosen = before; showVoice(before); }
refresh();
look();
voices.load();
