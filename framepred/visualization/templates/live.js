"use strict";
const POLL_MS = 500;
const byId = (name) => document.getElementById(name);
let shownFrame = null;
let shownEvents = "";
let playedClip = null;
let sliding = false;

function drawCurve(state) {
  const top = 1.1 * Math.max(state.threshold || 0, 1, ...state.scores.map(([, score]) => score));
  const height = (value) => (100 - (100 * value) / top).toFixed(2);
  const step = 600 / Math.max(1, state.scores.length - 1);
  const points = state.scores.map(([, score], index) => `${(index * step).toFixed(1)},${height(score)}`);
  byId("curve").querySelector("polyline").setAttribute("points", points.join(" "));
  const line = byId("curve").querySelector("line");
  line.setAttribute("y1", height(state.threshold || 0));
  line.setAttribute("y2", height(state.threshold || 0));
  const last = state.scores.length ? state.scores[state.scores.length - 1][1] : 0;
  const seconds = state.scores.length ? state.time - state.scores[0][0] : 0;
  byId("numbers").textContent =
    `Score ${last.toFixed(2)}, threshold ${(state.threshold || 0).toFixed(2)}; the last ${seconds.toFixed(0)} s`;
}

function markPlayed() {
  for (const button of byId("events").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.clip === playedClip));
  }
}

function play(clip) {
  playedClip = clip;
  markPlayed();
  const video = byId("clip");
  video.hidden = false;
  video.src = `/events/${encodeURIComponent(clip)}`;
  video.play().catch(() => {});
}

function listEvents(events) {
  const key = events.map((event) => event.number).join();
  if (key === shownEvents) return;
  shownEvents = key;
  byId("none").hidden = events.length > 0;
  byId("events").replaceChildren(...events.map((event) => {
    const button = document.createElement("button");
    button.textContent = event.sentence;
    button.disabled = !event.clip;
    button.dataset.clip = event.clip || "";
    button.addEventListener("click", () => play(event.clip));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
  markPlayed();
}

function showRate(rate) {
  byId("rate-shown").textContent = Number(rate.toPrecision(2)).toString();
}

function show(state) {
  const status = byId("status");
  status.classList.toggle("active", state.active);
  status.textContent = state.ended ? "The source has ended" : state.active ? "Unusual now"
    : state.frame === null ? "Waiting for frames" : `Usual, ${state.time.toFixed(1)} s`;
  if (state.frame !== null && state.frame !== shownFrame) {
    shownFrame = state.frame;
    for (const view of ["seen", "usual", "heat"]) byId(view).src = `/frame/${view}?${state.frame}`;
  }
  drawCurve(state);
  listEvents(state.events);
  if (!sliding) {
    byId("rate").value = Math.log10(state.false_alarms);
    showRate(state.false_alarms);
  }
}

async function poll() {
  try {
    const answer = await fetch("/state");
    if (answer.ok) show(await answer.json());
  } catch {
    byId("status").textContent = "The watch has ended or cannot be reached";
  }
  setTimeout(poll, POLL_MS);
}

byId("rate").addEventListener("input", (event) => {
  sliding = true;
  showRate(10 ** Number(event.target.value));
});
byId("rate").addEventListener("change", async (event) => {
  const body = JSON.stringify({ false_alarms: 10 ** Number(event.target.value) });
  await fetch("/false-alarms", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  sliding = false;
});
poll();
